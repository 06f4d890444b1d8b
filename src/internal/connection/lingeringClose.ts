/**
 * Lingering close: after the final response and FIN, the server reads and discards until the client closes (RFC 9112 §9.6).
 *
 * A socket that is closed with unread bytes sends a reset, which discards the response at the client. Some clients read a
 * response only after they have sent all of their request, however slowly. One timer serves all lingering connections, in
 * real time; there is none while no connection lingers.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Connection } from "../../Connection.js"
import type { Limits } from "../../Limits.js"
import { clearInterval, monotonicNow, setInterval } from "../host/hostTimers.js"
import { yieldToEventLoop } from "../runtime/effectInterop.js"

/** Milliseconds between two sweeps: the precision of these timeouts. */
const interval = 100

/** Milliseconds without input after which a connection closes in a shutdown: several round trips. */
const shutdownLingerTimeout = 1000

/** The linger timeout of a shutdown, in milliseconds. */
export const shutdownTimeoutOf = (lingerTimeout: number): number => Math.min(lingerTimeout, shutdownLingerTimeout)

/** One lingering connection: a node of a linked list, in which the longest-lingering is first. */
export class LingeringConnection {
  previous: LingeringConnection | undefined
  next: LingeringConnection | undefined
  /** True if input was received since the last sweep. */
  hasReceived = false
  /** True if it was destroyed to free its descriptor. */
  isClosing = false
  /** When the last progress was found, and the unsent bytes at that time. */
  since = monotonicNow()
  unsent: number
  /** When the last change of the unsent bytes was found. */
  sentAt: number

  constructor(
    readonly transport: Connection,
    private readonly lingering: LingeringConnections,
    /** Applies the shorter linger timeout of a shutdown. */
    public isShuttingDown: boolean
  ) {
    this.unsent = transport.unsent()
    this.sentAt = this.since
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

  /** The sweep stops the timer once the list is empty: most connections close before the first sweep. */
  add(transport: Connection, isShuttingDown: boolean): LingeringConnection {
    const lingering = new LingeringConnection(transport, this, isShuttingDown)
    lingering.previous = this.last
    if (this.last === undefined) this.first = lingering
    else this.last.next = lingering
    this.last = lingering
    this.timer ??= setInterval(this.sweep, interval)
    return lingering
  }

  remove(lingering: LingeringConnection): void {
    const { next, previous } = lingering
    // Not in the list (any more).
    if (previous === undefined && this.first !== lingering) return
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.last = previous
    else next.previous = previous
    lingering.next = lingering.previous = undefined
    if (lingering.isClosing) this.closing--
  }

  /**
   * Closes so many connections to free their descriptors, the longest-lingering first; none whose response is still being
   * sent. Returns how many are closing.
   */
  reclaim(count: number): number {
    for (let each = this.first; each !== undefined && this.closing < count; each = each.next) {
      if (each.isClosing || each.transport.unsent() > 0) continue
      each.isClosing = true
      this.closing++
      each.transport.destroy()
    }
    return Math.min(this.closing, count)
  }

  /**
   * Waits for the budget while reclaimed connections close: at most two event-loop turns, and not at all if no connection
   * lingers. So short a shortage is not logged.
   */
  whileClosing(awaitRoom: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.first === undefined
        ? Effect.void
        : Effect.raceFirst(awaitRoom, Effect.zipRight(yieldToEventLoop, yieldToEventLoop))
    )
  }

  /** Checks every lingering connection: `writeTimeout` applies while bytes are unsent, the linger timeouts after that. */
  private readonly sweep = (): void => {
    if (this.first === undefined) this.stop()
    const now = monotonicNow()
    for (let each = this.first; each !== undefined; ) {
      // `check` may remove it from the list.
      const { next } = each
      this.check(each, now)
      each = next
    }
  }

  private check(lingering: LingeringConnection, now: number): void {
    const { transport } = lingering
    const unsent = transport.unsent()
    if (unsent !== lingering.unsent || lingering.hasReceived) {
      if (unsent !== lingering.unsent) lingering.sentAt = now
      lingering.unsent = unsent
      lingering.hasReceived = false
      lingering.since = now
    }
    const silence = now - lingering.since
    if (unsent > 0) {
      // A reset, so that a truncated response does not look complete.
      if (silence >= this.writeTimeout) transport.abort()
      return
    }
    const timeout = lingering.isShuttingDown ? shutdownTimeoutOf(this.lingerTimeout) : this.lingerTimeout
    if (silence >= timeout || now - lingering.sentAt >= this.totalTimeout) transport.destroy()
  }

  private stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }
}
