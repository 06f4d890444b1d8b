/** Forms as bytes, and an application that reports what it has received of one. */

import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Multipart from "@effect/platform/Multipart"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { layerContext } from "../../src/HttpServer.js"
import { serving } from "../platform/harness.js"
import type { ParsedResponse } from "../wire/parsedResponse.js"
import { connect } from "../wire/rawConnection.js"

export const boundary = "boundary"

/** What an application receives of a part; a persisted file has its path besides. */
export type Seen =
  | { readonly field: string; readonly value: string; readonly type: string }
  | { readonly file: string; readonly name: string; readonly content: string; readonly type: string }

const join = (chunks: ReadonlyArray<string | Uint8Array>): Buffer =>
  Buffer.concat(chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : chunk)))

export const bytesOf = (...chunks: ReadonlyArray<string | Uint8Array>): Buffer => join(chunks)

/** A part, as it stands between two boundaries. */
export const part = (fields: ReadonlyArray<string | Uint8Array>, content: string | Uint8Array = "content"): Buffer =>
  bytesOf(join(fields.map((field) => bytesOf(field, "\r\n"))), "\r\n", content)

/** A part with a `Content-Disposition` of these parameters. */
export const disposed = (parameters: string | Uint8Array, content: string | Uint8Array = "content"): Buffer =>
  part([bytesOf("Content-Disposition: form-data; ", parameters)], content)

export const bodyOf = (...parts: ReadonlyArray<Uint8Array>): Buffer =>
  bytesOf(join(parts.map((each) => bytesOf(`--${boundary}\r\n`, each, "\r\n"))), `--${boundary}--\r\n`)

export const formHead = (length: number, contentType: string): string =>
  `POST / HTTP/1.1\r\nHost: test\r\nContent-Type: ${contentType}\r\nContent-Length: ${length}\r\n\r\n`

export const formType = `multipart/form-data; boundary=${boundary}`

/** Sends a body whole, and gives the response. */
export const send = (port: number, body: Uint8Array, contentType: string = formType): Effect.Effect<ParsedResponse> =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* connect(port)
      yield* client.send(bytesOf(formHead(body.length, contentType), body))
      return yield* client.readResponse()
    })
  )

/** Sends a body in chunks (RFC 9112 §7.1). */
export const sendChunked = (port: number, chunks: ReadonlyArray<Uint8Array>): Effect.Effect<ParsedResponse> =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* connect(port)
      const head = `POST / HTTP/1.1\r\nHost: test\r\nContent-Type: ${formType}\r\nTransfer-Encoding: chunked\r\n\r\n`
      const framed = chunks.flatMap((chunk) => [`${chunk.length.toString(16)}\r\n`, chunk, "\r\n"])
      yield* client.send(join([head, ...framed, "0\r\n\r\n"]))
      return yield* client.readResponse()
    })
  )

const seen = (part: Multipart.Part): Effect.Effect<Seen, Multipart.MultipartError> =>
  Multipart.isField(part)
    ? Effect.succeed({ field: part.key, value: part.value, type: part.contentType })
    : Effect.map(part.contentEffect, (bytes) => ({
        file: part.key,
        name: part.name,
        content: Buffer.from(bytes).toString(),
        type: part.contentType
      }))

/** Responds with the parts that `multipartStream` has given. */
export const reportingParts = Effect.gen(function* () {
  const { multipartStream } = yield* HttpServerRequest.HttpServerRequest
  const parts = yield* Stream.runCollect(Stream.mapEffect(multipartStream, seen))
  return yield* HttpServerResponse.json([...parts])
})

export const servingParts = Effect.provide(serving(reportingParts), layerContext)

export const partsIn = (response: ParsedResponse): ReadonlyArray<Seen> => JSON.parse(response.body.toString())
