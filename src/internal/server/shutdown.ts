/** Graceful shutdown of connections: drain, then interrupt, then give up, each within its timeout, in real time. */
import * as Effect from "effect/Effect"
import type { ConnectionRegistry, TrackedConnection } from "../connection/connectionRegistry.js"
import { monotonicNow } from "../host/hostTimers.js"
import { yieldToEventLoop } from "../runtime/effectInterop.js"

/** The outcome of a shutdown: counts of the connections that were open when it began. */
export interface CloseReport {
  /** Served no request, and were closed at once. */
  readonly idle: number
  /** Served a request, and ended within `drainTimeout`: with its response, or because the client disconnected. */
  readonly drained: number
  /** Still served a request after `drainTimeout`, and were interrupted. */
  readonly interrupted: number
  /** Of the interrupted ones: the handler did not end within `interruptTimeout`, and still runs. */
  readonly timedOut: number
}

/** In milliseconds. */
interface ShutdownTimeouts {
  /** For requests in flight to be completed. */
  readonly drain: number
  /** For interrupted handlers to end. */
  readonly interrupt: number
}

const noConnections: CloseReport = { idle: 0, drained: 0, interrupted: 0, timedOut: 0 }

const isBusy = (connection: TrackedConnection): boolean => connection.isBusy

/** Closes the connections of one handler, or all; completes when none of them remains. */
export const closeConnections = (
  registry: ConnectionRegistry,
  timeouts: ShutdownTimeouts,
  handler?: unknown
): Effect.Effect<CloseReport> => {
  const matches = (connection: TrackedConnection): boolean => handler === undefined || connection.handler === handler
  const remaining = Effect.sync(() => registry.values.filter(matches))
  const awaitNone = (milliseconds: number): Effect.Effect<void> =>
    Effect.suspend(() => registry.awaitNone(matches, monotonicNow() + milliseconds))
  return Effect.gen(function* () {
    const connections = yield* remaining
    if (connections.length === 0) return noConnections
    const busy = connections.filter(isBusy)
    for (const connection of connections) connection.beginShutdown()
    // Yield once, so that handlers which race against `awaitShutdown` are drained, even with `drainTimeout: 0`.
    if (busy.length > 0) yield* yieldToEventLoop
    yield* awaitNone(timeouts.drain)

    const late = yield* remaining
    const interrupted = new Set(late.filter(isBusy))
    for (const connection of late) connection.interrupt("Interrupted")
    // Yield once, so that handlers which end at once are not counted as timed out, even with `interruptTimeout: 0`.
    yield* yieldToEventLoop
    yield* awaitNone(timeouts.interrupt)

    const unfinished = yield* remaining
    // The others lack only the `close` event of their socket.
    const timedOut = unfinished.filter(isBusy).length
    for (const connection of unfinished) connection.giveUp()
    if (timedOut > 0) yield* Effect.logWarning(`handlers still running after interruptTimeout: ${timedOut}`)

    // A `serve` that ends at the same time, or another `close`, may have interrupted others before.
    const count = busy.filter((each) => interrupted.has(each) || each.closeReason === "Interrupted").length
    return { idle: connections.length - busy.length, drained: busy.length - count, interrupted: count, timedOut }
  })
}
