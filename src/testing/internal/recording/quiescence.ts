/**
 * Whether anything still happens: what `settle` waits for.
 *
 * Fibers go on by microtasks; bytes in memory by immediates, and those of sockets in the event loop's poll phase; a fiber
 * that has gone on for long by `setTimeout`. So a round is one timer of Node's shortest kind and one immediate behind it: between them the
 * loop has polled, whatever was ready has been told, and every timer that was set to "at once" before it has fired. Rounds
 * in which nothing was counted are quiet, and a few of them in a row are an end.
 *
 * @internal
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

/** In memory one would do; a socket's bytes pass through the client, which nobody counts, between two that are counted. */
const idleRounds = 3

/** Milliseconds of real time that are waited for the system to do what it was asked to. */
const maxIdleWait = 1000

/**
 * Milliseconds of real time that a connection has to send its first byte: `fetch` compiles its parser, once a process,
 * on another thread between the connection and its first request.
 */
const firstByteTimeout = 25

/**
 * What the system has been asked to do and will tell the end of: files, names, connections; and what is to go on in the
 * loop's next turn, which a round may be too short for. The words are Node's, as `process.getActiveResourcesInfo` gives them;
 * timers, sockets and what only waits are not among them.
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
  /** Tasks of handlers' fibers that have been scheduled and have not run. */
  private pendingTasks = 0
  /** When connections came that have not sent anything yet. */
  private readonly awaitingFirstByte = new Set<object>()
  private lastConnectedAt = 0
  /** What changes without an event: bytes that are read by a client, or that leave for one. */
  private readonly gauges = new Set<() => number>()

  /** Something has happened. */
  readonly onActivity = (): void => {
    this.count++
  }

  /** A connection has come, of which a first byte is expected. */
  onConnected(connection: object): void {
    this.onActivity()
    this.awaitingFirstByte.add(connection)
    this.lastConnectedAt = monotonicNow()
  }

  /** A connection has sent something, or has gone. */
  onReceived(connection: object): void {
    this.onActivity()
    this.awaitingFirstByte.delete(connection)
  }

  /** Looks at a number too, until it is told not to. */
  watch(gauge: () => number): () => void {
    this.gauges.add(gauge)
    return () => {
      this.gauges.delete(gauge)
    }
  }

  private get snapshot(): string {
    return [this.count, ...Array.from(this.gauges, (gauge) => gauge())].join()
  }

  /** The scheduler of handlers, counted. */
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
    return this.pendingTasks > 0 || (this.awaitingFirstByte.size > 0 && monotonicNow() - this.lastConnectedAt < firstByteTimeout)
  }

  /** Waits until nothing happens any more, in real time. */
  readonly settle: Effect.Effect<void> = Effect.async<void>((resume) => {
    let seen = this.snapshot
    let quiet = 0
    let since = monotonicNow()
    let timer: NodeJS.Timeout | undefined
    let immediate: NodeJS.Immediate | undefined
    const round = (): void => {
      timer = setTimeout(() => {
        immediate = setImmediate(look)
      }, 0)
    }
    const look = (): void => {
      const now = this.snapshot
      if (now !== seen) {
        seen = now
        quiet = 0
        since = monotonicNow()
      } else if (this.isPending || (isSystemBusy() && monotonicNow() - since < maxIdleWait)) quiet = 0
      else quiet++
      if (quiet < idleRounds) round()
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
 * Servers of one test clock are of one test, and settle together, since one may be the other's client. A clock that goes
 * by itself is everybody's.
 */
export const quiescenceOf = (clock: Clock.Clock): Quiescence => {
  if (!isTestClock(clock)) return new Quiescence()
  const known = byClock.get(clock)
  if (known !== undefined) return known
  const made = new Quiescence()
  byClock.set(clock, made)
  return made
}
