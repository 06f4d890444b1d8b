/**
 * What a machine says after looking at its input: not yet, done, or never.
 *
 * "Not yet" is a value, since it is no error; `Malformed` is one too, since the machines know no Effect.
 *
 * @internal
 */
import { type ErrorReason, errorReasons } from "../errorReasons.js"

/** The request can never become right: why, what was seen, and the status that answers it. @internal */
export interface Malformed {
  readonly _tag: "Malformed"
  readonly reason: ErrorReason
  readonly status: number
  readonly actual: string
}

/** @internal */
export type ParseResult = "NeedMore" | "Done" | Malformed

/** @internal */
export const malformed = (reason: ErrorReason, actual = ""): Malformed => ({
  _tag: "Malformed",
  reason,
  status: errorReasons[reason].status,
  actual: actual
})
