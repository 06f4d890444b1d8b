/** Interruption of an effect between any two of its steps: where the scheduler may make a fiber yield. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Scheduler } from "effect/Scheduler"
import { eventLoopTurns } from "../support/eventually.js"

/** More steps than what is tested has before it waits or ends. */
export const allSteps: ReadonlyArray<number> = Array.from({ length: 80 }, (_, i) => i + 1)

/** Runs an effect for that many steps, interrupts it there, and waits for its end. One that is suspended or ends sooner is interrupted then. */
export const interruptedAt = <A, E, R>(effect: Effect.Effect<A, E, R>, step: number): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    let steps = 0
    let resume: (() => void) | undefined
    const scheduler: Scheduler = {
      shouldYield: () => (++steps === step ? 0 : false),
      scheduleTask: (task) => {
        if (steps === step && resume === undefined) resume = task
        else queueMicrotask(task)
      }
    }
    const fiber = yield* Effect.fork(Effect.withScheduler(effect, scheduler))
    yield* eventLoopTurns(2)
    yield* Fiber.interruptFork(fiber)
    yield* eventLoopTurns(1)
    resume?.()
    yield* Fiber.await(fiber)
  })
