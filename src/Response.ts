/**
 * Answering a request: whole, as a stream, or by hand.
 *
 * Every way of answering ends in `Responded`, the evidence that a handler must return; there is no other way to get
 * one. The server chooses the framing, sets `Date` and `Connection`, and refuses what must not be written with a
 * `ValueError` before a byte has left. There is no response value here: values and routers are `@effect/platform`'s.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { isValueError, type RespondableError, type ValueError } from "./Errors.js"
import type { HttpCode } from "./HttpCode.js"
import type * as HttpHeaders from "./HttpHeaders.js"
import {
  type Duplex,
  type Exchange,
  ExchangeKey,
  type ResponseBodyWriter,
  type Upgraded
} from "./internal/message/exchange.js"
import { fromResult, RespondEffect } from "./internal/message/respondEffect.js"
import type { Responded } from "./internal/message/responded.js"
import { streamResponse } from "./internal/message/streamResponse.js"
import type { Request } from "./Request.js"

export type {
  /**
   * A connection that has been handed over: bytes in both directions, without HTTP.
   *
   * @since 0.1.0
   * @category models
   */
  Duplex
} from "./internal/message/exchange.js"
export type {
  /**
   * The evidence that a request was answered. Only the functions of this module make one; a handler that has none to
   * return does not compile, and one for another request is a defect.
   *
   * @since 0.1.0
   * @category models
   */
  Responded
} from "./internal/message/responded.js"

/**
 * What a server runs for each request. `E` is what it fails with: by default what is answered without saying more. `R` is
 * what it needs: by default the `Scope` that is there for each request, and ends with it.
 *
 * @example
 * ```ts
 * import { Response } from "effect-asynchttpserver"
 *
 * const hello: Response.Handler = (request) => Response.respond(request, 200, "Hello")
 * console.log(typeof hello)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export type Handler<E = RespondableError, R = Scope.Scope> = (request: Request) => Effect.Effect<Responded, E, R>

/**
 * The content of an answer that is being written by hand.
 *
 * @since 0.1.0
 * @category models
 */
export interface BodyWriter {
  /**
   * Writes a piece, and waits while the client is slow to read. Text is written as UTF-8; bytes must not be changed
   * afterwards. `ValueError` `ContentTooLong` when it is more than the `Content-Length` given, `AlreadyResponded` after
   * `end`: then nothing of the piece leaves.
   */
  readonly write: (content: string | Uint8Array) => Effect.Effect<void, ValueError>
  /**
   * Ends the content, with trailer fields when it is chunked. `ValueError` `ContentTooShort` when it is less than the
   * `Content-Length` given: the answer has not ended then, and a handler that gives up breaks the connection, since the
   * client must not take the content for whole. `HeaderName`, `HeaderValue` and `HeaderForbidden` for trailers, which are
   * left out without chunks; `AlreadyResponded` the second time.
   */
  readonly end: (trailers?: HttpHeaders.Input) => Effect.Effect<Responded, ValueError>
}

const exchangeOf = (request: Request): Exchange => request[ExchangeKey]

/**
 * Answers a request whole: status line, headers, and the content with its length.
 *
 * The code is 200 to 599. Text is sent as UTF-8. `Content-Length`, `Date` and `Connection` are set; a
 * `Content-Length` of the handler's own must agree with the content. Content for HEAD, 204, 205 and 304 is left out
 * silently. Synchronous: it cannot be interrupted halfway, and a slow client makes the *next* request wait. Bytes are
 * not copied: they must not be changed afterwards.
 *
 * Fails with `ValueError`, and has then written nothing: `HeaderName`, `HeaderValue`, `HeaderForbidden`, `StatusCode`,
 * `ContentTooLong`, `ContentTooShort`, `AlreadyResponded`.
 *
 * @example
 * ```ts
 * import { Response } from "effect-asynchttpserver"
 *
 * const hello: Response.Handler = (request) =>
 *   Response.respond(request, 200, "Hello World", { "Content-Type": "text/plain; charset=utf-8" })
 * console.log(typeof hello)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category responding
 */
export const respond = (
  request: Request,
  code: HttpCode,
  content: string | Uint8Array = "",
  headers?: HttpHeaders.Input
): Effect.Effect<Responded, ValueError> => new RespondEffect(exchangeOf(request), code, content, headers)

const writerOf = (exchange: Exchange, answer: ResponseBodyWriter): BodyWriter => ({
  write: (content) =>
    Effect.suspend(() => {
      const refusal = answer.write(content)
      if (refusal !== undefined) return refusal
      return exchange.isBackpressured() ? exchange.awaitWritable : Effect.void
    }),
  end: (trailers) => Effect.suspend(() => fromResult(answer.end(trailers)))
})

/**
 * Sends the head of an answer, and gives the writer of its content, whose `end` is the evidence.
 *
 * Without a `Content-Length` among the headers the content is chunked, or for HTTP/1.0 ended by the connection's end.
 * Fails as `respond` does.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 *
 * const byHand: Response.Handler = (request) =>
 *   Effect.gen(function*() {
 *     const body = yield* Response.sendHeaders(request, 200, { "Content-Type": "text/plain" })
 *     yield* body.write("first, ")
 *     yield* body.write("second")
 *     return yield* body.end()
 *   })
 * console.log(typeof byHand)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category responding
 */
export const sendHeaders = (
  request: Request,
  code: HttpCode,
  headers?: HttpHeaders.Input
): Effect.Effect<BodyWriter, ValueError> =>
  Effect.suspend(() => {
    const exchange = exchangeOf(request)
    const answer = exchange.startResponse(code, headers)
    if (isValueError(answer)) return answer
    return answer.sendHead() ?? Effect.succeed(writerOf(exchange, answer))
  })

/**
 * Answers a request with a stream of bytes, as slowly as the client reads it.
 *
 * The head leaves with the first bytes: a stream that fails before it has given any can still be answered otherwise, by
 * `Effect.catchTags` around this. Where the client should see the head at once, use `sendHeaders`. When the stream fails
 * later, the connection is broken, so that the client cannot take the content for whole, and the failure is the
 * handler's. The stream is not run for HEAD, 204, 205 and 304. Fails as `sendHeaders` and `BodyWriter` do, and with the
 * stream's own error.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { Response } from "effect-asynchttpserver"
 *
 * const counting: Response.Handler = (request) =>
 *   Response.respondStream(request, 200, Stream.range(1, 3).pipe(Stream.map(String), Stream.encodeText))
 * console.log(typeof counting)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category responding
 */
export const respondStream = <E, R>(
  request: Request,
  code: HttpCode,
  stream: Stream.Stream<Uint8Array, E, R>,
  headers?: HttpHeaders.Input
): Effect.Effect<Responded, E | ValueError, R> =>
  streamResponse(exchangeOf(request), { code, headers, stream, head: "WithFirstBytes" })

/**
 * Sends an interim response before the final one: `102 Processing`, or `103 Early Hints` with its `Link` headers.
 *
 * Clients of HTTP/1.0 get none. Fails with `ValueError`: `StatusCode` for another code, `AlreadyResponded`, and as
 * `respond` for headers. `100` is sent by itself, when a body is first asked for.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 *
 * const hinting: Response.Handler = (request) =>
 *   Effect.zipRight(
 *     Response.sendInformational(request, 103, { Link: "</style.css>; rel=preload; as=style" }),
 *     Response.respond(request, 200, "<!doctype html>", { "Content-Type": "text/html" })
 *   )
 * console.log(typeof hinting)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category responding
 */
export const sendInformational = (
  request: Request,
  code: 102 | 103,
  headers?: HttpHeaders.Input
): Effect.Effect<void, ValueError> =>
  Effect.suspend(
    (): Effect.Effect<void, ValueError> => exchangeOf(request).sendInformational(code, headers) ?? Effect.void
  )

/**
 * Answers `101 Switching Protocols` and hands the connection over; when `use` is done, the connection ends.
 *
 * `headers` name the protocol (`{ Upgrade: "websocket", … }`), or `HeaderValue`; `Connection: Upgrade` is set, whatever
 * `headers` say of it. Fails with `ValueError`: `NotOffered` (400) when the client did not offer that protocol,
 * `NotUpgradable` when its body has not been read, `AlreadyResponded`, and as `respond` for headers. A failure of `use` is the handler's, and breaks the connection.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { Response } from "effect-asynchttpserver"
 *
 * const echo: Response.Handler = (request) =>
 *   Response.upgrade(request, { Upgrade: "echo" }, (duplex) => Stream.runForEach(duplex.stream, duplex.write))
 * console.log(typeof echo)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category responding
 */
export const upgrade = <E, R>(
  request: Request,
  headers: HttpHeaders.Input,
  use: (duplex: Duplex) => Effect.Effect<void, E, R>
): Effect.Effect<Responded, E | ValueError, Exclude<R, Scope.Scope>> =>
  handedOver(() => exchangeOf(request).upgrade(headers), use)

/**
 * Answers CONNECT with `200` and hands the connection over; when `use` is done, the connection ends.
 *
 * `request.url` is the `host:port` that was asked for. CONNECT reaches a handler only when the server was made with
 * `connectMethod: "handle"`; the server is no proxy, and answers it 501 otherwise. Fails as `upgrade` does.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { Response } from "effect-asynchttpserver"
 *
 * const echo: Response.Handler = (request) =>
 *   request.method === "CONNECT"
 *     ? Response.tunnel(request, {}, (duplex) => Stream.runForEach(duplex.stream, duplex.write))
 *     : Response.respond(request, 404)
 * console.log(typeof echo)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category responding
 */
export const tunnel = <E, R>(
  request: Request,
  headers: HttpHeaders.Input,
  use: (duplex: Duplex) => Effect.Effect<void, E, R>
): Effect.Effect<Responded, E | ValueError, Exclude<R, Scope.Scope>> =>
  handedOver(() => exchangeOf(request).tunnel(headers), use)

const handedOver = <E, R>(
  handOver: () => Upgraded | ValueError,
  use: (duplex: Duplex) => Effect.Effect<void, E, R>
): Effect.Effect<Responded, E | ValueError, Exclude<R, Scope.Scope>> =>
  Effect.suspend((): Effect.Effect<Responded, E | ValueError, Exclude<R, Scope.Scope>> => {
    const upgraded = handOver()
    if (isValueError(upgraded)) return upgraded
    return Effect.map(Effect.scoped(use(upgraded.duplex)), upgraded.finish)
  })
