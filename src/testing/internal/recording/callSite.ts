/**
 * Where a test has said what it is told of later: the stack of an error that is made long behind the call it is about.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"

/** Written out when it is looked at, which costs more than to take it. */
export interface CallSite {
  readonly stack?: string
}

/** Whoever calls this function now. */
export const callSite = (callee: (...args: ReadonlyArray<never>) => unknown): CallSite => {
  const site: CallSite = {}
  Error.captureStackTrace(site, callee)
  return site
}

/** The error, as if it had been made there. */
export const withCallSiteStack = <E extends Error>(error: E, { stack = "" }: CallSite): E => {
  const value = `${error.name}: ${error.message}\n${stack.slice(stack.indexOf("\n    at ") + 1)}`
  return Object.defineProperty(error, "stack", { value, configurable: true, writable: true })
}

/** Who has called the module's function, in whose place the service's is called by a fiber. */
const currentCaller: FiberRef.FiberRef<Option.Option<CallSite>> = globalValue(
  "effect-asynchttpserver/testing/currentCaller",
  () => FiberRef.unsafeMake<Option.Option<CallSite>>(Option.none())
)

export const withCaller =
  (site: CallSite) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(effect, currentCaller, Option.some(site))

/** The caller that was told, or else this one. */
export const callerOrElse = (site: CallSite): Effect.Effect<CallSite> =>
  Effect.map(FiberRef.get(currentCaller), (told) => Option.getOrElse(told, () => site))
