/**
 * Connections on which the server has said its last word, and that wait for their client to end too (RFC 9112 §9.6).
 *
 * Closed at once, a socket with unread bytes would send a reset, and the reset would take the answer with it. One timer
 * for all of them, in real time, and none while there are none.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import type { Limits } from "../../Limits.js"
import type { Connection } from "../../Listener.js"

/** How often lingering connections are looked at, in milliseconds: as exact as a farewell needs to be. */
const interval = 100

interface Farewell {
  /** Since when nothing has changed, and how much was unsent by then. */
  since: number
  unsent: number
}

export class Lingering {
  private readonly farewells = new Map<Connection, Farewell>()
  private timer: NodeJS.Timeout | undefined
  private readonly lingerTimeout: number
  private readonly writeTimeout: number

  constructor(limits: Limits) {
    this.lingerTimeout = Duration.toMillis(limits.lingerTimeout)
    this.writeTimeout = Duration.toMillis(limits.writeTimeout)
  }

  add(connection: Connection): void {
    this.farewells.set(connection, { since: performance.now(), unsent: connection.unsent() })
    this.timer ??= setInterval(this.look, interval)
  }

  remove(connection: Connection): void {
    this.farewells.delete(connection)
    if (this.farewells.size === 0) this.stop()
  }

  /** What is not sent yet has the time that any answer has; then the client has its moment to end. */
  private readonly look = (): void => {
    const now = performance.now()
    for (const [connection, farewell] of this.farewells) {
      const unsent = connection.unsent()
      if (unsent !== farewell.unsent) {
        farewell.unsent = unsent
        farewell.since = now
      }
      if (now - farewell.since >= (unsent > 0 ? this.writeTimeout : this.lingerTimeout)) connection.destroy()
    }
  }

  private stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }
}
