/**
 * The descriptor budget: how many sockets this process may hold, how many it holds, and the gate in front of the fork.
 *
 * A `Ref` is the number of descriptors really held, one a socket, taken when the socket arrives and given back when it
 * is closed. The rule is the original's: there is room while `held + assumed < max`. The budget opens and closes
 * nothing itself.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Ref from "effect/Ref"
import { CountedRef } from "./internal/countedRef.js"
import { openDescriptors, systemLimit } from "./internal/descriptors.js"

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
  /** The most descriptors that may be held. */
  readonly max: number
  /** Descriptors kept back for files, name look-ups and logs, whatever is assumed; so many fewer connections are taken. */
  readonly reserve: number
  /**
   * Descriptors held now: listening sockets, connections that wait, connections that are served. A handler that opens
   * files of its own may count them here too, as long as it takes them off again.
   */
  readonly held: Ref.Ref<number>
  /** The original's rule: `held + assumed < max`, and always true for a negative `assumed`. */
  readonly hasRoom: (assumed: number) => Effect.Effect<boolean>
  /** Waits, without using the processor, until there is room for `assumed`, and for the reserve in any case. */
  readonly awaitRoom: (assumed: number) => Effect.Effect<void>
  /** Whether `awaitRoom` would not wait: the same question, asked outside of any fiber. */
  readonly unsafeHasRoom: (assumed: number) => boolean
  /** Whether one more may arrive at all: beyond it a connection is refused. */
  readonly unsafeCanArrive: () => boolean
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

/** Enough for a handler's files and for the runtime; at most a quarter, so that a small limit still serves. */
const reserveOf = (max: number): number => Math.min(64, Math.floor(max / 4))

const fromMax = (max: number): Budget => {
  const reserve = reserveOf(max)
  const held = new CountedRef()
  const hasRoom = (needed: number): boolean => held.unsafeCount + needed < max
  const awaitRoom = (needed: number): Effect.Effect<void> =>
    Effect.suspend(() => (hasRoom(needed) ? Effect.void : Effect.zipRight(held.fell.waitOrLeave(), awaitRoom(needed))))
  return {
    max,
    reserve,
    held,
    hasRoom: (assumed) => Effect.sync(() => assumed < 0 || hasRoom(assumed)),
    awaitRoom: (assumed) => awaitRoom(Math.max(assumed, reserve)),
    unsafeHasRoom: (assumed) => hasRoom(Math.max(assumed, reserve)),
    unsafeCanArrive: () => hasRoom(reserve),
    unsafeTake: () => held.unsafeAdd(1),
    unsafeRelease: () => held.unsafeAdd(-1)
  }
}

/**
 * Makes a budget. Reading the system's limit happens here, once; a `MAX_DESCRIPTORS_FALLBACK` that is no positive
 * number is a `ConfigError`, though only where the system is silent.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Budget, ConfigError.ConfigError> =>
  Effect.suspend(() => {
    if (options.max !== undefined) return Effect.succeed(fromMax(options.max))
    const limit = systemLimit()
    const known = limit === undefined ? maxDescriptorsFallback : Effect.succeed(limit)
    return Effect.map(known, (limit) => fromMax(Math.max(1, limit - openDescriptors())))
  })

/**
 * A budget as a layer. A wrong `MAX_DESCRIPTORS_FALLBACK` is a defect here; `make` has it in its type.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<DescriptorBudget> =>
  Layer.effect(DescriptorBudget, Effect.orDie(make(options)))
