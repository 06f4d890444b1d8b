/** Uses of Effect APIs that a later version renames, and synchronization primitives that Effect lacks. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { setImmediate } from "../host/hostTimers.js"

/**
 * A broadcast condition variable: `wake` resumes every waiter, and each re-checks its condition.
 *
 * A fiber may yield between the check and the wait. A wake-up in between is not lost: a wait compares the number of wake-ups
 * with that at its creation. One suspension and resumption costs 1.4 µs, a `Deferred` 8, a `Queue` 10.
 */
export class Signal {
  private wakes = 0
  private waiters: Array<(effect: Effect.Effect<void>) => void> = []

  /** Suspends until the next `wake`. Must be called in the same turn as the failed check. */
  waitOrLeave(): Effect.Effect<void> {
    const wakes = this.wakes
    return Effect.async<void>((resume) => {
      if (this.wakes !== wakes) {
        resume(Effect.void)
        return undefined
      }
      this.waiters.push(resume)
      return Effect.sync(() => {
        this.waiters = this.waiters.filter((waiter) => waiter !== resume)
      })
    })
  }

  /** The first Effect that `next` returns: it is called at once, and after each wake-up while it returns `undefined`. */
  until<A, E = never, R = never>(next: () => Effect.Effect<A, E, R> | undefined): Effect.Effect<A, E, R> {
    const step: Effect.Effect<A, E, R> = Effect.suspend(() => next() ?? Effect.zipRight(this.waitOrLeave(), step))
    return step
  }

  /** Registers a callback for the next wake-up, which calls it synchronously and once. */
  unsafeOnce(listener: () => void): void {
    this.waiters.push(() => listener())
  }

  get waiting(): number {
    return this.waiters.length
  }

  wake(): void {
    this.wakes++
    if (this.waiters.length === 0) return
    const waiters = this.waiters
    this.waiters = []
    // The waiter of an interrupted fiber ignores the call.
    for (const resume of waiters) resume(Effect.void)
  }
}

/** Yields for one turn of the event loop, so that timers and sockets are processed. */
export const yieldToEventLoop: Effect.Effect<void> = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/**
 * Fiber id of interruptions that are caused by a disconnect of the client. It is `HttpServerError.clientAbortFiberId`, found
 * by its global name instead of an import: applications of `@effect/platform` compare with this very object to distinguish a
 * client disconnect from a server shutdown.
 */
export const clientAbortFiberId: FiberId.FiberId = globalValue(
  "@effect/platform/HttpServerError/clientAbortFiberId",
  () => FiberId.runtime(-499, 0)
)

/**
 * Forks a root fiber from plain code, with the FiberRefs of the fiber that calls it, if one does: with its loggers, its
 * supervisor, its clock and its tracer.
 */
export const runForkLikeCurrent = <A, E>(effect: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> => {
  const current = Option.getOrUndefined(Fiber.getCurrentFiber())
  if (current === undefined) return Effect.runFork(effect)
  const fiberRefs = FiberRefs.delete(current.getFiberRefs(), FiberRef.currentContext)
  const { context, runtimeFlags } = Runtime.defaultRuntime
  return Runtime.runFork(Runtime.make({ context, fiberRefs, runtimeFlags }), effect)
}

/** Interrupts a fiber from outside of fibers, without waiting for its end. */
export const interruptAsFork = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  by: FiberId.FiberId = FiberId.none
): void => fiber.unsafeInterruptAsFork(by)
