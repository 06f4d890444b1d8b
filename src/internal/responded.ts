/**
 * The brand of `Responded`. It is exported to this package alone, which is what makes the evidence worth anything.
 *
 * @internal
 */
import type { Responded } from "../Response.js"

export const RespondedKey: unique symbol = Symbol.for("effect-asynchttpserver/Responded")

export const responded = (status: number, bodyBytes: number): Responded => ({
  [RespondedKey]: RespondedKey,
  status,
  bodyBytes
})
