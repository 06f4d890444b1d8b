/**
 * The service that creates a response writer for each connection: synchronous functions that serialize response heads.
 *
 * It chooses the framing of a response and validates every field. It uses no Effect, clock or socket, and keeps nothing
 * between two responses. Text is latin1: one character, one byte.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { phrase } from "./HttpCode.js"
import { isForbiddenTrailer } from "./internal/http1/bodyDecoder.js"
import {
  type BodyFraming,
  fieldLine,
  type InvalidResponse,
  invalidField,
  invalidResponse,
  type ResponseHeadInput,
  type WrittenHead,
  writeHead,
  writeInterim
} from "./internal/http1/responseHead.js"

export type {
  /** Framing of content: none, by length, chunked, or until the connection closes. @since 0.1.0 @category models */
  BodyFraming,
  /** The reason why a response is invalid. @since 0.1.0 @category models */
  InvalidResponse,
  /** Input of a head. @since 0.1.0 @category models */
  ResponseHeadInput,
  /** A serialized head, with the chosen framing. @since 0.1.0 @category models */
  WrittenHead
}

/**
 * The writer of one connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Writer {
  /** Serializes the head of a final response. */
  readonly head: (input: ResponseHeadInput) => WrittenHead | InvalidResponse
  /** Serializes the head of an interim response (`100`, `102`, `103`) or of `101`; fields are alternating names and values. */
  readonly interim: (status: number, fields: ReadonlyArray<string>) => string | InvalidResponse
  /** The line before a chunk of so many bytes; the chunk is followed by CRLF. */
  readonly chunkHead: (bytes: number) => string
  /** The end of a chunked body, with its trailer fields. */
  readonly lastChunk: (trailers: ReadonlyArray<string>) => string | InvalidResponse
}

/**
 * The service: creates a writer for each connection.
 *
 * @since 0.1.0
 * @category tags
 */
export class ResponseWriter extends Context.Tag("effect-asynchttpserver/ResponseWriter")<
  ResponseWriter,
  { readonly make: () => Writer }
>() {}

const lastChunk = (trailers: ReadonlyArray<string>): string | InvalidResponse => {
  let text = "0\r\n"
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i]!
    const invalid = invalidField(name, trailers[i + 1]!)
    if (invalid !== undefined) return invalid
    if (isForbiddenTrailer(name)) return invalidResponse("HeaderForbidden", name)
    text += fieldLine(name, trailers[i + 1]!)
  }
  return `${text}\r\n`
}

const writer: Writer = {
  head: (input) => writeHead(input, phrase),
  interim: (status, fields) => writeInterim(status, fields, phrase),
  chunkHead: (bytes) => `${bytes.toString(16)}\r\n`,
  lastChunk
}

/**
 * Creates a writer without the service: for tests, benchmarks, and uses without a server.
 *
 * @example
 * ```ts
 * import { ResponseWriter } from "effect-asynchttpserver"
 *
 * const written = ResponseWriter.make().head({
 *   status: 200,
 *   fields: ["Content-Type", "text/plain"],
 *   contentLength: 2,
 *   method: "GET",
 *   minor: 1,
 *   keepAlive: true,
 *   date: "Sun, 06 Nov 1994 08:49:37 GMT"
 * })
 * if (written._tag === "Written") console.log(written.text.split("\r\n")[0], written.framing._tag)
 * // HTTP/1.1 200 OK Length
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Writer => writer

/**
 * The writer of RFC 9112.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<ResponseWriter> = Layer.succeed(ResponseWriter, { make })
