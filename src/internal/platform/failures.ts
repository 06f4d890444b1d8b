/** Errors of requests as those of `@effect/platform`, with the status of their response. */
import * as HttpServerError from "@effect/platform/HttpServerError"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Multipart from "@effect/platform/Multipart"
import { isValueError, type ValueError } from "../../Errors.js"
import { escapeControls, escapeErrorControls } from "../host/escapeControls.js"

/** Reasons that do not concern the content of a body. */
const transportReasons: ReadonlySet<string> = new Set(["Timeout", "IncompleteRequest", "BodyBudget"])

/** An empty response; 503 has `Retry-After`. */
const emptyResponse = (status: number): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.empty(status === 503 ? { status, headers: { "retry-after": "1" } } : { status })

/** A `RequestError` with the status of its `ValueError` instead of 400: 413 for a body that is too large, 408 for a timeout. */
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

/** A `RequestError` for invalid content; the cause may quote it. */
export const decodeError = (request: HttpServerRequest, cause: unknown): HttpServerError.RequestError =>
  new HttpServerError.RequestError({ request, reason: "Decode", cause: escapeErrorControls(cause, escapeControls) })

/** A `RequestError` for an invalid handshake, with the response that RFC 6455 requires. */
class HandshakeError extends HttpServerError.RequestError {
  constructor(
    request: HttpServerRequest,
    private readonly rejection: HandshakeRejection
  ) {
    super({ request, reason: "Decode", description: rejection.description })
  }

  override [Respondable.symbol]() {
    const { headers, status } = this.rejection
    return HttpServerResponse.empty({ status, headers })
  }
}

export interface HandshakeRejection {
  readonly status: number
  readonly description: string
  readonly headers?: Readonly<Record<string, string>>
}

export const handshakeError = (
  request: HttpServerRequest,
  rejection: HandshakeRejection
): HttpServerError.RequestError => new HandshakeError(request, rejection)

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

/** Adds a response to a `MultipartError`, which would otherwise be 500 even for errors of the client. */
export const respondable = (error: Multipart.MultipartError): Multipart.MultipartError => {
  const status = multipartStatus(error)
  // The cause may quote a charset or the name of a part.
  const cause = escapeErrorControls(error.cause, escapeControls)
  const escaped = cause === error.cause ? error : new Multipart.MultipartError({ reason: error.reason, cause })
  return Object.defineProperty(escaped, Respondable.symbol, { value: () => emptyResponse(status) })
}

export const multipartError = (cause: unknown): Multipart.MultipartError =>
  new Multipart.MultipartError({ reason: "InternalError", cause })
