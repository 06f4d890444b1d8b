/** Recording of `Metrics` from plain code, outside of fibers. */
import type * as MetricLabel from "effect/MetricLabel"
import type { CloseReason } from "../Connection.js"
import {
  bodiesRejected,
  bodiesWaiting,
  bodyBytesHeld,
  bytesReceived,
  bytesSent,
  connectionsClosed,
  connectionsOpen,
  connectionsPending,
  connectionsRejected,
  proxyHeaderErrors,
  requestDuration,
  requests,
  requestsAborted,
  tlsHandshakeErrors
} from "../Metrics.js"

const noTags: ReadonlyArray<MetricLabel.MetricLabel> = []

const classes = [requests["1xx"], requests["2xx"], requests["3xx"], requests["4xx"], requests["5xx"]] as const

export const recordMetrics = {
  connectionOpened: (): void => connectionsOpen.unsafeModify(1, noTags),
  connectionClosed: (reason: CloseReason): void => {
    connectionsOpen.unsafeModify(-1, noTags)
    connectionsClosed[reason].unsafeUpdate(1, noTags)
  },
  connectionsPending: (change: number): void => connectionsPending.unsafeModify(change, noTags),
  connectionRejected: (): void => connectionsRejected.unsafeUpdate(1, noTags),
  proxyHeaderRefused: (): void => proxyHeaderErrors.unsafeUpdate(1, noTags),
  tlsHandshakeFailed: (): void => tlsHandshakeErrors.unsafeUpdate(1, noTags),
  responseCompleted: (status: number): void => classes[Math.floor(status / 100) - 1]?.unsafeUpdate(1, noTags),
  requestAborted: (): void => requestsAborted.unsafeUpdate(1, noTags),
  requestHandled: (milliseconds: number): void => requestDuration.unsafeUpdate(milliseconds / 1000, noTags),
  bodyBytes: (change: number): void => bodyBytesHeld.unsafeModify(change, noTags),
  bodiesWaiting: (change: number): void => bodiesWaiting.unsafeModify(change, noTags),
  bodyRejected: (): void => bodiesRejected.unsafeUpdate(1, noTags),
  bytesReceived: (bytes: number): void => bytesReceived.unsafeUpdate(bytes, noTags),
  bytesSent: (bytes: number): void => bytesSent.unsafeUpdate(bytes, noTags)
}
