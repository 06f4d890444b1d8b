/**
 * Connections on which the server has said its last word, and that wait for their client to end too (RFC 9112 §9.6).
 *
 * Closed at once, a socket with unread bytes would send a reset, and the reset would take the answer with it. One timer
 * for all of them, in real time, and none when there are none any more.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import type { Limits } from "../../Limits.js"
import type { Connection } from "../../Listener.js"
import { clearInterval, monotonicNow, setInterval } from "../host.js"
import { type Member, Registry } from "../registry.js"

/** How often lingering connections are looked at, in milliseconds: as exact as a farewell needs to be. */
const interval = 100

interface Farewell extends Member {
  readonly connection: Connection
  /** Since when nothing has changed, and how much was unsent by then. */
  since: number
  unsent: number
}

export class Lingering {
  private readonly farewells = new Registry<Farewell>()
  private timer: NodeJS.Timeout | undefined
  private readonly lingerTimeout: number
  private readonly writeTimeout: number

  constructor(limits: Limits) {
    this.lingerTimeout = Duration.toMillis(limits.lingerTimeout)
    this.writeTimeout = Duration.toMillis(limits.writeTimeout)
  }

  /** The timer finds out by itself that nobody is left: most farewells are over long before it looks. */
  add(connection: Connection): () => void {
    const farewell: Farewell = { at: -1, connection, since: monotonicNow(), unsent: connection.unsent() }
    this.farewells.add(farewell)
    this.timer ??= setInterval(this.look, interval)
    return () => this.farewells.remove(farewell)
  }

  /** What is not sent yet has the time that any answer has; then the client has its moment to end. */
  private readonly look = (): void => {
    if (this.farewells.size === 0) this.stop()
    const now = monotonicNow()
    for (const farewell of this.farewells.values) {
      const unsent = farewell.connection.unsent()
      if (unsent !== farewell.unsent) {
        farewell.unsent = unsent
        farewell.since = now
      }
      if (now - farewell.since < (unsent > 0 ? this.writeTimeout : this.lingerTimeout)) continue
      // Nobody shall take for whole what has not been sent.
      if (unsent > 0) farewell.connection.abort()
      else farewell.connection.destroy()
    }
  }

  private stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }
}
