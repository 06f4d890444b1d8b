/**
 * A request that a test server was asked, as a test looks at it afterwards.
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
 * What became of a request.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome =
  /** It was answered whole, with this status. */
  | { readonly _tag: "Responded"; readonly status: number }
  /** Its client left before that, or the server was closed: its handler was interrupted. */
  | { readonly _tag: "Aborted" }
  /**
   * A `Fault` took the place of its answer, or of the rest of it, when so many bytes of it had been sent: it ended the
   * connection, it says nothing more, or it has sent bytes of its own.
   */
  | { readonly _tag: "Faulted"; readonly fault: "close" | "reset" | "stall" | "raw"; readonly sent: number }
  /** Its handler failed, whatever the client has seen. */
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<unknown> }

/**
 * A request that came, recorded when its head did: what its body was and what became of it may be still to come.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedRequest extends Inspectable.Inspectable {
  readonly method: HttpMethod
  /** Path and query, as an application routes them. */
  readonly url: string
  /** The request target as it was sent, whatever its form. */
  readonly target: string
  /** `url` up to its question mark. */
  readonly path: string
  /** `url` from behind its question mark, read as a form's fields are. */
  readonly query: URLSearchParams
  /** The host that was asked for, with its port if it was sent: the target's in absolute-form, else Host's. */
  readonly host: string
  readonly version: HttpVersion
  /**
   * As they were sent: in that order, in that case. One exception: where the target has an authority of its own, Host is
   * that authority, as the handler sees it (RFC 9112 §3.2.2).
   */
  readonly headers: HttpHeaders
  /** Which connection of the server it came by, from 0 in the order in which they came. */
  readonly connection: number
  /** Its place among the requests of that connection, from 0. */
  readonly exchangeIndex: number
  /**
   * The body, when it has come. What a handler reads is recorded as it reads it. What it leaves unread is read behind its
   * answer, as far as the server would have skipped it (`maxDiscardedBody`); while a handler reads nothing, to ask for it here reads
   * it in his place, which he does not notice. What neither happens to is not there: see `isWhole`.
   */
  readonly bytes: Effect.Effect<Uint8Array>
  /** The same, as UTF-8 text. */
  readonly text: Effect.Effect<string>
  /** The same, as JSON; `ValueError` `Json` when it is none. */
  readonly json: Effect.Effect<unknown, ValueError>
  /** Whether `bytes` is all that was sent; waits as that does. */
  readonly isComplete: Effect.Effect<boolean>
  /** What became of it; waits until its handler has ended. */
  readonly outcome: Effect.Effect<Outcome>
}
