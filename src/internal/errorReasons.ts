/**
 * Reasons of errors, with their statuses and messages.
 *
 * One table for the parser, which does not use Effect, and for `ValueError`, which users match on.
 */

import { escapeControls } from "./host/escapeControls.js"

/** The status of the error response, and a message for the client, which never quotes the input. */
interface ReasonDetails {
  readonly status: number
  readonly text: string
}

const reason = (status: number, text: string): ReasonDetails => ({ status, text })

export const errorReasons = {
  // Reading a request: 4xx for errors of the client, 5xx for what this server does not implement.
  RequestLine: reason(400, "the request line is not `method SP target SP HTTP-version`"),
  Target: reason(400, "the request target is not valid"),
  Host: reason(400, "the Host field is missing, repeated or not a valid host"),
  HeaderField: reason(400, "a header field line is malformed"),
  ContentLength: reason(400, "Content-Length is not a single decimal number"),
  TransferEncoding: reason(400, "Transfer-Encoding is not a valid framing"),
  Chunk: reason(400, "the chunked body is malformed"),
  ChunkExtensions: reason(400, "the chunk extensions are too long"),
  Trailer: reason(400, "a trailer field line is malformed"),
  NotOffered: reason(400, "the client did not offer this protocol"),
  IncompleteRequest: reason(400, "the connection ended before the request was complete"),
  Json: reason(400, "the body is not JSON"),
  Timeout: reason(408, "the request did not arrive in time"),
  BodyTooLarge: reason(413, "the body is larger than this server accepts"),
  TargetTooLong: reason(414, "the request line is longer than this server accepts"),
  Expectation: reason(417, "the expectation cannot be met"),
  Scheme: reason(421, "a target of the scheme https requires a connection with TLS"),
  HeadersTooLarge: reason(431, "the header section is larger than this server accepts"),
  TrailersTooLarge: reason(431, "the trailer section is larger than this server accepts"),
  MethodUnknown: reason(501, "the method is not implemented"),
  CodingUnknown: reason(501, "the transfer coding is not implemented"),
  BodyBudget: reason(503, "too many request bodies are in memory; try again later"),
  Version: reason(505, "the major version of HTTP is not supported; HTTP/1.1 is"),

  // Writing a response: 500 for errors of the handler.
  HeaderName: reason(500, "a header name is not a token"),
  HeaderValue: reason(500, "a header value is malformed, missing, not latin1, or contains a control character"),
  HeaderForbidden: reason(500, "a header must not be set here: the server chooses the framing"),
  StatusCode: reason(500, "the status code is not allowed here"),
  ContentTooLong: reason(500, "the content is longer than its Content-Length"),
  ContentTooShort: reason(500, "the content is shorter than its Content-Length"),
  AlreadyResponded: reason(500, "a response has already been sent"),
  BodyConsumed: reason(500, "the body can be read once, and only while its request is handled"),
  NotUpgradable: reason(500, "the request body must be read before the connection is upgraded"),

  // Setting up a server: never sent.
  Port: reason(500, "the port is not a whole number from 0 to 65535"),
  Address: reason(500, "the address does not belong to the chosen family"),
  AlreadyListening: reason(500, "the server is already listening"),
  Option: reason(500, "an option is invalid"),
  Setting: reason(500, "the given server has a setting that is not supported")
} as const satisfies Record<string, ReasonDetails>

export type ErrorReason = keyof typeof errorReasons

/** Maximum length of the quoted value in an error: enough to recognise it in a log line. */
const excerptLength = 80

/** The invalid value, truncated and with escaped control characters, so that it fits into one log line. */
export const excerpt = (actual: string): string => {
  const cut = actual.length > excerptLength ? `${actual.slice(0, excerptLength)}…` : actual
  // JSON does not escape DEL, the C1 controls, line separators and directional marks.
  return escapeControls(JSON.stringify(cut).slice(1, -1))
}
