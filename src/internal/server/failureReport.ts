/** Reporting of handler failures: by `onFailure`, or in the log. */
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
import type { MetricRecorder } from "../metrics.js"
import { isLogged } from "../runtime/adapterEffect.js"
import { RequestRuntime } from "../runtime/requestRuntime.js"

export const logAnnotations = (request: Request): Record<string, unknown> => ({
  method: request.method,
  url: request.url,
  client: request.client.id
})

/** The failures and defects of a cause. */
export const errorsOf = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> => [
  ...Cause.failures(cause),
  ...Cause.defects(cause)
]

const escapeFailureControls = <E>(failure: E): E =>
  // A string stays a string; one of a literal type contains no control characters.
  typeof failure === "string" ? (escapeControlsInLines(failure) as E & string) : escapeErrorControls(failure)

/**
 * A cause that is safe to log: the control characters that its failures quote from a request are escaped, in copies of the
 * failures. Returns the same cause if there is nothing to escape.
 */
export const escapeCauseControls = <E>(cause: Cause.Cause<E>): Cause.Cause<E> => {
  if (errorsOf(cause).every((error) => escapeFailureControls(error) === error)) return cause
  return Cause.match(cause, {
    onEmpty: Cause.empty as Cause.Cause<E>,
    onFail: (error) => Cause.fail(escapeFailureControls(error)),
    onDie: (defect) => Cause.die(escapeFailureControls(defect)),
    onInterrupt: (fiber) => Cause.interrupt(fiber),
    onSequential: (left, right) => Cause.sequential(left, right),
    onParallel: (left, right) => Cause.parallel(left, right)
  })
}

/** The default report: a log entry of level ERROR, annotated with the request. */
const logFailure = (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> => {
  const log = isLogged(cause) ? Effect.logDebug : Effect.logError
  return Effect.annotateLogs(log("a handler failed", escapeCauseControls(cause)), logAnnotations(request))
}

/** A disconnect is no failure of the handler: it is counted, and logged at level DEBUG. */
const logAbort = (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> =>
  Effect.annotateLogs(
    Effect.logDebug("client disconnected before the response was complete", escapeCauseControls(cause)),
    logAnnotations(request)
  )

/** True if the level is logged: an entry that is dropped would still cost a fiber. */
const isLevelLogged = ({ fiberRefs }: Runtime.Runtime<never>, level: LogLevel.LogLevel): boolean =>
  LogLevel.lessThanEqual(FiberRefs.getOrDefault(fiberRefs, FiberRef.currentMinimumLogLevel), level)

export const makeRequestHandler = <E, R, R2>(
  handler: Handler<E, R>,
  onFailure: ((cause: Cause.Cause<E>, request: Request) => Effect.Effect<void, never, R2>) | undefined,
  runtime: Runtime.Runtime<Exclude<R | R2, Scope.Scope>>,
  shutdown: Effect.Latch,
  metrics: MetricRecorder
): RequestHandler<E, R | R2> => {
  const report = onFailure ?? logFailure
  return {
    handler,
    metrics: metrics.tagged(FiberRefs.getOrDefault(runtime.fiberRefs, FiberRef.currentMetricLabels)),
    shutdownLatch: shutdown,
    runtime: RequestRuntime.make(runtime),
    report: (cause, request) =>
      Effect.catchAllCause(
        // Interruptible, so that `race` and `timeout` work in it, and a server that closes can interrupt it.
        Effect.interruptible(Effect.suspend(() => report(cause, request))),
        (failure) => Effect.logError("failed to report a handler failure", escapeCauseControls(failure))
      ),
    reportAbort: isLevelLogged(runtime, LogLevel.Debug) ? logAbort : undefined
  }
}
