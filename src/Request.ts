/**
 * A request, as a handler sees it: its head at once, its body when it is asked for.
 *
 * Nothing of the body is read, and no `100 Continue` is sent, before a handler runs `bytes`, `text`, `json` or
 * `stream`. A request does not answer itself: `Response` does.
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

/**
 * The connection a request came by.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client {
  /** Counts the connections of this process, from 1. */
  readonly id: number
  readonly local: Option.Option<Address>
  readonly remote: Option.Option<Address>
}

/**
 * A request. It is made by a server alone; printing one shows its head and never touches its body.
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
  /** Path and query, as an application routes them; `*` and `host:port` as they are for OPTIONS and CONNECT. */
  readonly url: string
  /** The request target as it was sent, whatever its form. */
  readonly originalUrl: string
  /** `url` up to its question mark. Not decoded: `%2F` and `/` are different paths. */
  readonly path: string
  /** `url` from behind its question mark, or "". */
  readonly query: string
  /** The host that was asked for, with its port if it was sent: the target's in absolute-form, else Host's. */
  readonly host: string
  readonly version: HttpVersion
  /**
   * The fields as they were sent, with one exception: where the target has an authority of its own (`originalUrl` in
   * absolute-form, and CONNECT), Host is that authority, whatever was sent (RFC 9112 §3.2.2).
   */
  readonly headers: HttpHeaders
  /** The peer's IP address, if its transport has one. The original calls it `hostname`. */
  readonly remoteAddress: Option.Option<string>
  readonly client: Client

  /**
   * The whole body, at most `maxBody` bytes; empty when there is none. Read once, then kept: `bytes`, `text` and `json`
   * may be asked for again. `ValueError`: `BodyTooLarge` (413), `Chunk`, `IncompleteRequest` (400), `Timeout` (408),
   * `BodyBudget` (503) when too many bodies are in memory, `BodyConsumed` (500) when `stream` has taken it.
   */
  readonly bytes: Effect.Effect<Uint8Array, ValueError>
  /** The whole body as UTF-8 text; fails as `bytes` does. */
  readonly text: Effect.Effect<string, ValueError>
  /** The whole body as JSON; fails as `bytes` does, and with `Json` (400) when it is none. */
  readonly json: Effect.Effect<unknown, ValueError>
  /** The body piece by piece, as it arrives, once; fails as `bytes` does. */
  readonly stream: Stream.Stream<Uint8Array, ValueError>
  /** The trailer fields, once the body has been read; reads the rest of it when nobody has. */
  readonly trailers: Effect.Effect<HttpHeaders, ValueError>

  /** How `Response` reaches the connection; nobody else's business. */
  readonly [ExchangeKey]: Exchange
}

/**
 * Completes when the server that serves a request begins to close, or the `serve` that runs its handler to end; at once when it
 * has.
 *
 * For a handler that would go on for as long as its client likes, as a stream of events does: one that ends by itself lets the
 * server close without waiting for `drainTimeout`, and its client sees a whole response. It costs nothing to a handler that
 * does not wait for it.
 *
 * @example
 * ```ts
 * import { Effect, Schedule, Stream } from "effect"
 * import { Request, Response } from "effect-asynchttpserver"
 *
 * // Counts until the client leaves or the server closes.
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
