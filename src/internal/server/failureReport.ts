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
import type { RequestHandler } from "../connection/context.js"
import { escapeControlsInLines, escapeErrorControls } from "../host/escapeControls.js"
import { isLogged } from "../runtime/adapterEffect.js"
import { RequestRuntime } from "../runtime/requestRuntime.js"

export const logAnnotations = (request: Request): Record<string, unknown> => ({
  method: request.method,
  url: request.url,
  client: request.client.id
})

const escapeFailureControls = <E>(failure: E): E =>
  // Text stays text, and one of a literal type has nothing to be shown.
  typeof failure === "string" ? (escapeControlsInLines(failure) as E & string) : escapeErrorControls(failure)

/**
 * A cause that can be logged, whatever its failures quote of a request: errors are changed, and text is replaced. It is the
 * same one unless text had to be.
 */
export const escapeCauseControls = <E>(cause: Cause.Cause<E>): Cause.Cause<E> => {
  const failures: ReadonlyArray<unknown> = [...Cause.failures(cause), ...Cause.defects(cause)]
  if (failures.filter((failure) => escapeFailureControls(failure) !== failure).length === 0) return cause
  return Cause.match(cause, {
    onEmpty: Cause.empty as Cause.Cause<E>,
    onFail: (error) => Cause.fail(escapeFailureControls(error)),
    onDie: (defect) => Cause.die(escapeFailureControls(defect)),
    onInterrupt: (fiber) => Cause.interrupt(fiber),
    onSequential: (left, right) => Cause.sequential(left, right),
    onParallel: (left, right) => Cause.parallel(left, right)
  })
}

/** The default report: an error in the log, with the request it is about. */
const logFailure = (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> => {
  const log = isLogged(cause) ? Effect.logDebug : Effect.logError
  return Effect.annotateLogs(log("a handler failed", escapeCauseControls(cause)), logAnnotations(request))
}

/** A client that left is nobody's failure: it is counted, and told to whoever looks for it. */
const logAbort = (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> =>
  Effect.annotateLogs(
    Effect.logDebug("a client left before it was answered", escapeCauseControls(cause)),
    logAnnotations(request)
  )

/** Whether lines of that level are written by anybody: to make one that is not costs a fiber. */
const isLevelLogged = ({ fiberRefs }: Runtime.Runtime<never>, level: LogLevel.LogLevel): boolean =>
  LogLevel.lessThanEqual(FiberRefs.getOrDefault(fiberRefs, FiberRef.currentMinimumLogLevel), level)

export const makeRequestHandler = <E, R, R2>(
  handler: Handler<E, R>,
  onFailure: ((cause: Cause.Cause<E>, request: Request) => Effect.Effect<void, never, R2>) | undefined,
  runtime: Runtime.Runtime<Exclude<R | R2, Scope.Scope>>,
  shutdown: Effect.Latch
): RequestHandler<E, R | R2> => {
  const report = onFailure ?? logFailure
  return {
    handler,
    shutdownLatch: shutdown,
    runtime: RequestRuntime.make(runtime),
    report: (cause, request) =>
      Effect.catchAllCause(
        // What it races or times out can be interrupted, and itself by a server that closes; finalizers cannot.
        Effect.interruptible(Effect.suspend(() => report(cause, request))),
        (failure) => Effect.logError("reporting a failure failed", escapeCauseControls(failure))
      ),
    reportAbort: isLevelLogged(runtime, LogLevel.Debug) ? logAbort : undefined
  }
}
