/**
 * What a machine says after looking at its input: not yet, done, or never.
 *
 * "Not yet" is a value, since it is no error; `Malformed` is one too, since the machines know no Effect.
 *
 * @internal
 */
import { type Reason, reasons } from "../reasons.js"

/** The request can never become right: why, what was seen, and the status that answers it. @internal */
export interface Malformed {
  readonly _tag: "Malformed"
  readonly reason: Reason
  readonly status: number
  readonly saw: string
}

/** @internal */
export type Verdict = "NeedMore" | "Done" | Malformed

/** @internal */
export const malformed = (reason: Reason, saw = ""): Malformed => ({
  _tag: "Malformed",
  reason,
  status: reasons[reason].status,
  saw
})
