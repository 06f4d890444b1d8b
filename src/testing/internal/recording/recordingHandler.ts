/**
 * A handler under observation: what comes to it is recorded, and what becomes of it.
 *
 * @internal
 */
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

/** What the handlers of one server share. */
export interface ServerRecording {
  readonly connections: TrackedConnections
  readonly recorder: Recorder
  readonly failures: HandlerFailures
  readonly maxDiscardedBody: number
  /** The server closes: whoever is interrupted now is by the end of his test. */
  isClosing: boolean
}

const interruptionError = ({ method, target }: Recorded): Error =>
  new Error(
    `the handler of ${method} ${target} was interrupted, and neither by its client nor by the end of the server`
  )

const fail = ({ failures }: ServerRecording, request: Recorded, by: Cause.Cause<unknown>): void => {
  if (request.hasFailed) return
  // An interruption by itself says nothing to who reads it.
  const cause = Cause.isInterruptedOnly(by) ? Cause.sequential(Cause.die(interruptionError(request)), by) : by
  request.hasFailed = true
  request.setOutcome({ _tag: "Failed", cause })
  failures.add(new HandlerFailure({ cause, request }))
}

/** The status by which the server answers a failure itself: the handler's way of saying no, and no failure of its own. */
const errorStatusOf = (cause: Cause.Cause<unknown>, { hasResponseStarted }: RecordingExchange): number | undefined => {
  const status = hasResponseStarted ? undefined : respondableError(cause)?.status
  return status === 500 ? undefined : status
}

/** Whether the end of a handler is that of its client, or of its server. */
const isAborted = (recording: ServerRecording, { trackedConnection }: Recorded, cause: Cause.Cause<unknown>): boolean =>
  Cause.isInterruptedOnly(cause) && (trackedConnection.isClientGone || recording.isClosing)

/** By its tag: the reply may be of another instance of this package. */
const isUnmatched = (defect: unknown): defect is UnmatchedRequestError => isTagged(defect, "UnmatchedRequestError")

/** Tells a client why it is not answered: whoever looks at it is a developer. */
const respondWithCause = (
  exchange: RecordingExchange,
  request: Recorded,
  cause: Cause.Cause<unknown>
): Responded | ValueError => {
  const unanswered = Array.from(Cause.defects(cause)).find(isUnmatched)
  if (unanswered !== undefined) return exchange.respond(501, `${unanswered.message}\n`, plainTextHeaders)
  const failed = `the handler of ${request.method} ${request.target} failed`
  return exchange.respond(500, `${failed}: ${Cause.pretty(cause)}\n`, plainTextHeaders)
}

/** What a handler's exit means, once. */
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
  const refusal = errorStatusOf(cause, recordingExchange)
  if (isAborted(recording, request, cause)) request.setOutcome({ _tag: "Aborted" })
  else if (refusal !== undefined) request.setOutcome({ _tag: "Responded", status: refusal })
  else {
    fail(recording, request, cause)
    const told = recordingExchange.hasResponseStarted ? undefined : respondWithCause(recordingExchange, request, cause)
    if (told !== undefined && !isValueError(told)) return Effect.succeed(told)
  }
  return exit
}

/** Records what a handler is asked, and how it ends. */
export const recordHandler =
  <E, R>(handler: Handler<E, R>, recording: ServerRecording): Handler<E, R | Scope.Scope> =>
  (request) =>
    // Only the handler itself and what is read behind it are interruptible: how it ended is known in any case.
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

/** Told by the server of what could not be answered otherwise; most of it is known by then. */
export const recordReportedFailure =
  (recording: ServerRecording) =>
  (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> =>
    Effect.sync(() => {
      const recorded = recording.recorder.all.find((each) => each.recordingExchange.request === request)
      if (recorded !== undefined) fail(recording, recorded, cause)
    })
