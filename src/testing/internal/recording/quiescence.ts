/**
 * Detection of quiescence, for `settle`.
 *
 * Fibers continue in microtasks, or by `setTimeout` when they yield; bytes in memory are delivered in immediates, those of
 * sockets in the poll phase of the event loop. So a round is one `setTimeout(0)` followed by one `setImmediate`: between
 * them the loop has polled, has emitted all ready events and has run all earlier `setTimeout(0)`. A round without counted
 * activity is idle, and a few idle rounds in a row are quiescence.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Scheduler } from "effect/Scheduler"
import {
  clearImmediate,
  clearTimeout,
  monotonicNow,
  setImmediate,
  setTimeout
} from "../../../internal/host/hostTimers.js"
import { microtaskScheduler } from "../../../internal/runtime/microtaskScheduler.js"
import { isTestClock } from "../server/testClock.js"

/** One suffices in memory; with sockets, the steps of a client between two counted events are not counted. */
const idleRounds = 3

/** Maximum milliseconds of real time to wait for system requests in flight. */
const maxIdleWait = 1000

/**
 * Milliseconds of real time that a connection has to send its first byte: between connect and the first request of a
 * process, `fetch` compiles its parser on another thread.
 */
const firstByteTimeout = 25

/**
 * Resources of `process.getActiveResourcesInfo` that are in flight: file operations, DNS lookups, connects, and immediates,
 * for which one round may be too short. Timers, sockets and other passive resources are not included.
 */
const inFlight = new Set([
  "Immediate",
  "FSReqCallback",
  "FSReqPromise",
  "GetAddrInfoReqWrap",
  "TCPConnectWrap",
  "PipeConnectWrap"
])

const isSystemBusy = (): boolean => process.getActiveResourcesInfo().some((each) => inFlight.has(each))

export class Quiescence {
  private count = 0
  /** Tasks of the counted fibers that are scheduled and have not run. */
  private pendingTasks = 0
  /** Connections that have not sent a byte yet. */
  private readonly awaitingFirstByte = new Set<object>()
  private lastConnectedAt = 0
  /** Values that change without an event: bytes read by a client, or unsent bytes. */
  private readonly gauges = new Set<() => number>()

  readonly onActivity = (): void => {
    this.count++
  }

  /** A new connection, from which a first byte is expected. */
  onConnected(connection: object): void {
    this.onActivity()
    this.awaitingFirstByte.add(connection)
    this.lastConnectedAt = monotonicNow()
  }

  /** A connection has received bytes, or has closed. */
  onReceived(connection: object): void {
    this.onActivity()
    this.awaitingFirstByte.delete(connection)
  }

  /** Includes a value in the detection, until the returned function is called. */
  watch(gauge: () => number): () => void {
    this.gauges.add(gauge)
    return () => {
      this.gauges.delete(gauge)
    }
  }

  private get snapshot(): string {
    return [this.count, ...Array.from(this.gauges, (gauge) => gauge())].join()
  }

  /** The microtask scheduler, with its tasks counted. */
  readonly scheduler: Scheduler = {
    shouldYield: (fiber) => microtaskScheduler.shouldYield(fiber),
    scheduleTask: (task, priority, fiber) => {
      this.count++
      this.pendingTasks++
      microtaskScheduler.scheduleTask(
        () => {
          this.pendingTasks--
          task()
        },
        priority,
        fiber
      )
    }
  }

  private get isPending(): boolean {
    return (
      this.pendingTasks > 0 ||
      (this.awaitingFirstByte.size > 0 && monotonicNow() - this.lastConnectedAt < firstByteTimeout)
    )
  }

  readonly settle: Effect.Effect<void> = Effect.async<void>((resume) => {
    let last = this.snapshot
    let idle = 0
    let since = monotonicNow()
    let timer: NodeJS.Timeout | undefined
    let immediate: NodeJS.Immediate | undefined
    const round = (): void => {
      timer = setTimeout(() => {
        immediate = setImmediate(check)
      }, 0)
    }
    const check = (): void => {
      const now = this.snapshot
      if (now !== last) {
        last = now
        idle = 0
        since = monotonicNow()
      } else if (this.isPending || (isSystemBusy() && monotonicNow() - since < maxIdleWait)) idle = 0
      else idle++
      if (idle < idleRounds) round()
      else resume(Effect.void)
    }
    round()
    return Effect.sync(() => {
      clearTimeout(timer)
      clearImmediate(immediate)
    })
  })
}

const byClock = new WeakMap<Clock.Clock, Quiescence>()

/**
 * The instance of a clock. Servers with the same test clock belong to one test, and settle together, since one may be a
 * client of the other. A real clock is shared by all tests, so each server has its own instance.
 */
export const quiescenceOf = (clock: Clock.Clock): Quiescence => {
  if (!isTestClock(clock)) return new Quiescence()
  const known = byClock.get(clock)
  if (known !== undefined) return known
  const made = new Quiescence()
  byClock.set(clock, made)
  return made
}
