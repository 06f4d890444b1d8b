/**
 * A client that sends and receives raw bytes, valid HTTP or not.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { OSError } from "../Errors.js"

/**
 * A connection to a test server, over its own transport.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawClient {
  /** Sends bytes, without waiting for their arrival; text is latin1. */
  readonly send: (bytes: string | Uint8Array) => Effect.Effect<void>
  /**
   * Waits until the unread bytes, as latin1, satisfy the predicate, and takes all of them. Fails with an `OSError` if the
   * connection ends before: `EOF` after FIN, `ECONNRESET` after a reset; the received bytes remain unread.
   */
  readonly readUntil: (predicate: (received: string) => boolean) => Effect.Effect<string, OSError>
  /** Waits for the end of the connection, and takes all unread bytes. */
  readonly readToEnd: Effect.Effect<Buffer>
  /** Waits for the end of the connection, and returns how the server ended it. */
  readonly closedWith: Effect.Effect<"FIN" | "RST">
  /** Stops reading, so that the server experiences backpressure once the buffers between are full. */
  readonly stopReading: Effect.Effect<void>
  readonly resumeReading: Effect.Effect<void>
  /** Sends FIN, and continues to read. */
  readonly halfClose: Effect.Effect<void>
  /** Resets the connection at once. */
  readonly reset: Effect.Effect<void>
}
