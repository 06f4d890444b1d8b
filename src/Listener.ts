/**
 * Where connections come from: a service that listens, and gives the connections that arrive, one by one or as they come.
 *
 * A connection is handed out unread: no byte of it is looked at before it is opened. The listener counts it in the
 * descriptor budget when it arrives and gives it back when it has closed; what the waiting room cannot hold is answered
 * `503` at once. Parsing, answering and deadlines are other rooms. TCP is the default; anything that gives bytes in both
 * directions can be a listener, which is how a server is tested without a socket.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Address, Domain } from "./Address.js"
import type { Connection } from "./Connection.js"
import type { OSError, ValueError } from "./Errors.js"

export type {
  /**
   * One connection, plain and synchronous.
   *
   * @since 0.1.0
   * @category models
   */
  Connection,
  /**
   * The events of a connection.
   *
   * @since 0.1.0
   * @category models
   */
  ConnectionEvents
} from "./Connection.js"

import { yieldToEventLoop } from "./internal/runtime/effectInterop.js"

/**
 * What `listen` is given.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListenOptions {
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number
  /** An IP address of the domain, or a name that has one; "" is any address. */
  readonly address: string
  /** A family alone, or both by one socket: an IPv6 one that takes IPv4 too. */
  readonly domain: Domain | "Dual"
  readonly reuseAddr: boolean
  readonly reusePort: boolean
  /** Connections that the system keeps before they are accepted. */
  readonly backlog: number
  /** What becomes of a connection that nobody takes at once: it waits, while there is room for that, or is refused. */
  readonly onFull: "queue" | "reject"
}

/**
 * A listener at work.
 *
 * @since 0.1.0
 * @category models
 */
export interface BoundListener {
  readonly address: Address
  /**
   * Takes the connection that has waited longest. Fails with `OSError` when the system refuses to accept, and with the
   * code `ECANCELED` when the listener has been closed.
   */
  readonly accept: Effect.Effect<Connection, OSError>
  /**
   * Takes those that wait, and then each as it arrives, outside of any fiber, as long as `isOpen` says so before each
   * one; ends when it no longer does, and fails as `accept` does. `admitBy` makes one of `accept`.
   */
  readonly acceptWhile: (isOpen: () => boolean, take: (connection: Connection) => void) => Effect.Effect<void, OSError>
  /** How many have arrived and have not been taken. */
  readonly pending: Effect.Effect<number>
  /** How many were refused because there was no room for them to wait. */
  readonly rejected: Effect.Effect<number>
}

/** Connections admitted in one turn of the event loop, when as many wait. */
const admittedAtOnce = 64

/**
 * The `admit` of a listener that only has an `accept`: one connection after the other, each by the fiber that admits.
 *
 * @example
 * ```ts
 * import { Effect, Queue } from "effect"
 * import { Listener } from "effect-asynchttpserver"
 *
 * const program = Effect.gen(function*() {
 *   const arrivals = yield* Queue.unbounded<Listener.Connection>()
 *   const admit = Listener.admitBy(Queue.take(arrivals))
 *   // The gate is closed: nobody is waited for.
 *   yield* admit(() => false, () => {})
 *   return "closed"
 * })
 * console.log(await Effect.runPromise(program))
 * // closed
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const admitBy =
  (accept: BoundListener["accept"]): BoundListener["acceptWhile"] =>
  (isOpen, take) => {
    const some = Effect.suspend(() => {
      let left = admittedAtOnce
      return Effect.whileLoop({
        while: () => left > 0 && isOpen(),
        body: () => accept,
        step: (connection) => {
          left--
          take(connection)
        }
      })
    })
    const all: Effect.Effect<void, OSError> = Effect.flatMap(some, () =>
      isOpen() ? Effect.zipRight(yieldToEventLoop, all) : Effect.void
    )
    return all
  }

/**
 * The service: listens until its scope ends.
 *
 * @since 0.1.0
 * @category tags
 */
export class Listener extends Context.Tag("effect-asynchttpserver/Listener")<
  Listener,
  { readonly listen: (options: ListenOptions) => Effect.Effect<BoundListener, OSError | ValueError, Scope.Scope> }
>() {}
