/**
 * A request as recorded by a test server.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import type { ValueError } from "../Errors.js"
import type { HttpHeaders } from "../HttpHeaders.js"
import type { HttpMethod } from "../HttpMethod.js"
import type { HttpVersion } from "../HttpVersion.js"

/**
 * The outcome of a request.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome =
  /** A complete response with this status was sent. */
  | { readonly _tag: "Responded"; readonly status: number }
  /** The handler was interrupted, since the client disconnected or the server was closed. */
  | { readonly _tag: "Aborted" }
  /**
   * A `Fault` replaced the response after `sent` bytes: it closed or reset the connection, stalled it, or sent raw bytes.
   */
  | { readonly _tag: "Faulted"; readonly fault: "close" | "reset" | "stall" | "raw"; readonly sent: number }
  /** The handler failed, whatever the client received. */
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<unknown> }

/**
 * A request, recorded when its head is received; its body and its outcome may follow later.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedRequest extends Inspectable.Inspectable {
  readonly method: HttpMethod
  /** Path and query, as used for routing. */
  readonly url: string
  /** The request target as it was sent, whatever its form. */
  readonly target: string
  /** `url` without the query. */
  readonly path: string
  /** The query of `url`, decoded as form fields. */
  readonly query: URLSearchParams
  /** The requested host, with its port if sent: that of a target in absolute-form, else that of Host. */
  readonly host: string
  readonly version: HttpVersion
  /**
   * The fields as sent, in order and in case. One exception: if the target has an authority, Host is that authority, as in
   * the handler (RFC 9112 §3.2.2).
   */
  readonly headers: HttpHeaders
  /** Index of its connection, from 0 in the order of acceptance. */
  readonly connection: number
  /** Index among the requests of that connection, from 0. */
  readonly exchangeIndex: number
  /**
   * The body, once it is received. What the handler reads is recorded as it is read. An unread rest is read after the
   * response, up to the `maxDiscardedBody` that the server would discard. While the handler has not begun to read, this
   * effect reads the body itself, and the handler can still read it. The body may be incomplete: see `isComplete`.
   */
  readonly bytes: Effect.Effect<Uint8Array>
  /** The body as UTF-8 text. */
  readonly text: Effect.Effect<string>
  /** The body as JSON; `ValueError` `Json` if it is invalid. */
  readonly json: Effect.Effect<unknown, ValueError>
  /** Whether `bytes` is the complete body; waits like `bytes`. */
  readonly isComplete: Effect.Effect<boolean>
  /** The outcome; waits until the handler has ended. */
  readonly outcome: Effect.Effect<Outcome>
}
