/**
 * Failures that an application has left to the server: what is said of them in the log, once.
 *
 * A failure that has a response of its own (`HttpServerRespondable`, a response that is thrown, what `@effect/platform`
 * answers 4xx) is the application's way to respond, and an interruption is no failure. Anything else is sent as 500, and is
 * logged as an error unless it has been logged in the request's own fibers, by `HttpMiddleware.logger` or by anything else.
 *
 * @internal
 */
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import { isServerResponse } from "@effect/platform/HttpServerResponse"
import * as Socket from "@effect/platform/Socket"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { markLogged } from "../runtime/adapterEffect.js"
import { escapeCauseControls, logAnnotations } from "../server/failureReport.js"
import type { AppRequest } from "./appRequest.js"

const errorsOf = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> => [
  ...Cause.failures(cause),
  ...Cause.defects(cause)
]

const isResponseError = (error: unknown): boolean =>
  HttpServerError.isServerError(error) && error._tag === "ResponseError"

/** A `ResponseError` has a response, 500, and that is nothing that an application has chosen. */
const hasResponse = (error: unknown): boolean =>
  isServerResponse(error) || (Respondable.isRespondable(error) && !isResponseError(error))

/** The status that was sent for a failure. */
const statusOf = (call: AppRequest, cause: Cause.Cause<unknown>): number => {
  const response = Array.from(Cause.defects(cause)).find(isServerResponse)
  return response?.status ?? call.evidence?.status ?? 500
}

const needsAttention = (call: AppRequest, cause: Cause.Cause<unknown>): boolean => {
  const status = statusOf(call, cause)
  if (status >= 400 && status < 500) return false
  // The end of a WebSocket is an error to what runs it, and no failure to respond.
  const isEnd = (error: unknown): boolean => call.upgraded !== undefined && Socket.isSocketError(error)
  return errorsOf(cause).some((error) => !(hasResponse(error) || isEnd(error)))
}

/** Whether all that is wrong has been in the last line of the log that was about anything wrong. */
const wasLogged = ({ lastLogged }: AppRequest, cause: Cause.Cause<unknown>): boolean => {
  if (lastLogged === undefined) return false
  const { cause: logged, message } = lastLogged
  const known = new Set([...errorsOf(logged), ...(Array.isArray(message) ? message : [message])])
  return errorsOf(cause).every((error) => isServerResponse(error) || known.has(error))
}

/** What has gone wrong, without the response that it was sent. */
const withoutResponse = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Option.getOrElse(HttpServerError.causeResponseStripped(cause)[1], () => cause)

/** Logs the failure of an application: as an error if nothing has logged it and it needs attention, else at level Debug. */
export const logFailure = (call: AppRequest, cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  // What has interrupted it is known, and a response that was thrown is one.
  if (errorsOf(cause).every(isServerResponse)) return Effect.void
  return Effect.suspend(() => {
    const log = needsAttention(call, cause) && !wasLogged(call, cause) ? Effect.logError : Effect.logDebug
    return log("an application failed", escapeCauseControls(withoutResponse(cause))).pipe(
      Effect.annotateLogs(logAnnotations(call.native)),
      // The span of the request has ended, and takes no more events.
      Effect.mapInputContext(Context.omit(Tracer.ParentSpan))
    )
  })
}

/** The cause of a response that broke off, for the connection to report: without the response, which was not sent whole. */
export const failedResponseCause = (call: AppRequest, cause: Cause.Cause<unknown>): Cause.Cause<unknown> => {
  const left = withoutResponse(cause)
  const shown = escapeCauseControls(left)
  if (wasLogged(call, left)) markLogged(shown)
  return shown
}
