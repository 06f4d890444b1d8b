/**
 * Counting from plain code: the metrics of `Metrics`, updated outside of any fiber.
 *
 * @internal
 */
import type * as MetricLabel from "effect/MetricLabel"
import {
  bodiesRefused,
  bodiesWaiting,
  bodyBytesHeld,
  bytesReceived,
  bytesSent,
  connectionsEnded,
  connectionsOpen,
  connectionsRefused,
  connectionsWaiting,
  handlerMilliseconds,
  requests,
  requestsAborted
} from "../Metrics.js"
import type { EndReason } from "./endReason.js"

const noTags: ReadonlyArray<MetricLabel.MetricLabel> = []

const classes = [requests["1xx"], requests["2xx"], requests["3xx"], requests["4xx"], requests["5xx"]] as const

export const tally = {
  opened: (): void => connectionsOpen.unsafeModify(1, noTags),
  ended: (reason: EndReason): void => {
    connectionsOpen.unsafeModify(-1, noTags)
    connectionsEnded[reason].unsafeUpdate(1, noTags)
  },
  waiting: (change: number): void => connectionsWaiting.unsafeModify(change, noTags),
  refused: (): void => connectionsRefused.unsafeUpdate(1, noTags),
  answered: (status: number): void => classes[Math.floor(status / 100) - 1]?.unsafeUpdate(1, noTags),
  aborted: (): void => requestsAborted.unsafeUpdate(1, noTags),
  handled: (milliseconds: number): void => handlerMilliseconds.unsafeUpdate(milliseconds, noTags),
  bodyBytes: (change: number): void => bodyBytesHeld.unsafeModify(change, noTags),
  bodiesWaiting: (change: number): void => bodiesWaiting.unsafeModify(change, noTags),
  bodyRefused: (): void => bodiesRefused.unsafeUpdate(1, noTags),
  received: (bytes: number): void => bytesReceived.unsafeUpdate(bytes, noTags),
  sent: (bytes: number): void => bytesSent.unsafeUpdate(bytes, noTags)
}
