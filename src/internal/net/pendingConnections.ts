/**
 * The queue of accepted connections that no accept loop has taken yet, and the accept loops that take them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { isOSError, OSError } from "../../Errors.js"
import { type Continuation, costs, loopBudget } from "../host/eventLoopBudget.js"
import { untagged } from "../metrics.js"
import { Signal } from "../runtime/effectInterop.js"

/** The error of `accept` when the listener is closed. A constant, since to make one costs two stack traces. */
export const listenerClosed = new OSError({
  code: "ECANCELED",
  syscall: "accept",
  cause: new Error("the listener was closed")
})

/** Maximum pending connections taken in one event-loop turn, which takes 1 to 2 ms. */
const maxAccepted = 64

/** One `acceptWhile`: takes pending connections, and then each as it arrives. */
class AcceptLoopState<A> implements Continuation {
  /** True if it continues in the next event-loop turn, before the connections that are being served. */
  isDeferred = false

  constructor(
    private readonly isOpen: () => boolean,
    private readonly take: (connection: A) => void,
    private readonly pending: { readonly next: () => A | OSError | undefined },
    private readonly onEnd: (result: Effect.Effect<void, OSError>) => void
  ) {}

  /** Takes the pending connections. */
  run(): void {
    if (this.isDeferred) return
    for (let accepted = 0; this.isOpen(); accepted++) {
      if (accepted === maxAccepted || (accepted > 0 && loopBudget.isSpent)) {
        this.defer()
        return
      }
      const next = this.pending.next()
      if (next === undefined) return
      if (isOSError(next)) {
        this.onEnd(Effect.fail(next))
        return
      }
      loopBudget.spend(costs.connection)
      this.take(next)
    }
    this.onEnd(Effect.void)
  }

  defer(): void {
    this.isDeferred = true
    loopBudget.deferFirst(this)
  }

  resume(): void {
    this.isDeferred = false
    this.run()
  }

  fail(error: OSError): void {
    this.onEnd(Effect.fail(error))
  }

  cancel(): void {
    if (this.isDeferred) loopBudget.cancel(this)
  }
}

export class PendingConnections<A> {
  private queue: Array<A> = []
  private failure: OSError | undefined
  private readonly arrival = new Signal()
  /** Accept loops that take connections synchronously, in registration order. */
  private acceptLoops: ReadonlyArray<AcceptLoopState<A>> = []

  constructor(private readonly metrics = untagged) {}

  get size(): number {
    return this.queue.length
  }

  /** True if a connection that arrives now is taken, at once or when a deferred accept loop continues. */
  get hasTaker(): boolean {
    if (this.acceptLoops.some(({ isDeferred }) => isDeferred)) return true
    return this.arrival.waiting > this.queue.length
  }

  offer(connection: A): void {
    this.queue.push(connection)
    this.metrics.connectionsPending(1)
    this.notify()
  }

  /** Closes the queue: accepts fail from now on. Returns the connections that were not taken. */
  close(error: OSError): ReadonlyArray<A> {
    this.failure ??= error
    const remaining = this.queue
    this.queue = []
    this.metrics.connectionsPending(-remaining.length)
    this.notify()
    return remaining
  }

  /** A transient error of accept: ends the accept loops with it, once; connections continue to be queued. */
  failLoops(error: OSError): void {
    for (const loop of this.acceptLoops) loop.fail(error)
  }

  private notify(): void {
    for (const loop of this.acceptLoops) loop.run()
    this.arrival.wake()
  }

  /** Removes a connection; false if it is not pending. */
  remove(connection: A): boolean {
    const i = this.queue.indexOf(connection)
    if (i < 0) return false
    this.queue.splice(i, 1)
    this.metrics.connectionsPending(-1)
    return true
  }

  private shift(): A | undefined {
    const connection = this.queue.shift()
    if (connection !== undefined) this.metrics.connectionsPending(-1)
    return connection
  }

  /** Takes the oldest pending connection. */
  readonly take: Effect.Effect<A, OSError> = Effect.suspend((): Effect.Effect<A, OSError> => {
    const connection = this.shift()
    if (connection !== undefined) return Effect.succeed(connection)
    if (this.failure !== undefined) return Effect.fail(this.failure)
    return Effect.zipRight(this.arrival.waitOrLeave(), this.take)
  })

  /** The oldest pending connection, or the error of a closed queue. */
  private next(): A | OSError | undefined {
    return this.shift() ?? this.failure
  }

  /**
   * Passes pending connections, and then each arrival, to `take` while `isOpen`; completes when it is not. An arrival resumes
   * no fiber: to pass it through a stream costs more than to serve it. Many pending connections are taken over several
   * event-loop turns.
   */
  acceptWhile(isOpen: () => boolean, take: (connection: A) => void): Effect.Effect<void, OSError> {
    return Effect.async<void, OSError>((resume) => {
      const unregister = (): void => {
        this.acceptLoops = this.acceptLoops.filter((each) => each !== loop)
        loop.cancel()
      }
      const loop = new AcceptLoopState(isOpen, take, { next: () => this.next() }, (result) => {
        unregister()
        resume(result)
      })
      this.acceptLoops = [...this.acceptLoops, loop]
      // A caller that takes one connection at a time registers anew for each.
      if (loopBudget.isSpent && this.size > 0) loop.defer()
      else loop.run()
      return Effect.sync(unregister)
    })
  }
}
