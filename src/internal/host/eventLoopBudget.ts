/**
 * Time budget of connections in one turn of the event loop, and the queue of those that continue in a later turn.
 *
 * A few packets can cause much work: thousands of pipelined requests, a body in chunks of one byte. A connection therefore
 * has a share of a turn. The rest of its work continues in a later turn, so that timers and events of other sockets are
 * processed in between. All connections together have `turnTime`, and are resumed round-robin. The event loop belongs to the
 * thread, and so does this budget, however many servers there are. The first request of an idle connection is not queued.
 *
 * Plain code, since every request passes here: it costs an addition and two comparisons, and reads the clock (0.1 µs) once
 * in 32 requests. Turns are only tracked under load: an immediate for each turn would cost a small request a tenth.
 */
import { monotonicNow, setImmediate } from "./hostTimers.js"

export interface Continuation {
  resume(): void
}

/**
 * Milliseconds of a turn for all connections together: about the delay of a request on an idle connection under load. The
 * poll for events that ends a turn costs 1 to 2 µs, so that a longer turn would gain less than 0.1 %.
 */
const turnTime = 2

/** The share of one connection: 32 requests, 1,024 pieces of a body, or 256 KiB; 20 to 200 µs. */
export const share = 1024

/** Costs of work, in units of `share`. */
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
  /** True if no time is left in this turn: connections that have run in it continue in a later one. */
  isSpent = false
  private cost = 0
  private startedAt = 0
  private isArmed = false
  private queue: Array<Continuation> = []
  /** Continuations that precede the queue in the next turn. */
  private first: Array<Continuation> = []
  /** Number of continuations that may still be resumed in this turn: those queued before it began. */
  private due = 0

  spend(cost: number): void {
    this.cost += cost
    if (this.cost >= share) this.check()
  }

  defer(continuation: Continuation): void {
    this.queue.push(continuation)
    if (!this.isArmed) this.begin()
  }

  /** Resumes a continuation in the next turn, before the queue: for work that the end of this turn has suspended. */
  deferFirst(continuation: Continuation): void {
    this.first.push(continuation)
    if (!this.isArmed) this.begin()
  }

  cancel(continuation: Continuation): void {
    this.first = this.first.filter((each) => each !== continuation)
    const index = this.queue.indexOf(continuation)
    if (index < 0) return
    this.queue.splice(index, 1)
    if (index < this.due) this.due--
  }

  private check(): void {
    this.cost = 0
    if (!this.isArmed) this.begin()
    else if (monotonicNow() - this.startedAt >= turnTime) this.isSpent = true
  }

  /** Starts a turn, which lasts until the next immediate. */
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
   * Resumes continuations while there is time. A fiber continues in a microtask, so the next one is resumed in a later
   * microtask, when the cost of the first is known.
   */
  private readonly dispatch = (): void => {
    if (this.due === 0 || this.isSpent) {
      this.due = 0
      return
    }
    this.due--
    this.queue.shift()?.resume()
    this.check()
    void resolved.then(this.dispatch)
  }
}

export const loopBudget = new LoopBudget()
