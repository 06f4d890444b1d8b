/**
 * The time that connections may use in one turn of the event loop, and the queue of those that continue in a later turn.
 *
 * A client can send in a moment what takes long to handle: thousands of pipelined requests, a body in chunks of one byte.
 * A connection therefore has a share of a turn. What is left when the share is used up continues in a later turn, so that
 * timers and the events of other sockets come between. All connections together have `turnTime`, and those that have more
 * to do take turns: the event loop belongs to the thread, and so does this budget, however many servers there are. The
 * first request of a connection that was idle does not wait in the queue.
 *
 * Plain code, since every request passes here: it costs an addition and two comparisons, and a look at the clock
 * (0.1 µs) once in 32 requests. A turn is told apart only while there is much to do: an immediate for each turn would cost
 * a small request a tenth.
 *
 * @internal
 */
import { monotonicNow, setImmediate } from "./hostTimers.js"

/** Something that continues when the queue comes to it. */
export interface Continuation {
  resume(): void
}

/**
 * Milliseconds of a turn for all connections together. It is about as long as a request on an idle connection waits for
 * the others; the poll for events that ends a turn costs 1 to 2 µs, so that a longer turn would gain less than 0.1 %.
 */
const turnTime = 2

/** The share of one connection: 32 requests, 1,024 pieces of a body, or 256 KiB; 20 to 200 µs. */
export const share = 1024

/** What work costs, in parts of a share. */
export const costs = {
  request: share / 32,
  /** One step of the parser within a body: 0.15 µs. */
  step: 1,
  /** A piece of a streamed body, in either direction: the stream around it costs up to 15 µs, its framing 0.3 µs. */
  piece: share / 128,
  /** A new connection: 10 µs here, and twice as much in Node. */
  connection: share / 16,
  bytes: (length: number): number => length >> 8
} as const

const resolved = Promise.resolve()

class LoopBudget {
  /** No time is left in this turn: a connection that has done something in it continues in a later one. */
  isSpent = false
  private cost = 0
  private startedAt = 0
  private isArmed = false
  private queue: Array<Continuation> = []
  /** Those that come before the queue in the next turn. */
  private first: Array<Continuation> = []
  /** How many of the queue may still be resumed in this turn: those that were in it when the turn began. */
  private due = 0

  /** Counts work that has been done in this turn. */
  spend(cost: number): void {
    this.cost += cost
    if (this.cost >= share) this.look()
  }

  /** Continues in a later turn, after everything that is in the queue. */
  defer(continuation: Continuation): void {
    this.queue.push(continuation)
    if (!this.isArmed) this.begin()
  }

  /** Continues in the next turn, before the queue: for what the end of this turn has cut short. */
  deferFirst(continuation: Continuation): void {
    this.first.push(continuation)
    if (!this.isArmed) this.begin()
  }

  /** Takes a continuation out of the queue, if it is there. */
  cancel(continuation: Continuation): void {
    this.first = this.first.filter((each) => each !== continuation)
    const index = this.queue.indexOf(continuation)
    if (index < 0) return
    this.queue.splice(index, 1)
    if (index < this.due) this.due--
  }

  private look(): void {
    this.cost = 0
    if (!this.isArmed) this.begin()
    else if (monotonicNow() - this.startedAt >= turnTime) this.isSpent = true
  }

  /** Measures from now on, and until the immediates of this turn. */
  private begin(): void {
    this.isArmed = true
    this.startedAt = monotonicNow()
    setImmediate(this.onTurn)
  }

  private readonly onTurn = (): void => {
    this.isArmed = this.isSpent = false
    this.cost = 0
    if (this.first.length > 0) {
      this.queue = this.first.concat(this.queue)
      this.first = []
    }
    this.due = this.queue.length
    if (this.due === 0) return
    this.begin()
    this.dispatch()
  }

  /**
   * Resumes one after the other, as long as there is time. A fiber continues in a microtask, so the next one is looked for in
   * a microtask after that: what the first has used is known by then.
   */
  private readonly dispatch = (): void => {
    if (this.due === 0 || this.isSpent) {
      this.due = 0
      return
    }
    this.due--
    this.queue.shift()?.resume()
    this.look()
    void resolved.then(this.dispatch)
  }
}

export const loopBudget = new LoopBudget()
