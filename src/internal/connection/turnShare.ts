/**
 * What one connection may do in one turn of the event loop, and how it continues in a later one.
 *
 * A connection counts what it has done since it last waited for anything: for bytes, or for its client to read. When that
 * is a share, or when no time is left for all connections, it takes its place in the queue of `loopBudget`.
 *
 * @internal
 */
import { AsyncResource } from "node:async_hooks"
import * as Effect from "effect/Effect"
import { type Continuation, loopBudget, share } from "../host/eventLoopBudget.js"

/**
 * What a connection may do though no time is left in the turn: two requests, or 16 KiB. A request that is cut short before
 * its body has been read waits in a fiber for a later turn; with 64 connections, of which each sends one small upload at a
 * time, that was half of the processor time.
 */
const leastShare = share / 16

export abstract class TurnShare implements Continuation {
  private used = 0
  /** Its share was given by the queue, and it has not waited for anything else since. */
  private isInTurn = false
  /** The connection itself, and no handler of it, continues in a later turn. */
  protected isDeferred = false

  /** Does what there is to do. */
  protected abstract run(): void

  /** Runs a method in the asynchronous context of the connection: the queue resumes it in that of another. */
  protected abstract inContext(method: () => void): void

  /** Counts work that has been done for the connection: see `costs`. */
  spend(cost: number): void {
    this.used += cost
    loopBudget.spend(cost)
  }

  /** Counts a handler that has taken as long as several shares: it is worth a look at the clock. */
  protected spendLong(): void {
    if (this.used > 0) loopBudget.spend(share)
  }

  /** Whether what is left to be done has to continue in a later turn of the event loop. */
  get hasUsedShare(): boolean {
    return this.used >= share || (loopBudget.isSpent && this.used > leastShare)
  }

  /** The connection is about to wait for something else than a share. */
  protected renewShare(): void {
    this.used = 0
    this.isInTurn = false
  }

  /** Waits for the next share, in a later turn of the event loop. */
  get nextShare(): Effect.Effect<void> {
    return Effect.async<void>((resume) => Effect.sync(this.onceScheduled(() => resume(Effect.void))))
  }

  /** The same for code that is no fiber; gives what cancels it. */
  onceScheduled(go: () => void): () => void {
    const continuation: Continuation = { resume: AsyncResource.bind(go) }
    this.enqueue(continuation)
    return () => loopBudget.cancel(continuation)
  }

  /** What the end of a turn has cut short keeps its place, and the rest of its share. */
  private enqueue(continuation: Continuation): void {
    if (this.isInTurn && this.used < share) loopBudget.deferFirst(continuation)
    else {
      this.used = 0
      loopBudget.defer(continuation)
    }
    this.isInTurn = true
  }

  protected defer(): void {
    this.isDeferred = true
    this.enqueue(this)
  }

  resume(): void {
    this.isDeferred = false
    this.inContext(this.run)
  }

  /** Whether it was to continue in a later turn, which it does no more. */
  protected cancelDeferred(): boolean {
    if (!this.isDeferred) return false
    this.isDeferred = false
    loopBudget.cancel(this)
    return true
  }
}
