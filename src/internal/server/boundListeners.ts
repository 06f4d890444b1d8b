/**
 * The listeners of a server as one: connections of all of them, in the order in which each has accepted them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Address } from "../../Address.js"
import type { Connection } from "../../Connection.js"
import type { OSError, SslError, ValueError } from "../../Errors.js"
import type { BoundListener, Listener, ListenOptions } from "../../Listener.js"

export interface BoundListeners {
  /** The address of the first. */
  readonly address: Address
  readonly addresses: ReadonlyArray<Address>
  readonly acceptWhile: BoundListener["acceptWhile"]
  readonly reloadTls: Effect.Effect<void, SslError>
}

/**
 * Accepts from all at once. The first that completes or fails ends the others: each calls `isOpen` before it takes a
 * connection, so none takes one afterwards. Each accept begins with another listener: where the budget has capacity for one
 * connection at a time, a listener that always has connections pending would take all of it.
 */
const acceptFrom = (bound: ReadonlyArray<BoundListener>): BoundListener["acceptWhile"] => {
  let first = 0
  return (isOpen, take) =>
    Effect.suspend(() => {
      first = (first + 1) % bound.length
      let isEnded = false
      const isAccepting = (): boolean => !isEnded && isOpen()
      const each = ({ acceptWhile }: BoundListener): Effect.Effect<void, OSError> =>
        Effect.ensuring(
          acceptWhile(isAccepting, (connection: Connection) => take(connection)),
          Effect.sync(() => {
            isEnded = true
          })
        )
      const [next, ...others] = [...bound.slice(first), ...bound.slice(0, first)].map(each)
      // A race begins with its first effect.
      return others.reduceRight((race, other) => Effect.raceFirst(race, other), next!)
    })
}

/** Listens at every place, in order; the scope closes those that are bound if a later one fails. */
export const listenAll = (
  listener: Listener["Type"],
  [main, ...additional]: readonly [ListenOptions, ...ReadonlyArray<ListenOptions>]
): Effect.Effect<BoundListeners, OSError | ValueError | SslError, Scope.Scope> =>
  Effect.gen(function* () {
    const first = yield* listener.listen(main)
    const others = yield* Effect.forEach(additional, (options) => listener.listen(options))
    const all = [first, ...others]
    return {
      address: first.address,
      addresses: all.map(({ address }) => address),
      acceptWhile: others.length === 0 ? first.acceptWhile : acceptFrom(all),
      // Reloads every listener, also after one that fails.
      reloadTls: Effect.flatMap(
        Effect.forEach(all, ({ reloadTls = Effect.void }) => Effect.either(reloadTls)),
        (results) => Effect.all(results, { discard: true })
      )
    }
  })
