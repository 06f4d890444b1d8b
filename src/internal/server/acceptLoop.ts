/**
 * The accept loop: a stream that gates on the descriptor budget, and forks a fiber for each connection.
 *
 * The gate is open while the budget has capacity. One element of the stream is one opening of the gate: it is suspended
 * until the gate is open, then accepts connections until it is closed. A connection that arrives meanwhile costs one
 * comparison and does not pass through the stream, which would cost twice as much as to serve it. Transient accept errors
 * are logged and retried.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Connection } from "../../Connection.js"
import type { Budget } from "../../DescriptorBudget.js"
import type { OSError } from "../../Errors.js"
import type { BoundListener } from "../../Listener.js"
import type { AdmissionLog } from "../budget/admissionLog.js"
import type { ConnectionRegistry } from "../connection/connectionRegistry.js"
import type { LingeringConnections } from "../connection/lingeringClose.js"
import type { TimeSource } from "../host/timeSource.js"
import { isTransient } from "../net/transientAcceptErrors.js"

/** 10 ms, doubled up to 1 s. */
const backOff = Schedule.union(Schedule.exponential("10 millis"), Schedule.spaced("1 second"))

const logTransient = (error: OSError): Effect.Effect<void> =>
  isTransient(error) ? Effect.logWarning("could not accept a connection", error) : Effect.void

export interface AcceptLoopOptions {
  readonly listener: Pick<BoundListener, "acceptWhile">
  readonly budget: Budget
  readonly admissionLog: AdmissionLog
  readonly lingering: LingeringConnections
  readonly registry: ConnectionRegistry
  readonly time: TimeSource
  /** Descriptors that one request is assumed to need. */
  readonly assumed: number
  /** Forks the fiber of a connection, in the event-loop turn in which it is accepted. */
  readonly fork: (connection: Connection) => void
}

export const acceptLoop = (options: AcceptLoopOptions): Effect.Effect<never, OSError> => {
  const { admissionLog, assumed, budget, fork, lingering, listener, registry, time } = options
  // Without a connection that could release descriptors, one is accepted whatever is assumed: the gate would never open.
  const isOpen = (): boolean => budget.unsafeHasRoom(assumed) || registry.isEmpty
  const awaitRoom: Effect.Effect<void> = Effect.suspend(() =>
    isOpen() ? Effect.void : Effect.zipRight(Effect.race(budget.awaitRoom(assumed), registry.awaitEnd()), awaitRoom)
  )
  const awaitOpening = Effect.suspend(() => (isOpen() ? Effect.void : admissionLog.awaitOpening(awaitRoom)))
  const gate = Effect.suspend(() =>
    isOpen() ? Effect.void : Effect.zipRight(lingering.whileClosing(budget.awaitRoom(assumed)), awaitOpening)
  )
  let hasAccepted = false
  const accept = listener.acceptWhile(isOpen, (connection) => {
    hasAccepted = true
    fork(connection)
  })
  const retries = backOff.pipe(
    Schedule.resetWhen(() => {
      const isReset = hasAccepted
      hasAccepted = false
      return isReset
    }),
    Schedule.whileInput(isTransient)
  )
  return Stream.repeatEffect(gate).pipe(
    Stream.mapEffect(() => Effect.tapError(accept, logTransient)),
    Stream.retry(retries),
    Stream.runDrain,
    Effect.zipRight(Effect.never),
    // With the live `Clock` the delays are in real time, which the fake timers of a test runner do not stop.
    Effect.withClock(time.clock)
  )
}
