/**
 * The descriptor budget: how many sockets this process may hold, how many it holds, and the gate in front of the fork.
 *
 * A `Ref` is the number of descriptors really held, one a socket, taken when the socket arrives and given back when it
 * is closed, and those that handlers have reserved. The rule is the original's: there is room while
 * `held + assumed < max`. The budget opens and closes nothing itself; it can be watched, and compared with what the
 * system counts.
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
 * The maximum that is used when the system does not tell its own: `MAX_DESCRIPTORS_FALLBACK`, else 16000, as the
 * original's `nimMaxDescriptorsFallback`.
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
 * How many descriptors one request is assumed to need: the original's default for `shouldAcceptRequest`.
 *
 * @since 0.1.0
 * @category constants
 */
export const assumedDescriptorsPerRequest = 5

/**
 * What a budget is made with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The most sockets that may be held; by default what the system allows, less what is open already. */
  readonly max?: number | undefined
}

/**
 * The service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Budget {
  /** The most descriptors that may be held; what `measure` found last, where it was not given. */
  readonly max: number
  /**
   * Descriptors kept back for files, name look-ups and logs, whatever is assumed; so many fewer connections are served.
   * Of these, three of four may be held by connections that wait.
   */
  readonly headroom: number
  /**
   * Descriptors held now: listening sockets, connections that wait, connections that are served, and what was reserved.
   * `openDescriptors` is what the system counts: of both, the difference stays the same while only this server works.
   */
  readonly held: Ref.Ref<number>
  /** What is held, from now on: the state there is, and the newest after each change; states between two looks are skipped. */
  readonly changes: Stream.Stream<State>
  /**
   * Takes descriptors for what is about to be opened, a file or another socket, and gives them back when the scope ends.
   * Waits, without using the processor, until there is room for them: `held + count < max`; no further connection is
   * taken meanwhile. Requests that reserve more while they hold some may wait for each other: reserve once, before
   * anything else, much less than `kept`, or within `Effect.timeout`. A count that is no whole number, or that can never be
   * had, is a defect, a `RangeError`.
   */
  readonly reserve: (count: number) => Effect.Effect<void, never, Scope.Scope>
  /** Reads the system's limit anew, unless `max` was given. A server does so when it listens. */
  readonly refreshLimit: Effect.Effect<void>
  /** The original's rule: `held + assumed < max`, and always true for a negative `assumed`. */
  readonly hasRoom: (assumed: number) => Effect.Effect<boolean>
  /** Waits, without using the processor, until there is room for `assumed`, and for the reserve in any case. */
  readonly awaitRoom: (assumed: number) => Effect.Effect<void>
  /** Whether `awaitRoom` would not wait: the same question, asked outside of any fiber. */
  readonly unsafeHasRoom: (assumed: number) => boolean
  /** Whether one more may arrive at all: beyond it a connection is refused. */
  readonly unsafeCanArrive: () => boolean
  /** Closes what can be closed for one more; whether anything is, so that one that arrives should wait for it. */
  readonly unsafeMakeRoom: () => boolean
  /**
   * Calls `reclaim` whenever there is no room for what is asked for, with how many descriptors are missing: it closes
   * what it can do without, and gives how many that will free. Gives what ends these calls.
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
 * What is held at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface State {
  readonly held: number
  readonly max: number
}

/**
 * How many descriptors this process has open, as the system counts them; 0 where it does not say.
 *
 * @since 0.1.0
 * @category getters
 */
export const openDescriptors: Effect.Effect<number> = Effect.sync(countOpen)

/** Enough for a handler's files and for the runtime; at most a quarter, so that a small limit still serves. */
const headroomOf = (max: number): number => Math.min(64, Math.floor(max / 4))

/** Kept back from connections that only wait, too: the system closes those without a word that it has no descriptor for. */
const pendingHeadroomOf = (max: number): number => Math.ceil(headroomOf(max) / 4)

type Waiter = (wait: Effect.Effect<void>) => Effect.Effect<void>

/** `limit` gives the most that may be held, each time it is asked. */
const fromLimit = (limit: () => number): Budget => {
  const held = new CountedRef()
  let max = limit()
  const hasRoom = (needed: number): boolean => held.unsafeCount + needed < max
  const reclaimers = new Set<(missing: number) => number>()
  /** Has what can be closed for so many closed, and gives how many are; whoever waits is woken when they have been. */
  const reclaimed = (missing: number): number => {
    let left = missing
    for (const reclaim of reclaimers) if (left > 0) left -= reclaim(left)
    return missing - left
  }
  const makeRoom = (needed: number): number => reclaimed(held.unsafeCount + needed - max + 1)
  /** How many handlers wait for what they need. */
  let reserving = 0
  /** For another connection to be served, when no handler waits. */
  const hasRoomForOne = (assumed: number): boolean => reserving === 0 && hasRoom(Math.max(assumed, headroomOf(max)))
  const awaitRoomForOne = (assumed: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (hasRoomForOne(assumed)) return Effect.void
      makeRoom(Math.max(assumed, headroomOf(max)))
      return Effect.zipRight(held.onDecrease.waitOrLeave(), awaitRoomForOne(assumed))
    })
  // Only the wait is interruptible: what has been taken is somebody's.
  const take = (count: number, waiting: Waiter): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!(Number.isInteger(count) && count >= 0 && count < max)) {
        return Effect.die(new RangeError(`${count} descriptors cannot be reserved of ${max}`))
      }
      if (!hasRoom(count)) {
        makeRoom(count)
        return Effect.zipRight(waiting(held.onDecrease.waitOrLeave()), take(count, waiting))
      }
      held.unsafeAdd(count)
      return Effect.void
    })
  const takeFirst = (count: number, waiting: Waiter): Effect.Effect<void> =>
    Effect.suspend(() => {
      reserving++
      const taken = Effect.sync(() => {
        reserving--
        // The gate was closed to others meanwhile: it looks again.
        held.onDecrease.wake()
      })
      return Effect.ensuring(take(count, waiting), taken)
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
        (one, other) => one.held === other.held && one.max === other.max
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
        const isThere = assumed < 0 || hasRoom(assumed)
        // Whoever asks again and again never waits for it.
        if (!isThere) makeRoom(assumed)
        return isThere
      }),
    awaitRoom: (assumed) => awaitRoomForOne(assumed),
    unsafeHasRoom: (assumed) => hasRoomForOne(assumed),
    unsafeCanArrive: () => {
      const isThere = hasRoom(pendingHeadroomOf(max))
      if (!isThere) makeRoom(pendingHeadroomOf(max))
      return isThere
    },
    unsafeMakeRoom: () => reclaimed(1) > 0,
    unsafeOnShortage: (reclaim) => {
      reclaimers.add(reclaim)
      return () => reclaimers.delete(reclaim)
    },
    unsafeTake: () => held.unsafeAdd(1),
    unsafeRelease: () => held.unsafeAdd(-1)
  }
}

/**
 * Makes a budget. A `max` that is not above 0 is a `ConfigError`, and so is a `MAX_DESCRIPTORS_FALLBACK` that is no positive
 * number, though only where the system does not tell its own limit.
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
        : Effect.fail(ConfigError.InvalidData(["max"], "a budget has a maximum above 0"))
    }
    const isKnown = systemLimit() !== undefined
    return Effect.map(isKnown ? Effect.succeed(0) : maxDescriptorsFallback, (fallback) => {
      const others = countOpen()
      return fromLimit(() => Math.max(1, (systemLimit() ?? fallback) - others))
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
 * A budget as a layer. A wrong `MAX_DESCRIPTORS_FALLBACK` is a defect here; `make` has it in its type.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<DescriptorBudget> =>
  Layer.effect(DescriptorBudget, Effect.orDie(make(options)))
