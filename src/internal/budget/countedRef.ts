/**
 * A `Ref` of a number that is also updated synchronously, by events of sockets.
 *
 * Sockets open and close outside of fibers; running an Effect for each event would cost a connection three fibers. To users it
 * is an ordinary `Ref`. Every update wakes the fibers that wait for a change.
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

  /** Wakes all waiters to re-check their condition: the value it is compared with has changed. */
  recheck(): void {
    this.changed.wake()
    this.onDecrease.wake()
  }
}

/** The current state, then every different one that is found after a change. There is no polling. */
export const changesOf = <State>(
  { changed }: CountedRef,
  now: () => State,
  isSame: (left: State, right: State) => boolean
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
