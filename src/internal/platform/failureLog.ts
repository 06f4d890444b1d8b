/**
 * Logging of unhandled failures of an application, once each.
 *
 * Failures with their own response (`HttpServerRespondable`, a thrown response, 4xx errors of `@effect/platform`) and
 * interruptions are not errors. Any other failure leads to 500, and is logged as an error unless it has been logged in the
 * fibers of the request, for example by `HttpMiddleware.logger`.
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
import { originalOf } from "../host/escapeControls.js"
import { markLogged } from "../runtime/adapterEffect.js"
import { errorsOf, escapeCauseControls, logAnnotations } from "../server/failureReport.js"
import type { AppRequest } from "./appRequest.js"

const isResponseError = (error: unknown): boolean =>
  HttpServerError.isServerError(error) && error._tag === "ResponseError"

/** A `ResponseError` is excluded: its response, 500, is not chosen by the application. */
const hasResponse = (error: unknown): boolean =>
  isServerResponse(error) || (Respondable.isRespondable(error) && !isResponseError(error))

const statusOf = (appRequest: AppRequest, cause: Cause.Cause<unknown>): number => {
  const response = Array.from(Cause.defects(cause)).find(isServerResponse)
  return response?.status ?? appRequest.evidence?.status ?? 500
}

const needsAttention = (appRequest: AppRequest, cause: Cause.Cause<unknown>): boolean => {
  const status = statusOf(appRequest, cause)
  if (status >= 400 && status < 500) return false
  // The end of a WebSocket is an error to the application that runs it, but no failed response.
  const isEnd = (error: unknown): boolean => appRequest.upgraded !== undefined && Socket.isSocketError(error)
  return errorsOf(cause).some((error) => !(hasResponse(error) || isEnd(error)))
}

/** The error that the application has raised: without the escaped copy, and the `Proxy` of the span in which it was raised. */
const identityOf = (error: unknown): unknown => Cause.originalError(originalOf(error))

/** Whether all errors of a cause were in the last log entry about an error. */
const wasLogged = ({ lastLogged }: AppRequest, cause: Cause.Cause<unknown>): boolean => {
  if (lastLogged === undefined) return false
  const { cause: logged, message } = lastLogged
  const loggedErrors = new Set([...errorsOf(logged), ...(Array.isArray(message) ? message : [message])].map(identityOf))
  return errorsOf(cause).every((error) => isServerResponse(error) || loggedErrors.has(identityOf(error)))
}

/** A cause without the response that was sent for it. */
const withoutResponse = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Option.getOrElse(HttpServerError.causeResponseStripped(cause)[1], () => cause)

/** Logs the failure of an application: as an error if it needs attention and has not been logged, else at level Debug. */
export const logFailure = (appRequest: AppRequest, cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  // Interruptions and thrown responses are not logged.
  if (errorsOf(cause).every(isServerResponse)) return Effect.void
  return Effect.suspend(() => {
    const log = needsAttention(appRequest, cause) && !wasLogged(appRequest, cause) ? Effect.logError : Effect.logDebug
    return log("An application failed", escapeCauseControls(withoutResponse(cause))).pipe(
      Effect.annotateLogs(logAnnotations(appRequest.native)),
      // The span of the request has ended, and accepts no more events.
      Effect.mapInputContext(Context.omit(Tracer.ParentSpan))
    )
  })
}

/** The cause of an incomplete response, for the connection to report: without the response itself. */
export const failedResponseCause = (appRequest: AppRequest, cause: Cause.Cause<unknown>): Cause.Cause<unknown> => {
  const left = withoutResponse(cause)
  const escaped = escapeCauseControls(left)
  if (wasLogged(appRequest, left)) markLogged(escaped)
  return escaped
}
