/** Advancing the `TestClock` only when the test is quiescent. */
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as TestClock from "effect/TestClock"

export const isTestClock = (clock: Clock.Clock): clock is TestClock.TestClock => "setTime" in clock && "sleeps" in clock

/** The earliest wake-up time after now. */
const nextAfter = (now: number, sleeps: Chunk.Chunk<number>): number =>
  Chunk.reduce(sleeps, Number.POSITIVE_INFINITY, (next, at) => (at > now ? Math.min(next, at) : next))

/**
 * Moves the clock from one wake-up to the next. `TestClock.adjust` wakes only the fibers that sleep when it is called: a
 * further sleep of a handler would count from the end of the adjustment.
 */
export const advanceClock = (settle: Effect.Effect<void>, duration: Duration.DurationInput): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    if (!isTestClock(clock)) {
      return Effect.die(new Error("advance requires the TestClock: run the test with it.effect or it.scoped"))
    }
    const advanceTo = (end: number): Effect.Effect<void> =>
      Effect.flatMap(clock.sleeps, (sleeps) => {
        const next = nextAfter(clock.unsafeCurrentTimeMillis(), sleeps)
        const moved = Effect.zipRight(clock.setTime(Math.min(next, end)), settle)
        return next < end ? Effect.zipRight(moved, advanceTo(end)) : moved
      })
    return Effect.zipRight(
      settle,
      Effect.suspend(() => advanceTo(clock.unsafeCurrentTimeMillis() + Duration.toMillis(duration)))
    )
  })
