/**
 * Effect `Metric`s of the servers of this process: connections, requests, bytes and durations.
 *
 * They are always recorded, at 3 to 25 ns each, and read as any metric: `Metric.value`, `Metric.snapshot`, or an exporter.
 * All servers of a process share them; `Effect.tagMetrics` around a server, its layer or its `serve` adds tags, which are read
 * once. This module records nothing itself.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import type { CloseReason } from "./Connection.js"

const counter = (name: string, description: string): Metric.Metric.Counter<number> =>
  Metric.counter(name, { description, incremental: true })

/**
 * Connections that are being served, including idle ones.
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
 * Connections that were established and wait for admission.
 *
 * @since 0.1.0
 * @category connections
 */
export const connectionsPending: Metric.Metric.Gauge<number> = Metric.gauge("http_server_connections_pending", {
  description: "Connections that wait for admission"
})

/**
 * Connections that were rejected with 503, because the descriptor budget was exhausted.
 *
 * @since 0.1.0
 * @category connections
 */
export const connectionsRejected: Metric.Metric.Counter<number> = counter(
  "http_server_connections_rejected_total",
  "Connections that were rejected with 503"
)

/**
 * Connections that have closed, by `reason`: see `Server.CloseReason`.
 *
 * @since 0.1.0
 * @category connections
 */
export const connectionsClosed: { readonly [Reason in CloseReason]: Metric.Metric.Counter<number> } = (() => {
  const closed = counter("http_server_connections_closed_total", "Connections that have closed, by reason")
  const by = (reason: CloseReason) => Metric.tagged(closed, "reason", reason)
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
 * The class of a status: the tag `status` of `requests`.
 *
 * @since 0.1.0
 * @category requests
 */
export type StatusClass = "1xx" | "2xx" | "3xx" | "4xx" | "5xx"

const completed = counter("http_server_requests_total", "Requests with a complete response, by the class of its status")

/**
 * Requests with a complete response, by the class of its status in the tag `status`; `1xx` are upgrades. Error responses of
 * the server are included, except the 503 of `connectionsRejected`, which belongs to no request. A response that fails
 * midway is not counted: its connection closes as `ResponseFailed`.
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
  "1xx": Metric.tagged(completed, "status", "1xx"),
  "2xx": Metric.tagged(completed, "status", "2xx"),
  "3xx": Metric.tagged(completed, "status", "3xx"),
  "4xx": Metric.tagged(completed, "status", "4xx"),
  "5xx": Metric.tagged(completed, "status", "5xx")
}

/**
 * Requests whose client disconnected before the response was complete; their handlers were interrupted.
 *
 * @since 0.1.0
 * @category requests
 */
export const requestsAborted: Metric.Metric.Counter<number> = counter(
  "http_server_requests_aborted_total",
  "Requests whose client disconnected before the response was complete"
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
 * Bytes of buffered request bodies in memory, as `BodyBudget` counts them.
 *
 * @since 0.1.0
 * @category bodies
 */
export const bodyBytesHeld: Metric.Metric.Gauge<number> = Metric.gauge("http_server_body_bytes_held", {
  description: "Bytes of buffered request bodies in memory"
})

/**
 * Request bodies whose reading is suspended until others are released.
 *
 * @since 0.1.0
 * @category bodies
 */
export const bodiesWaiting: Metric.Metric.Gauge<number> = Metric.gauge("http_server_bodies_waiting", {
  description: "Request bodies whose reading is suspended by the body budget"
})

/**
 * Request bodies whose reading was suspended for too long, and failed with `BodyBudget` (503).
 *
 * @since 0.1.0
 * @category bodies
 */
export const bodiesRejected: Metric.Metric.Counter<number> = counter(
  "http_server_bodies_rejected_total",
  "Request bodies that were rejected by the body budget"
)

/**
 * Bytes received from clients, including heads and framing.
 *
 * @since 0.1.0
 * @category bytes
 */
export const bytesReceived: Metric.Metric.Counter<number> = counter(
  "http_server_received_bytes_total",
  "Bytes received"
)

/**
 * Bytes written to clients, including heads and framing.
 *
 * @since 0.1.0
 * @category bytes
 */
export const bytesSent: Metric.Metric.Counter<number> = counter("http_server_sent_bytes_total", "Bytes sent")

/**
 * TLS handshakes that failed, whatever the reason: see `Tls.Options.onHandshakeError`.
 *
 * @since 0.1.0
 * @category connections
 */
export const tlsHandshakeErrors: Metric.Metric.Counter<number> = counter(
  "http_server_tls_handshake_errors_total",
  "TLS handshakes that failed"
)

/**
 * Connections that were closed because they did not begin with a valid header of the PROXY protocol, or came from a peer that
 * is not trusted: see `Listener.ProxyProtocol`.
 *
 * @since 0.1.0
 * @category connections
 */
export const proxyHeaderErrors: Metric.Metric.Counter<number> = counter(
  "http_server_proxy_header_errors_total",
  "Connections that were closed for lack of a valid PROXY protocol header"
)
