/** Waiting for facts, and never for ever. */
import { setTimeout } from "node:timers/promises"

/** Milliseconds after which something that has not happened is taken for what never will. */
export const patience = 30_000

/** A wait that has taken too long: the awaited party hangs. */
export class Hung extends Error {}

/** What a promise gives, as long as it does so in time. */
export const within = async <A>(promise: Promise<A>, what: string, milliseconds = patience): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = globalThis.setTimeout(() => reject(new Hung(`no ${what} in ${milliseconds} ms`)), milliseconds)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Looks again and again until it is so, or too late; what was seen last. */
export const eventually = async <A>(
  look: () => Promise<A>,
  isSo: (seen: A) => boolean,
  milliseconds = patience
): Promise<A> => {
  const until = performance.now() + milliseconds
  for (;;) {
    const seen = await look()
    if (isSo(seen) || performance.now() >= until) return seen
    await setTimeout(20)
  }
}

/** Does something for each, that many at once. */
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
