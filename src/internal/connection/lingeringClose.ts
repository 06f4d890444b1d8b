/**
 * Connections on which the server has said its last word, and that wait for their client to end too (RFC 9112 §9.6).
 *
 * Closed at once, a socket with unread bytes would send a reset, and the reset would take the answer with it. What still
 * comes is read and discarded: some clients look for a response only when they have sent all of their request, however
 * slowly that goes. One timer for all of them, in real time, and none when there are none any more.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Connection } from "../../Connection.js"
import type { Limits } from "../../Limits.js"
import { clearInterval, monotonicNow, setInterval } from "../host/hostTimers.js"
import { yieldToEventLoop } from "../runtime/effectInterop.js"

/** How often lingering connections are looked at, in milliseconds: as exact as a farewell needs to be. */
const interval = 100

/**
 * Milliseconds of silence when the server closes: several round trips. Whoever is still sending has the server's
 * `drainTimeout`.
 */
const shutdownLingerTimeout = 1000

/** Milliseconds that a silent client is waited for when the server closes. */
export const shutdownTimeoutOf = (lingerTimeout: number): number => Math.min(lingerTimeout, shutdownLingerTimeout)

/** One connection that lingers: a link of a list in which the longest-lingering is first. */
export class LingeringConnection {
  previous: LingeringConnection | undefined
  next: LingeringConnection | undefined
  /** Something has come since it was last looked at. */
  hasReceived = false
  /** It is being destroyed, to make room. */
  isClosing = false
  /** Since when nothing has changed, and how much was unsent by then. */
  since = monotonicNow()
  unsent: number
  /** Since when all has been sent. */
  sentAt: number

  constructor(
    readonly connection: Connection,
    private readonly lingering: LingeringConnections,
    public isShuttingDown: boolean
  ) {
    this.unsent = connection.unsent()
    this.sentAt = this.since
  }

  /** The client has sent something, which nobody reads. */
  onReceived(): void {
    this.hasReceived = true
  }

  /** The server closes: a silent client is not waited for as long as otherwise. */
  shorten(): void {
    this.isShuttingDown = true
  }

  /** The connection has closed. */
  remove(): void {
    this.lingering.remove(this)
  }
}

export class LingeringConnections {
  private first: LingeringConnection | undefined
  private last: LingeringConnection | undefined
  private closing = 0
  private timer: NodeJS.Timeout | undefined
  private readonly lingerTimeout: number
  private readonly totalTimeout: number
  private readonly writeTimeout: number

  constructor(limits: Limits) {
    this.lingerTimeout = Duration.toMillis(limits.lingerTimeout)
    this.totalTimeout = Duration.toMillis(limits.lingerTotalTimeout)
    this.writeTimeout = Duration.toMillis(limits.writeTimeout)
  }

  /** The timer finds out by itself that nobody is left: most farewells are over long before it looks. */
  add(connection: Connection, isShuttingDown: boolean): LingeringConnection {
    const farewell = new LingeringConnection(connection, this, isShuttingDown)
    farewell.previous = this.last
    if (this.last === undefined) this.first = farewell
    else this.last.next = farewell
    this.last = farewell
    this.timer ??= setInterval(this.sweep, interval)
    return farewell
  }

  remove(farewell: LingeringConnection): void {
    const { next, previous } = farewell
    // Out of the list already, or never in it.
    if (previous === undefined && this.first !== farewell) return
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.last = previous
    else next.previous = previous
    farewell.next = farewell.previous = undefined
    if (farewell.isClosing) this.closing--
  }

  /**
   * Closes so many connections, the longest-lingering first: somebody needs what they hold. Those whose answer is still
   * being sent stay, as does whoever is still answered. Gives how many are on their way out.
   */
  reclaim(count: number): number {
    for (let each = this.first; each !== undefined && this.closing < count; each = each.next) {
      if (each.isClosing || each.connection.unsent() > 0) continue
      each.isClosing = true
      this.closing++
      each.connection.destroy()
    }
    return Math.min(this.closing, count)
  }

  /**
   * Waits for room as long as it takes to close what lingers, which is at most two turns of the event loop, and not at all
   * where nothing does: a gate that is closed for so long is no news.
   */
  whileClosing(room: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.first === undefined
        ? Effect.void
        : Effect.raceFirst(room, Effect.zipRight(yieldToEventLoop, yieldToEventLoop))
    )
  }

  /** What is not sent yet has the time that any answer has; then the client has its time to end. */
  private readonly sweep = (): void => {
    if (this.first === undefined) this.stop()
    const now = monotonicNow()
    for (let each = this.first; each !== undefined; ) {
      // By then the list may go on without it.
      const { next } = each
      this.check(each, now)
      each = next
    }
  }

  private check(farewell: LingeringConnection, now: number): void {
    const { connection } = farewell
    const unsent = connection.unsent()
    if (unsent !== farewell.unsent || farewell.hasReceived) {
      if (unsent !== farewell.unsent) farewell.sentAt = now
      farewell.unsent = unsent
      farewell.hasReceived = false
      farewell.since = now
    }
    const silence = now - farewell.since
    if (unsent > 0) {
      // Nobody shall take for whole what has not been sent.
      if (silence >= this.writeTimeout) connection.abort()
      return
    }
    const timeout = farewell.isShuttingDown ? shutdownTimeoutOf(this.lingerTimeout) : this.lingerTimeout
    if (silence >= timeout || now - farewell.sentAt >= this.totalTimeout) connection.destroy()
  }

  private stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }
}
