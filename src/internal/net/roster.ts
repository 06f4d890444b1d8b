/**
 * The connections being served, and how all of them are ended.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { type Entry, Registry } from "../registry.js"
import { Signal } from "../runtime.js"
import type { EndReason } from "./household.js"

/** Milliseconds that a timer of Node's can count; it takes more for none. */
const maxTimer = 2 ** 31 - 1

/** A connection, as far as ending it goes. */
export interface Served {
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

  /** Waits until one of them has ended. */
  awaitEnd(): Effect.Effect<void> {
    return this.ended.waitOrLeave()
  }

  add(connection: Served): Entry<Served> {
    return this.served.add(connection)
  }

  remove(entry: Entry<Served>): void {
    this.served.remove(entry)
    this.ended.wake()
  }

  /** Lets requests in flight finish for so many milliseconds of real time, then interrupts; returns when all are gone. */
  close(drainTimeout: number): Effect.Effect<CloseReport> {
    return Effect.suspend(() => {
      const busy = this.served.values.filter((connection) => connection.isBusy).length
      const idle = this.served.size - busy
      for (const connection of this.served.values) connection.drain()
      return Effect.map(Effect.zipRight(this.emptyWithin(drainTimeout), this.interruptRest), (interrupted) => ({
        idle,
        drained: Math.max(0, busy - interrupted),
        interrupted
      }))
    })
  }

  private readonly interruptRest: Effect.Effect<number> = Effect.suspend(() => {
    const interrupted = this.served.values.filter((connection) => connection.isBusy).length
    for (const connection of this.served.values) connection.interrupt("Interrupted")
    return Effect.as(
      this.whenEmpty(() => false),
      interrupted
    )
  })

  private emptyWithin(milliseconds: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.served.size === 0 || milliseconds <= 0) return Effect.void
      const until = performance.now() + milliseconds
      // Beyond what a timer can count it is without end.
      const timer = milliseconds < maxTimer ? setTimeout(() => this.ended.wake(), milliseconds + 1) : undefined
      return Effect.ensuring(
        this.whenEmpty(() => performance.now() >= until),
        Effect.sync(() => clearTimeout(timer))
      )
    })
  }

  private whenEmpty(isTooLate: () => boolean): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.served.size === 0 || isTooLate()
        ? Effect.void
        : Effect.zipRight(this.ended.wait(), this.whenEmpty(isTooLate))
    )
  }
}
