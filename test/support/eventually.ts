/**
 * Waiting for conditions: a waiter checks at once, and again after every `notify`. Time only ends a wait that would
 * never end, with an error that names the condition; it is real time, so that a stopped `TestClock` does not stop it.
 */
import * as Effect from "effect/Effect"

/** Milliseconds after which a wait fails: far more than a busy machine needs. */
export const waitTimeout = 10_000

/** Timeout of a test that waits for several conditions. */
export const testTimeout = 30_000

/** A wait that has exceeded its timeout. */
export class WaitTimeout extends Error {}

export class Condition {
  private readonly watchers = new Set<() => void>()

  /** Makes every waiter check its condition again. */
  readonly notify = (): void => {
    for (const look of Array.from(this.watchers)) look()
  }

  /** Waits until `look` returns a value; dies with a `WaitTimeout` that names `what` on timeout. */
  until<A>(look: () => A | undefined, what: () => string, milliseconds = waitTimeout): Effect.Effect<A> {
    return Effect.async<A>((resume) => {
      const stop = (): void => {
        clearTimeout(timer)
        this.watchers.delete(watcher)
      }
      const settle = (effect: Effect.Effect<A>): void => {
        stop()
        resume(effect)
      }
      const watcher = (): void => {
        try {
          const found = look()
          if (found !== undefined) settle(Effect.succeed(found))
        } catch (defect) {
          settle(Effect.die(defect))
        }
      }
      const timer = setTimeout(
        () => settle(Effect.die(new WaitTimeout(`nothing in ${milliseconds} ms; waited for ${what()}`))),
        milliseconds
      )
      this.watchers.add(watcher)
      watcher()
      return Effect.sync(stop)
    })
  }
}

/** One turn of the event loop, in which sockets are polled. */
export const eventLoopTurn: Effect.Effect<void> = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** So many turns of the event loop: for a check that something does *not* happen, which no event announces. */
export const eventLoopTurns = (count: number): Effect.Effect<void> => Effect.repeatN(eventLoopTurn, count - 1)

/** Polls once per turn of the event loop until the condition holds; returns the last value. */
export const eventually = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  isExpected: (value: A) => boolean,
  what: string
): Effect.Effect<A, E, R> => {
  const until = performance.now() + waitTimeout
  const again: Effect.Effect<A, E, R> = Effect.flatMap(look, (value) => {
    if (isExpected(value)) return Effect.succeed(value)
    if (performance.now() >= until) return Effect.die(new Error(`never ${what}; last value: ${String(value)}`))
    return Effect.zipRight(eventLoopTurn, again)
  })
  return again
}
