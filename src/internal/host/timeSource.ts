/**
 * Time source for deadlines: a monotonic clock, and a sleep that test runners do not stop.
 *
 * Under Effect's live clock both are those of Node (`hostTimers.ts`): that clock reads `Date.now`, which NTP and tests set
 * forward and back, and its sleep calls the global `setTimeout`. Any other clock (`TestClock`) is used itself; its time is read
 * in nanoseconds, which are monotonic.
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
  /** Monotonic milliseconds; 70 ns under the live clock, as `Date.now`. */
  readonly now: () => number
  /** Suspends for so many milliseconds. */
  readonly sleep: (milliseconds: number) => Effect.Effect<void>
}

/** Rounded up, since timers truncate to whole milliseconds. A delay above `maxTimer` never ends. */
export const hostSleep = (milliseconds: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (milliseconds > maxTimer) return undefined
    const timer = setTimeout(() => resume(Effect.void), Math.ceil(milliseconds))
    return Effect.sync(() => clearTimeout(timer))
  })

const clockOf = (services: Context.Context<Clock.Clock>): Clock.Clock => Context.get(services, Clock.Clock)

/**
 * Prototypes of Effect's live clocks. A process may have two instances of Effect, by `import` and by `require`; the first one
 * loaded creates the default clock of fibers.
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

/** Whether a clock is a live clock, created by `Clock.make`. */
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
