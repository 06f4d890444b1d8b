/**
 * The brand of `Responded`. It is exported to this package alone, which is what makes the evidence worth anything.
 *
 * @internal
 */
import type { Responded } from "../../Response.js"

export const RespondedKey: unique symbol = Symbol.for("effect-asynchttpserver/Responded")

/** A class, as is whatever is made for each request: see `http1/requestHead.ts`. */
class RespondedImpl implements Responded {
  readonly [RespondedKey]: typeof RespondedKey = RespondedKey

  constructor(
    readonly status: number,
    readonly bodyBytes: number
  ) {}
}

export const responded = (status: number, bodyBytes: number): Responded => new RespondedImpl(status, bodyBytes)
