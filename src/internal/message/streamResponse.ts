/** Responses whose content is a stream, with backpressure. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isValueError, type ValueError } from "../../Errors.js"
import type * as HttpHeaders from "../../HttpHeaders.js"
import type { Exchange, ResponseBodyWriter } from "./exchange.js"
import { fromResult } from "./respondEffect.js"
import type { Responded } from "./responded.js"

/** Writes a chunk synchronously, until backpressure suspends it. */
const writeChunk = (
  exchange: Exchange,
  writer: ResponseBodyWriter,
  pieces: Chunk.Chunk<Uint8Array>
): Effect.Effect<void, ValueError> => {
  let next = 0
  const rest: Effect.Effect<void, ValueError> = Effect.suspend(() => {
    while (next < pieces.length) {
      const error = writer.write(Chunk.unsafeGet(pieces, next++))
      if (error !== undefined) return error
      if (exchange.mustSuspendWriter()) return Effect.zipRight(exchange.awaitTurnToWrite, rest)
    }
    return Effect.void
  })
  return rest
}

interface StreamedResponse<E, R> {
  readonly code: number
  readonly headers: HttpHeaders.Input | undefined
  readonly stream: Stream.Stream<Uint8Array, E, R>
  /** When the head is sent: with the first bytes, another response is possible if the stream fails before. */
  readonly head: "AtOnce" | "WithFirstBytes"
}

export const streamResponse = <E, R>(
  exchange: Exchange,
  { code, head, headers, stream }: StreamedResponse<E, R>
): Effect.Effect<Responded, E | ValueError, R> =>
  Effect.suspend((): Effect.Effect<Responded, E | ValueError, R> => {
    const writer = exchange.startResponse(code, headers)
    if (isValueError(writer)) return writer
    const ended = Effect.suspend(() => fromResult(writer.end(undefined)))
    if (!writer.acceptsContent) return ended
    const error = head === "AtOnce" ? writer.sendHead() : undefined
    if (error !== undefined) return error
    const written = Stream.runForEachChunk(stream, (pieces) => writeChunk(exchange, writer, pieces))
    return Effect.zipRight(written, ended)
  })
