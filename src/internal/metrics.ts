/** Recording of `Metrics` from plain code, outside of fibers, with the tags of a server or of its `serve`. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
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

const classes = [requests["1xx"], requests["2xx"], requests["3xx"], requests["4xx"], requests["5xx"]] as const

type Tags = ReadonlyArray<MetricLabel.MetricLabel>

export class MetricRecorder {
  /** Each metric caches its tagged state by the identity of this array: an update costs no lookup by value. */
  constructor(readonly tags: Tags) {}

  /** The recorder with additional tags. */
  tagged(tags: Tags): MetricRecorder {
    const all = Arr.union(this.tags, tags)
    return all.length === this.tags.length ? this : new MetricRecorder(all)
  }

  /** Adds the tags to the metrics of an effect. */
  tag<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.locallyWith(effect, FiberRef.currentMetricLabels, Arr.union(this.tags))
  }

  connectionOpened(): void {
    connectionsOpen.unsafeModify(1, this.tags)
  }

  connectionClosed(reason: CloseReason): void {
    connectionsOpen.unsafeModify(-1, this.tags)
    connectionsClosed[reason].unsafeUpdate(1, this.tags)
  }

  connectionsPending(change: number): void {
    connectionsPending.unsafeModify(change, this.tags)
  }

  connectionRejected(): void {
    connectionsRejected.unsafeUpdate(1, this.tags)
  }

  proxyHeaderRefused(): void {
    proxyHeaderErrors.unsafeUpdate(1, this.tags)
  }

  tlsHandshakeFailed(): void {
    tlsHandshakeErrors.unsafeUpdate(1, this.tags)
  }

  responseCompleted(status: number): void {
    classes[Math.floor(status / 100) - 1]?.unsafeUpdate(1, this.tags)
  }

  requestAborted(): void {
    requestsAborted.unsafeUpdate(1, this.tags)
  }

  requestHandled(milliseconds: number): void {
    requestDuration.unsafeUpdate(milliseconds / 1000, this.tags)
  }

  bodyBytes(change: number): void {
    bodyBytesHeld.unsafeModify(change, this.tags)
  }

  bodiesWaiting(change: number): void {
    bodiesWaiting.unsafeModify(change, this.tags)
  }

  bodyRejected(): void {
    bodiesRejected.unsafeUpdate(1, this.tags)
  }

  bytesReceived(bytes: number): void {
    bytesReceived.unsafeUpdate(bytes, this.tags)
  }

  bytesSent(bytes: number): void {
    bytesSent.unsafeUpdate(bytes, this.tags)
  }
}

export const untagged = new MetricRecorder([])

/** The recorder with the tags of the fiber (`Effect.tagMetrics`). */
export const currentRecorder: Effect.Effect<MetricRecorder> = Effect.map(
  FiberRef.get(FiberRef.currentMetricLabels),
  (tags) => untagged.tagged(tags)
)
