/**
 * What an exchange and its body share with the connection they belong to: the machines, the boxes, the deadlines.
 *
 * @internal
 */
import type * as Effect from "effect/Effect"
import type { Limits } from "../../Limits.js"
import type { Parser } from "../../RequestParser.js"
import type { Writer } from "../../ResponseWriter.js"
import type { Inbox } from "./inbox.js"
import type { Outbox } from "./outbox.js"

export interface Line {
  readonly limits: Limits
  readonly parser: Parser
  readonly writer: Writer
  readonly inbox: Inbox
  readonly outbox: Outbox
  /** `Date` for an answer that is written now. */
  readonly date: () => string
  /** Whether the connection may serve another request, as far as the server is concerned. */
  readonly mayGoOn: () => boolean
  /** Waits for bytes of a body, at most `bodyTimeout`; who is woken looks again. */
  readonly awaitBody: () => Effect.Effect<void>
  /** Waits for bytes as long as it takes: those of another protocol. */
  readonly awaitBytes: () => Effect.Effect<void>
  /** Whether the wait for bytes has lasted too long. */
  readonly isOverdue: () => boolean
  /** Waits until the client has read what was written, or has gone. */
  readonly canWrite: Effect.Effect<void>
}
