/**
 * The accept loop: takes connections while the descriptor budget has room, and serves each.
 *
 * A stream of the gate's openings. Each element waits until the budget has room, and lasts until it has none; connections
 * that arrive meanwhile pass by one comparison. Errors of the system that pass are logged and waited out.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Budget } from "../../DescriptorBudget.js"
import type { OSError } from "../../Errors.js"
import type { Connection } from "../../Connection.js"
import type { BoundListener } from "../../Listener.js"
import type { LingeringConnections } from "../connection/lingeringClose.js"
import type { TimeSource } from "../host/timeSource.js"
import { isTransient } from "../net/transientAcceptErrors.js"
import type { AdmissionLog } from "../budget/admissionLog.js"
import type { ConnectionRegistry } from "../connection/connectionRegistry.js"

/** Milliseconds of the pause after an error that passes: twice as long each time. */
const firstPause = 10
const longestPause = 1000

export interface AcceptLoop {
  readonly bound: BoundListener
  readonly budget: Budget
  readonly admissionLog: AdmissionLog
  readonly lingering: LingeringConnections
  readonly registry: ConnectionRegistry
  readonly time: TimeSource
  /** Descriptors that one request is assumed to need. */
  readonly assumed: number
  readonly fork: (connection: Connection) => void
}

export const acceptLoop = ({
  assumed,
  bound,
  budget,
  admissionLog: gateLog,
  lingering,
  registry,
  fork: serve,
  time
}: AcceptLoop): Effect.Effect<never, OSError> => {
  // Without a connection to wait for, one goes in whatever is assumed.
  const isOpen = (): boolean => budget.unsafeHasRoom(assumed) || registry.isEmpty
  const room: Effect.Effect<void> = Effect.suspend(() =>
    isOpen() ? Effect.void : Effect.zipRight(Effect.race(budget.awaitRoom(assumed), registry.awaitEnd()), room)
  )
  const closed = Effect.suspend(() => (isOpen() ? Effect.void : gateLog.awaitOpening(room)))
  const gate = Effect.suspend(() =>
    isOpen() ? Effect.void : Effect.zipRight(lingering.whileClosing(budget.awaitRoom(assumed)), closed)
  )
  let pause = firstPause
  const opening = bound.acceptWhile(isOpen, (connection) => {
    pause = firstPause
    serve(connection)
  })
  const survived = Effect.catchIf(opening, isTransient, (error) => {
    const waited = time.sleep(pause)
    pause = Math.min(2 * pause, longestPause)
    return Effect.zipRight(Effect.logWarning("could not accept a connection", error), waited)
  })
  return Stream.repeatEffect(Effect.zipRight(gate, survived)).pipe(Stream.runDrain, Effect.zipRight(Effect.never))
}
