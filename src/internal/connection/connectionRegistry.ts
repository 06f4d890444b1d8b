/** The registry of a server's connections. */
import * as Effect from "effect/Effect"
import type { CloseReason } from "../../Connection.js"
import { clearTimeout, maxTimer, monotonicNow, setTimeout } from "../host/hostTimers.js"
import { recordMetrics } from "../metrics.js"
import { Signal } from "../runtime/effectInterop.js"
import { type Indexed, SwapRemoveSet } from "../runtime/swapRemoveSet.js"
import type { HasDeadline } from "./deadlineTimer.js"

/** What the shutdown of a server requires of a connection. */
export interface TrackedConnection extends Indexed, HasDeadline {
  /** The request handler: identifies the connections of one `serve`. */
  readonly handler: unknown
  readonly isBusy: boolean
  /** Why it closes, once it does. */
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

  get values(): ReadonlyArray<TrackedConnection> {
    return this.connections.values
  }

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

  /** Completes when no connection matches, or at a time of the host's monotonic clock. */
  awaitNone(matches: (connection: TrackedConnection) => boolean, until: number): Effect.Effect<void> {
    const awaitDone = this.ended.until(() =>
      this.connections.some(matches) && monotonicNow() < until ? undefined : Effect.void
    )
    return Effect.acquireUseRelease(
      Effect.sync(() => this.wakeAt(until)),
      () => awaitDone,
      (timer) => Effect.sync(() => clearTimeout(timer))
    )
  }

  private wakeAt(time: number): NodeJS.Timeout | undefined {
    const milliseconds = time - monotonicNow()
    // A longer timer would overflow: there is none.
    return milliseconds < maxTimer ? setTimeout(() => this.ended.wake(), Math.max(1, milliseconds + 1)) : undefined
  }
}
