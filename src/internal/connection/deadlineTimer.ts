/**
 * One timer for the deadlines of all connections of a server: a fiber that sleeps until the earliest, then checks them all.
 *
 * A connection moves its deadline by writing a number; the timer is rescheduled only for a deadline that is earlier than its
 * next run. An `Effect.timeout` per read would cost 52 µs. No timer is armed while no deadline is set.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import { maxTimer } from "../host/hostTimers.js"
import { type TimeSource, timeSourceOf } from "../host/timeSource.js"
import { formatDate } from "../http1/date.js"
import { interruptAsFork } from "../runtime/effectInterop.js"

/** An object with a deadline, in milliseconds of the time source; `Infinity` for none. */
export interface HasDeadline {
  readonly deadline: () => number
  readonly onDeadline: (now: number) => void
}

export class DeadlineTimer {
  private wakeAt = Number.POSITIVE_INFINITY
  private timerFiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  private readonly time: TimeSource

  constructor(
    private readonly clock: Clock.Clock,
    private readonly runtime: Runtime.Runtime<never>,
    /** The objects that may have a deadline. */
    private readonly connections: { readonly values: ReadonlyArray<HasDeadline> }
  ) {
    this.time = timeSourceOf(clock)
  }

  /** The time of the deadlines, which is monotonic. */
  now(): number {
    return this.time.now()
  }

  /** The value of `Date` (RFC 9110 §6.6.1), from the wall clock. */
  date(): string {
    return formatDate(this.clock.unsafeCurrentTimeMillis())
  }

  /** Must be called when a deadline was set to this time. A later deadline costs a comparison. */
  schedule(at: number): void {
    if (at < this.wakeAt) this.sleepUntil(at)
  }

  /** Stops the timer until a deadline is set again. */
  stop(): void {
    this.sleepUntil(Number.POSITIVE_INFINITY)
  }

  private sleepUntil(at: number): void {
    if (this.timerFiber !== undefined) interruptAsFork(this.timerFiber)
    this.timerFiber = undefined
    this.wakeAt = at
    if (at === Number.POSITIVE_INFINITY) return
    const asleep = this.time.sleep(Math.min(maxTimer, Math.max(0, at - this.now())))
    const sweep = Effect.zipRight(
      asleep,
      Effect.sync(() => this.sweep())
    )
    this.timerFiber = Runtime.runFork(this.runtime)(Effect.interruptible(sweep))
  }

  private sweep(): void {
    const now = this.now()
    let earliest = Number.POSITIVE_INFINITY
    for (const connection of this.connections.values) {
      if (connection.deadline() <= now) connection.onDeadline(now)
      earliest = Math.min(earliest, connection.deadline())
    }
    this.timerFiber = undefined
    this.sleepUntil(earliest)
  }
}
