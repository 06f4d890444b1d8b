/**
 * What the server says by itself: the text of an error's answer, and the last words to a client that is not understood.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import { isKeyError, isValueError, type KeyError, type ValueError } from "../../Errors.js"
import { toString as statusText } from "../../HttpCode.js"
import type * as HttpHeaders from "../../HttpHeaders.js"
import type { HttpMethod } from "../../HttpMethod.js"
import type { Writer } from "../../ResponseWriter.js"
import { errorReasons } from "../errorReasons.js"

export const plainTextHeaders = { "Content-Type": "text/plain; charset=utf-8" }

/** The fields of an error's answer. A client that is told to come back is told when. */
export const errorHeaders = (status: number): HttpHeaders.Input =>
  status === 503 ? { ...plainTextHeaders, "Retry-After": "1" } : plainTextHeaders

/** Its status, and for the client's mistakes the rule that was broken. No input in it. */
export const errorBody = (status: number, error: ValueError | KeyError | undefined): string => {
  if (error === undefined || status === 500) return `${statusText(status)}\n`
  return `${statusText(status)}: ${isValueError(error) ? errorReasons[error.reason].text : error.message}\n`
}

/** The error that answers a failure by itself, if the failure is one, and its status that of an error. */
export const respondableError = (cause: Cause.Cause<unknown>): ValueError | KeyError | undefined => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  const isOne = isValueError(failure) || isKeyError(failure)
  return isOne && Number.isInteger(failure.status) && failure.status >= 400 && failure.status < 600
    ? failure
    : undefined
}

/** The answer to a request that never became one, behind which the connection closes. */
export const errorResponse = (
  error: ValueError,
  writer: Writer,
  { date, method }: { readonly date: string; readonly method: HttpMethod | undefined }
): string => {
  const text = errorBody(error.status, error)
  const head = writer.head({
    status: error.status,
    fields: ["Content-Type", plainTextHeaders["Content-Type"]],
    contentLength: text.length,
    method: method ?? "GET",
    minor: 1,
    keepAlive: false,
    date
  })
  if (head._tag !== "Written") return ""
  return head.framing._tag === "None" ? head.text : head.text + text
}
