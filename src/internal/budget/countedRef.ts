/**
 * A `Ref` of a count that socket events change too.
 *
 * A socket opens and closes outside of any fiber; to run an Effect for each would cost a connection three fibers. Users
 * see an ordinary `Ref`; events add to it directly, and fibers that are suspended until it decreases are resumed either way.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Readable from "effect/Readable"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { Signal } from "../runtime/effectInterop.js"

export class CountedRef extends Effectable.Class<number> implements Ref.Ref<number> {
  readonly [Ref.RefTypeId] = { _A: (count: number): number => count }
  readonly [Readable.TypeId]: Readable.TypeId = Readable.TypeId
  readonly onDecrease = new Signal()
  readonly changed = new Signal()
  private count = 0

  readonly get: Effect.Effect<number> = Effect.sync(() => this.count)

  commit(): Effect.Effect<number> {
    return this.get
  }

  modify<B>(f: (count: number) => readonly [B, number]): Effect.Effect<B> {
    return Effect.sync(() => {
      const [result, next] = f(this.count)
      this.unsafeAdd(next - this.count)
      return result
    })
  }

  get unsafeCount(): number {
    return this.count
  }

  unsafeAdd(change: number): void {
    this.count += change
    this.changed.wake()
    if (change < 0) this.onDecrease.wake()
  }

  /** Resumes all waiters, which re-check: the maximum has changed. */
  recheck(): void {
    this.changed.wake()
    this.onDecrease.wake()
  }
}

/** A stream of a state derived from a count: the current one, then each different one. Not polled. */
export const changesOf = <State>(
  { changed }: CountedRef,
  now: () => State,
  isEqual: (self: State, that: State) => boolean
): Stream.Stream<State> =>
  Stream.unwrap(
    Effect.sync(() => {
      let last: State | undefined
      const next = changed.until(() => {
        const state = now()
        if (last !== undefined && isEqual(last, state)) return undefined
        last = state
        return Effect.succeed(state)
      })
      return Stream.repeatEffect(next)
    })
  )
