/**
 * The time by which deadlines go: a clock that cannot jump, and a sleep that no test runner stops.
 *
 * Under Effect's live clock both are Node's own (`host.ts`): `Date.now`, which that clock reads, is set forward and back by
 * NTP and by tests, and its sleep looks `setTimeout` up when it is called. Under any other clock (`TestClock`) both are
 * that clock's, and its time is its nanoseconds, which are the monotonic ones of the two that a `Clock` has.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRefs from "effect/FiberRefs"
import { clearTimeout, maxTimer, monotonicNow, setTimeout } from "./hostTimers.js"

export interface TimeSource {
  /** The same time for what Effect itself schedules, with the wall clock of the fiber. */
  readonly clock: Clock.Clock
  /** Milliseconds since some moment, never set back or forward; 70 ns under the live clock, as `Date.now`. */
  readonly now: () => number
  /** Waits for so many milliseconds. */
  readonly sleep: (milliseconds: number) => Effect.Effect<void>
}

/** Rounded up: a timer counts whole milliseconds, and cuts the rest off. More than it can count is waited for without end. */
export const hostSleep = (milliseconds: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (milliseconds > maxTimer) return undefined
    const timer = setTimeout(() => resume(Effect.void), Math.ceil(milliseconds))
    return Effect.sync(() => clearTimeout(timer))
  })

const clockOf = (services: Context.Context<Clock.Clock>): Clock.Clock => Context.get(services, Clock.Clock)

/**
 * What makes Effect's live clocks. Of Effect there may be two instances in a process, by `import` and by `require`: the
 * one that was loaded first has made the clock that fibers have by default.
 */
const liveClocks: ReadonlyArray<unknown> = [
  clockOf(DefaultServices.liveServices),
  clockOf(FiberRefs.getOrDefault(FiberRefs.empty(), DefaultServices.currentServices))
].map((clock) => Object.getPrototypeOf(clock))

/** An Effect clock over the host's timers. */
const hostClock = (live: Clock.Clock): Clock.Clock => ({
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => live.unsafeCurrentTimeMillis(),
  unsafeCurrentTimeNanos: () => live.unsafeCurrentTimeNanos(),
  currentTimeMillis: live.currentTimeMillis,
  currentTimeNanos: live.currentTimeNanos,
  sleep: (duration) => hostSleep(Duration.toMillis(duration))
})

/** Whether `Clock.make` has made it. */
const isLive = (clock: Clock.Clock): boolean => liveClocks.includes(Object.getPrototypeOf(clock))

export const timeSourceOf = (clock: Clock.Clock): TimeSource =>
  isLive(clock)
    ? { clock: hostClock(clock), now: monotonicNow, sleep: hostSleep }
    : {
        clock,
        now: () => Number(clock.unsafeCurrentTimeNanos()) / 1e6,
        sleep: (milliseconds) => clock.sleep(Duration.millis(milliseconds))
      }

/** The time source of the fiber. */
export const timeSource: Effect.Effect<TimeSource> = Effect.map(Effect.clock, timeSourceOf)
