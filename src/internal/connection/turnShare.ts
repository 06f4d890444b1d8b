/**
 * Fair scheduling of connections: the share of work of one connection per event-loop turn, and its continuation in a later
 * one.
 *
 * A connection counts its work since it was last suspended on its client. When the work reaches a share, or when the turn's
 * budget for all connections is spent, it enters the queue of `loopBudget`.
 */
import { AsyncResource } from "node:async_hooks"
import * as Effect from "effect/Effect"
import { type Continuation, loopBudget, share } from "../host/eventLoopBudget.js"

/**
 * Work that a connection may do even if the turn's budget is spent: two requests, or 16 KiB. A request that is deferred
 * before its body has been read costs a suspended fiber; with 64 connections that each send one small upload at a time, that
 * was half of the processor time.
 */
const minShare = share / 16

export abstract class TurnShare implements Continuation {
  private used = 0
  /** True if its share was granted by the queue, and it was not suspended on anything else since. */
  private hasQueuedShare = false
  /** True if the request loop, not a handler, continues in a later turn. */
  protected isDeferred = false

  /** Does the pending work. */
  protected abstract run(): void

  /** Runs a method in the connection's asynchronous context: the queue resumes it in that of another connection. */
  protected abstract inAsyncContext(method: () => void): void

  /** Counts work that was done for the connection: see `costs`. */
  spend(cost: number): void {
    this.used += cost
    loopBudget.spend(cost)
  }

  /** Counts a share for a handler that took long, which makes `loopBudget` read the clock. */
  protected spendLongHandler(): void {
    if (this.used > 0) loopBudget.spend(share)
  }

  /** True if further work must be deferred to a later event-loop turn. */
  get hasUsedShare(): boolean {
    return this.used >= share || (loopBudget.isSpent && this.used > minShare)
  }

  /** Starts a new share: the connection is suspended on its client. */
  protected renewShare(): void {
    this.used = 0
    this.hasQueuedShare = false
  }

  /** Completes with the next share, in a later event-loop turn. */
  get nextShare(): Effect.Effect<void> {
    return Effect.async<void>((resume) => Effect.sync(this.onceScheduled(() => resume(Effect.void))))
  }

  /** `nextShare` for code without a fiber; returns its cancellation. */
  onceScheduled(callback: () => void): () => void {
    const continuation: Continuation = { resume: AsyncResource.bind(callback) }
    this.enqueue(continuation)
    return () => loopBudget.cancel(continuation)
  }

  /** Work that was deferred by the end of a turn keeps its place in the queue, and the rest of its share. */
  private enqueue(continuation: Continuation): void {
    if (this.hasQueuedShare && this.used < share) loopBudget.deferFirst(continuation)
    else {
      this.used = 0
      loopBudget.defer(continuation)
    }
    this.hasQueuedShare = true
  }

  protected defer(): void {
    this.isDeferred = true
    this.enqueue(this)
  }

  resume(): void {
    this.isDeferred = false
    this.inAsyncContext(this.run)
  }

  /** Cancels the continuation of the request loop; true if there was one. */
  protected cancelDeferred(): boolean {
    if (!this.isDeferred) return false
    this.isDeferred = false
    loopBudget.cancel(this)
    return true
  }
}
