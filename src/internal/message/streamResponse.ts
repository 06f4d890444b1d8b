/**
 * An answer that is written from a stream, as fast as its client reads.
 *
 * @internal
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isValueError, type ValueError } from "../../Errors.js"
import type * as HttpHeaders from "../../HttpHeaders.js"
import type { Exchange, ResponseBodyWriter } from "./exchange.js"
import { fromResult } from "./respondEffect.js"
import type { Responded } from "./responded.js"

/** Writes what a stream gives at once in one turn, as long as nobody has to wait. */
const writeChunk = (
  exchange: Exchange,
  answer: ResponseBodyWriter,
  pieces: Chunk.Chunk<Uint8Array>
): Effect.Effect<void, ValueError> => {
  let next = 0
  const rest: Effect.Effect<void, ValueError> = Effect.suspend(() => {
    while (next < pieces.length) {
      const refusal = answer.write(Chunk.unsafeGet(pieces, next++))
      if (refusal !== undefined) return refusal
      if (exchange.isBackpressured()) return Effect.zipRight(exchange.awaitWritable, rest)
    }
    return Effect.void
  })
  return rest
}

export interface StreamedResponse<E, R> {
  readonly code: number
  readonly headers: HttpHeaders.Input | undefined
  readonly stream: Stream.Stream<Uint8Array, E, R>
  /** Whether the head waits for the first bytes, so that a stream which fails before can be answered otherwise. */
  readonly head: "AtOnce" | "WithFirstBytes"
}

export const streamResponse = <E, R>(
  exchange: Exchange,
  { code, head, headers, stream }: StreamedResponse<E, R>
): Effect.Effect<Responded, E | ValueError, R> =>
  Effect.suspend((): Effect.Effect<Responded, E | ValueError, R> => {
    const answer = exchange.startResponse(code, headers)
    if (isValueError(answer)) return answer
    const ended = Effect.suspend(() => fromResult(answer.end(undefined)))
    if (!answer.acceptsContent) return ended
    const refusal = head === "AtOnce" ? answer.sendHead() : undefined
    if (refusal !== undefined) return refusal
    const written = Stream.runForEachChunk(stream, (pieces) => writeChunk(exchange, answer, pieces))
    return Effect.zipRight(written, ended)
  })
