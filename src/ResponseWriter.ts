/**
 * The service that provides the response writers of connections: synchronous functions that serialize response heads.
 *
 * A writer chooses the framing of a response and validates every field. It uses no Effect, clock or socket. What it returns
 * depends on its arguments alone, so connections may share a writer: that of `layer` is shared, and keeps the text of its
 * last head for the next response. Text is latin1: one character, one byte.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { isForbiddenTrailer } from "./internal/http1/bodyDecoder.js"
import {
  type BodyFraming,
  fieldLine,
  HeadWriter,
  type InvalidResponse,
  invalidField,
  invalidResponse,
  type ResponseHeadInput,
  type WrittenHead,
  writeHeadWithoutFraming
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
 * A response writer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Writer {
  /** Serializes the head of a final response. */
  readonly head: (input: ResponseHeadInput) => WrittenHead | InvalidResponse
  /**
   * Serializes a head without `Date` and framing fields: of an interim response (`100`, `102`, `103`), of `101`, and of the
   * `200` that accepts a CONNECT. Fields are alternating names and values.
   */
  readonly headWithoutFraming: (status: number, fields: ReadonlyArray<string>) => string | InvalidResponse
  /** The line before a chunk of so many bytes; the chunk is followed by CRLF. */
  readonly chunkHead: (bytes: number) => string
  /** The end of a chunked body, with its trailer fields. */
  readonly lastChunk: (trailers: ReadonlyArray<string>) => string | InvalidResponse
}

/**
 * The service: `make` is called once for each connection, and may return the same writer each time.
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

const chunkHead = (bytes: number): string => `${bytes.toString(16)}\r\n`

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
export const make = (): Writer => {
  const heads = new HeadWriter()
  return { head: (input) => heads.write(input), headWithoutFraming: writeHeadWithoutFraming, chunkHead, lastChunk }
}

/**
 * The writer of RFC 9112: one for all connections of a server.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<ResponseWriter> = Layer.sync(ResponseWriter, () => {
  const writer = make()
  return { make: () => writer }
})
