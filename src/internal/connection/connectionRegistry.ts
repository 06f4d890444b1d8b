/**
 * The connections being served, and how all of them are ended.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { CloseReason } from "../../Connection.js"
import type { HasDeadline } from "./deadlineTimer.js"
import { clearTimeout, maxTimer, monotonicNow, setTimeout } from "../host/hostTimers.js"
import { recordMetrics } from "../metrics.js"
import { Signal, yieldToEventLoop } from "../runtime/effectInterop.js"
import { type Indexed, SwapRemoveSet } from "../runtime/swapRemoveSet.js"

/** A connection, as far as ending it goes. */
export interface TrackedConnection extends Indexed, HasDeadline {
  /** Whom it was accepted for. */
  readonly handler: unknown
  readonly isBusy: boolean
  /** Why it ends, if it does. */
  readonly closeReason: CloseReason | undefined
  readonly drain: () => void
  readonly interrupt: (reason: CloseReason) => void
  /** Gives up a handler that does not end: its connection is closed, and nobody waits for it any more. */
  readonly giveUp: () => void
}

/** What became of the connections that were there when a server was closed. */
export interface CloseReport {
  /** Were serving no request, and were ended at once. */
  readonly idle: number
  /** Were serving one, and ended in time: they answered it, or their client left. */
  readonly drained: number
  /** Were still serving when the time was over, and were interrupted. */
  readonly interrupted: number
  /** Of those that were interrupted: their handlers did not end in time, and were left to themselves. */
  readonly timedOut: number
}

/** Of a server that had no connection: there is nothing to be waited for. */
const noConnections: CloseReport = { idle: 0, drained: 0, interrupted: 0, timedOut: 0 }

/** How a server ends its connections, in milliseconds of real time. */
export interface ShutdownTimeouts {
  /** For requests in flight to be answered. */
  readonly drain: number
  /** For interrupted handlers to end. */
  readonly interrupt: number
}

export class ConnectionRegistry {
  private readonly connections = new SwapRemoveSet<TrackedConnection>()
  private readonly ended = new Signal()

  get isEmpty(): boolean {
    return this.connections.size === 0
  }

  get values(): ReadonlyArray<TrackedConnection> {
    return this.connections.values
  }

  /** Waits until one of them has ended. */
  awaitEnd(): Effect.Effect<void> {
    return this.ended.waitOrLeave()
  }

  add(connection: TrackedConnection): void {
    recordMetrics.connectionOpened()
    this.connections.add(connection)
  }

  remove(connection: TrackedConnection, reason: CloseReason): void {
    if (connection.index < 0) return
    recordMetrics.connectionClosed(reason)
    this.connections.remove(connection)
    this.ended.wake()
  }

  /**
   * Lets requests in flight finish, then interrupts them, then gives up; returns when all are gone: all there are, or those
   * of one service.
   */
  close({ drain, interrupt }: ShutdownTimeouts, service?: unknown): Effect.Effect<CloseReport> {
    const isThis = (connection: TrackedConnection): boolean => service === undefined || connection.handler === service
    const isGone = (): boolean => !this.connections.some(isThis)
    const those = (): ReadonlyArray<TrackedConnection> => this.values.filter(isThis)
    const interrupted = Effect.suspend(() => {
      const late = those()
      const serving = new Set(late.filter(({ isBusy }) => isBusy))
      for (const connection of late) connection.interrupt("Interrupted")
      // Who ends when he is interrupted has the turn that it takes, however short the patience.
      return Effect.as(Effect.zipRight(yieldToEventLoop, this.within(interrupt, isGone)), serving)
    })
    const timedOut = Effect.suspend(() => {
      const left = those()
      // Of the others nothing is left but the system's word that they have closed.
      const count = countBusy(left)
      for (const connection of left) connection.giveUp()
      return Effect.as(
        count === 0 ? Effect.void : Effect.logWarning(`interrupted requests that have not ended: ${count}`),
        count
      )
    })
    const ended = Effect.gen(this, function* () {
      const there = those()
      const busy = there.filter(({ isBusy }) => isBusy)
      for (const connection of there) connection.drain()
      // Handlers that wait for the shutdown have the turn that they need to end, however short the drain.
      if (busy.length > 0) yield* yieldToEventLoop
      yield* this.within(drain, isGone)
      const late = yield* interrupted
      // A `serve` that ends at the same time, or another close, may have interrupted others before.
      const cut = busy.filter((each) => late.has(each) || each.closeReason === "Interrupted").length
      return {
        idle: there.length - busy.length,
        drained: busy.length - cut,
        interrupted: cut,
        timedOut: yield* timedOut
      }
    })
    return Effect.suspend(() => (isGone() ? Effect.succeed(noConnections) : ended))
  }

  private within(milliseconds: number, isSo: () => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (milliseconds <= 0) return Effect.void
      const until = monotonicNow() + milliseconds
      // Beyond what a timer can count it is without end.
      const timer = milliseconds < maxTimer ? setTimeout(() => this.ended.wake(), milliseconds + 1) : undefined
      return Effect.ensuring(
        this.until(() => isSo() || monotonicNow() >= until),
        Effect.sync(() => clearTimeout(timer))
      )
    })
  }

  private until(isSo: () => boolean): Effect.Effect<void> {
    return Effect.suspend(() => (isSo() ? Effect.void : Effect.zipRight(this.ended.wait(), this.until(isSo))))
  }
}

const countBusy = (connections: ReadonlyArray<TrackedConnection>): number =>
  connections.filter((connection) => connection.isBusy).length
