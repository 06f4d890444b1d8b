/**
 * The connections that are served now.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { CloseReason } from "../../Connection.js"
import { clearTimeout, maxTimer, monotonicNow, setTimeout } from "../host/hostTimers.js"
import { recordMetrics } from "../metrics.js"
import { Signal } from "../runtime/effectInterop.js"
import { type Indexed, SwapRemoveSet } from "../runtime/swapRemoveSet.js"
import type { HasDeadline } from "./deadlineTimer.js"

/** A connection, as far as ending it goes. */
export interface TrackedConnection extends Indexed, HasDeadline {
  /** What serves its requests: identifies the connections of one `serve`. */
  readonly handler: unknown
  readonly isBusy: boolean
  /** Why it ends, if it does. */
  readonly closeReason: CloseReason | undefined
  readonly drain: () => void
  readonly interrupt: (reason: CloseReason) => void
  /** Gives up a handler that does not end: the connection is closed, and no longer tracked. */
  readonly giveUp: () => void
}

export class ConnectionRegistry {
  private readonly connections = new SwapRemoveSet<TrackedConnection>()
  private readonly ended = new Signal()

  get isEmpty(): boolean {
    return this.connections.size === 0
  }

  /** A snapshot. */
  get values(): ReadonlyArray<TrackedConnection> {
    return this.connections.values
  }

  /** Waits until a connection has ended. */
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

  /** Waits until no connection is left that fulfils a condition, or until a moment of the host's monotonic clock. */
  awaitNone(isOne: (connection: TrackedConnection) => boolean, until: number): Effect.Effect<void> {
    const isOver = (): boolean => !this.connections.some(isOne) || monotonicNow() >= until
    const ended: Effect.Effect<void> = Effect.suspend(() =>
      isOver() ? Effect.void : Effect.zipRight(this.ended.wait(), ended)
    )
    return Effect.acquireUseRelease(
      Effect.sync(() => this.wakeAt(until)),
      () => ended,
      (timer) => Effect.sync(() => clearTimeout(timer))
    )
  }

  private wakeAt(moment: number): NodeJS.Timeout | undefined {
    const milliseconds = moment - monotonicNow()
    // Beyond what a timer can count it is without end.
    return milliseconds < maxTimer ? setTimeout(() => this.ended.wake(), milliseconds + 1) : undefined
  }
}
