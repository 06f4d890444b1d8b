/**
 * The waiting room: connections that have arrived and have not been taken, and who takes them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { isOSError, OSError } from "../../Errors.js"
import { type Continuation, costs, loopBudget } from "../host/eventLoopBudget.js"
import { recordMetrics } from "../metrics.js"
import { Signal } from "../runtime/effectInterop.js"

/** What takers fail with when their listener is closed. One for all: to make one costs two stack traces. */
export const listenerClosed = new OSError({
  code: "ECANCELED",
  syscall: "accept",
  cause: new Error("the listener was closed")
})

/** Connections taken at once of those that wait; the others are taken in later turns of the event loop. 1 to 2 ms. */
const maxTaken = 64

/** One accept loop that takes connections: those that wait, and then each as it arrives. */
class AcceptLoopState<A> implements Continuation {
  /** It continues in the next turn, before the connections that are being served. */
  isDeferred = false

  constructor(
    private readonly isOpen: () => boolean,
    private readonly take: (connection: A) => void,
    private readonly arrivals: { readonly next: () => A | OSError | undefined },
    private readonly end: (how: Effect.Effect<void, OSError>) => void
  ) {}

  /** Takes those that are there. */
  run(): void {
    if (this.isDeferred) return
    for (let taken = 0; this.isOpen(); taken++) {
      if (taken === maxTaken || (taken > 0 && loopBudget.isSpent)) {
        this.defer()
        return
      }
      const next = this.arrivals.next()
      if (next === undefined) return
      if (isOSError(next)) {
        this.end(Effect.fail(next))
        return
      }
      loopBudget.spend(costs.connection)
      this.take(next)
    }
    this.end(Effect.void)
  }

  defer(): void {
    this.isDeferred = true
    loopBudget.deferFirst(this)
  }

  resume(): void {
    this.isDeferred = false
    this.run()
  }

  cancel(): void {
    if (this.isDeferred) loopBudget.cancel(this)
  }
}

export class PendingConnections<A> {
  private queue: Array<A> = []
  private failure: OSError | undefined
  private readonly arrival = new Signal()
  /** Who admits what arrives in the turn in which it does, in the order in which they came. */
  private acceptLoops: ReadonlyArray<AcceptLoopState<A>> = []

  get size(): number {
    return this.queue.length
  }

  /** Whether a connection that arrives now is taken: at once, or when an accept loop continues. */
  get hasTaker(): boolean {
    if (this.acceptLoops.some(({ isDeferred }) => isDeferred)) return true
    return this.arrival.waiting > this.queue.length
  }

  offer(connection: A): void {
    this.queue.push(connection)
    recordMetrics.connectionsPending(1)
    this.notify()
  }

  /** No more will come: takers fail, now and from now on. Gives back those that nobody took. */
  close(error: OSError): ReadonlyArray<A> {
    this.failure ??= error
    const left = this.queue
    this.queue = []
    recordMetrics.connectionsPending(-left.length)
    this.notify()
    return left
  }

  private notify(): void {
    for (const admission of this.acceptLoops) admission.run()
    this.arrival.wake()
  }

  /** Leaves a connection out that waits, if it does. */
  remove(connection: A): boolean {
    const i = this.queue.indexOf(connection)
    if (i < 0) return false
    this.queue.splice(i, 1)
    recordMetrics.connectionsPending(-1)
    return true
  }

  private shift(): A | undefined {
    const first = this.queue.shift()
    if (first !== undefined) recordMetrics.connectionsPending(-1)
    return first
  }

  /** The one that has waited longest. */
  readonly take: Effect.Effect<A, OSError> = Effect.suspend((): Effect.Effect<A, OSError> => {
    const first = this.shift()
    if (first !== undefined) return Effect.succeed(first)
    if (this.failure !== undefined) return Effect.fail(this.failure)
    return Effect.zipRight(this.arrival.waitOrLeave(), this.take)
  })

  /** The one that has waited longest, or why there will be none. */
  private next(): A | OSError | undefined {
    return this.shift() ?? this.failure
  }

  /**
   * Hands over who waits and then whoever arrives, one by one as long as `isOpen`, and ends when it no longer is. No
   * fiber is woken for an arrival: to pass it through a stream costs more than to serve it. When many wait, some are taken in
   * each turn of the event loop.
   */
  acceptWhile(isOpen: () => boolean, take: (connection: A) => void): Effect.Effect<void, OSError> {
    return Effect.async<void, OSError>((resume) => {
      const leave = (): void => {
        this.acceptLoops = this.acceptLoops.filter((each) => each !== admission)
        admission.cancel()
      }
      const admission = new AcceptLoopState(isOpen, take, { next: () => this.next() }, (how) => {
        leave()
        resume(how)
      })
      this.acceptLoops = [...this.acceptLoops, admission]
      // A loop that takes one at a time comes here again for each.
      if (loopBudget.isSpent && this.size > 0) admission.defer()
      else admission.run()
      return Effect.sync(leave)
    })
  }
}
