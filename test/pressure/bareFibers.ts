/**
 * What closing cannot be cheaper than: fibers like those of a server's handlers, interrupted with no server around them.
 * A close that waits for finalizers waits for these.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"

/** One of each state in which a handler waits (`states.ts`): five of them, and a stream that waits for its client. */
const kinds: ReadonlyArray<Effect.Effect<void>> = [
  Effect.never,
  Effect.never,
  Effect.sleep(60_000),
  Stream.runDrain(Stream.repeatEffect(Effect.sleep(10))),
  Stream.runForEach(Stream.repeatValue(1), () => Effect.never),
  Stream.runForEach(Stream.repeatEffect(Effect.never), () => Effect.void)
]

/** Milliseconds until `count` fibers that wait have been interrupted and have run their finalizers. */
export const interruptBareFibers = (count: number): Effect.Effect<number> =>
  Effect.gen(function* () {
    const fibers = yield* Effect.forEach(Array.from({ length: count }), (_, i) =>
      Effect.forkDaemon(Effect.ensuring(kinds[i % kinds.length] ?? Effect.never, Effect.void))
    )
    yield* Effect.sleep(200)
    const began = performance.now()
    yield* Fiber.interruptAll(fibers)
    return performance.now() - began
  })
