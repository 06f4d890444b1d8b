/** Error responses of the server itself: for failures of handlers, and for input that is not a request. */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import { isKeyError, isValueError, type KeyError, type ValueError } from "../../Errors.js"
import { toString as statusText } from "../../HttpCode.js"
import type { HttpMethod } from "../../HttpMethod.js"
import type { Writer } from "../../ResponseWriter.js"
import { errorReasons } from "../errorReasons.js"

export const plainTextHeaders: Readonly<Record<string, string>> = { "Content-Type": "text/plain; charset=utf-8" }

/** The fields of an error response; `Retry-After` with 503. */
export const errorHeaders = (status: number): Readonly<Record<string, string>> =>
  status === 503 ? { ...plainTextHeaders, "Retry-After": "1" } : plainTextHeaders

/** The body of an error response: its status, and for a client error the rule that was broken. It quotes no input. */
export const errorBody = (status: number, error: ValueError | KeyError | undefined): string => {
  if (error === undefined || status === 500) return `${statusText(status)}\n`
  return `${statusText(status)}: ${isValueError(error) ? errorReasons[error.reason].text : error.message}\n`
}

/** The failure, if it is an error with a status of 400 to 599. */
export const respondableError = (cause: Cause.Cause<unknown>): ValueError | KeyError | undefined => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  const isRespondable = isValueError(failure) || isKeyError(failure)
  return isRespondable && Number.isInteger(failure.status) && failure.status >= 400 && failure.status < 600
    ? failure
    : undefined
}

/** The response to input that is not a request; the connection closes after it. */
export const errorResponse = (
  error: ValueError,
  writer: Writer,
  { date, method }: { readonly date: string; readonly method: HttpMethod | undefined }
): string => {
  const text = errorBody(error.status, error)
  const head = writer.head({
    status: error.status,
    fields: Object.entries(errorHeaders(error.status)).flat(),
    contentLength: text.length,
    method: method ?? "GET",
    minor: 1,
    keepAlive: false,
    date
  })
  if (head._tag !== "Written") return ""
  return head.framing._tag === "None" ? head.text : head.text + text
}
