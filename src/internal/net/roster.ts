/**
 * The connections being served, and how all of them are ended.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { type Member, Registry } from "../registry.js"
import { Signal } from "../runtime.js"
import type { Due } from "./deadlines.js"
import type { EndReason } from "./household.js"

/** Milliseconds that a timer of Node's can count; it takes more for none. */
const maxTimer = 2 ** 31 - 1

/** A connection, as far as ending it goes. */
export interface Served extends Member, Due {
  /** Whom it was accepted for. */
  readonly service: unknown
  readonly isBusy: boolean
  readonly drain: () => void
  readonly interrupt: (reason: EndReason) => void
}

/** What became of the connections that were there when a server was closed. */
export interface CloseReport {
  /** Were serving no request, and were ended at once. */
  readonly idle: number
  /** Were serving one, and answered it in time. */
  readonly drained: number
  /** Were still serving when the time was over, and were interrupted. */
  readonly interrupted: number
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
    this.served.add(connection)
  }

  remove(connection: Served): void {
    this.served.remove(connection)
    this.ended.wake()
  }

  /**
   * Lets requests in flight finish for so many milliseconds of real time, then interrupts; returns when all are gone: all
   * there are, or those of one service.
   */
  close(drainTimeout: number, service?: unknown): Effect.Effect<CloseReport> {
    const isThis = (connection: Served): boolean => service === undefined || connection.service === service
    const isGone = (): boolean => !this.served.some(isThis)
    return Effect.suspend(() => {
      const there = this.values.filter(isThis)
      const busy = countBusy(there)
      for (const connection of there) connection.drain()
      const interrupted = Effect.suspend(() => {
        const late = this.values.filter(isThis)
        const count = countBusy(late)
        for (const connection of late) connection.interrupt("Interrupted")
        return Effect.as(this.until(isGone), count)
      })
      return Effect.map(Effect.zipRight(this.within(drainTimeout, isGone), interrupted), (interrupted) => ({
        idle: there.length - busy,
        drained: Math.max(0, busy - interrupted),
        interrupted
      }))
    })
  }

  private within(milliseconds: number, isSo: () => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (milliseconds <= 0) return Effect.void
      const until = performance.now() + milliseconds
      // Beyond what a timer can count it is without end.
      const timer = milliseconds < maxTimer ? setTimeout(() => this.ended.wake(), milliseconds + 1) : undefined
      return Effect.ensuring(
        this.until(() => isSo() || performance.now() >= until),
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
