/**
 * Replies that wait for requests, and requests that wait for replies.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { isKeyError, isValueError, type RespondableError } from "../../../Errors.js"
import { Signal } from "../../../internal/runtime/effectInterop.js"
import type { Handler, Responded } from "../../../Response.js"

/** A handler of any type: its errors and its context are taken from that type. */
export type AnyHandler = Handler<unknown, unknown>

export type ErrorOf<H extends AnyHandler> = Effect.Effect.Error<ReturnType<H>>

export type ContextOf<H extends AnyHandler> = Effect.Effect.Context<ReturnType<H>>

export interface Queue<E = RespondableError, R = Scope.Scope> {
  /** Responds to each request with the next reply. */
  readonly handler: Handler<E, R>
  /**
   * Adds replies in this order. They run with the context of this effect; their errors without a status become defects.
   */
  readonly enqueue: <const Replies extends ReadonlyArray<AnyHandler>>(
    ...replies: Replies
  ) => Effect.Effect<void, never, Exclude<ContextOf<Replies[number]>, Scope.Scope>>
  /** Number of replies in the queue. */
  readonly size: Effect.Effect<number>
}

type StoredReply = Handler<RespondableError, Scope.Scope>

/** The errors of a reply are not in the types of who answers by it: those that nothing answers are defects. */
const withResponseErrors = <A, R>(effect: Effect.Effect<A, unknown, R>): Effect.Effect<A, RespondableError, R> =>
  Effect.catchAll(effect, (error) =>
    isValueError(error) || isKeyError(error) ? Effect.fail(error) : Effect.die(error)
  )

export class ReplyQueue {
  private readonly replies: Array<StoredReply> = []
  /** Requests that wait, in the order in which they came. */
  private readonly waiting: Array<object> = []
  private readonly changed = new Signal()

  readonly size: Effect.Effect<number> = Effect.sync(() => this.replies.length)

  /** What a reply needs is what there is where it is put in. */
  private readonly enqueue = (replies: ReadonlyArray<Handler<unknown, Scope.Scope>>): Effect.Effect<void> =>
    Effect.map(Effect.context<never>(), (context) => {
      for (const reply of replies) {
        this.replies.push((request) =>
          Effect.mapInputContext(withResponseErrors(reply(request)), (own: Context.Context<Scope.Scope>) =>
            Context.merge(context, own)
          )
        )
      }
      this.changed.wake()
    })

  /** The same, as it is typed. Whoever puts a reply in has what it needs, by the type. */
  readonly enqueueAll: Queue["enqueue"] = (...replies) =>
    this.enqueue(replies as ReadonlyArray<Handler<unknown, Scope.Scope>>)

  /** Answers by the next reply, and by a handler when there is none, or somebody waits for it. */
  readonly withFallback =
    <E, R>(handler: Handler<E, R>): Handler<E | RespondableError, R | Scope.Scope> =>
    (request) =>
      Effect.suspend((): Effect.Effect<Responded, E | RespondableError, R | Scope.Scope> => {
        const reply = this.waiting.length === 0 ? this.replies.shift() : undefined
        return reply === undefined ? handler(request) : reply(request)
      })

  /** The next reply, waiting for it: who came first has it first, and who is interrupted while he waits takes none. */
  readonly take: Effect.Effect<StoredReply> = Effect.uninterruptibleMask((restore) => {
    const ticket = {}
    const next: Effect.Effect<StoredReply> = Effect.suspend(() => {
      const reply = this.waiting[0] === ticket ? this.replies.shift() : undefined
      return reply === undefined ? Effect.zipRight(restore(this.changed.waitOrLeave()), next) : Effect.succeed(reply)
    })
    const leave = Effect.sync(() => {
      this.waiting.splice(this.waiting.indexOf(ticket), 1)
      this.changed.wake()
    })
    this.waiting.push(ticket)
    return Effect.ensuring(next, leave)
  })
}
