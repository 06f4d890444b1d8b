/**
 * The source of connections: a service that listens, and yields connections, one at a time or as they arrive.
 *
 * A connection is passed on unread: no byte is read before the server opens it. The listener counts it in the descriptor
 * budget when it arrives, releases it when it has closed, and rejects it with `503` if the queue of pending connections is
 * full. TCP is the default (`TcpListener`); any bidirectional byte stream can be a listener, so a server can be tested
 * without sockets.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Address, Domain } from "./Address.js"
import type { Connection } from "./Connection.js"
import type { OSError, SslError, ValueError } from "./Errors.js"
import { yieldToEventLoop } from "./internal/runtime/effectInterop.js"
import type { Options as TlsOptions } from "./Tls.js"

export type {
  /** A connection: synchronous calls, without Effect. @since 0.1.0 @category models */
  Connection,
  /** The events of a connection. @since 0.1.0 @category models */
  ConnectionEvents
} from "./Connection.js"

/**
 * The PROXY protocol, versions 1 and 2: each connection begins with a header in which a proxy reports the addresses of its
 * client. For proxies that pass on bytes (HAProxy `send-proxy`, nginx `proxy_protocol on` of a stream, AWS network load
 * balancers). `local` and `remote` of a connection are then those of the header; those of the socket where the header has
 * none (`LOCAL`, `UNKNOWN`). Requests are `https` if the header states TLS of the client (`send-proxy-v2-ssl`).
 *
 * The header is required: a connection without a valid one, or of a peer that is not trusted, is closed, counted
 * (`Metrics.proxyHeaderErrors`) and logged at level Debug. Health checks of the proxy have to send it too
 * (`check-send-proxy`).
 *
 * @example
 * ```ts
 * import { Server } from "effect-asynchttpserver"
 *
 * const live = Server.layer({ port: 8080, proxyProtocol: { trusted: ["loopback", "10.1.0.0/16"] } })
 * console.log(typeof live)
 * // object
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface ProxyProtocol {
  /**
   * The networks of the proxies: IP addresses, CIDR networks, `"loopback"`, `"private"` (RFC 1918 and RFC 4193), and `"unix"`
   * for the peers of a Unix domain socket.
   */
  readonly trusted: ReadonlyArray<string>
  /** Time for a header, from when the connection was admitted. Default: 10 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * The options of `Listener.listen`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListenOptions {
  /** 0 to 65535; with 0 the system assigns a free port. */
  readonly port: number
  /** An IP address of the domain, or a host name that resolves to one; "" is the unspecified address. */
  readonly address: string
  /** One address family, or `"Dual"`: an IPv6 socket that accepts IPv4 too. */
  readonly domain: Domain | "Dual"
  /** The path of a Unix domain socket, instead of a TCP address. */
  readonly path?: string | undefined
  /** Permission bits of the socket file at `path`. */
  readonly mode?: number | undefined
  /** A descriptor that listens already, instead of an address. */
  readonly fd?: number | undefined
  /** TLS on every connection. */
  readonly tls?: TlsOptions | undefined
  /** A header of the PROXY protocol before everything else on a connection, TLS included. */
  readonly proxyProtocol?: ProxyProtocol | undefined
  /** `SO_REUSEADDR`. */
  readonly reuseAddr: boolean
  /** `SO_REUSEPORT`; with `"auto"` where it is supported, else the process must be a worker of `node:cluster`. */
  readonly reusePort: boolean | "auto"
  /** Length of the system's queue of connections that are not accepted yet. */
  readonly backlog: number
  /** For a connection that no accept loop takes at once: it is queued, up to a share of the budget, or rejected with 503. */
  readonly onFull: "queue" | "reject"
}

/**
 * Why a server cannot listen: `ValueError` (`Port`, `Address`, `Option`, `AlreadyListening`), `OSError` of the system, or
 * `SslError` of its certificates.
 *
 * @since 0.1.0
 * @category models
 */
export type ListenError = OSError | ValueError | SslError

/**
 * A bound listener.
 *
 * @since 0.1.0
 * @category models
 */
export interface BoundListener {
  readonly address: Address
  /**
   * Takes the oldest pending connection, or waits for the next. Fails with the `OSError` of the system if it cannot accept,
   * and with the code `ECANCELED` if the listener is closed.
   */
  readonly accept: Effect.Effect<Connection, OSError>
  /**
   * Passes the pending connections, and then each as it arrives, to `take`, outside of any fiber. Calls `isOpen` before each
   * one; completes when it returns false, and fails as `accept` does. `acceptWhileBy` derives it from `accept`.
   */
  readonly acceptWhile: (isOpen: () => boolean, take: (connection: Connection) => void) => Effect.Effect<void, OSError>
  /** The number of pending connections: arrived, and not taken yet. */
  readonly pending: Effect.Effect<number>
  /** The number of connections that were rejected with 503, in total. */
  readonly rejected: Effect.Effect<number>
  /** True if it requires the header of `proxyProtocol` on each connection; absent without. */
  readonly hasProxyProtocol?: boolean | undefined
  /** Loads the credentials of TLS again; absent without TLS. Fails with those unchanged that are in use. */
  readonly reloadTls?: Effect.Effect<void, SslError> | undefined
}

/** Maximum connections taken in one event-loop turn. */
const maxPerTurn = 64

/**
 * Derives the `acceptWhile` of a listener from its `accept`: takes one connection after the other, in the calling fiber.
 *
 * @example
 * ```ts
 * import { Effect, Queue } from "effect"
 * import { Listener } from "effect-asynchttpserver"
 *
 * const program = Effect.gen(function*() {
 *   const arrivals = yield* Queue.unbounded<Listener.Connection>()
 *   const acceptWhile = Listener.acceptWhileBy(Queue.take(arrivals))
 *   // The condition is false: completes without waiting for a connection.
 *   yield* acceptWhile(() => false, () => {})
 *   return "closed"
 * })
 * console.log(await Effect.runPromise(program))
 * // closed
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const acceptWhileBy =
  (accept: BoundListener["accept"]): BoundListener["acceptWhile"] =>
  (isOpen, take) => {
    const batch = Effect.suspend(() => {
      let left = maxPerTurn
      // `step` runs in the very step of the fiber in which `accept` succeeds: no interruption comes between. An uninterruptible
      // mask would add nothing, since `accept` itself has to be interruptible to its end.
      return Effect.whileLoop({
        while: () => left > 0 && isOpen(),
        body: () => accept,
        step: (connection) => {
          left--
          take(connection)
        }
      })
    })
    const batches: Effect.Effect<void, OSError> = Effect.flatMap(batch, () =>
      isOpen() ? Effect.zipRight(yieldToEventLoop, batches) : Effect.void
    )
    return batches
  }

/**
 * The service. `listen` binds, and the listener is closed with the scope. A server that closes interrupts a bind in progress.
 *
 * @since 0.1.0
 * @category tags
 */
export class Listener extends Context.Tag("effect-asynchttpserver/Listener")<
  Listener,
  {
    readonly listen: (options: ListenOptions) => Effect.Effect<BoundListener, ListenError, Scope.Scope>
  }
>() {}
