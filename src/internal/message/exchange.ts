/**
 * Interface between one request and its connection. `Request` has its exchange under a symbol, where `Response` accesses it,
 * so that `respond(request, …)` needs no service.
 *
 * Everything is synchronous except reading and backpressure: a response is written in one event-loop turn, so that a race or a
 * timeout cannot interrupt it midway.
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ValueError } from "../../Errors.js"
import type * as HttpHeaders from "../../HttpHeaders.js"
import type { Responded } from "./responded.js"

export const ExchangeKey: unique symbol = Symbol.for("effect-asynchttpserver/Exchange")

export interface ResponseBodyWriter {
  /** Sends the head, unless it was sent; a `ValueError` if another response was sent meanwhile. */
  readonly sendHead: () => ValueError | undefined
  /** False if the response has no content: HEAD, 204, 304. */
  readonly acceptsContent: boolean
  /** Writes content; a `ValueError` if it would exceed the declared length, or has ended. */
  readonly write: (content: string | Uint8Array) => ValueError | undefined
  /** Ends the content; a `ValueError` if it is shorter than declared. */
  readonly end: (trailers: HttpHeaders.Input | undefined) => Responded | ValueError
}

export interface Exchange {
  /** Progress of the response; "Ended" when the handler has ended, with or without one. */
  readonly state: "NotStarted" | "Streaming" | "Complete" | "Ended"
  /** True if the client has disconnected: a response would be discarded. */
  readonly isClientGone: boolean
  /** Sends a complete response. After a `ValueError` nothing was sent, and another response is possible. */
  readonly respond: (
    code: number,
    content: string | Uint8Array,
    headers: HttpHeaders.Input | undefined
  ) => Responded | ValueError
  /** Prepares a response whose content follows. */
  readonly startResponse: (code: number, headers: HttpHeaders.Input | undefined) => ResponseBodyWriter | ValueError
  readonly sendInformational: (code: number, headers: HttpHeaders.Input | undefined) => ValueError | undefined
  /** Sends `101`, and gives raw access to the connection until `finish`. */
  readonly upgrade: (headers: HttpHeaders.Input | undefined) => Upgraded | ValueError
  /** Sends `200` to CONNECT, and gives raw access to the connection until `finish`. */
  readonly tunnel: (headers: HttpHeaders.Input | undefined) => Upgraded | ValueError

  /** Completes when the server, or the `serve` of the request, begins to close; at once if it has begun already. */
  readonly awaitShutdown: Effect.Effect<void>

  /** True if a writer must be suspended: the write buffer is full, or the connection has used its share of this turn. */
  readonly mustSuspendWriter: () => boolean
  /**
   * Suspends a writer until the write buffer has drained or the client has disconnected, or if the buffer is not full, until
   * the connection has its next share of the event loop.
   */
  readonly awaitTurnToWrite: Effect.Effect<void>

  /** The whole body; `ValueError` `BodyTooLarge` if it exceeds `maxBytes`. */
  readonly readBody: (maxBytes: number) => Effect.Effect<Buffer, ValueError>
  readonly bodyStream: Stream.Stream<Uint8Array, ValueError>
  /** Counts bytes of a streamed body that are kept in memory until the request ends; a negative number releases them. */
  readonly keep: (bytes: number) => void
  readonly trailers: Effect.Effect<HttpHeaders.HttpHeaders, ValueError>
}

/** An upgraded connection, for code without fibers. */
export interface RawConnection {
  /** The next bytes, or `undefined` if none have arrived. */
  readonly read: () => Uint8Array | "Ended" | undefined
  /** Counts a message toward the event-loop budget: many small messages take long, though their bytes are few. */
  readonly countMessage: () => void
  /** Registers a callback for when more may be readable; it is called once. */
  readonly onceReadable: (listener: () => void) => void
  /** Sends; false if the writer should wait for `onceWritable`. */
  readonly write: (content: string | Uint8Array) => boolean
  /** Registers a callback for when the write buffer has drained, or the client has disconnected; it is called once. */
  readonly onceWritable: (listener: () => void) => void
  /** Sends FIN. From then on the end of the connection interrupts no handler. */
  readonly end: () => void
  /** Closes the connection at once and discards unsent data. */
  readonly destroy: () => void
}

/** An upgraded connection; documented in `Response`. */
export interface Duplex {
  /** Input, beginning with the bytes after the request; ends with the client's FIN. Can be run once. */
  readonly stream: Stream.Stream<Uint8Array>
  /** Sends bytes, and suspends while the client is slow to read. Text is written as UTF-8. */
  readonly write: (content: string | Uint8Array) => Effect.Effect<void>
}

export interface Upgraded {
  readonly duplex: Duplex
  readonly raw: RawConnection
  readonly finish: () => Responded
  /** Milliseconds that the client has to end its side when the server closes. */
  readonly closeTimeout: number
}
