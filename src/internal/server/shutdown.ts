/**
 * Graceful shutdown of connections: drain, then interrupt, then give up, each within its timeout; in real time.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { ConnectionRegistry, TrackedConnection } from "../connection/connectionRegistry.js"
import { monotonicNow } from "../host/hostTimers.js"
import { yieldToEventLoop } from "../runtime/effectInterop.js"

/** What became of the connections that were there when a server was closed. */
export interface CloseReport {
  /** Were serving no request, and were closed at once. */
  readonly idle: number
  /** Were serving a request, and ended in time: with its response, or because the client left. */
  readonly drained: number
  /** Were still serving a request when `drainTimeout` had passed, and were interrupted. */
  readonly interrupted: number
  /** Of those that were interrupted: their handlers did not end within `interruptTimeout`, and still run. */
  readonly timedOut: number
}

/** In milliseconds. */
export interface ShutdownTimeouts {
  /** For requests in flight to be completed. */
  readonly drain: number
  /** For interrupted handlers to end. */
  readonly interrupt: number
}

const noConnections: CloseReport = { idle: 0, drained: 0, interrupted: 0, timedOut: 0 }

const isBusy = (connection: TrackedConnection): boolean => connection.isBusy

/** Closes the connections of one request handler, or all there are; completes when none of them is left. */
export const closeConnections = (
  registry: ConnectionRegistry,
  timeouts: ShutdownTimeouts,
  handler?: unknown
): Effect.Effect<CloseReport> => {
  const isOne = (connection: TrackedConnection): boolean => handler === undefined || connection.handler === handler
  const remaining = Effect.sync(() => registry.values.filter(isOne))
  const awaitNone = (milliseconds: number): Effect.Effect<void> =>
    Effect.suspend(() => registry.awaitNone(isOne, monotonicNow() + milliseconds))
  return Effect.gen(function* () {
    const connections = yield* remaining
    if (connections.length === 0) return noConnections
    const busy = connections.filter(isBusy)
    for (const connection of connections) connection.drain()
    // Handlers that race against `awaitShutdown` end in this turn, however short the drain is.
    if (busy.length > 0) yield* yieldToEventLoop
    yield* awaitNone(timeouts.drain)

    const late = yield* remaining
    const interrupted = new Set(late.filter(isBusy))
    for (const connection of late) connection.interrupt("Interrupted")
    // Handlers that end at once when they are interrupted are not counted as timed out, even with `interruptTimeout` 0.
    yield* yieldToEventLoop
    yield* awaitNone(timeouts.interrupt)

    const left = yield* remaining
    // Of the others only the close event of the system is missing.
    const timedOut = left.filter(isBusy).length
    for (const connection of left) connection.giveUp()
    if (timedOut > 0) yield* Effect.logWarning(`interrupted requests that have not ended: ${timedOut}`)

    // A `serve` that ends at the same time, or another close, may have interrupted others before.
    const cut = busy.filter((each) => interrupted.has(each) || each.closeReason === "Interrupted").length
    return { idle: connections.length - busy.length, drained: busy.length - cut, interrupted: cut, timedOut }
  })
}
