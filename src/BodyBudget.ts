/**
 * The body budget: how many bytes of request bodies may be in memory at once because they are read whole.
 *
 * `maxBody` bounds one body; their sum it does not, and 200 uploads of 8 MiB are 1.6 GiB. The bytes of a body that is read
 * whole (`bytes`, `text`, `json`, and what an application of `@effect/platform` reads so) are counted as they arrive, and
 * until their request ends. Beyond `max`, reading waits, its socket is paused, and a body that has waited for
 * `bufferedBodyTimeout` is answered 503.
 *
 * - The first 64 KiB of each body (`maxReadAhead`, if that is less) never wait: the server reads so much ahead anyway. A
 *   small body is therefore read at once, whatever larger ones wait.
 * - Bodies that wait go on in the order in which they began to be read.
 * - There is no deadlock when all that is held belongs to bodies that wait: the first of them goes on beyond `max`, one at a
 *   time, until its request ends. So at most `max`, and one body more, is held, and a body that is larger than `max` is
 *   read too, while `maxBody` allows it.
 *
 * What is streamed is not counted: a handler that collects a stream holds what it collects.
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
import { recordMetrics } from "./internal/metrics.js"
import { defaults } from "./Limits.js"

/**
 * What a budget is made with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Bytes; `Limits.defaults.maxBufferedBodies` by default. `Infinity` only counts. */
  readonly max?: number | undefined
}

/**
 * What is held at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface State {
  /** Bytes of bodies that are read whole, those among them that a body may read next without asking again. */
  readonly held: number
  readonly max: number
  /** Bodies whose reading waits. */
  readonly waiting: number
}

/**
 * A body, as the budget sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface BodyHolder {
  /** Bytes that are counted for it. The budget adds to them when it grants more. */
  heldBytes: number
  /** Its place among those that wait: the budget sets it when the body first asks. */
  order: number
  /** Bytes that it needs next, from 1. */
  readonly nextBytes: number
  /** Called when it has been granted what it waited for. */
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
  /** What is held, from now on: the state there is, and the newest after each change; states between two looks are skipped. */
  readonly changes: Stream.Stream<State>
  /** How many bodies wait. */
  readonly unsafeWaiting: () => number
  /** Counts bytes that have arrived, or given back if they are negative. */
  readonly unsafeTake: (holder: BodyHolder, bytes: number) => void
  /**
   * Whether a body may hold its next bytes: they are counted then. If not it waits, and `onGranted` is called; asking again
   * keeps its place.
   */
  readonly unsafeRequest: (holder: BodyHolder) => boolean
  /** It waits no longer, and holds what it has. */
  readonly unsafeCancel: (holder: BodyHolder) => void
  /** It holds nothing any more. */
  readonly unsafeRelease: (holder: BodyHolder) => void
}

/**
 * The budget of a process, or of some servers in it. A server takes it from its context, where there is one, and makes its own
 * otherwise, or where its limit `maxBufferedBodies` is not the default.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { BodyBudget, Server } from "effect-asynchttpserver"
 *
 * // 32 MiB for all servers that are made with it.
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
  /** In the order in which they go on. */
  private readonly waiting: Array<BodyHolder> = []
  /** The one body that may go on beyond `max`. */
  private privileged: BodyHolder | undefined
  private requests = 0

  constructor(readonly max: number) {}

  get changes(): Stream.Stream<State> {
    return changesOf(
      this.held,
      () => ({ held: this.held.unsafeCount, max: this.max, waiting: this.waiting.length }),
      (one, other) => one.held === other.held && one.waiting === other.waiting
    )
  }

  readonly unsafeWaiting = (): number => this.waiting.length

  readonly unsafeTake = (holder: BodyHolder, bytes: number): void => {
    if (bytes === 0) return
    holder.heldBytes += bytes
    this.held.unsafeAdd(bytes)
    recordMetrics.bodyBytes(bytes)
    if (bytes < 0) this.grantWaiting()
  }

  readonly unsafeRequest = (holder: BodyHolder): boolean => {
    if (holder.order === 0) holder.order = ++this.requests
    const first = this.waiting[0]
    // The privileged one waits for no other: that may wait for it.
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

  /** With nothing beyond `max`, the next body that finds no room may be the one. */
  private mayGrant(holder: BodyHolder): boolean {
    if (holder === this.privileged || this.hasRoom(holder)) return true
    if (this.held.unsafeCount <= this.max) this.privileged = undefined
    if (this.privileged !== undefined) return false
    this.privileged = holder
    return true
  }

  private hasRoom({ nextBytes }: BodyHolder): boolean {
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
    recordMetrics.bodiesWaiting(by)
    this.held.changed.wake()
  }
}

/**
 * Makes a budget. A `max` that is no number of bytes, from 0, is a `ConfigError`.
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
      ? Effect.succeed(new BodyBudgetImpl(max))
      : Effect.fail(ConfigError.InvalidData(["max"], "bytes are 0 or more"))
  )

/**
 * A budget as a layer, for all servers that it is provided to. A `max` that is none is a defect here; `make` has it in its
 * type.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<BodyBudget> =>
  Layer.effect(BodyBudget, Effect.orDie(make(options)))
