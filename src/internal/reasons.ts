/**
 * Why a value was refused, and the status that answers it.
 *
 * One table for the parser, which never sees an Effect, and for `ValueError`, which users match on: a refusal is
 * decided once, and everything that reports it reads its status and sentence here.
 *
 * @internal
 */

import { visible } from "./visible.js"

/** A refusal: the status that answers it, and a sentence fit for the client (it never quotes the input). */
interface Refusal {
  readonly status: number
  readonly text: string
}

const refusal = (status: number, text: string): Refusal => ({ status, text })

/** @internal */
export const reasons = {
  // Reading a request: the client's fault, answered 4xx, or 5xx for what this server does not implement.
  RequestLine: refusal(400, "the request line is not `method SP target SP HTTP-version`"),
  Target: refusal(400, "the request target is not valid"),
  Host: refusal(400, "the Host field is missing, repeated or not a valid host"),
  HeaderField: refusal(400, "a header field line is malformed"),
  ContentLength: refusal(400, "Content-Length is not a single decimal number"),
  TransferEncoding: refusal(400, "Transfer-Encoding cannot be relied on for framing"),
  Chunk: refusal(400, "the chunked body is malformed"),
  ChunkExtensions: refusal(400, "the chunk extensions are too long"),
  Trailer: refusal(400, "a trailer field line is malformed"),
  NotOffered: refusal(400, "the client did not offer this protocol"),
  IncompleteRequest: refusal(400, "the request ended before its end"),
  Json: refusal(400, "the body is not JSON"),
  Timeout: refusal(408, "the request did not arrive in time"),
  BodyTooLarge: refusal(413, "the body is larger than this server accepts"),
  TargetTooLong: refusal(414, "the request line is longer than this server accepts"),
  Expectation: refusal(417, "the expectation cannot be met"),
  HeadersTooLarge: refusal(431, "the header section is larger than this server accepts"),
  TrailersTooLarge: refusal(431, "the trailer section is larger than this server accepts"),
  MethodUnknown: refusal(501, "the method is not implemented"),
  CodingUnknown: refusal(501, "the transfer coding is not implemented"),
  BodyBudget: refusal(503, "too many request bodies are in memory; try again later"),
  Version: refusal(505, "the major version of HTTP is not supported; HTTP/1.1 is"),

  // Writing a response: the handler's fault, answered 500.
  HeaderName: refusal(500, "a header name is not a token"),
  HeaderValue: refusal(
    500,
    "a header value cannot be written: it is malformed, missing, not latin1, or has a control character in it"
  ),
  HeaderForbidden: refusal(500, "a header may not be given here: the server chooses the framing"),
  StatusCode: refusal(500, "a status code is out of the range that is allowed here"),
  ContentTooLong: refusal(500, "the content is longer than the Content-Length that was given"),
  ContentTooShort: refusal(500, "the content is shorter than the Content-Length that was given"),
  AlreadyAnswered: refusal(500, "the request has been answered already"),
  BodyConsumed: refusal(500, "the body can be read once, and only while its request is served"),
  NotUpgradable: refusal(500, "the body of the request has to be read before its connection is handed over"),

  // Setting a server up: never on the wire.
  Port: refusal(500, "the port is not a whole number from 0 to 65535"),
  Address: refusal(500, "the address is not one of the chosen family"),
  AlreadyListening: refusal(500, "the server is listening already"),
  Option: refusal(500, "an option makes no sense"),
  Setting: refusal(500, "this server cannot stand in for the one that was given")
} as const satisfies Record<string, Refusal>

/** @internal */
export type Reason = keyof typeof reasons

/** At most this many characters of what was refused are kept in an error: enough to recognise it in a log line. */
const excerptLength = 80

/** What was seen, cut short and with control characters made visible, so that a log line stays one line. @internal */
export const excerpt = (saw: string): string => {
  const cut = saw.length > excerptLength ? `${saw.slice(0, excerptLength)}…` : saw
  // JSON leaves DEL, the C1 controls, line separators and marks of direction as they are.
  return visible(JSON.stringify(cut).slice(1, -1))
}
