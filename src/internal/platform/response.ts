/**
 * Writing of a response of `@effect/platform`.
 *
 * Complete content is written synchronously, head and body together. A stream is written with backpressure, and is
 * interruptible.
 */
import * as Cookies from "@effect/platform/Cookies"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { HttpHeaders } from "../../HttpHeaders.js"
import { make as makeHeaders } from "../fields/headers.js"
import { streamResponse } from "../message/streamResponse.js"
import type { AppRequest } from "./appRequest.js"
import { type Content, discard, formContent, rawContent, streamContent, upTo } from "./responseBody.js"

/** Connection-specific fields, which the server sets: a response that was fetched elsewhere may contain them. */
const isOfConnection = (name: string): boolean => name === "transfer-encoding" || name === "keep-alive"

const fieldsOf = (response: HttpServerResponse, contentType: string | undefined, isSized: boolean): HttpHeaders => {
  const { cookies, headers } = response
  const fields: Array<string> = []
  for (const name of Object.keys(headers)) {
    // The length is known anyway; without it, responses that differ in nothing else have the same cached head.
    if (isOfConnection(name) || (isSized && name === "content-length")) continue
    if (name === "content-type" && contentType !== undefined) continue
    if (name !== "set-cookie") fields.push(name, headers[name]!)
  }
  if (contentType !== undefined) fields.push("content-type", contentType)
  if (!Cookies.isEmpty(cookies)) for (const each of Cookies.toSetCookieHeaders(cookies)) fields.push("set-cookie", each)
  const own: string | ReadonlyArray<string> | undefined = headers["set-cookie"]
  // Values from `node:http` are lists.
  if (own !== undefined) for (const each of Array.isArray(own) ? own : [own]) fields.push("set-cookie", each)
  return makeHeaders(fields, "application")
}

const lengthOf = ({ headers }: HttpServerResponse): number | undefined => {
  const declared = headers["content-length"]
  return declared === undefined ? undefined : Number(declared)
}

const isEventStream = ({ headers }: HttpServerResponse): boolean =>
  headers["content-type"]?.startsWith("text/event-stream") === true

/** Writes a response; `undefined` if that has completed synchronously. */
export const write = (appRequest: AppRequest, response: HttpServerResponse): Effect.Effect<void> | undefined => {
  if (appRequest.isResponseSettled) {
    discard(response.body)
    return undefined
  }
  const { body } = response
  switch (body._tag) {
    case "Empty":
      return writeWhole(appRequest, response, "", false)
    case "Uint8Array":
      return writeWhole(appRequest, response, body.body, true)
    case "Raw":
      return writeContent(appRequest, response, truncated(rawContent(body.body), response))
    case "FormData": {
      const { content, contentType } = formContent(body.formData)
      return writeContent(appRequest, response, truncated(content, response), contentType)
    }
    case "Stream":
      return writeContent(appRequest, response, streamContent(body.stream))
  }
}

const writeWhole = (
  appRequest: AppRequest,
  response: HttpServerResponse,
  bytes: string | Uint8Array,
  isSized: boolean
): Effect.Effect<void> | undefined =>
  appRequest.completeWith(appRequest.exchange.respond(response.status, bytes, fieldsOf(response, undefined, isSized)))

/** Truncates a stream of Node or of the web to the declared length of the response. */
const truncated = (content: Content, response: HttpServerResponse): Content => {
  const length = lengthOf(response)
  if (content._tag === "Whole" || length === undefined) return content
  return { ...content, stream: upTo(content.stream, length) }
}

const writeContent = (
  appRequest: AppRequest,
  response: HttpServerResponse,
  content: Content,
  contentType?: string
): Effect.Effect<void> | undefined => {
  if (content._tag === "Whole") return writeWhole(appRequest, response, content.bytes, true)
  let isRun = false
  const stream = Stream.suspend(() => {
    isRun = true
    return Stream.orDie(content.stream)
  })
  return Effect.ensuring(
    // Includes the creation of the head: if that fails, the content is closed, too.
    Effect.suspend(() => writeStream(appRequest, response, stream, contentType)),
    Effect.sync(() => {
      if (!isRun) content.close()
    })
  )
}

const writeStream = (
  appRequest: AppRequest,
  response: HttpServerResponse,
  stream: Stream.Stream<Uint8Array>,
  contentType?: string
): Effect.Effect<void> => {
  const streamed = streamResponse(appRequest.exchange, {
    code: response.status,
    headers: fieldsOf(response, contentType, false),
    stream,
    // An `EventSource` opens when it receives the head; any other stream can still become an error response.
    head: isEventStream(response) ? "AtOnce" : "WithFirstBytes"
  })
  return Effect.matchCauseEffect(Effect.interruptible(Effect.orDie(streamed)), {
    onSuccess: (evidence) => appRequest.completeWith(evidence) ?? Effect.void,
    onFailure: (cause) =>
      Effect.failCause(appRequest.isResponseStarted ? Cause.sequential(cause, Cause.die(response)) : cause)
  })
}
