/**
 * The deadlines of a server's connections: one sweep for all of them, asleep until the earliest is due.
 *
 * A connection moves its deadline by writing a number; the sweep is touched only when a deadline comes nearer than
 * the next look, and then once. An `Effect.timeout` a read would cost 52 µs. Nothing is armed while nothing can be due.
 *
 * @internal
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import { maxTimer } from "../host/hostTimers.js"
import { type TimeSource, timeSourceOf } from "../host/timeSource.js"
import { formatDate } from "../http1/date.js"
import { interruptAsFork } from "../runtime/effectInterop.js"

/** Something that is due at a time, in milliseconds of the time source; `Infinity` when it is not. */
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
    /** Whoever may have one. */
    private readonly members: { readonly values: ReadonlyArray<HasDeadline> }
  ) {
    this.time = timeSourceOf(clock)
  }

  /** The time by which deadlines go: it never jumps. */
  now(): number {
    return this.time.now()
  }

  /** The value of `Date` (RFC 9110 §6.6.1), which goes by the wall clock. */
  date(): string {
    return formatDate(this.clock.unsafeCurrentTimeMillis())
  }

  /** To be called when a deadline was set to this time. One that moves away costs a comparison. */
  schedule(at: number): void {
    if (at < this.wakeAt) this.sleepUntil(at)
  }

  /** Ends the sweep: nothing is due until a deadline is set again. */
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
    for (const due of this.members.values) {
      if (due.deadline() <= now) due.onDeadline(now)
      earliest = Math.min(earliest, due.deadline())
    }
    this.timerFiber = undefined
    this.sleepUntil(earliest)
  }
}
