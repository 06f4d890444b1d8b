/** The brand of `Responded`. It is not exported from the package, so that only the server creates evidence. */
import type { HttpCode } from "../../HttpCode.js"

export const RespondedKey: unique symbol = Symbol.for("effect-asynchttpserver/Responded")

/** The evidence that a request was responded to; documented in `Response`. */
export interface Responded {
  readonly [RespondedKey]: typeof RespondedKey
  readonly status: HttpCode
  /** Bytes of content that were sent, without framing; 0 for HEAD. */
  readonly bodyBytes: number
}

/** A class, as everything that is created for each request: see `http1/requestHead.ts`. */
class RespondedImpl implements Responded {
  readonly [RespondedKey]: typeof RespondedKey = RespondedKey

  constructor(
    readonly status: number,
    readonly bodyBytes: number
  ) {}
}

export const responded = (status: number, bodyBytes: number): Responded => new RespondedImpl(status, bodyBytes)
