/** Exact types: `equals<A, B>()` compiles only when both are the same type, not merely assignable to each other. */

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** What an effect, or a function that gives one, is in full. */
export const equals = <A, B>(..._proof: Same<A, B> extends true ? [] : [never]): void => undefined
