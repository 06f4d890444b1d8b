/** Numbers that look random and depend on nothing but a seed: the same fuzzing on every machine. */

/** A value of 32 bits that each bit of both arguments changes: where the stream of one message begins. */
export const mixed = (seed: number, index: number): number => {
  let mix = (seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b)
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35)
  return (mix ^ (mix >>> 16)) >>> 0
}

/** mulberry32: one word of state, good enough to choose what to break. */
export class Random {
  constructor(private state: number) {}

  /** From 0 up to, and without, `bound`. */
  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mix = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    mix ^= mix + Math.imul(mix ^ (mix >>> 7), mix | 61)
    return Math.floor((((mix ^ (mix >>> 14)) >>> 0) / 0x100000000) * bound)
  }

  /** True once in that many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0
  }

  pick<A>(from: ReadonlyArray<A>): A {
    return from[this.below(from.length)]!
  }
}
