/**
 * The interface between a listener and a server: a byte-stream connection of plain calls and events, and its summary.
 *
 * No byte of a connection is read before it is opened. Parsing and timeouts belong to the server.
 *
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Address } from "./Address.js"
import type { Session } from "./Tls.js"

/**
 * The events of a connection. Each is called as a method of this object, outside of any fiber, and must not throw.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionEvents {
  /** Bytes that the client has sent; the listener does not change them afterwards. */
  onBytes(bytes: Buffer): void
  /** The client has sent FIN. */
  onEnd(): void
  /** The write buffer is empty again, after `isFull` was true. */
  onDrain(): void
  /** The connection has closed, and its descriptor is released. The last event. */
  onClose(): void
}

/**
 * A connection: synchronous calls, without Effect.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  /** The id of the connection, unique in this process, from 1. */
  readonly id: number
  readonly local: Option.Option<Address>
  readonly remote: Option.Option<Address>
  /** The session of a connection with TLS; without this member, or with `None`, the connection is not encrypted. */
  readonly tls?: Option.Option<Session>
  /** The scheme of the requests on this connection. Default: that of `tls`. */
  readonly scheme?: "http" | "https"
  /** Starts reading, once. A connection that has closed before calls `onClose` in a later microtask. */
  readonly open: (events: ConnectionEvents) => void
  readonly pause: () => void
  readonly resume: () => void
  /** Writes parts in order, in one system call if possible. Text is latin1; bytes must not be changed afterwards. */
  readonly write: (parts: ReadonlyArray<string | Uint8Array>) => void
  /** True while a writer should wait for `onDrain`. */
  readonly isFull: () => boolean
  /** 0 if all that was written was passed to the system; otherwise a number that decreases as the client reads. */
  readonly unsent: () => number
  /** Sends FIN after what has been written, and continues to read. */
  readonly end: () => void
  /** Sends FIN after what has been written, and closes without the client's FIN: for a client that sends nothing more. */
  readonly close: () => void
  /** Closes at once by a reset, so that a truncated response does not look complete. */
  readonly abort: () => void
  /** Closes at once, whatever is unsent. */
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
  /** The server closed it: by `Connection: close` of either side, after `maxRequestsPerConnection`, or in its shutdown. */
  | "ClosedByServer"
  /** A request was malformed or beyond a limit, and received an error response if none had been sent. */
  | "BadRequest"
  /** A timeout expired: the client sent nothing, or read nothing. */
  | "TimedOut"
  /** The client disconnected within a request. */
  | "ClientAborted"
  /**
   * No complete response could be sent: a handler failed after the head, the error response could not be written, or the
   * parser, the writer or the transport has thrown.
   */
  | "ResponseFailed"
  /** The connection was upgraded or tunneled, and the other protocol has ended. */
  | "Upgraded"
  /** It was interrupted: by the shutdown of the server, or by an interruption of its fiber. */
  | "Interrupted"

/**
 * The result of a connection's fiber: why the connection was closed, and how many requests its handler received.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionSummary {
  readonly reason: CloseReason
  readonly requests: number
}
