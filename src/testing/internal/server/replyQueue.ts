/** Queue of replies for requests, and of requests that wait for a reply. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
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

/** The types of the server do not include a reply's errors: those without a status become defects. */
const withResponseErrors = <A, R>(effect: Effect.Effect<A, unknown, R>): Effect.Effect<A, RespondableError, R> =>
  Effect.catchAll(effect, (error) =>
    isValueError(error) || isKeyError(error) ? Effect.fail(error) : Effect.die(error)
  )

export class ReplyQueue {
  private readonly replies: Array<StoredReply> = []
  /** Waiting requests, in order of arrival. */
  private readonly waiting: Array<object> = []
  private readonly changed = new Signal()

  readonly size: Effect.Effect<number> = Effect.sync(() => this.replies.length)

  /** A reply runs with the context in which it was added, and the scope of its request. */
  private readonly enqueue = (replies: ReadonlyArray<Handler<unknown, Scope.Scope>>): Effect.Effect<void> =>
    Effect.map(Effect.context<never>(), (context) => {
      for (const reply of replies) {
        this.replies.push((request) =>
          Effect.mapInputContext(withResponseErrors(reply(request)), (own: Context.Context<Scope.Scope>) =>
            Context.merge(own, context).pipe(Context.add(Scope.Scope, Context.get(own, Scope.Scope)))
          )
        )
      }
      this.changed.wake()
    })

  /** `enqueue`, with the type that requires the context of the replies. */
  readonly enqueueAll: Queue["enqueue"] = (...replies) =>
    this.enqueue(replies as ReadonlyArray<Handler<unknown, Scope.Scope>>)

  /** Responds with the next reply; with the handler if there is none, or if it is due to a waiting request. */
  readonly withFallback =
    <E, R>(handler: Handler<E, R>): Handler<E | RespondableError, R | Scope.Scope> =>
    (request) =>
      Effect.suspend((): Effect.Effect<Responded, E | RespondableError, R | Scope.Scope> => {
        const reply = this.waiting.length === 0 ? this.replies.shift() : undefined
        return reply === undefined ? handler(request) : reply(request)
      })

  /** Takes the next reply, waiting for it in order of arrival; a fiber that is interrupted while waiting takes none. */
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
