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
import { isLogged } from "../runtime/adapterEffect.js"
import { escapeErrorControls } from "../host/escapeControls.js"
import type { RequestHandler } from "../connection/context.js"
import { RequestRuntime } from "../runtime/requestRuntime.js"

export const logAnnotations = (request: Request): Record<string, unknown> => ({
  method: request.method,
  url: request.url,
  client: request.client.id
})

/** Changes the errors of a cause so that they can be logged, whatever they quote of a request. */
export const escapeCauseControls = (cause: Cause.Cause<unknown>): void => {
  for (const error of [...Cause.failures(cause), ...Cause.defects(cause)]) escapeErrorControls(error)
}

/** The default report: an error in the log, with the request it is about. */
const logFailure = (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> => {
  escapeCauseControls(cause)
  const log = isLogged(cause) ? Effect.logDebug : Effect.logError
  return Effect.annotateLogs(log("a handler failed", cause), logAnnotations(request))
}

/** A client that left is nobody's failure: it is counted, and told to whoever looks for it. */
const logAbort = (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logDebug("a client left before it was answered", cause), logAnnotations(request))

/** Whether lines of that level are written by anybody: to make one that is not costs a fiber. */
const hasResponse = ({ fiberRefs }: Runtime.Runtime<never>, level: LogLevel.LogLevel): boolean =>
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
        (failure) => Effect.logError("reporting a failure failed", failure)
      ),
    reportAbort: hasResponse(runtime, LogLevel.Debug) ? logAbort : undefined
  }
}
