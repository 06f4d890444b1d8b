/** Handler that records its requests and their outcomes. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isTagged } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { isValueError, type ValueError } from "../../../Errors.js"
import { plainTextHeaders, respondableError } from "../../../internal/connection/errorResponse.js"
import type { Request } from "../../../Request.js"
import type { Handler, Responded } from "../../../Response.js"
import { HandlerFailure, type UnmatchedRequestError } from "../../Failures.js"
import { withRecorded } from "../faults/faultHandler.js"
import { withServer } from "../server/perServer.js"
import type { HandlerFailures } from "./handlerFailures.js"
import { Recorded, type Recorder } from "./recorder.js"
import { RecordingExchange, withExchange } from "./recordingExchange.js"
import type { TrackedConnections } from "./trackedListener.js"

/** Shared by all handler calls of one server. */
export interface ServerRecording {
  readonly connections: TrackedConnections
  readonly recorder: Recorder
  readonly failures: HandlerFailures
  readonly maxDiscardedBody: number
  /** The server is closing: an interruption is now caused by the end of the test. */
  isClosing: boolean
}

const interruptionError = ({ method, target }: Recorded): Error =>
  new Error(`Handler of ${method} ${target} was interrupted, but neither by its client nor by the close of the server`)

const fail = ({ failures }: ServerRecording, request: Recorded, by: Cause.Cause<unknown>): void => {
  if (request.hasFailed) return
  // An interruption alone does not explain the failure.
  const cause = Cause.isInterruptedOnly(by) ? Cause.sequential(Cause.die(interruptionError(request)), by) : by
  request.hasFailed = true
  request.setOutcome({ _tag: "Failed", cause })
  failures.add(new HandlerFailure({ cause, request }))
}

/** The status that the server responds with for this cause: an intended error response, not a failure of the handler. */
const errorStatusOf = (cause: Cause.Cause<unknown>, { hasResponseStarted }: RecordingExchange): number | undefined => {
  const status = hasResponseStarted ? undefined : respondableError(cause)?.status
  return status === 500 ? undefined : status
}

/** True if the handler was interrupted by its client or by the close of the server. */
const isAborted = (recording: ServerRecording, { trackedConnection }: Recorded, cause: Cause.Cause<unknown>): boolean =>
  Cause.isInterruptedOnly(cause) && (trackedConnection.isClientGone || recording.isClosing)

/** By tag: the reply may stem from another instance of this package. */
const isUnmatched = (defect: unknown): defect is UnmatchedRequestError => isTagged(defect, "UnmatchedRequestError")

/** Responds with the cause as text: the reader is the developer of the test. */
const respondWithCause = (
  exchange: RecordingExchange,
  request: Recorded,
  cause: Cause.Cause<unknown>
): Responded | ValueError => {
  const unmatched = Array.from(Cause.defects(cause)).find(isUnmatched)
  if (unmatched !== undefined) return exchange.respond(501, `${unmatched.message}\n`, plainTextHeaders)
  const failed = `Handler of ${request.method} ${request.target} failed`
  return exchange.respond(500, `${failed}: ${Cause.pretty(cause)}\n`, plainTextHeaders)
}

/** Records the outcome of a handler's exit. The result is the exit, or an error response that explains the failure. */
const recordOutcome = <E>(
  recording: ServerRecording,
  request: Recorded,
  exit: Exit.Exit<Responded, E>
): Effect.Effect<Responded, E> => {
  const { recordingExchange } = request
  if (Exit.isSuccess(exit)) {
    request.setOutcome({ _tag: "Responded", status: exit.value.status })
    return exit
  }
  const { cause } = exit
  const errorStatus = errorStatusOf(cause, recordingExchange)
  if (isAborted(recording, request, cause)) request.setOutcome({ _tag: "Aborted" })
  else if (errorStatus !== undefined) request.setOutcome({ _tag: "Responded", status: errorStatus })
  else {
    fail(recording, request, cause)
    const explained = recordingExchange.hasResponseStarted
      ? undefined
      : respondWithCause(recordingExchange, request, cause)
    if (explained !== undefined && !isValueError(explained)) return Effect.succeed(explained)
  }
  return exit
}

/** Records the requests of a handler, and their outcomes. */
export const recordHandler =
  <E, R>(handler: Handler<E, R>, recording: ServerRecording): Handler<E, R | Scope.Scope> =>
  (request) =>
    // Only the handler and the reads after it are interruptible, so that the outcome is recorded in any case.
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.scope, (scope) => {
        const by = recording.connections.byClient(request.client.id)
        const exchange = new RecordingExchange(request, scope)
        const recorded = new Recorded(request, by, exchange)
        recording.recorder.add(recorded)
        return Effect.suspend(() => handler(withRecorded(withExchange(request, exchange), recorded))).pipe(
          withServer(recording),
          restore,
          Effect.exit,
          Effect.flatMap((exit) => {
            const ended = recordOutcome(recording, recorded, exit)
            if (exchange.body.state !== "Receiving") return ended
            return ended.pipe(
              Effect.zipLeft(restore(exchange.drainBody(recording.maxDiscardedBody))),
              Effect.ensuring(Effect.sync(() => exchange.body.end("Partial")))
            )
          }),
          Effect.ensuring(
            Effect.sync(() => {
              recorded.hasEnded = true
            })
          )
        )
      })
    )

/** Records a failure that the server reports, unless it is already recorded. */
export const recordReportedFailure =
  (recording: ServerRecording) =>
  (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> =>
    Effect.sync(() => {
      const recorded = recording.recorder.all.find((each) => each.recordingExchange.request === request)
      if (recorded !== undefined) fail(recording, recorded, cause)
    })
