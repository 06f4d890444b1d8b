/**
 * How a failure reaches the user: by `onFailure`, or in the log.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as LogLevel from "effect/LogLevel"
import type * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { Request } from "../../Request.js"
import type { Handler } from "../../Response.js"
import { isLogged } from "../hosted.js"
import { makeVisible, visibleLines } from "../visible.js"
import type { Service } from "./household.js"
import { RequestFibers } from "./requestFibers.js"

export const about = (request: Request): Record<string, unknown> => ({
  method: request.method,
  url: request.url,
  client: request.client.id
})

const visibleFailure = <E>(failure: E): E =>
  // Text stays text, and one of a literal type has nothing to be shown.
  typeof failure === "string" ? (visibleLines(failure) as E & string) : makeVisible(failure)

/**
 * A cause that can be logged, whatever its failures quote of a request: errors are changed, and text is replaced. It is the
 * same one unless text had to be.
 */
export const visibleCause = <E>(cause: Cause.Cause<E>): Cause.Cause<E> => {
  const failures: ReadonlyArray<unknown> = [...Cause.failures(cause), ...Cause.defects(cause)]
  if (failures.filter((failure) => visibleFailure(failure) !== failure).length === 0) return cause
  return Cause.match(cause, {
    onEmpty: Cause.empty as Cause.Cause<E>,
    onFail: (error) => Cause.fail(visibleFailure(error)),
    onDie: (defect) => Cause.die(visibleFailure(defect)),
    onInterrupt: (fiber) => Cause.interrupt(fiber),
    onSequential: (left, right) => Cause.sequential(left, right),
    onParallel: (left, right) => Cause.parallel(left, right)
  })
}

/** The default report: an error in the log, with the request it is about. */
const logFailure = (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> => {
  const log = isLogged(cause) ? Effect.logDebug : Effect.logError
  return Effect.annotateLogs(log("a handler failed", visibleCause(cause)), about(request))
}

/** A client that left is nobody's failure: it is counted, and told to whoever looks for it. */
const logAbort = (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logDebug("a client left before it was answered", visibleCause(cause)), about(request))

/** Whether lines of that level are written by anybody: to make one that is not costs a fiber. */
const isWritten = ({ fiberRefs }: Runtime.Runtime<never>, level: LogLevel.LogLevel): boolean =>
  LogLevel.lessThanEqual(FiberRefs.getOrDefault(fiberRefs, FiberRef.currentMinimumLogLevel), level)

export const serviceOf = <E, R, R2>(
  handler: Handler<E, R>,
  onFailure: ((cause: Cause.Cause<E>, request: Request) => Effect.Effect<void, never, R2>) | undefined,
  runtime: Runtime.Runtime<Exclude<R | R2, Scope.Scope>>,
  shutdown: Effect.Latch
): Service<E, R | R2> => {
  const report = onFailure ?? logFailure
  return {
    handler,
    shutdown,
    fibers: RequestFibers.make(runtime),
    report: (cause, request) =>
      Effect.catchAllCause(
        // What it races or times out can be interrupted, and itself by a server that closes; finalizers cannot.
        Effect.interruptible(Effect.suspend(() => report(cause, request))),
        (failure) => Effect.logError("reporting a failure failed", visibleCause(failure))
      ),
    reportAbort: isWritten(runtime, LogLevel.Debug) ? logAbort : undefined
  }
}
