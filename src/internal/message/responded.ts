/**
 * The brand of `Responded`. It is not exported from the package, so that only the server creates evidence.
 *
 * @internal
 */
import type { Responded } from "../../Response.js"

export const RespondedKey: unique symbol = Symbol.for("effect-asynchttpserver/Responded")

/** A class, as everything that is created for each request: see `http1/requestHead.ts`. */
class RespondedImpl implements Responded {
  readonly [RespondedKey]: typeof RespondedKey = RespondedKey

  constructor(
    readonly status: number,
    readonly bodyBytes: number
  ) {}
}

export const responded = (status: number, bodyBytes: number): Responded => new RespondedImpl(status, bodyBytes)
