/** How the work for an input grows with its length, as a ratio: absolute times depend on the machine and its load. */
import { fastest } from "../fixtures/fastest.js"

const factor = 8

/** Bytes of the larger of two inputs: about what the limits let through. */
const bytes = 16_000

/** Beyond it something is done for each byte again and again: a loop that is quadratic has `factor`, a linear one 1. */
export const linear = factor / 3

const eightfold = (run: () => unknown) => (): void => {
  for (let i = 0; i < factor; i++) run()
}

/**
 * How long an input takes, compared with that many of an eighth of it: both are the same number of bytes, and about the
 * same time. The least of several ratios, since what else the machine does spoils some of them.
 */
export const growth = (prepare: (bytes: number) => () => unknown): number => {
  const whole = prepare(bytes)
  const parts = eightfold(prepare(bytes / factor))
  // Code that has not run yet is slower than the same code compiled.
  for (const run of [whole, parts]) eightfold(run)()
  return Math.min(...Array.from({ length: 3 }, () => fastest(whole) / fastest(parts)))
}
