/**
 * Why a value was refused, and the status that answers it.
 *
 * One table for the parser, which never sees an Effect, and for `ValueError`, which users match on: a refusal is
 * decided once, and everything that reports it reads its status and sentence here.
 *
 * @internal
 */

import { escapeControls } from "./host/escapeControls.js"

/** A refusal: the status that answers it, and a sentence fit for the client (it never quotes the input). */
interface ReasonDetails {
  readonly status: number
  readonly text: string
}

const reason = (status: number, text: string): ReasonDetails => ({ status, text })

/** @internal */
export const errorReasons = {
  // Reading a request: the client's fault, answered 4xx, or 5xx for what this server does not implement.
  RequestLine: reason(400, "the request line is not `method SP target SP HTTP-version`"),
  Target: reason(400, "the request target is not valid"),
  Host: reason(400, "the Host field is missing, repeated or not a valid host"),
  HeaderField: reason(400, "a header field line is malformed"),
  ContentLength: reason(400, "Content-Length is not a single decimal number"),
  TransferEncoding: reason(400, "Transfer-Encoding cannot be relied on for framing"),
  Chunk: reason(400, "the chunked body is malformed"),
  ChunkExtensions: reason(400, "the chunk extensions are too long"),
  Trailer: reason(400, "a trailer field line is malformed"),
  NotOffered: reason(400, "the client did not offer this protocol"),
  IncompleteRequest: reason(400, "the request ended before its end"),
  Json: reason(400, "the body is not JSON"),
  Timeout: reason(408, "the request did not arrive in time"),
  BodyTooLarge: reason(413, "the body is larger than this server accepts"),
  TargetTooLong: reason(414, "the request line is longer than this server accepts"),
  Expectation: reason(417, "the expectation cannot be met"),
  HeadersTooLarge: reason(431, "the header section is larger than this server accepts"),
  TrailersTooLarge: reason(431, "the trailer section is larger than this server accepts"),
  MethodUnknown: reason(501, "the method is not implemented"),
  CodingUnknown: reason(501, "the transfer coding is not implemented"),
  BodyBudget: reason(503, "too many request bodies are in memory; try again later"),
  Version: reason(505, "the major version of HTTP is not supported; HTTP/1.1 is"),

  // Writing a response: the handler's fault, answered 500.
  HeaderName: reason(500, "a header name is not a token"),
  HeaderValue: reason(
    500,
    "a header value cannot be written: it is malformed, missing, not latin1, or has a control character in it"
  ),
  HeaderForbidden: reason(500, "a header may not be given here: the server chooses the framing"),
  StatusCode: reason(500, "a status code is out of the range that is allowed here"),
  ContentTooLong: reason(500, "the content is longer than the Content-Length that was given"),
  ContentTooShort: reason(500, "the content is shorter than the Content-Length that was given"),
  AlreadyResponded: reason(500, "the request has been answered already"),
  BodyConsumed: reason(500, "the body can be read once, and only while its request is served"),
  NotUpgradable: reason(500, "the body of the request has to be read before its connection is handed over"),

  // Setting a server up: never on the wire.
  Port: reason(500, "the port is not a whole number from 0 to 65535"),
  Address: reason(500, "the address is not one of the chosen family"),
  AlreadyListening: reason(500, "the server is listening already"),
  Option: reason(500, "an option makes no sense"),
  Setting: reason(500, "this server cannot stand in for the one that was given")
} as const satisfies Record<string, ReasonDetails>

/** @internal */
export type ErrorReason = keyof typeof errorReasons

/** At most this many characters of what was refused are kept in an error: enough to recognise it in a log line. */
const excerptLength = 80

/** What was seen, cut short and with control characters made visible, so that a log line stays one line. @internal */
export const excerpt = (actual: string): string => {
  const cut = actual.length > excerptLength ? `${actual.slice(0, excerptLength)}…` : actual
  // JSON leaves DEL, the C1 controls, line separators and marks of direction as they are.
  return escapeControls(JSON.stringify(cut).slice(1, -1))
}
