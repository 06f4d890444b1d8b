/**
 * The waiting room: connections that have arrived and have not been taken.
 *
 * @internal
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { OSError } from "../../Errors.js"
import { Signal } from "../runtime.js"

export class Arrivals<A> {
  private queue: Array<A> = []
  private failure: OSError | undefined
  private isWaking = false
  private readonly arrived = new Signal()

  get size(): number {
    return this.queue.length
  }

  /**
   * The taker is woken once, after every connection that is ready in this turn of the event loop has arrived: they are
   * one chunk, and a stream's cost is paid once for all of them.
   */
  offer(connection: A): void {
    this.queue.push(connection)
    if (this.isWaking) return
    this.isWaking = true
    setImmediate(() => {
      this.isWaking = false
      this.arrived.wake()
    })
  }

  /** No more will come: takers fail, now and from now on. Gives back those that nobody took. */
  fail(error: OSError): ReadonlyArray<A> {
    this.failure ??= error
    const left = this.queue
    this.queue = []
    this.arrived.wake()
    return left
  }

  /** Those that were taken and never opened, because who took them was interrupted, come back to the front. */
  private giveBack(connections: ReadonlyArray<A>): void {
    this.queue = [...connections, ...this.queue]
    this.arrived.wake()
  }

  /** Leaves a connection out that has closed while it waited. */
  remove(connection: A): void {
    const i = this.queue.indexOf(connection)
    if (i >= 0) this.queue.splice(i, 1)
  }

  private take<B>(cut: (queue: Array<A>) => B): Effect.Effect<B, OSError> {
    return Effect.suspend((): Effect.Effect<B, OSError> => {
      if (this.queue.length > 0) return Effect.succeed(cut(this.queue))
      if (this.failure !== undefined) return Effect.fail(this.failure)
      return Effect.zipRight(this.arrived.waitOrLeave(), this.take(cut))
    })
  }

  /** The one that has waited longest. The queue is not empty when it is cut. */
  readonly takeOne: Effect.Effect<A, OSError> = this.take((queue) => queue.shift()!)

  /** All that are there, again and again; who stops taking gives back those of the last chunk that are still `isLeft`. */
  stream(isLeft: (connection: A) => boolean): Stream.Stream<A, OSError> {
    return Stream.suspend(() => {
      let last: ReadonlyArray<A> = []
      const takeAll = this.take((queue) => {
        last = queue.splice(0)
        return Chunk.unsafeFromArray([...last])
      })
      const giveBack = Effect.sync(() => this.giveBack(last.filter(isLeft)))
      return Stream.ensuring(Stream.repeatEffectChunk(takeAll), giveBack)
    })
  }
}
