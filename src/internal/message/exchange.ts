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
import type { ValueError } from "../../Errors.js"
import type * as HttpHeaders from "../../HttpHeaders.js"
import type { Responded } from "./responded.js"

export const ExchangeKey: unique symbol = Symbol.for("effect-asynchttpserver/Exchange")

/** An answer in pieces. */
export interface ResponseBodyWriter {
  /** Sends the head, unless it has left; a `ValueError` when the request has been answered meanwhile. */
  readonly sendHead: () => ValueError | undefined
  /** False when nothing that is written will be sent: HEAD, 204, 304. */
  readonly acceptsContent: boolean
  /** Writes on; a `ValueError` when the content would be longer than was announced, or has ended. */
  readonly write: (content: string | Uint8Array) => ValueError | undefined
  /** Ends the content; a `ValueError` when it is shorter than was announced. */
  readonly end: (trailers: HttpHeaders.Input | undefined) => Responded | ValueError
}

export interface Exchange {
  /** How far the answer is. */
  readonly state: "NotStarted" | "Streaming" | "Complete"
  /** The client has left: what would be answered now is for nobody. */
  readonly isClientGone: boolean
  /** A whole answer. A refused one is no answer: there may be another. */
  readonly respond: (
    code: number,
    content: string | Uint8Array,
    headers: HttpHeaders.Input | undefined
  ) => Responded | ValueError
  /** The head of an answer; its content follows. */
  readonly startResponse: (code: number, headers: HttpHeaders.Input | undefined) => ResponseBodyWriter | ValueError
  /** An interim response. */
  readonly sendInformational: (code: number, headers: HttpHeaders.Input | undefined) => ValueError | undefined
  /** Answers `101`, and hands the connection over until `finish`. */
  readonly upgrade: (headers: HttpHeaders.Input | undefined) => Upgraded | ValueError
  /** Answers CONNECT with `200`, and hands the connection over until `finish`. */
  readonly tunnel: (headers: HttpHeaders.Input | undefined) => Upgraded | ValueError

  /** Completes when the server begins to close, at once when it has. */
  readonly awaitShutdown: Effect.Effect<void>

  /** Whether the client has left so much unread that a writer should wait. */
  readonly isBackpressured: () => boolean
  /** Waits until the client has read on, or has gone. */
  readonly awaitWritable: Effect.Effect<void>

  /** The whole body, of at most so many bytes; `ValueError` `BodyTooLarge` beyond them. */
  readonly readBody: (most: number) => Effect.Effect<Buffer, ValueError>
  readonly bodyStream: Stream.Stream<Uint8Array, ValueError>
  /** Counts bytes of a streamed body that are kept in memory until the request ends; negative when they no longer are. */
  readonly keep: (bytes: number) => void
  readonly trailers: Effect.Effect<HttpHeaders.HttpHeaders, ValueError>
}

/** A connection that was handed over, for code that knows no fibers. */
export interface RawConnection {
  /** The next bytes, if there are any. */
  readonly read: () => Uint8Array | "Ended" | undefined
  /** Counts a message that was made of what has been read: many small ones take long, however few their bytes are. */
  readonly countMessage: () => void
  /** Calls, once, when there may be more. */
  readonly onceReadable: (go: () => void) => void
  /** Sends; false when the client has so much unread that a writer should wait. */
  readonly write: (content: string | Uint8Array) => boolean
  /** Calls, once, when it has read on, or has gone. */
  readonly onceWritable: (go: () => void) => void
  /** Sends FIN. From then on the connection's end interrupts nobody. */
  readonly end: () => void
  /** Ends the connection at once, whatever is unsent. */
  readonly destroy: () => void
}

/** A connection that has been handed over; documented in `Response`. */
export interface Duplex {
  /** What the client sends, those bytes first that came behind the request; ends when the client ends. Once only. */
  readonly stream: Stream.Stream<Uint8Array>
  /** Sends bytes, and waits while the client is slow to read. Text is written as UTF-8. */
  readonly write: (content: string | Uint8Array) => Effect.Effect<void>
}

export interface Upgraded {
  readonly duplex: Duplex
  readonly raw: RawConnection
  readonly finish: () => Responded
  /** Milliseconds that a client may take to end its side when the server closes. */
  readonly closeTimeout: number
}
