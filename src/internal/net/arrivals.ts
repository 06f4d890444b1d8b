/**
 * The waiting room: connections that have arrived and have not been taken, and who takes them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { OSError } from "../../Errors.js"
import { Signal } from "../runtime.js"
import { tally } from "../tally.js"

/** What takers fail with when their listener is closed. One for all: to make one costs two stack traces. */
export const closedListener = new OSError({
  code: "ECANCELED",
  syscall: "accept",
  cause: new Error("the listener was closed")
})

export class Arrivals<A> {
  private queue: Array<A> = []
  private failure: OSError | undefined
  private readonly arrived = new Signal()
  /** Who admits what arrives in the turn in which it does, in the order in which they came. */
  private admitters: Array<() => void> = []

  get size(): number {
    return this.queue.length
  }

  /** Whether somebody waits for one more than there are. */
  get isAwaited(): boolean {
    return this.arrived.waiting > this.queue.length
  }

  offer(connection: A): void {
    this.queue.push(connection)
    tally.waiting(1)
    this.changed()
  }

  /** No more will come: takers fail, now and from now on. Gives back those that nobody took. */
  fail(error: OSError): ReadonlyArray<A> {
    this.failure ??= error
    const left = this.queue
    this.queue = []
    tally.waiting(-left.length)
    this.changed()
    return left
  }

  private changed(): void {
    for (const admit of this.admitters) admit()
    this.arrived.wake()
  }

  /** Leaves a connection out that waits, if it does. */
  remove(connection: A): boolean {
    const i = this.queue.indexOf(connection)
    if (i < 0) return false
    this.queue.splice(i, 1)
    tally.waiting(-1)
    return true
  }

  private shift(): A | undefined {
    const first = this.queue.shift()
    if (first !== undefined) tally.waiting(-1)
    return first
  }

  /** The one that has waited longest. */
  readonly takeOne: Effect.Effect<A, OSError> = Effect.suspend((): Effect.Effect<A, OSError> => {
    const first = this.shift()
    if (first !== undefined) return Effect.succeed(first)
    if (this.failure !== undefined) return Effect.fail(this.failure)
    return Effect.zipRight(this.arrived.waitOrLeave(), this.takeOne)
  })

  /**
   * Hands over who waits and then whoever arrives, one by one as long as `isOpen`, and ends when it no longer is. No
   * fiber is woken for an arrival: to pass it through a stream costs more than to serve it.
   */
  admit(isOpen: () => boolean, take: (connection: A) => void): Effect.Effect<void, OSError> {
    return Effect.async<void, OSError>((resume) => {
      const leave = (): void => {
        this.admitters = this.admitters.filter((each) => each !== admit)
      }
      const end = (how: Effect.Effect<void, OSError>): void => {
        leave()
        resume(how)
      }
      const admit = (): void => {
        while (isOpen()) {
          const first = this.shift()
          if (first === undefined) {
            if (this.failure !== undefined) end(Effect.fail(this.failure))
            return
          }
          take(first)
        }
        end(Effect.void)
      }
      this.admitters = [...this.admitters, admit]
      admit()
      return Effect.sync(leave)
    })
  }
}
