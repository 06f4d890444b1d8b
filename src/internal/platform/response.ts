/**
 * A response of `@effect/platform`, given as the answer to its request.
 *
 * What is whole is written in this very turn, head and body as one, and nobody waits until it has left. What comes as a
 * stream is written as its client reads, and can be interrupted.
 *
 * @internal
 */
import * as Cookies from "@effect/platform/Cookies"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { HttpHeaders } from "../../HttpHeaders.js"
import { make as makeHeaders } from "../headers.js"
import { streamResponse } from "../message/streamResponse.js"
import type { AppRequest } from "./appRequest.js"
import { type Content, discard, formContent, rawContent, streamContent, upTo } from "./responseBody.js"

/** About this connection alone, which the writer knows: a response that was fetched elsewhere brings its own. */
const isOfConnection = (name: string): boolean => name === "transfer-encoding" || name === "keep-alive"

const fieldsOf = (response: HttpServerResponse, contentType: string | undefined, isSized: boolean): HttpHeaders => {
  const { cookies, headers } = response
  const fields: Array<string> = []
  for (const name of Object.keys(headers)) {
    // The bytes are counted anyway; without it, answers that differ in nothing else have the same head.
    if (isOfConnection(name) || (isSized && name === "content-length")) continue
    if (name === "content-type" && contentType !== undefined) continue
    if (name !== "set-cookie") fields.push(name, headers[name]!)
  }
  if (contentType !== undefined) fields.push("content-type", contentType)
  if (!Cookies.isEmpty(cookies)) for (const each of Cookies.toSetCookieHeaders(cookies)) fields.push("set-cookie", each)
  const own: string | ReadonlyArray<string> | undefined = headers["set-cookie"]
  // A list is what `node:http` has for it, and what comes from there brings along.
  if (own !== undefined) for (const each of Array.isArray(own) ? own : [own]) fields.push("set-cookie", each)
  return makeHeaders(fields, "application")
}

const lengthOf = ({ headers }: HttpServerResponse): number | undefined => {
  const declared = headers["content-length"]
  return declared === undefined ? undefined : Number(declared)
}

const isEventStream = ({ headers }: HttpServerResponse): boolean =>
  headers["content-type"]?.startsWith("text/event-stream") === true

/** Writes a response; `undefined` when all of it is written. */
export const write = (call: AppRequest, response: HttpServerResponse): Effect.Effect<void> | undefined => {
  if (call.isResponseSettled) {
    discard(response.body)
    return undefined
  }
  const { body } = response
  switch (body._tag) {
    case "Empty":
      return writeWhole(call, response, "", false)
    case "Uint8Array":
      return writeWhole(call, response, body.body, true)
    case "Raw":
      return writeContent(call, response, bounded(rawContent(body.body), response))
    case "FormData": {
      const { content, contentType } = formContent(body.formData)
      return writeContent(call, response, bounded(content, response), contentType)
    }
    case "Stream":
      return writeContent(call, response, streamContent(body.stream))
  }
}

const writeWhole = (
  call: AppRequest,
  response: HttpServerResponse,
  bytes: string | Uint8Array,
  isSized: boolean
): Effect.Effect<void> | undefined =>
  call.completeWith(call.exchange.respond(response.status, bytes, fieldsOf(response, undefined, isSized)))

/** A source of Node or of the web gives what it has: no more of it is sent than the response announces. */
const bounded = (content: Content, response: HttpServerResponse): Content => {
  const length = lengthOf(response)
  if (content._tag === "Whole" || length === undefined) return content
  return { ...content, stream: upTo(content.stream, length) }
}

const writeContent = (
  call: AppRequest,
  response: HttpServerResponse,
  content: Content,
  contentType?: string
): Effect.Effect<void> | undefined => {
  if (content._tag === "Whole") return writeWhole(call, response, content.bytes, true)
  let isRun = false
  const stream = Stream.suspend(() => {
    isRun = true
    return Stream.orDie(content.stream)
  })
  return Effect.ensuring(
    // The head is made within, too: the content of one that cannot be made is closed like any other.
    Effect.suspend(() => writeStream(call, response, stream, contentType)),
    Effect.sync(() => {
      if (!isRun) content.close()
    })
  )
}

const writeStream = (
  call: AppRequest,
  response: HttpServerResponse,
  stream: Stream.Stream<Uint8Array>,
  contentType?: string
): Effect.Effect<void> => {
  const streamed = streamResponse(call.exchange, {
    code: response.status,
    headers: fieldsOf(response, contentType, false),
    stream,
    // A page that listens to events is told that it is connected; all else can still become an error.
    head: isEventStream(response) ? "AtOnce" : "WithFirstBytes"
  })
  return Effect.matchCauseEffect(Effect.interruptible(Effect.orDie(streamed)), {
    onSuccess: (evidence) => call.completeWith(evidence) ?? Effect.void,
    onFailure: (cause) =>
      Effect.failCause(call.isResponseStarted ? Cause.sequential(cause, Cause.die(response)) : cause)
  })
}
