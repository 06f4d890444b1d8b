/**
 * The service that hands each connection a response writer: a plain, synchronous machine from facts to text.
 *
 * It chooses the one framing of a response, checks every field, and says what it would not write. It knows no Effect,
 * clock or socket, and keeps nothing between two responses. Text is latin1: one character, one byte.
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
  /**
   * How the bytes behind a head are delimited: not at all, by length, in chunks, or by the connection's end.
   *
   * @since 0.1.0
   * @category models
   */
  BodyFraming,
  /**
   * A response that must not be written, and why.
   *
   * @since 0.1.0
   * @category models
   */
  InvalidResponse as Refused,
  /**
   * What a head is made from.
   *
   * @since 0.1.0
   * @category models
   */
  ResponseHeadInput as ResponseOutline,
  /**
   * A head, ready to be sent, with the framing that was chosen.
   *
   * @since 0.1.0
   * @category models
   */
  WrittenHead
}

/**
 * A connection's writer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Writer {
  /** The head of a final response, or the reason why there cannot be one like this. */
  readonly head: (outline: ResponseHeadInput) => WrittenHead | InvalidResponse
  /** The head of an interim response (`100`, `102`, `103`) or of `101`; fields are names and values in turn. */
  readonly interim: (status: number, fields: ReadonlyArray<string>) => string | InvalidResponse
  /** What goes in front of a chunk of so many bytes; the chunk is followed by CRLF. */
  readonly chunkHead: (bytes: number) => string
  /** What ends a chunked body, with its trailer fields. */
  readonly lastChunk: (trailers: ReadonlyArray<string>) => string | InvalidResponse
}

/**
 * The service: makes a writer for a connection.
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
    const refusal = invalidField(name, trailers[i + 1]!)
    if (refusal !== undefined) return refusal
    if (isForbiddenTrailer(name)) return invalidResponse("HeaderForbidden", name)
    text += fieldLine(name, trailers[i + 1]!)
  }
  return `${text}\r\n`
}

const writer: Writer = {
  head: (outline) => writeHead(outline, phrase),
  interim: (status, fields) => writeInterim(status, fields, phrase),
  chunkHead: (bytes) => `${bytes.toString(16)}\r\n`,
  lastChunk
}

/**
 * Gives the writer outside of any service: for tests, benchmarks, and whoever has a response but no server.
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
 *   reuse: true,
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
