/**
 * The fiber that `acceptRequest` gives: it lasts as long as its connection.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { ConnectionSummary } from "../../Connection.js"
import type { HttpConnection } from "../connection/httpConnection.js"

/** Lasts as long as a connection, and says how it ended; interrupted, it ends the connection first. */
export const watching = <E, R>(connection: HttpConnection<E, R>): Effect.Effect<ConnectionSummary> =>
  Effect.catchAllCause(Effect.interruptible(connection.awaitClosed), () =>
    Effect.suspend(() => {
      connection.interrupt("Interrupted")
      return connection.awaitClosed
    })
  )
