/**
 * A whole answer as an Effect, which the connection can recognise.
 *
 * A handler that does nothing but `respond` returns one of these, and is answered in the turn in which its request was
 * parsed, without a step of the fiber: 0.9 µs of 3.0 for a pipelined request. Anything around it is an ordinary
 * Effect, and runs as one.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import { isValueError, type ValueError } from "../../Errors.js"
import type { Input } from "../../HttpHeaders.js"
import type { Exchange } from "./exchange.js"
import type { Responded } from "./responded.js"

export class RespondEffect extends Effectable.Class<Responded, ValueError> {
  constructor(
    private readonly exchange: Exchange,
    private readonly code: number,
    private readonly content: string | Uint8Array,
    private readonly headers: Input | undefined
  ) {
    super()
  }

  /** Answers now. */
  unsafeRespond(): Responded | ValueError {
    return this.exchange.respond(this.code, this.content, this.headers)
  }

  commit(): Effect.Effect<Responded, ValueError> {
    return fromResult(this.unsafeRespond())
  }
}

/** A synchronous answer as an Effect: evidence succeeds, a refusal fails. */
export const fromResult = <A>(answer: A | ValueError): Effect.Effect<A, ValueError> =>
  isValueError(answer) ? Effect.fail(answer) : Effect.succeed(answer)
