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
  /** The client closed it between two requests. */
  | "ClosedByClient"
  /** The server closed it: on request of the client or the handler, after the last allowed request, or at shutdown. */
  | "ClosedByServer"
  /** A malformed request was rejected with an error response. */
  | "BadRequest"
  /** A timeout expired: nothing was received, or nothing was read by the client. */
  | "TimedOut"
  /** The client disconnected in the middle of a request. */
  | "ClientAborted"
  /** A handler failed after the head of its response was sent. */
  | "ResponseFailed"
  /** The connection was upgraded, and its use has completed. */
  | "Upgraded"
  /** It was interrupted, at shutdown or by an interruption of its fiber. */
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
