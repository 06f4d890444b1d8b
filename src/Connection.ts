/**
 * A connection as a listener hands it to a server: plain calls in one direction, events in the other, and how it ended.
 *
 * No byte of a connection is read before it is opened. Parsing, timeouts and what a byte means are the server's.
 *
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Address } from "./Address.js"

/**
 * What a connection tells who has opened it. Each is called on this object, outside of any fiber, and must not throw.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionEvents {
  /** Bytes that the client has sent; they are not changed afterwards. */
  onBytes(bytes: Buffer): void
  /** The client will send nothing more (FIN). */
  onEnd(): void
  /** What had been written has left, after `write` had said no. */
  onDrain(): void
  /** The last event: the connection is gone, and its descriptor given back. */
  onClose(): void
}

/**
 * One connection, plain and synchronous.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  /** Counts the connections of this process, from 1. */
  readonly id: number
  readonly local: Option.Option<Address>
  readonly remote: Option.Option<Address>
  /** Starts reading. Once only; a connection that has closed by then says so in the next turn. */
  readonly open: (events: ConnectionEvents) => void
  readonly pause: () => void
  readonly resume: () => void
  /** Sends parts in order, in one write where that is possible; text is latin1, bytes must not be changed afterwards. */
  readonly write: (parts: ReadonlyArray<string | Uint8Array>) => void
  /** Whether what has been written waits for the client; `onDrain` says when it no longer does. */
  readonly isFull: () => boolean
  /** 0 when all that was written has been handed to the system; else a number that falls as the client reads. */
  readonly unsent: () => number
  /** Sends FIN behind what has been written; goes on reading. */
  readonly end: () => void
  /** The same, and closes behind it without waiting for the client's FIN: for one that will send nothing more. */
  readonly close: () => void
  /** Ends at once by a reset, so that nobody takes what has arrived for whole. */
  readonly abort: () => void
  /** Ends at once, whatever is unsent. */
  readonly destroy: () => void
}

/**
 * Why a connection was closed.
 *
 * @since 0.1.0
 * @category models
 */
export type CloseReason =
  /** The client ended it between two requests. */
  | "ClosedByClient"
  /** The server did: as the client or the handler asked, after the last request allowed, or because it is closing. */
  | "ClosedByServer"
  /** A request could not be understood, and was answered so. */
  | "BadRequest"
  /** Nothing came, or nothing was read, for too long. */
  | "TimedOut"
  /** The client left in the middle of a request. */
  | "ClientAborted"
  /** A handler failed after the head of its answer had left. */
  | "ResponseFailed"
  /** The connection was handed over, and has been given back. */
  | "Upgraded"
  /** It was cut off, by the closing server or by whoever holds its fiber. */
  | "Interrupted"

/**
 * How a connection ended, and how many requests it carried: the result of a connection's fiber.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionSummary {
  readonly reason: CloseReason
  readonly requests: number
}
