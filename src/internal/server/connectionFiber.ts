/**
 * The fiber of one connection: suspended until the connection has closed. Its result says how the connection ended.
 *
 * Requests have fibers of their own, so this one does nothing but stand for the connection: it is what a `Supervisor` and
 * `Fiber.dump` show, and what `acceptRequest` returns. Interrupting it ends the connection, and the interruption completes
 * when the connection has closed; the result is then a summary with the reason `Interrupted`.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Connection, ConnectionSummary } from "../../Connection.js"
import type { ConnectionContext, RequestHandler } from "../connection/context.js"
import { HttpConnection } from "../connection/httpConnection.js"

const lifetime = <E, R>(connection: HttpConnection<E, R>): Effect.Effect<ConnectionSummary> =>
  Effect.catchAllCause(Effect.interruptible(connection.awaitClosed), () =>
    Effect.suspend(() => {
      connection.interrupt("Interrupted")
      return connection.awaitClosed
    })
  )

/** Forks the fiber of a connection, and opens the connection in the same event-loop turn: no interruption comes between. */
export const forkConnection = <E, R>(
  connection: Connection,
  context: ConnectionContext,
  handler: RequestHandler<E, R>
): Fiber.RuntimeFiber<ConnectionSummary> => {
  const served = new HttpConnection(connection, context, handler)
  const fiber = handler.runtime.forkConnection(lifetime(served))
  served.open()
  return fiber
}
