/**
 * A request as the argument of a handler: its head, and its body on demand.
 *
 * The body is not read, and no `100 Continue` is sent, before a handler runs `bytes`, `text`, `json` or `stream`. Responses
 * are sent by `Response`.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { Address } from "./Address.js"
import type { ValueError } from "./Errors.js"
import type { HttpHeaders } from "./HttpHeaders.js"
import type { HttpMethod } from "./HttpMethod.js"
import type { HttpVersion } from "./HttpVersion.js"
import { type Exchange, ExchangeKey } from "./internal/message/exchange.js"
import type { Session } from "./Tls.js"

/**
 * The connection of a request.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client {
  /** Number of the connection in this process, from 1. */
  readonly id: number
  readonly local: Option.Option<Address>
  /** The address of the peer; with `proxyProtocol`, the one of the header. No header field changes it. */
  readonly remote: Option.Option<Address>
  /** The session of TLS; `None` for a connection without. */
  readonly tls: Option.Option<Session>
}

/**
 * A request. Only servers create them; inspecting one shows its head and never reads its body.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { type Request, Response } from "effect-asynchttpserver"
 *
 * const echo = (request: Request.Request) =>
 *   Effect.flatMap(request.bytes, (bytes) => Response.respond(request, 200, bytes))
 * console.log(typeof echo)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface Request extends Inspectable.Inspectable {
  readonly method: HttpMethod
  /** Path and query for routing; `*` for OPTIONS and `host:port` for CONNECT. */
  readonly url: string
  /** The request target as it was sent, whatever its form. */
  readonly originalUrl: string
  /** `url` up to its question mark. Not decoded: `%2F` and `/` are different paths. */
  readonly path: string
  /** `url` after its question mark, or "". */
  readonly query: string
  /**
   * The requested host, with its port if it was sent: that of the target in absolute-form, else that of Host; or what a proxy
   * of `trustedProxies` reports.
   */
  readonly host: string
  /**
   * `"https"` if the client has connected by TLS: to this server, to a proxy that states so by the PROXY protocol, or to a
   * proxy of `trustedProxies`.
   */
  readonly scheme: "http" | "https"
  readonly version: HttpVersion
  /**
   * The fields as they were sent, those of proxies included, with one exception: where the target has an authority of its own (`originalUrl` in
   * absolute-form, and CONNECT), Host is that authority, whatever was sent (RFC 9112 §3.2.2).
   */
  readonly headers: HttpHeaders
  /**
   * The IP address of the client: of the connection's peer, if its transport has one, or what a proxy of `trustedProxies`
   * reports; `None` if the proxy hides it. `hostname` in the original.
   */
  readonly remoteAddress: Option.Option<string>
  /** The connection, whose peer may be a proxy. */
  readonly client: Client

  /**
   * The whole body, at most `maxBody` bytes; empty when there is none. It is read once and then kept: `bytes`, `text` and
   * `json` may be run again. `ValueError`: `BodyTooLarge` (413), `Chunk`, `IncompleteRequest` (400), `Timeout` (408),
   * `BodyBudget` (503) when too many bodies are in memory, `BodyConsumed` (500) after `stream`.
   */
  readonly bytes: Effect.Effect<Uint8Array, ValueError>
  /** The whole body as UTF-8 text; fails as `bytes` does. */
  readonly text: Effect.Effect<string, ValueError>
  /** The whole body as JSON; fails as `bytes` does, and with `Json` (400) when it is invalid. */
  readonly json: Effect.Effect<unknown, ValueError>
  /** The body piece by piece, as it arrives, once; fails as `bytes` does. */
  readonly stream: Stream.Stream<Uint8Array, ValueError>
  /** The trailer fields, after the body; reads the rest of the body first, if necessary. */
  readonly trailers: Effect.Effect<HttpHeaders, ValueError>

  /** Access of `Response` to the connection. Internal. */
  readonly [ExchangeKey]: Exchange
}

/**
 * Completes when the server of a request begins to close, or the `serve` that runs its handler begins to end; at once if it
 * has begun already.
 *
 * For handlers that otherwise run as long as the client stays connected, such as event streams: if they end by themselves, the
 * server closes without waiting for `drainTimeout`, and the client receives a complete response. It costs nothing to handlers
 * that do not use it.
 *
 * @example
 * ```ts
 * import { Effect, Schedule, Stream } from "effect"
 * import { Request, Response } from "effect-asynchttpserver"
 *
 * // Counts until the client disconnects or the server closes.
 * const counting: Response.Handler = (request) =>
 *   Response.respondStream(
 *     request,
 *     200,
 *     Stream.repeatEffectWithSchedule(Effect.succeed("tick\n"), Schedule.spaced("1 second")).pipe(
 *       Stream.interruptWhen(Request.awaitShutdown(request)),
 *       Stream.encodeText
 *     )
 *   )
 * console.log(typeof counting)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category shutdown
 */
export const awaitShutdown = (request: Request): Effect.Effect<void> => request[ExchangeKey].awaitShutdown
