/**
 * What a request may ask of the connection it came by. This is the one downward secret of the house: `Request` carries
 * its exchange under a symbol, and `Response` reaches it there, so that `respond(request, …)` needs no service.
 *
 * Everything here is synchronous but reading, and the wait for a client that is slow to read: an answer is given in
 * one turn, so that a race or a timeout around it cannot tear it.
 *
 * @internal
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ValueError } from "../Errors.js"
import type * as HttpHeaders from "../HttpHeaders.js"
import type { Duplex, Responded } from "../Response.js"

export const ExchangeKey: unique symbol = Symbol.for("effect-asynchttpserver/Exchange")

/** An answer in pieces. */
export interface OpenAnswer {
  /** Sends the head, unless it has left; a `ValueError` when the request has been answered meanwhile. */
  readonly start: () => ValueError | undefined
  /** False when nothing that is written will be sent: HEAD, 204, 304. */
  readonly takesContent: boolean
  /** Writes on; a `ValueError` when the content would be longer than was announced, or has ended. */
  readonly write: (content: string | Uint8Array) => ValueError | undefined
  /** Ends the content; a `ValueError` when it is shorter than was announced. */
  readonly end: (trailers: HttpHeaders.Input | undefined) => Responded | ValueError
}

export interface Exchange {
  /** A whole answer. A refused one is no answer: there may be another. */
  readonly respond: (
    code: number,
    content: string | Uint8Array,
    headers: HttpHeaders.Input | undefined
  ) => Responded | ValueError
  /** The head of an answer; its content follows. */
  readonly begin: (code: number, headers: HttpHeaders.Input | undefined) => OpenAnswer | ValueError
  /** An interim response. */
  readonly inform: (code: number, headers: HttpHeaders.Input | undefined) => ValueError | undefined
  /** Answers `101`, and hands the connection over until `finish`. */
  readonly upgrade: (headers: HttpHeaders.Input | undefined) => Upgraded | ValueError
  /** Answers CONNECT with `200`, and hands the connection over until `finish`. */
  readonly tunnel: (headers: HttpHeaders.Input | undefined) => Upgraded | ValueError

  /** Whether the client has left so much unread that a writer should wait. */
  readonly mustWait: () => boolean
  /** Waits until the client has read on, or has gone. */
  readonly canWrite: Effect.Effect<void>

  readonly bytes: Effect.Effect<Buffer, ValueError>
  readonly stream: Stream.Stream<Uint8Array, ValueError>
  readonly trailers: Effect.Effect<HttpHeaders.HttpHeaders, ValueError>
}

export interface Upgraded {
  readonly duplex: Duplex
  readonly finish: () => Responded
}
