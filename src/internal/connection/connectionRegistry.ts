/** The registry of a server's connections. */
import * as Effect from "effect/Effect"
import type { CloseReason } from "../../Connection.js"
import { clearTimeout, maxTimer, monotonicNow, setTimeout } from "../host/hostTimers.js"
import type { MetricRecorder } from "../metrics.js"
import { Signal } from "../runtime/effectInterop.js"
import { type Indexed, SwapRemoveSet } from "../runtime/swapRemoveSet.js"
import type { HasDeadline } from "./deadlineTimer.js"

/** What the shutdown of a server requires of a connection. */
export interface TrackedConnection extends Indexed, HasDeadline {
  /** Identifies the connections of one `serve`. */
  readonly handler: unknown
  readonly metrics: MetricRecorder
  readonly isBusy: boolean
  /** Why it closes, once it does. */
  readonly closeReason: CloseReason | undefined
  readonly beginShutdown: () => void
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
    connection.metrics.connectionOpened()
    this.connections.add(connection)
  }

  remove(connection: TrackedConnection, reason: CloseReason): void {
    if (connection.index < 0) return
    connection.metrics.connectionClosed(reason)
    this.connections.remove(connection)
    this.ended.wake()
  }

  /** Completes when no connection matches, or at a time of the host's monotonic clock. */
  awaitNone(matches: (connection: TrackedConnection) => boolean, until: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      // Not compared with the clock again: a timer may fire up to a millisecond early, and fires once.
      let isLate = monotonicNow() >= until
      const expire = (): void => {
        isLate = true
        this.ended.wake()
      }
      const awaitDone = this.ended.until(() => (!isLate && this.connections.some(matches) ? undefined : Effect.void))
      return Effect.acquireUseRelease(
        Effect.sync(() => timerUntil(until, expire)),
        () => awaitDone,
        (timer) => Effect.sync(() => clearTimeout(timer))
      )
    })
  }
}

/** A timer of the host; a longer one than `maxTimer` would overflow, so there is none. */
const timerUntil = (time: number, expire: () => void): NodeJS.Timeout | undefined => {
  const milliseconds = time - monotonicNow()
  return milliseconds < maxTimer ? setTimeout(expire, Math.ceil(milliseconds)) : undefined
}
