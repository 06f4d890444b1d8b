/**
 * The checks of the smoke suite: plain JavaScript without a test runner, since it runs on Node, Bun and Deno alike.
 */

/** Milliseconds after which a check has failed. */
const timeout = 20_000

/** A feature that the runtime lacks, and that the package refuses with a typed error. */
export class Unsupported extends Error {}

/** Makes a group of named checks; `run` executes them in their order. */
export const group = (name) => {
  const checks = []
  return {
    name,
    check: (title, run) => void checks.push({ title, run }),
    run: async (report) => {
      for (const { title, run } of checks) report({ group: name, title, ...(await outcomeOf(run)) })
    }
  }
}

const outcomeOf = async (run) => {
  let timer
  const expired = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not completed within ${timeout} ms`)), timeout)
  })
  try {
    await Promise.race([run(), expired])
    return { outcome: "ok" }
  } catch (error) {
    if (error instanceof Unsupported) return { outcome: "unsupported", reason: error.message }
    return { outcome: "failed", reason: String(error?.stack ?? error) }
  } finally {
    clearTimeout(timer)
  }
}

const shown = (value) => {
  const text = typeof value === "string" ? value : String(value)
  return text.length > 400 ? `${text.slice(0, 400)}…` : text
}

export const equal = (actual, expected) => {
  if (!Object.is(actual, expected)) throw new Error(`expected ${shown(expected)}, received ${shown(actual)}`)
}

export const match = (actual, pattern) => {
  if (!pattern.test(actual)) throw new Error(`expected ${pattern}, received ${shown(actual)}`)
}
