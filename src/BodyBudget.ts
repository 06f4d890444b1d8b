/**
 * Memory budget for request bodies that are buffered whole.
 *
 * `maxBody` bounds a single body, but not their sum: 200 uploads of 8 MiB are 1.6 GiB. The bytes of a buffered body
 * (`bytes`, `text`, `json`, and the equivalents of `@effect/platform`) are counted from their arrival until the request
 * ends. Above `max`, reading is suspended and the socket is paused; after `bufferedBodyTimeout` the response is 503.
 *
 * - The first 64 KiB of each body (`maxReadAhead`, if that is less) are never suspended: the server reads that much ahead
 *   anyway. A small body is therefore read at once, even while larger ones are suspended.
 * - Suspended bodies resume in the order in which their reading began.
 * - No deadlock occurs when suspended bodies hold the whole budget: one at a time, the first of them may exceed `max` until
 *   its request ends. At most `max` and one body are held, and a body larger than `max` is read if `maxBody` allows it.
 *
 * Streamed bodies are not counted: a handler that collects a stream holds what it collects.
 *
 * @since 0.1.0
 */
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Ref from "effect/Ref"
import type * as Stream from "effect/Stream"
import { CountedRef, changesOf } from "./internal/budget/countedRef.js"
import { currentRecorder, type MetricRecorder } from "./internal/metrics.js"
import { defaults } from "./Limits.js"

/**
 * Options of a budget.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Bytes; `Limits.defaults.maxBufferedBodies` by default. `Infinity` only counts. */
  readonly max?: number | undefined
}

/**
 * State of a budget at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface State {
  /** Bytes of buffered bodies, including bytes that are granted but not yet read. */
  readonly held: number
  readonly max: number
  /** Bodies whose reading is suspended. */
  readonly waiting: number
}

/**
 * A body that takes bytes from the budget.
 *
 * @since 0.1.0
 * @category models
 */
export interface BodyHolder {
  /** Bytes counted for this body. The budget adds to them when it grants more. */
  heldBytes: number
  /** Position in the queue, set by the budget on the first request. */
  order: number
  /** Bytes to be requested next, from 1. */
  readonly nextBytes: number
  /** Called when a suspended request is granted. */
  onGranted(): void
}

/**
 * The service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Budget {
  /** Bytes that may be held. */
  readonly max: number
  /** Bytes that are held now. */
  readonly held: Ref.Ref<number>
  /** The current state, then the newest after each change. A slow consumer skips intermediate states. */
  readonly changes: Stream.Stream<State>
  /** Number of suspended bodies. */
  readonly unsafeWaiting: () => number
  /** Counts bytes that have arrived; a negative number releases them. */
  readonly unsafeTake: (holder: BodyHolder, bytes: number) => void
  /**
   * Requests the next bytes of a body. True: they are granted and counted. False: the body is queued, and `onGranted` is
   * called later; a repeated request keeps its position.
   */
  readonly unsafeRequest: (holder: BodyHolder) => boolean
  /** Removes a body from the queue; it keeps the bytes it holds. */
  readonly unsafeCancel: (holder: BodyHolder) => void
  /** Releases all bytes of a body. */
  readonly unsafeRelease: (holder: BodyHolder) => void
}

/**
 * The budget of a process, or of several servers in it. A server uses the budget in its context. It creates its own if there
 * is none, or if its limit `maxBufferedBodies` is not the default.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { BodyBudget, Server } from "effect-asynchttpserver"
 *
 * // 32 MiB, shared by all servers that use this layer.
 * const live = Server.layer().pipe(Layer.provide(BodyBudget.layer({ max: 32 * 1024 * 1024 })))
 * const max = Effect.map(Server.bodyBudget, (budget) => budget.max)
 * console.log(await Effect.runPromise(Effect.provide(max, live)))
 * // 33554432
 * ```
 *
 * @since 0.1.0
 * @category tags
 */
export class BodyBudget extends Context.Tag("effect-asynchttpserver/BodyBudget")<BodyBudget, Budget>() {}

class BodyBudgetImpl implements Budget {
  readonly held = new CountedRef()
  /** In the order in which they resume. */
  private readonly waiting: Array<BodyHolder> = []
  /** The one body that may exceed `max`. */
  private privileged: BodyHolder | undefined
  private requests = 0

  constructor(
    readonly max: number,
    private readonly metrics: MetricRecorder
  ) {}

  get changes(): Stream.Stream<State> {
    return changesOf(
      this.held,
      () => ({ held: this.held.unsafeCount, max: this.max, waiting: this.waiting.length }),
      (left, right) => left.held === right.held && left.waiting === right.waiting
    )
  }

  readonly unsafeWaiting = (): number => this.waiting.length

  readonly unsafeTake = (holder: BodyHolder, bytes: number): void => {
    if (bytes === 0) return
    holder.heldBytes += bytes
    this.held.unsafeAdd(bytes)
    this.metrics.bodyBytes(bytes)
    if (bytes < 0) this.grantWaiting()
  }

  readonly unsafeRequest = (holder: BodyHolder): boolean => {
    if (holder.order === 0) holder.order = ++this.requests
    const first = this.waiting[0]
    // The privileged body does not queue: the others may be suspended until it ends.
    const isNext = first === undefined || holder === this.privileged || holder.order <= first.order
    if (isNext && this.mayGrant(holder)) {
      this.grant(holder)
      return true
    }
    this.enqueue(holder)
    return false
  }

  readonly unsafeCancel = (holder: BodyHolder): void => {
    if (this.remove(holder)) this.grantWaiting()
  }

  readonly unsafeRelease = (holder: BodyHolder): void => {
    this.remove(holder)
    if (this.privileged === holder) this.privileged = undefined
    if (holder.heldBytes > 0) this.unsafeTake(holder, -holder.heldBytes)
    else this.grantWaiting()
  }

  /** While the budget is not exceeded, the next body that does not fit becomes the privileged one. */
  private mayGrant(holder: BodyHolder): boolean {
    if (holder === this.privileged || this.fits(holder)) return true
    if (this.held.unsafeCount <= this.max) this.privileged = undefined
    if (this.privileged !== undefined) return false
    this.privileged = holder
    return true
  }

  private fits({ nextBytes }: BodyHolder): boolean {
    return this.held.unsafeCount + nextBytes <= this.max
  }

  private grant(holder: BodyHolder): void {
    this.remove(holder)
    this.unsafeTake(holder, holder.nextBytes)
  }

  private grantWaiting(): void {
    for (let first = this.waiting[0]; first !== undefined && this.mayGrant(first); first = this.waiting[0]) {
      this.grant(first)
      first.onGranted()
    }
  }

  private enqueue(holder: BodyHolder): void {
    if (this.waiting.includes(holder)) return
    const after = this.waiting.findIndex(({ order }) => order > holder.order)
    this.waiting.splice(after < 0 ? this.waiting.length : after, 0, holder)
    this.waitingChanged(1)
  }

  private remove(holder: BodyHolder): boolean {
    const index = this.waiting.indexOf(holder)
    if (index < 0) return false
    this.waiting.splice(index, 1)
    this.waitingChanged(-1)
    return true
  }

  private waitingChanged(by: number): void {
    this.metrics.bodiesWaiting(by)
    this.held.changed.wake()
  }
}

/**
 * Creates a budget. Fails with a `ConfigError` if `max` is not a number from 0.
 *
 * @example
 * ```ts
 * import { Effect, Ref } from "effect"
 * import { BodyBudget } from "effect-asynchttpserver"
 *
 * const { held, max } = await Effect.runPromise(BodyBudget.make({ max: 1024 }))
 * console.log(await Effect.runPromise(Ref.get(held)), "of", max)
 * // 0 of 1024
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({
  max = defaults.maxBufferedBodies
}: Options = {}): Effect.Effect<Budget, ConfigError.ConfigError> =>
  Effect.suspend(() =>
    max >= 0
      ? Effect.map(currentRecorder, (metrics) => new BodyBudgetImpl(max, metrics))
      : Effect.fail(ConfigError.InvalidData(["max"], "must be 0 or more"))
  )

/**
 * A budget as a layer, shared by all servers that it is provided to. An invalid `max` is a defect; `make` fails with a typed
 * error instead.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<BodyBudget> =>
  Layer.effect(BodyBudget, Effect.orDie(make(options)))
