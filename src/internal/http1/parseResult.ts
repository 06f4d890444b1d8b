/**
 * Result of a parser step: more input needed, done, or malformed.
 *
 * `Malformed` is a value instead of an error, since the parsers do not use Effect.
 */
import { type ErrorReason, errorReasons } from "../errorReasons.js"

/** An invalid request: the reason, the invalid text, and the status of the error response. */
export interface Malformed {
  readonly _tag: "Malformed"
  readonly reason: ErrorReason
  readonly status: number
  readonly actual: string
}

export type ParseResult = "NeedMore" | "Done" | Malformed

export const malformed = (reason: ErrorReason, actual = ""): Malformed => ({
  _tag: "Malformed",
  reason,
  status: errorReasons[reason].status,
  actual
})
