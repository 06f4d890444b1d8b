/**
 * Responses to a request: whole, as a stream, or written piece by piece.
 *
 * Every function ends in `Responded`, the evidence that a handler must return; it cannot be obtained otherwise. The server
 * chooses the framing, sets `Date` and `Connection`, and fails with a `ValueError` for an invalid response before a byte is
 * sent. There is no response value here: `@effect/platform` has response values and routers.
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
  /** An upgraded connection: bytes in both directions, without HTTP. @since 0.1.0 @category models */
  Duplex
} from "./internal/message/exchange.js"
export type {
  /**
   * Evidence that a response was sent. Only the functions of this module create it; a handler without it does not compile, and
   * the evidence of another request is a defect.
   *
   * @since 0.1.0
   * @category models
   */
  Responded
} from "./internal/message/responded.js"

/**
 * The function that a server runs for each request. `E` is its error type, by default the errors that the server has
 * responses for. `R` is its environment, by default the `Scope` of the request.
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
 * Writer of the content of a response.
 *
 * @since 0.1.0
 * @category models
 */
export interface BodyWriter {
  /**
   * Writes a piece, and suspends while the client is slow to read. Text is written as UTF-8; bytes must not be changed
   * afterwards. `ValueError` `ContentTooLong` when it exceeds the `Content-Length` given, `AlreadyResponded` after `end`:
   * then nothing of the piece is sent.
   */
  readonly write: (content: string | Uint8Array) => Effect.Effect<void, ValueError>
  /**
   * Ends the content, with trailer fields when it is chunked. `ValueError` `ContentTooShort` when it is less than the
   * `Content-Length` given: the response is still open then, and a handler that fails resets the connection, since the client
   * must not take the content for complete. `HeaderName`, `HeaderValue` and `HeaderForbidden` for trailers, which are omitted
   * if the content is not chunked; `AlreadyResponded` the second time.
   */
  readonly end: (trailers?: HttpHeaders.Input) => Effect.Effect<Responded, ValueError>
}

const exchangeOf = (request: Request): Exchange => request[ExchangeKey]

/**
 * Sends a complete response: status line, headers, and the content with its length.
 *
 * The code is 200 to 599. Text is sent as UTF-8. `Content-Length`, `Date` and `Connection` are set; a `Content-Length` among
 * the headers must match the content. Content for HEAD, 204, 205 and 304 is silently omitted. Synchronous: it cannot be
 * interrupted midway, and a slow client delays the *next* request. Bytes are not copied: they must not be changed afterwards.
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

const bodyWriter = (exchange: Exchange, writer: ResponseBodyWriter): BodyWriter => ({
  write: (content) =>
    Effect.suspend(() => {
      const error = writer.write(content)
      if (error !== undefined) return error
      return exchange.mustSuspendWriter() ? exchange.awaitTurnToWrite : Effect.void
    }),
  end: (trailers) => Effect.suspend(() => fromResult(writer.end(trailers)))
})

/**
 * Sends the head of a response, and returns the writer of its content. Its `end` returns the evidence.
 *
 * Without a `Content-Length` among the headers the content is chunked; for HTTP/1.0 it ends with the connection.
 * Fails as `respond` does.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 *
 * const written: Response.Handler = (request) =>
 *   Effect.gen(function*() {
 *     const body = yield* Response.sendHeaders(request, 200, { "Content-Type": "text/plain" })
 *     yield* body.write("first, ")
 *     yield* body.write("second")
 *     return yield* body.end()
 *   })
 * console.log(typeof written)
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
    const writer = exchange.startResponse(code, headers)
    if (isValueError(writer)) return writer
    return writer.sendHead() ?? Effect.succeed(bodyWriter(exchange, writer))
  })

/**
 * Sends a response whose content is a stream of bytes, with backpressure.
 *
 * The head is sent with the first bytes: if the stream fails before, another response can be sent, by `Effect.catchTags`
 * around this. Use `sendHeaders` to send the head at once. If the stream fails later, the connection is reset, so that the
 * client cannot take the content for complete, and the handler fails. The stream is not run for HEAD, 204, 205 and 304.
 * Fails as `sendHeaders` and `BodyWriter` do, and with the error of the stream.
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
 * It is not sent to clients of HTTP/1.0. Fails with `ValueError`: `StatusCode` for another code, `AlreadyResponded`, and as
 * `respond` for headers. `100` is sent automatically when the body is first read.
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
 * Sends `101 Switching Protocols` and upgrades the connection, which is closed when `use` has completed.
 *
 * `headers` must name the protocol (`{ Upgrade: "websocket", … }`); `Connection: Upgrade` is set in any case. Fails with
 * `ValueError`: `HeaderValue` without a protocol, `NotOffered` (400) when the client did not offer that protocol,
 * `NotUpgradable` when the body has not been read, `AlreadyResponded`, and as `respond` for headers. If `use` fails, the
 * handler fails and the connection is reset.
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
  runUpgraded(() => exchangeOf(request).upgrade(headers), use)

/**
 * Sends `200` to a CONNECT request and turns the connection into a tunnel, which is closed when `use` has completed.
 *
 * `request.url` is the requested `host:port`. CONNECT requests reach a handler only with the option
 * `connectMethod: "handle"`; otherwise the response is 501. Fails as `upgrade` does.
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
  runUpgraded(() => exchangeOf(request).tunnel(headers), use)

const runUpgraded = <E, R>(
  upgrade: () => Upgraded | ValueError,
  use: (duplex: Duplex) => Effect.Effect<void, E, R>
): Effect.Effect<Responded, E | ValueError, Exclude<R, Scope.Scope>> =>
  Effect.suspend((): Effect.Effect<Responded, E | ValueError, Exclude<R, Scope.Scope>> => {
    const upgraded = upgrade()
    if (isValueError(upgraded)) return upgraded
    return Effect.map(Effect.scoped(use(upgraded.duplex)), upgraded.finish)
  })
