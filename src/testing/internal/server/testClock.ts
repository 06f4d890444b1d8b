/**
 * Time that passes only when nothing else happens.
 *
 * @internal
 */
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Number from "effect/Number"
import * as Option from "effect/Option"
import type * as TestClock from "effect/TestClock"

export const isTestClock = (clock: Clock.Clock): clock is TestClock.TestClock => "setTime" in clock && "sleeps" in clock

/** When the next sleeper is due, of those that are not due already. */
const nextAfter = (now: number, sleeps: Chunk.Chunk<number>): number =>
  Option.getOrElse(
    Option.map(
      Chunk.head(
        Chunk.sort(
          Chunk.filter(sleeps, (at) => at > now),
          Number.Order
        )
      ),
      (at) => at
    ),
    () => globalThis.Number.POSITIVE_INFINITY
  )

/**
 * `TestClock.adjust` by itself wakes whoever sleeps when it is called: what a handler goes to sleep for behind that, having
 * been woken, having read, would count from the end. So the clock goes from sleeper to sleeper.
 */
export const advanceClock = (settle: Effect.Effect<void>, duration: Duration.DurationInput): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    if (!isTestClock(clock)) {
      return Effect.die(new Error("advance moves the TestClock: run the test by it.effect or it.scoped"))
    }
    const until = (end: number): Effect.Effect<void> =>
      Effect.flatMap(clock.sleeps, (sleeps) => {
        const next = nextAfter(clock.unsafeCurrentTimeMillis(), sleeps)
        const moved = Effect.zipRight(clock.setTime(Math.min(next, end)), settle)
        return next < end ? Effect.zipRight(moved, until(end)) : moved
      })
    return Effect.zipRight(
      settle,
      Effect.suspend(() => until(clock.unsafeCurrentTimeMillis() + Duration.toMillis(duration)))
    )
  })
