/**
 * A client of bytes: what HTTP would not let one send, sent, and what came back, as it came.
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
  /** Sends bytes, and does not wait until they have arrived; text is latin1. */
  readonly send: (bytes: string | Uint8Array) => Effect.Effect<void>
  /**
   * Waits until what has arrived and was not read yet is enough, and takes all of it, as latin1. `OSError` `EOF` when the
   * server has sent FIN before that, `ECONNRESET` when it has reset the connection: what came is still there to be read.
   */
  readonly readUntil: (predicate: (seen: string) => boolean) => Effect.Effect<string, OSError>
  /** Waits for the end, and takes all that came before it. */
  readonly readToEnd: Effect.Effect<Buffer>
  /** Waits for the end, and tells how the server ended the connection. */
  readonly closedWith: Effect.Effect<"FIN" | "RST">
  /** Reads no more: what the server sends fills what is between, and then it has to wait. */
  readonly stopReading: Effect.Effect<void>
  readonly resumeReading: Effect.Effect<void>
  /** Sends FIN, and goes on reading. */
  readonly halfClose: Effect.Effect<void>
  /** Ends at once by a reset. */
  readonly reset: Effect.Effect<void>
}
