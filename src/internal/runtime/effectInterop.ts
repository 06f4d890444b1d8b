/**
 * The few primitives of Effect that a later version renames, and the one that it lacks: all in one place.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { globalValue } from "effect/GlobalValue"
import { setImmediate } from "../host/hostTimers.js"

/**
 * A place where fibers wait until something may have changed; who is woken looks again.
 *
 * A wake-up between the look and the wait is not lost: a fiber may be made to yield there, so a wait remembers how many
 * wake-ups there had been when it was asked for. One suspension and resumption costs 1.4 µs, a `Deferred` 8, a `Queue` 10.
 */
export class Signal {
  private wakes = 0
  private waiters: Array<(effect: Effect.Effect<void>) => void> = []

  /**
   * To be asked for in the same turn as the look that found nothing. A waiter that is interrupted is remembered until
   * the next wake-up: for who waits once, and is woken when it ends.
   */
  wait(): Effect.Effect<void> {
    const seen = this.wakes
    return Effect.async<void>((resume) => {
      if (this.wakes === seen) this.waiters.push(resume)
      else resume(Effect.void)
    })
  }

  /** The same, for whoever may be interrupted and come back again and again: an interrupted waiter is forgotten. */
  waitOrLeave(): Effect.Effect<void> {
    const seen = this.wakes
    return Effect.async<void>((resume) => {
      if (this.wakes !== seen) {
        resume(Effect.void)
        return undefined
      }
      this.waiters.push(resume)
      return Effect.sync(() => {
        this.waiters = this.waiters.filter((waiter) => waiter !== resume)
      })
    })
  }

  /** The same for who is no fiber: called in the turn of the next wake-up, once. */
  unsafeOnce(go: () => void): void {
    this.waiters.push(() => go())
  }

  /** How many wait. */
  get waiting(): number {
    return this.waiters.length
  }

  wake(): void {
    this.wakes++
    if (this.waiters.length === 0) return
    const waiters = this.waiters
    this.waiters = []
    // A waiter whose fiber was interrupted ignores it.
    for (const resume of waiters) resume(Effect.void)
  }
}

/**
 * One at a time. Effect's semaphore loses its permit to who is interrupted between having it and knowing that he has; here
 * only the wait is interruptible, and what has its turn ends it.
 */
export class Turn {
  private isTaken = false
  private readonly freed = new Signal()

  /** Runs an effect when nobody else's runs, uninterruptibly. */
  take<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) => {
      const turn: Effect.Effect<void> = Effect.suspend(() => {
        if (this.isTaken) return Effect.zipRight(restore(this.freed.waitOrLeave()), turn)
        this.isTaken = true
        return Effect.void
      })
      return Effect.zipRight(turn, Effect.ensuring(effect, this.end))
    })
  }

  private readonly end = Effect.sync(() => {
    this.isTaken = false
    this.freed.wake()
  })
}

/** One turn of the event loop: who works without ever waiting lets others have theirs. */
export const yieldToEventLoop: Effect.Effect<void> = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/**
 * In whose name a client that has left interrupts its handler. It is `HttpServerError.clientAbortFiberId`, found by its
 * global name instead of by an import: applications of `@effect/platform` tell a client that left from a server that stops
 * by this very object.
 */
export const clientAbortFiberId: FiberId.FiberId = globalValue(
  "@effect/platform/HttpServerError/clientAbortFiberId",
  () => FiberId.runtime(-499, 0)
)

/** Asks a fiber to end, from outside of any fiber, and does not wait for it. */
export const interruptAsFork = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  inNameOf: FiberId.FiberId = FiberId.none
): void => fiber.unsafeInterruptAsFork(inNameOf)
