/**
 * The connections being served, and how all of them are ended.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { EndReason } from "../endReason.js"
import { clearTimeout, maxTimer, monotonicNow, setTimeout } from "../host.js"
import { type Member, Registry } from "../registry.js"
import { nextTurn, Signal } from "../runtime.js"
import { tally } from "../tally.js"
import type { Due } from "./deadlines.js"

/** A connection, as far as ending it goes. */
export interface Served extends Member, Due {
  /** Whom it was accepted for. */
  readonly service: unknown
  readonly isBusy: boolean
  /** Why it ends, if it does. */
  readonly reason: EndReason | undefined
  readonly drain: () => void
  readonly interrupt: (reason: EndReason) => void
  /** Gives up a handler that does not end: its connection is closed, and nobody waits for it any more. */
  readonly abandon: () => void
}

/** What became of the connections that were there when a server was closed. */
export interface CloseReport {
  /** Were serving no request, and were ended at once. */
  readonly idle: number
  /** Were serving one, and ended in time: they answered it, or their client left. */
  readonly drained: number
  /** Were still serving when the time was over, and were interrupted. */
  readonly interrupted: number
  /** Of those that were interrupted: their handlers did not end in time, and were left to themselves. */
  readonly abandoned: number
}

/** Of a server that had no connection: there is nothing to be waited for. */
const nobody: CloseReport = { idle: 0, drained: 0, interrupted: 0, abandoned: 0 }

/** How a server ends its connections, in milliseconds of real time. */
export interface Patience {
  /** For requests in flight to be answered. */
  readonly drain: number
  /** For interrupted handlers to end. */
  readonly interrupt: number
}

export class Roster {
  private readonly served = new Registry<Served>()
  private readonly ended = new Signal()

  get isEmpty(): boolean {
    return this.served.size === 0
  }

  get values(): ReadonlyArray<Served> {
    return this.served.values
  }

  /** Waits until one of them has ended. */
  awaitEnd(): Effect.Effect<void> {
    return this.ended.waitOrLeave()
  }

  add(connection: Served): void {
    tally.opened()
    this.served.add(connection)
  }

  remove(connection: Served, reason: EndReason): void {
    if (connection.at < 0) return
    tally.ended(reason)
    this.served.remove(connection)
    this.ended.wake()
  }

  /**
   * Lets requests in flight finish, then interrupts them, then gives up; returns when all are gone: all there are, or those
   * of one service.
   */
  close({ drain, interrupt }: Patience, service?: unknown): Effect.Effect<CloseReport> {
    const isThis = (connection: Served): boolean => service === undefined || connection.service === service
    const isGone = (): boolean => !this.served.some(isThis)
    const those = (): ReadonlyArray<Served> => this.values.filter(isThis)
    const interrupted = Effect.suspend(() => {
      const late = those()
      const serving = new Set(late.filter(({ isBusy }) => isBusy))
      for (const connection of late) connection.interrupt("Interrupted")
      // Who ends when he is interrupted has the turn that it takes, however short the patience.
      return Effect.as(Effect.zipRight(nextTurn, this.within(interrupt, isGone)), serving)
    })
    const abandoned = Effect.suspend(() => {
      const left = those()
      // Of the others nothing is left but the system's word that they have closed.
      const count = countBusy(left)
      for (const connection of left) connection.abandon()
      return Effect.as(
        count === 0 ? Effect.void : Effect.logWarning(`interrupted requests that have not ended: ${count}`),
        count
      )
    })
    const ended = Effect.gen(this, function* () {
      const there = those()
      const busy = there.filter(({ isBusy }) => isBusy)
      for (const connection of there) connection.drain()
      // Handlers that wait for the shutdown have the turn that they need to end, however short the drain.
      if (busy.length > 0) yield* nextTurn
      yield* this.within(drain, isGone)
      const late = yield* interrupted
      // A `serve` that ends at the same time, or another close, may have interrupted others before.
      const cut = busy.filter((each) => late.has(each) || each.reason === "Interrupted").length
      return {
        idle: there.length - busy.length,
        drained: busy.length - cut,
        interrupted: cut,
        abandoned: yield* abandoned
      }
    })
    return Effect.suspend(() => (isGone() ? Effect.succeed(nobody) : ended))
  }

  private within(milliseconds: number, isSo: () => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (milliseconds <= 0) return Effect.void
      const until = monotonicNow() + milliseconds
      // Beyond what a timer can count it is without end.
      const timer = milliseconds < maxTimer ? setTimeout(() => this.ended.wake(), milliseconds + 1) : undefined
      return Effect.ensuring(
        this.until(() => isSo() || monotonicNow() >= until),
        Effect.sync(() => clearTimeout(timer))
      )
    })
  }

  private until(isSo: () => boolean): Effect.Effect<void> {
    return Effect.suspend(() => (isSo() ? Effect.void : Effect.zipRight(this.ended.wait(), this.until(isSo))))
  }
}

const countBusy = (connections: ReadonlyArray<Served>): number =>
  connections.filter((connection) => connection.isBusy).length
