/** A handler, with the runtime of its fibers, its metrics and its failure reporting. */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type { Request } from "../../Request.js"
import type { Handler } from "../../Response.js"
import type { MetricRecorder } from "../metrics.js"
import type { RequestRuntime } from "../runtime/requestRuntime.js"

export interface ServedHandler<E, R> {
  readonly metrics: MetricRecorder
  readonly runtime: RequestRuntime
  /** Opened when the shutdown of its server, or of its `serve`, begins. */
  readonly shutdownLatch: Effect.Latch
  readonly handle: Handler<E, R>
  /** Reports every failure with a 500 response, or without a response. */
  readonly report: (cause: Cause.Cause<E>, request: Request) => Effect.Effect<void, never, R>
  /** Logs every request whose client disconnected; `undefined` if its log level is disabled. */
  readonly reportAbort: ((cause: Cause.Cause<unknown>, request: Request) => Effect.Effect<void>) | undefined
}
