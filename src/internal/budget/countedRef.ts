/**
 * A `Ref` that the system's events change too.
 *
 * A socket opens and closes outside of any fiber; to run an Effect for each would cost a connection three fibers. Users
 * see an ordinary `Ref`; events add to it directly, and whoever waits for it to fall is woken either way.
 *
 * @internal
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

  /** What it is compared with has changed: whoever waits looks again. */
  recheck(): void {
    this.changed.wake()
    this.onDecrease.wake()
  }
}

/** The state now, and then whenever another one is found; it is looked for when it may have changed, and never polled. */
export const changesOf = <State>(
  { changed }: CountedRef,
  now: () => State,
  isSame: (one: State, other: State) => boolean
): Stream.Stream<State> =>
  Stream.unwrap(
    Effect.sync(() => {
      let last: State | undefined
      const next: Effect.Effect<State> = Effect.suspend(() => {
        const state = now()
        if (last !== undefined && isSame(last, state)) return Effect.zipRight(changed.waitOrLeave(), next)
        last = state
        return Effect.succeed(state)
      })
      return Stream.repeatEffect(next)
    })
  )
