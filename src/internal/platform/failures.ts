/**
 * What went wrong with a request, as `@effect/platform` names it, and answered by the status that it has.
 *
 * @internal
 */
import * as HttpServerError from "@effect/platform/HttpServerError"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Multipart from "@effect/platform/Multipart"
import { isValueError, type ValueError } from "../../Errors.js"
import { escapeControls, escapeErrorControls } from "../host/escapeControls.js"

/** What has nothing to do with the content of a body. */
const transportReasons: ReadonlySet<string> = new Set(["Timeout", "IncompleteRequest", "BodyBudget"])

/** A client that is told to come back is told when. */
const emptyResponse = (status: number): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.empty(status === 503 ? { status, headers: { "retry-after": "1" } } : { status })

/** A `RequestError` whose answer is not always 400: 413 for a body that is too large, 408 for one that does not come. */
class BodyError extends HttpServerError.RequestError {
  constructor(
    request: HttpServerRequest,
    private readonly error: ValueError
  ) {
    const reason = transportReasons.has(error.reason) ? "Transport" : "Decode"
    super({ request, reason, cause: error, description: error.message })
  }

  override [Respondable.symbol]() {
    return emptyResponse(this.error.status)
  }
}

export const bodyError = (request: HttpServerRequest, error: ValueError): HttpServerError.RequestError =>
  new BodyError(request, error)

/** The content is not what it says; the cause may quote it. */
export const decodeError = (request: HttpServerRequest, cause: unknown): HttpServerError.RequestError =>
  new HttpServerError.RequestError({ request, reason: "Decode", cause: escapeErrorControls(cause, escapeControls) })

/** A `RequestError` for a handshake that is the client's fault, whose response says what is wrong with it. */
class HandshakeError extends HttpServerError.RequestError {
  constructor(
    request: HttpServerRequest,
    private readonly refusal: HandshakeRefusal
  ) {
    super({ request, reason: "Decode", description: refusal.description })
  }

  override [Respondable.symbol]() {
    const { headers, status } = this.refusal
    return HttpServerResponse.empty({ status, headers })
  }
}

/** Why a handshake is refused, and how. */
export interface HandshakeRefusal {
  readonly status: number
  readonly description: string
  readonly headers?: Readonly<Record<string, string>>
}

export const handshakeError = (request: HttpServerRequest, refusal: HandshakeRefusal): HttpServerError.RequestError =>
  new HandshakeError(request, refusal)

const multipartStatus = ({ cause, reason }: Multipart.MultipartError): number => {
  switch (reason) {
    case "Parse":
      return 400
    case "InternalError":
      return isValueError(cause) ? cause.status : 500
    default:
      return 413
  }
}

/** `MultipartError` knows no answer, and would be 500 whatever the client did. */
export const respondable = (error: Multipart.MultipartError): Multipart.MultipartError => {
  const status = multipartStatus(error)
  // A charset that is none, or the name of a part, is quoted by what fails of it.
  escapeErrorControls(error.cause, escapeControls)
  return Object.defineProperty(error, Respondable.symbol, { value: () => emptyResponse(status) })
}

export const multipartError = (cause: unknown): Multipart.MultipartError =>
  new Multipart.MultipartError({ reason: "InternalError", cause })
