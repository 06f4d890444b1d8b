/** The listeners of a server as one: connections of all of them, in the order in which each has accepted them. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Address, isTcp } from "../../Address.js"
import type { Connection } from "../../Connection.js"
import { OSError, type SslError } from "../../Errors.js"
import type { BoundListener, ListenError, Listener, ListenOptions } from "../../Listener.js"

export interface BoundListeners {
  /** The address of the first. */
  readonly address: Address
  readonly addresses: ReadonlyArray<Address>
  readonly acceptWhile: BoundListener["acceptWhile"]
  readonly reloadTls: Effect.Effect<void, SslError>
}

/** The port of the first listener; an `OSError` if its address is not of TCP. */
export const portOf = ({ address }: BoundListeners): Effect.Effect<number, OSError> =>
  isTcp(address) ? Effect.succeed(address.port) : new OSError({ code: "EAFNOSUPPORT", syscall: "getsockname" })

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

const unsupported = (message: string): OSError =>
  new OSError({ code: "ENOTSUP", syscall: "listen", cause: new Error(message) })

/**
 * Listens at one place. Another listener than that of sockets may ignore options: a server must not be plain, nor open to every
 * peer, without an error.
 */
const listenAt = (listener: Listener["Type"], options: ListenOptions) =>
  listener.listen(options).pipe(
    Effect.filterOrFail(
      ({ reloadTls }) => options.tls === undefined || reloadTls !== undefined,
      () => unsupported("this listener has no TLS")
    ),
    Effect.filterOrFail(
      ({ hasProxyProtocol = false }) => options.proxyProtocol === undefined || hasProxyProtocol,
      () => unsupported("this listener has no PROXY protocol")
    )
  )

/** Listens at every place, in order; the scope closes those that are bound if a later one fails. */
export const listenAll = (
  listener: Listener["Type"],
  [main, ...additional]: readonly [ListenOptions, ...ReadonlyArray<ListenOptions>]
): Effect.Effect<BoundListeners, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const first = yield* listenAt(listener, main)
    const others = yield* Effect.forEach(additional, (options) => listenAt(listener, options))
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
