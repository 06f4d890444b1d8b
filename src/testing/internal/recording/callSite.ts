/** Call sites in a test, for the stacks of errors that are made long after the call which they are about. */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"

/** The stack is formatted on first access, which costs more than capturing it. */
export interface CallSite {
  readonly stack?: string
}

/** The call site of the function that is currently called. */
export const callSite = (callee: (...args: ReadonlyArray<never>) => unknown): CallSite => {
  const site: CallSite = {}
  Error.captureStackTrace(site, callee)
  return site
}

export const withCallSiteStack = <E extends Error>(error: E, { stack = "" }: CallSite): E => {
  const value = `${error.name}: ${error.message}\n${stack.slice(stack.indexOf("\n    at ") + 1)}`
  return Object.defineProperty(error, "stack", { value, configurable: true, writable: true })
}

/** The caller of a module function, which calls the service's function in a fiber, without the caller's stack. */
const currentCaller: FiberRef.FiberRef<Option.Option<CallSite>> = globalValue(
  "effect-asynchttpserver/testing/currentCaller",
  () => FiberRef.unsafeMake<Option.Option<CallSite>>(Option.none())
)

export const withCaller =
  (site: CallSite) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(effect, currentCaller, Option.some(site))

/** The caller set by `withCaller`, else this one. */
export const callerOrElse = (site: CallSite): Effect.Effect<CallSite> =>
  Effect.map(FiberRef.get(currentCaller), (caller) => Option.getOrElse(caller, () => site))
