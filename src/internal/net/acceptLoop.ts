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
import type { Bound, Connection } from "../../Listener.js"
import type { TimeSource } from "../timeSource.js"
import { isTransient } from "../transient.js"
import type { GateLog } from "./gate.js"
import type { Lingering } from "./lingering.js"
import type { Roster } from "./roster.js"

/** Milliseconds of the pause after an error that passes: twice as long each time. */
const firstPause = 10
const longestPause = 1000

export interface AcceptLoop {
  readonly bound: Bound
  readonly budget: Budget
  readonly gateLog: GateLog
  readonly lingering: Lingering
  readonly roster: Roster
  readonly time: TimeSource
  /** Descriptors that one request is assumed to need. */
  readonly assumed: number
  readonly serve: (connection: Connection) => void
}

export const acceptLoop = ({
  assumed,
  bound,
  budget,
  gateLog,
  lingering,
  roster,
  serve,
  time
}: AcceptLoop): Effect.Effect<never, OSError> => {
  // Without a connection to wait for, one goes in whatever is assumed.
  const isOpen = (): boolean => budget.unsafeHasRoom(assumed) || roster.isEmpty
  const room: Effect.Effect<void> = Effect.suspend(() =>
    isOpen() ? Effect.void : Effect.zipRight(Effect.race(budget.awaitRoom(assumed), roster.awaitEnd()), room)
  )
  const closed = Effect.suspend(() => (isOpen() ? Effect.void : gateLog.closedUntil(room)))
  const gate = Effect.suspend(() =>
    isOpen() ? Effect.void : Effect.zipRight(lingering.whileClosing(budget.awaitRoom(assumed)), closed)
  )
  let pause = firstPause
  const opening = bound.admit(isOpen, (connection) => {
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
