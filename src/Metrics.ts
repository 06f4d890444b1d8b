/**
 * What the servers of this process count, as Effect `Metric`s: connections, requests, bytes, and how long handlers take.
 *
 * They are counted always, in 3 to 25 ns each, and read as any metric: `Metric.value`, `Metric.snapshot`, or an exporter.
 * All servers of a process count in the same ones. This module counts nothing itself, and keeps no history.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import type { CloseReason } from "./internal/closeReason.js"

const counter = (name: string, description: string): Metric.Metric.Counter<number> =>
  Metric.counter(name, { description, incremental: true })

/**
 * Connections that are being served, idle ones among them.
 *
 * @example
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { Metrics } from "effect-asynchttpserver"
 *
 * const { value } = await Effect.runPromise(Metric.value(Metrics.connectionsOpen))
 * console.log(value)
 * // 0
 * ```
 *
 * @since 0.1.0
 * @category connections
 */
export const connectionsOpen: Metric.Metric.Gauge<number> = Metric.gauge("http_server_connections_open", {
  description: "Connections that are being served"
})

/**
 * Connections that have arrived and wait to be taken.
 *
 * @since 0.1.0
 * @category connections
 */
export const connectionsPending: Metric.Metric.Gauge<number> = Metric.gauge("http_server_connections_waiting", {
  description: "Connections that wait to be taken"
})

/**
 * Connections that were answered 503 at once, because there was no room for them.
 *
 * @since 0.1.0
 * @category connections
 */
export const connectionsRejected: Metric.Metric.Counter<number> = counter(
  "http_server_connections_refused_total",
  "Connections that were answered 503 for want of room"
)

/**
 * Connections that have ended, by `reason`: see `Server.CloseReason`.
 *
 * @since 0.1.0
 * @category connections
 */
export const connectionsClosed: { readonly [Reason in CloseReason]: Metric.Metric.Counter<number> } = (() => {
  const ended = counter("http_server_connections_ended_total", "Connections that have ended, by reason")
  const by = (reason: CloseReason) => Metric.tagged(ended, "reason", reason)
  return {
    ClosedByClient: by("ClosedByClient"),
    ClosedByServer: by("ClosedByServer"),
    BadRequest: by("BadRequest"),
    TimedOut: by("TimedOut"),
    ClientAborted: by("ClientAborted"),
    ResponseFailed: by("ResponseFailed"),
    Upgraded: by("Upgraded"),
    Interrupted: by("Interrupted")
  }
})()

/**
 * The class of a status, as the tag of `requests` has it.
 *
 * @since 0.1.0
 * @category requests
 */
export type StatusClass = "1xx" | "2xx" | "3xx" | "4xx" | "5xx"

const answered = counter("http_server_requests_total", "Requests that were answered, by the class of their status")

/**
 * Requests that were answered, by the class of their status in the tag `status`; `1xx` are upgrades. What the server
 * answers by itself counts too, but for the 503 of `connectionsRefused`, who have asked nothing; an answer that breaks off
 * midway is none, and its connection ends as `Broken`.
 *
 * @example
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { Metrics } from "effect-asynchttpserver"
 *
 * const { count } = await Effect.runPromise(Metric.value(Metrics.requests["5xx"]))
 * console.log(count)
 * // 0
 * ```
 *
 * @since 0.1.0
 * @category requests
 */
export const requests: { readonly [Class in StatusClass]: Metric.Metric.Counter<number> } = {
  "1xx": Metric.tagged(answered, "status", "1xx"),
  "2xx": Metric.tagged(answered, "status", "2xx"),
  "3xx": Metric.tagged(answered, "status", "3xx"),
  "4xx": Metric.tagged(answered, "status", "4xx"),
  "5xx": Metric.tagged(answered, "status", "5xx")
}

/**
 * Requests whose client left before they were answered; their handlers were interrupted.
 *
 * @since 0.1.0
 * @category requests
 */
export const requestsAborted: Metric.Metric.Counter<number> = counter(
  "http_server_requests_aborted_total",
  "Requests whose client left before they were answered"
)

/**
 * Duration of handlers with their finalizers, in seconds of the `Clock`, unaffected by changes of the wall clock. The
 * boundaries are those that OpenTelemetry advises for `http.server.request.duration`. Handlers that only `respond` are
 * not measured: they end before a clock could resolve it.
 *
 * @since 0.1.0
 * @category requests
 */
export const requestDuration: Metric.Metric.Histogram<number> = Metric.histogram(
  "http_server_request_duration_seconds",
  MetricBoundaries.fromIterable([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]),
  "Duration of request handlers, in seconds"
)

/**
 * Bytes of request bodies that are in memory because they are read whole: what `BodyBudget` counts.
 *
 * @since 0.1.0
 * @category bodies
 */
export const bodyBytesHeld: Metric.Metric.Gauge<number> = Metric.gauge("http_server_body_bytes_held", {
  description: "Bytes of request bodies that are read whole"
})

/**
 * Request bodies whose reading waits until others have been given back.
 *
 * @since 0.1.0
 * @category bodies
 */
export const bodiesWaiting: Metric.Metric.Gauge<number> = Metric.gauge("http_server_bodies_waiting", {
  description: "Request bodies whose reading waits for memory"
})

/**
 * Request bodies that have waited for too long, and whose reading failed with `BodyBudget` (503).
 *
 * @since 0.1.0
 * @category bodies
 */
export const bodiesRefused: Metric.Metric.Counter<number> = counter(
  "http_server_bodies_refused_total",
  "Request bodies that were not read for want of memory"
)

/**
 * Bytes that clients have sent, heads and framing among them.
 *
 * @since 0.1.0
 * @category bytes
 */
export const bytesReceived: Metric.Metric.Counter<number> = counter(
  "http_server_received_bytes_total",
  "Bytes received"
)

/**
 * Bytes that were written to clients, heads and framing among them.
 *
 * @since 0.1.0
 * @category bytes
 */
export const bytesSent: Metric.Metric.Counter<number> = counter("http_server_sent_bytes_total", "Bytes sent")
