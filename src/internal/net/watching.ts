/**
 * The fiber that `acceptRequest` gives: it lasts as long as its connection.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { ServerConnection } from "./connection.js"
import type { ConnectionEnd } from "./household.js"

/** Lasts as long as a connection, and says how it ended; interrupted, it ends the connection first. */
export const watching = <E, R>(connection: ServerConnection<E, R>): Effect.Effect<ConnectionEnd> =>
  Effect.catchAllCause(Effect.interruptible(connection.gone), () =>
    Effect.suspend(() => {
      connection.interrupt("Interrupted")
      return connection.gone
    })
  )
