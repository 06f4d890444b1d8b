/** Waits with timeouts. */
import { setTimeout } from "node:timers/promises"
import { WaitTimeout } from "../support/eventually.js"

/** Milliseconds after which a wait fails. */
export const defaultTimeout = 30_000

/** The value of a promise; rejects with a `WaitTimeout` if it takes too long. */
export const within = async <A>(promise: Promise<A>, what: string, milliseconds = defaultTimeout): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = globalThis.setTimeout(() => reject(new WaitTimeout(`no ${what} in ${milliseconds} ms`)), milliseconds)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Polls every 20 ms until the condition holds or the timeout expires; returns the last value. */
export const eventually = async <A>(
  look: () => Promise<A>,
  isExpected: (value: A) => boolean,
  milliseconds = defaultTimeout
): Promise<A> => {
  const until = performance.now() + milliseconds
  for (;;) {
    const value = await look()
    if (isExpected(value) || performance.now() >= until) return value
    await setTimeout(20)
  }
}

/** Runs `act` for each element, so many at once. */
export const forEach = async <A, B>(
  all: ReadonlyArray<A>,
  atOnce: number,
  act: (each: A, index: number) => Promise<B>
): Promise<ReadonlyArray<B>> => {
  const results: Array<B> = []
  const entries = all.entries()
  const worker = async (): Promise<void> => {
    for (const [index, each] of entries) results[index] = await act(each, index)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}

export const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)
