/**
 * The fiber of one connection: suspended until the connection has closed. Its result is the `ConnectionSummary`.
 *
 * Nothing runs in it: the connection runs in socket events, and its requests in fibers of their own. It represents the
 * connection to a `Supervisor` and to `Fiber.dump`. Its interruption completes when the connection has closed.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Connection, ConnectionSummary } from "../../Connection.js"
import { HttpConnection } from "../connection/httpConnection.js"
import type { ServedHandler } from "../connection/servedHandler.js"
import type { ServerState } from "../connection/serverState.js"

const lifetime = <E, R>(connection: HttpConnection<E, R>): Effect.Effect<ConnectionSummary> =>
  Effect.catchAllCause(Effect.interruptible(connection.awaitClosed), () =>
    Effect.suspend(() => {
      connection.interrupt("Interrupted")
      return connection.awaitClosed
    })
  )

/** Forks the fiber of a connection, and opens the connection in the same event-loop turn: no interruption can come between. */
export const forkConnection = <E, R>(
  connection: Connection,
  state: ServerState,
  handler: ServedHandler<E, R>
): Fiber.RuntimeFiber<ConnectionSummary> => {
  const httpConnection = new HttpConnection(connection, state, handler)
  const fiber = handler.runtime.forkConnection(lifetime(httpConnection))
  httpConnection.open()
  return fiber
}
