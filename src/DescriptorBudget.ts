/**
 * File descriptor budget: admission control for connections, and reservation of descriptors by handlers.
 *
 * A `Ref` counts the descriptors that are held: one per socket, from accept to close, and those that handlers have
 * reserved. The admission rule is the original's: `held + assumed < max`. The budget opens and closes nothing itself. It
 * can be observed, and compared with what the system counts.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { CountedRef, changesOf } from "./internal/budget/countedRef.js"
import { openDescriptors as countOpen, systemLimit } from "./internal/budget/openFiles.js"

/**
 * Maximum for systems that do not report their limit: `MAX_DESCRIPTORS_FALLBACK`, else 16000, as the original's
 * `nimMaxDescriptorsFallback`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { DescriptorBudget } from "effect-asynchttpserver"
 *
 * console.log(Effect.runSync(DescriptorBudget.maxDescriptorsFallback))
 * // 16000
 * ```
 *
 * @since 0.1.0
 * @category config
 */
export const maxDescriptorsFallback: Config.Config<number> = Config.integer("MAX_DESCRIPTORS_FALLBACK").pipe(
  Config.validate({ message: "must be positive", validation: (max) => max > 0 }),
  Config.withDefault(16000)
)

/**
 * Descriptors that one request is assumed to require: the original's default for `shouldAcceptRequest`.
 *
 * @since 0.1.0
 * @category constants
 */
export const assumedDescriptorsPerRequest = 5

/**
 * Options of a budget.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Maximum of held descriptors; by default the limit of the system less what is open already. */
  readonly max?: number | undefined
}

/**
 * The service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Budget {
  /** Maximum of held descriptors: the given one, else the result of the last `refreshLimit`. */
  readonly max: number
  /**
   * Descriptors reserved for files, name look-ups and logs, independent of `assumed`; connections are served up to `max` less
   * these. Pending connections may use three quarters of them.
   */
  readonly headroom: number
  /**
   * Descriptors held now: listening sockets, pending and served connections, and reservations. `openDescriptors` is what the
   * system counts; the difference of both stays constant while only this server opens descriptors.
   */
  readonly held: Ref.Ref<number>
  /** The current state, then the newest after each change. A slow consumer skips intermediate states. */
  readonly changes: Stream.Stream<State>
  /**
   * Reserves descriptors for files or sockets that are about to be opened, and releases them when the scope closes. The fiber
   * is suspended until `held + count < max`; no connection is accepted meanwhile. Handlers that reserve more while they hold
   * some can deadlock: reserve once, before anything else, much less than `headroom`, or within `Effect.timeout`. A count
   * that is no whole number, or that exceeds `max`, is a defect, a `RangeError`.
   */
  readonly reserve: (count: number) => Effect.Effect<void, never, Scope.Scope>
  /** Reads the limit of the system again, unless `max` was given. A server does so when it listens. */
  readonly refreshLimit: Effect.Effect<void>
  /** The original's rule: `held + assumed < max`, and always true for a negative `assumed`. */
  readonly hasRoom: (assumed: number) => Effect.Effect<boolean>
  /** Suspends the fiber until there is capacity for `assumed`, and at least for `headroom`. */
  readonly awaitRoom: (assumed: number) => Effect.Effect<void>
  /** True if `awaitRoom` would complete at once. For use outside of fibers. */
  readonly unsafeHasRoom: (assumed: number) => boolean
  /** True if one more pending connection fits; otherwise it is rejected. */
  readonly unsafeCanArrive: () => boolean
  /** Closes what can be closed to free one descriptor. True if something is being closed: the new connection is then queued. */
  readonly unsafeMakeRoom: () => boolean
  /**
   * Registers `reclaim`, which is called with the number of missing descriptors whenever a request for some does not fit. It
   * closes what is dispensable, and returns how many that will free. Returns a function that unregisters it.
   */
  readonly unsafeOnShortage: (reclaim: (missing: number) => number) => () => void
  /** Counts a descriptor that has been opened. */
  readonly unsafeTake: () => void
  /** Counts a descriptor that has been closed. */
  readonly unsafeRelease: () => void
}

/**
 * The budget of a process, or of one server in it.
 *
 * @since 0.1.0
 * @category tags
 */
export class DescriptorBudget extends Context.Tag("effect-asynchttpserver/DescriptorBudget")<
  DescriptorBudget,
  Budget
>() {}

/**
 * State of a budget at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface State {
  readonly held: number
  readonly max: number
}

/**
 * Number of open descriptors of this process, as the system counts them; 0 if it does not report them.
 *
 * @since 0.1.0
 * @category getters
 */
export const openDescriptors: Effect.Effect<number> = Effect.sync(countOpen)

/** Enough for the files of handlers and for the runtime; at most a quarter, so that a small limit still serves. */
const headroomOf = (max: number): number => Math.min(64, Math.floor(max / 4))

/** Reserved from pending connections, too: the system silently closes connections that it has no descriptor for. */
const pendingHeadroomOf = (max: number): number => Math.ceil(headroomOf(max) / 4)

type Restore = (wait: Effect.Effect<void>) => Effect.Effect<void>

/** A budget whose maximum is `limit()`, called again by `refreshLimit`. */
const fromLimit = (limit: () => number): Budget => {
  const held = new CountedRef()
  let max = limit()
  const hasRoom = (needed: number): boolean => held.unsafeCount + needed < max
  const reclaimers = new Set<(missing: number) => number>()
  /** Asks the reclaimers to close so many, and returns how many will be closed. Each close wakes the waiters. */
  const reclaim = (missing: number): number => {
    let left = missing
    for (const each of reclaimers) if (left > 0) left -= each(left)
    return missing - left
  }
  const makeRoom = (needed: number): number => reclaim(held.unsafeCount + needed - max + 1)
  /** Number of handlers that are suspended in `reserve`. */
  let reserving = 0
  /** Whether another connection may be served: reservations of handlers come first. */
  const hasRoomForOne = (assumed: number): boolean => reserving === 0 && hasRoom(Math.max(assumed, headroomOf(max)))
  const awaitRoomForOne = (assumed: number): Effect.Effect<void> =>
    held.onDecrease.until(() => {
      if (hasRoomForOne(assumed)) return Effect.void
      makeRoom(Math.max(assumed, headroomOf(max)))
      return undefined
    })
  // Only the wait is interruptible: taken descriptors must reach the finalizer that releases them.
  const take = (count: number, restore: Restore): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!(Number.isInteger(count) && count >= 0 && count < max)) {
        return Effect.die(new RangeError(`cannot reserve ${count} of ${max} descriptors`))
      }
      if (!hasRoom(count)) {
        makeRoom(count)
        return Effect.zipRight(restore(held.onDecrease.waitOrLeave()), take(count, restore))
      }
      held.unsafeAdd(count)
      return Effect.void
    })
  const takeFirst = (count: number, restore: Restore): Effect.Effect<void> =>
    Effect.suspend(() => {
      reserving++
      const taken = Effect.sync(() => {
        reserving--
        // Admission was closed meanwhile: wake the waiters to check again.
        held.onDecrease.wake()
      })
      return Effect.ensuring(take(count, restore), taken)
    })
  return {
    get max() {
      return max
    },
    get headroom() {
      return headroomOf(max)
    },
    held,
    get changes() {
      return changesOf(
        held,
        () => ({ held: held.unsafeCount, max }),
        (left, right) => left.held === right.held && left.max === right.max
      )
    },
    reserve: (count) =>
      count === 0
        ? Effect.void
        : Effect.uninterruptibleMask((restore) =>
            Effect.acquireRelease(takeFirst(count, restore), () => Effect.sync(() => held.unsafeAdd(-count)))
          ),
    refreshLimit: Effect.sync(() => {
      max = limit()
      held.recheck()
    }),
    hasRoom: (assumed) =>
      Effect.sync(() => {
        const fits = assumed < 0 || hasRoom(assumed)
        // A caller that polls never suspends in `awaitRoom`, so capacity is reclaimed here.
        if (!fits) makeRoom(assumed)
        return fits
      }),
    awaitRoom: awaitRoomForOne,
    unsafeHasRoom: hasRoomForOne,
    unsafeCanArrive: () => {
      const fits = hasRoom(pendingHeadroomOf(max))
      if (!fits) makeRoom(pendingHeadroomOf(max))
      return fits
    },
    unsafeMakeRoom: () => reclaim(1) > 0,
    unsafeOnShortage: (reclaim) => {
      reclaimers.add(reclaim)
      return () => reclaimers.delete(reclaim)
    },
    unsafeTake: () => held.unsafeAdd(1),
    unsafeRelease: () => held.unsafeAdd(-1)
  }
}

/**
 * Creates a budget. Fails with a `ConfigError` if `max` is not above 0, or if the system does not report its limit and
 * `MAX_DESCRIPTORS_FALLBACK` is not a positive number.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Budget, ConfigError.ConfigError> =>
  Effect.suspend((): Effect.Effect<Budget, ConfigError.ConfigError> => {
    const { max } = options
    if (max !== undefined) {
      return max > 0
        ? Effect.succeed(fromLimit(() => max))
        : Effect.fail(ConfigError.InvalidData(["max"], "must be above 0"))
    }
    const isKnown = systemLimit() !== undefined
    return Effect.map(isKnown ? Effect.succeed(0) : maxDescriptorsFallback, (fallback) => {
      const openBefore = countOpen()
      return fromLimit(() => Math.max(1, (systemLimit() ?? fallback) - openBefore))
    })
  })

/**
 * `reserve` of the budget in the context.
 *
 * @example
 * ```ts
 * import { Effect, Ref } from "effect"
 * import { DescriptorBudget } from "effect-asynchttpserver"
 *
 * const program = Effect.gen(function*() {
 *   const budget = yield* DescriptorBudget.DescriptorBudget
 *   const during = yield* Effect.scoped(Effect.zipRight(DescriptorBudget.reserve(2), Ref.get(budget.held)))
 *   return [during, yield* Ref.get(budget.held)]
 * })
 * console.log(await Effect.runPromise(Effect.provide(program, DescriptorBudget.layer({ max: 10 }))))
 * // [ 2, 0 ]
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const reserve = (count: number): Effect.Effect<void, never, DescriptorBudget | Scope.Scope> =>
  Effect.flatMap(DescriptorBudget, (budget) => budget.reserve(count))

/**
 * A budget as a layer. Invalid configuration is a defect; `make` fails with a typed error instead.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<DescriptorBudget> =>
  Layer.effect(DescriptorBudget, Effect.orDie(make(options)))
