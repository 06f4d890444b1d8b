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
import * as Ref from "effect/Ref"
import { openDescriptors, systemLimit } from "./internal/descriptors.js"
import { Signal } from "./internal/runtime.js"

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
  /** Descriptors held now: listening sockets, connections that wait, connections that are served. */
  readonly held: Effect.Effect<number>
  /** The original's rule: `held + assumed < max`, and always true for a negative `assumed`. */
  readonly hasRoom: (assumed: number) => Effect.Effect<boolean>
  /** Waits, without using the processor, until there is room for `assumed`, and for the reserve in any case. */
  readonly awaitRoom: (assumed: number) => Effect.Effect<void>
  /** Counts a descriptor that has been opened. */
  readonly take: Effect.Effect<void>
  /** Counts a descriptor that has been closed. */
  readonly release: Effect.Effect<void>
  /** Whether one more may arrive at all: beyond it a connection is refused. */
  readonly canArrive: Effect.Effect<boolean>
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

const fromMax = (max: number): Effect.Effect<Budget> =>
  Effect.map(Ref.make(0), (ref) => {
    const reserve = reserveOf(max)
    const changed = new Signal()
    const held = Ref.get(ref)
    const awaitRoom = (needed: number): Effect.Effect<void> =>
      Effect.flatMap(held, (now) =>
        now + needed < max ? Effect.void : Effect.zipRight(changed.wait(), awaitRoom(needed))
      )
    return {
      max,
      reserve,
      held,
      hasRoom: (assumed) => Effect.map(held, (now) => assumed < 0 || now + assumed < max),
      awaitRoom: (assumed) => awaitRoom(Math.max(assumed, reserve)),
      take: Ref.update(ref, (now) => now + 1),
      release: Effect.zipRight(
        Ref.update(ref, (now) => now - 1),
        Effect.sync(() => changed.wake())
      ),
      canArrive: Effect.map(held, (now) => now + reserve < max)
    }
  })

/**
 * Makes a budget. Reading the system's limit happens here, once; a `MAX_DESCRIPTORS_FALLBACK` that is no positive
 * number is a `ConfigError`, though only where the system is silent.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Budget, ConfigError.ConfigError> =>
  Effect.gen(function* () {
    if (options.max !== undefined) return yield* fromMax(options.max)
    const limit = systemLimit() ?? (yield* maxDescriptorsFallback)
    return yield* fromMax(Math.max(1, limit - openDescriptors()))
  })

/**
 * A budget as a layer. A wrong `MAX_DESCRIPTORS_FALLBACK` is a defect here; `make` has it in its type.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<DescriptorBudget> =>
  Layer.effect(DescriptorBudget, Effect.orDie(make(options)))
