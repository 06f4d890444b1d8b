/**
 * The HTTP server: it listens, accepts connections while the descriptor budget has capacity, and serves their requests.
 *
 * Each accepted connection has a fiber, in which nothing runs, since a connection runs in the events of its socket: it makes
 * the connection visible to a `Supervisor` and to `Fiber.dump`. A request that needs a fiber has one of its own; a handler
 * that only responds runs without.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Address } from "./Address.js"
import type * as BodyBudget from "./BodyBudget.js"
import type { CloseReason, Connection, ConnectionSummary } from "./Connection.js"
import * as DescriptorBudget from "./DescriptorBudget.js"
import { type OSError, type RespondableError, type SslError, ValueError } from "./Errors.js"
import { AdmissionLog } from "./internal/budget/admissionLog.js"
import { makeServerState } from "./internal/connection/serverState.js"
import { timeSourceOf } from "./internal/host/timeSource.js"
import { acceptLoop } from "./internal/server/acceptLoop.js"
import { type BoundListeners, listenAll, portOf } from "./internal/server/boundListeners.js"
import { forkConnection } from "./internal/server/connectionFiber.js"
import { makeServedHandler } from "./internal/server/failureReport.js"
import { alreadyListening, ListenerState } from "./internal/server/listenerState.js"
import type { Listen, ListenOptions } from "./internal/server/places.js"
import { serveInScope } from "./internal/server/servingFiber.js"
import { type CloseReport, closeConnections } from "./internal/server/shutdown.js"
import { ShutdownSignal } from "./internal/server/shutdownSignal.js"
import {
  firstInvalid,
  invalidPlace,
  isPlaceGiven,
  limitOptionsOf,
  listenOptionsOf,
  policiesOf,
  shutdownTimeoutsOf,
  validators
} from "./internal/server/validateOptions.js"
import * as Limits from "./Limits.js"
import type { ListenError } from "./Listener.js"
import * as Listener from "./Listener.js"
import type { Request } from "./Request.js"
import * as RequestParser from "./RequestParser.js"
import type { Handler } from "./Response.js"
import * as ResponseWriter from "./ResponseWriter.js"
import * as TcpListener from "./TcpListener.js"

export type {
  /** Why a connection was closed. @since 0.1.0 @category models */
  CloseReason,
  /** The outcome of a shutdown, as counts of connections. @since 0.1.0 @category models */
  CloseReport,
  /** The result of a connection's fiber. @since 0.1.0 @category models */
  ConnectionSummary,
  /** Why a server cannot listen. @since 0.1.0 @category models */
  ListenError,
  /** Where to listen: at a TCP address, at a path, or on a descriptor. @since 0.1.0 @category models */
  ListenOptions
}

/**
 * The options of a server. Each has a default: that of Nim's `asynchttpserver`, where it has one.
 *
 * `make` does not fail. With an unknown or invalid option, `listen` and `serve` fail with `ValueError` `Option`, which names it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ListenOptions {
  /** `SO_REUSEADDR`. Default: true. With false, `listen` fails with `OSError` `ENOTSUP`, since Node always sets it. */
  readonly reuseAddr?: boolean | undefined
  /**
   * Sharing of a TCP port by several processes; give them a `port`, since 0 may be another one for each. Unsupported:
   * `OSError` `ENOTSUP` at `listen`.
   *
   * - `false` (default): workers of `node:cluster` share the port through their primary, any other process has it alone. The
   *   primary accepts and passes on every connection; one that a worker closes before it is accepted goes to another worker.
   * - `true`: `SO_REUSEPORT`, with which the kernel balances connections among the processes, at no cost to any of them.
   *   Requires Node 22.12 or 23.1, on Linux, FreeBSD, SunOS or AIX. A process that stops accepting still gets its share
   *   until it closes its listener, and the connections queued for it are then reset.
   * - `"auto"`: as `true` where that is supported; elsewhere as `false` in workers of `node:cluster`, and unsupported in any
   *   other process.
   */
  readonly reusePort?: boolean | "auto" | undefined
  /** Maximum bytes of a request body; 413 beyond it. Default: 8 MiB. Takes precedence over `limits.maxBody`. */
  readonly maxBody?: number | undefined
  /** Limits of sizes (in bytes), counts and durations of each connection: see `Limits`. Default: `Limits.defaults`. */
  readonly limits?: Limits.Options | undefined
  /**
   * What a client's FIN does while its request is handled. `"continue"` (default): the handler continues, since the client may
   * still read the response; it is interrupted after `limits.halfCloseTimeout` without a write. `"interrupt"`: the handler
   * is interrupted at once, as by a disconnect.
   */
  readonly onClientEnd?: "continue" | "interrupt" | undefined
  /** CONNECT requests. `"reject"` (default): 501. `"handle"`: passed to the handler, which may use `Response.tunnel`. */
  readonly connectMethod?: "reject" | "handle" | undefined
  /**
   * Requests with a method outside of `HttpMethod.all`. `"reject"` (default): 501. `"handle"`: passed to the handler, with
   * any token as method (RFC 9110 §9.1).
   */
  readonly unknownMethods?: "reject" | "handle" | undefined
  /**
   * The networks of proxies whose `X-Forwarded-*` or `Forwarded` fields count: IP addresses, CIDR networks, `"loopback"`,
   * `"private"` (RFC 1918 and RFC 4193), and `"unix"` for the peers of a Unix domain socket. The fields are walked from the right
   * through these networks; the first other address is the client. `remoteAddress`, `host` and `scheme` of a request are what
   * these proxies report. Each of them must write or remove all fields of the kind. Default: none, and no such field counts;
   * but an application of `@effect/platform` sees `X-Forwarded-Proto` as it was sent, until the option is given: `[]` trusts none.
   */
  readonly trustedProxies?: ReadonlyArray<string> | undefined
  /**
   * The fields that the trusted proxies write; those of the other kind never count, since a proxy passes them on as the client
   * has sent them. `"x-forwarded"` (default): `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`; `"forwarded"`: `Forwarded` (RFC
   * 7239).
   */
  readonly forwardedHeader?: "x-forwarded" | "forwarded" | undefined
  /**
   * Connections that arrive while the budget has no capacity. `"queue"` (default): they are pending until it has, up to half
   * of the budget. `"reject"`: they receive 503 with `Retry-After` at once, as do those beyond the queue.
   */
  readonly onFull?: "queue" | "reject" | undefined
  /** Time for requests in flight to complete when the server closes; in real time. Default: 5 seconds. */
  readonly drainTimeout?: Duration.DurationInput | undefined
  /**
   * Time for handlers that are interrupted after `drainTimeout` to end, finalizers included; in real time. Default: 5 seconds.
   * Handlers that take longer continue without a connection, and are counted as `timedOut` in the `CloseReport`.
   */
  readonly interruptTimeout?: Duration.DurationInput | undefined
}

/**
 * The options of `serve`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServeOptions extends ListenOptions {
  /**
   * Descriptors that one request is assumed to need: a connection is accepted only while the budget has so many free, besides
   * its `headroom`. Default: -1, for none. NaN is a `ValueError` `Option`.
   */
  readonly assumedDescriptorsPerRequest?: number | undefined
}

/**
 * A report of handler failures.
 *
 * `onFailure` runs for every failure with a 500 response, or without a response, before the next request of its connection
 * is handled. A `ValueError` or `KeyError` that became a response with another status is not reported. A disconnect does
 * not interrupt the report; a server that closes does, after `drainTimeout`. The default logs the cause at level ERROR.
 *
 * @since 0.1.0
 * @category models
 */
export interface OnFailure<E, R2> {
  readonly onFailure: (cause: Cause.Cause<E>, request: Request) => Effect.Effect<void, never, R2>
}

/** The effect of an accept function: it requires what the handler requires, except `Scope`, which each request has. */
type Serving<R, A, E> = Effect.Effect<A, E, Exclude<R, Scope.Scope>>

/**
 * An HTTP server. Its members are documented at the functions of this module that have their names.
 *
 * @since 0.1.0
 * @category models
 */
export interface Server {
  /** Binds and listens; returns the bound address. */
  readonly listen: Listen<never>
  /** The bound address, without those of `additional`. */
  readonly address: Effect.Effect<Address, OSError>
  /** All bound addresses, that of `address` first. */
  readonly addresses: Effect.Effect<ReadonlyArray<Address>, OSError>
  /** The bound TCP port. */
  readonly port: Effect.Effect<number, OSError>
  /** Loads the keys and certificates of TLS again, from their sources. */
  readonly reloadTls: Effect.Effect<void, OSError | SslError>
  /** True if the budget has so many free descriptors, 5 by default. */
  readonly shouldAcceptRequest: (assumedDescriptorsPerRequest?: number) => Effect.Effect<boolean>
  /** Accepts one connection and serves it in the background; returns the connection's fiber. */
  readonly acceptRequest: {
    <E extends RespondableError, R>(handler: Handler<E, R>): Serving<R, Fiber.RuntimeFiber<ConnectionSummary>, OSError>
    <E, R, R2>(
      handler: Handler<E, R>,
      options: OnFailure<E, R2>
    ): Serving<R | R2, Fiber.RuntimeFiber<ConnectionSummary>, OSError>
  }
  /** Listens, unless the server listens already, and serves every connection until it is interrupted. */
  readonly serve: {
    <E extends RespondableError, R>(handler: Handler<E, R>, options?: ServeOptions): Serving<R, never, ListenError>
    <E, R, R2>(handler: Handler<E, R>, options: ServeOptions & OnFailure<E, R2>): Serving<R | R2, never, ListenError>
  }
  /** Closes the server gracefully. */
  readonly close: Effect.Effect<CloseReport>
  /** Completes when the server begins to close, or at once after it has. */
  readonly awaitShutdown: Effect.Effect<void>
  /** The descriptor budget: descriptors held, their changes, and `reserve` for those that a handler opens. */
  readonly budget: DescriptorBudget.Budget
  /** The body budget: bytes held by request bodies that are read whole, and their changes. */
  readonly bodyBudget: BodyBudget.Budget
}

/**
 * The service tag of a server.
 *
 * @since 0.1.0
 * @category tags
 */
export const Server: Context.Tag<Server, Server> = Context.GenericTag<Server>("effect-asynchttpserver/Server")

/**
 * Makes a server, without opening anything. When the scope closes, the server is closed as by `close`; the sockets of the
 * last requests are destroyed after `interruptTimeout` at the latest.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<
  Server,
  never,
  | Scope.Scope
  | Listener.Listener
  | RequestParser.RequestParser
  | ResponseWriter.ResponseWriter
  | DescriptorBudget.DescriptorBudget
> =>
  Effect.gen(function* () {
    const listener = yield* Listener.Listener
    const budget = yield* DescriptorBudget.DescriptorBudget
    const invalidOption = firstInvalid(options, validators)
    const limits = Limits.make(invalidOption === undefined ? limitOptionsOf(options) : {})
    const state = yield* makeServerState(limits, budget, policiesOf(options))
    const { lingering, metrics, registry } = state
    const timeouts = shutdownTimeoutsOf(invalidOption === undefined ? options : {})
    const clock = yield* Effect.clock
    const accepting = {
      budget,
      admissionLog: new AdmissionLog(budget, clock),
      lingering,
      registry,
      time: timeSourceOf(clock)
    }
    const shutdown = new ShutdownSignal()
    const listening = new ListenerState(() => shutdown.renew())

    const bind = (given: ListenOptions): Effect.Effect<BoundListeners, ListenError, Scope.Scope> =>
      Effect.suspend(() => {
        const invalid = invalidPlace(given, options) ?? invalidOption
        if (invalid !== undefined) return new ValueError({ reason: "Option", actual: invalid })
        // The listener counts pending and rejected connections.
        return metrics.tag(listenAll(listener, listenOptionsOf(given, options)))
      })

    // The overloads narrow the address by the place that is given.
    const listen = ((given: ListenOptions = {}) =>
      Effect.map(listening.open(bind(given), alreadyListening), ({ bound }) => bound.address)) as Listen<never>

    // Yields once: a `serve` that was forked just before finds the server still listening, and does not listen after the close.
    const begun = Effect.zipRight(shutdown.begin, Effect.yieldNow())

    const close = begun.pipe(Effect.zipRight(listening.close), Effect.zipRight(closeConnections(registry, timeouts)))

    const acceptRequest = <E, R, R2>(
      handler: Handler<E, R>,
      given?: OnFailure<E, R2>
    ): Serving<R | R2, Fiber.RuntimeFiber<ConnectionSummary>, OSError> =>
      Effect.flatMap(Effect.runtime<Exclude<R | R2, Scope.Scope>>(), (runtime) => {
        const served = makeServedHandler(handler, given?.onFailure, runtime, shutdown.serverLatch, metrics)
        let fiber: Fiber.RuntimeFiber<ConnectionSummary> | undefined
        const fork = (connection: Connection): void => {
          fiber = forkConnection(connection, state, served)
        }
        return Effect.flatMap(listening.bound("accept"), (bound) =>
          Effect.map(
            bound.acceptWhile(() => fiber === undefined, fork),
            // `acceptWhile` succeeds when it has accepted one.
            () => fiber!
          )
        )
      })

    const serve = <E, R, R2>(
      handler: Handler<E, R>,
      given: ServeOptions & Partial<OnFailure<E, R2>> = {}
    ): Serving<R | R2, never, ListenError> =>
      Effect.flatMap(Effect.runtime<Exclude<R | R2, Scope.Scope>>(), (runtime) => {
        const assumed = given.assumedDescriptorsPerRequest ?? -1
        if (Number.isNaN(assumed))
          return new ValueError({ reason: "Option", actual: "assumedDescriptorsPerRequest: NaN" })
        const latch = Effect.unsafeMakeLatch(false)
        const served = makeServedHandler(handler, given.onFailure, runtime, latch, metrics)
        const fork = (connection: Connection): void => void forkConnection(connection, state, served)
        const isAddressGiven = isPlaceGiven(given)
        // With an address it listens there or fails; without one it accepts from the current listener.
        const opened = listening.open(bind(given), (current) =>
          isAddressGiven ? alreadyListening(current) : Effect.succeed(undefined)
        )
        const loop = Effect.flatMap(listening.bound("accept"), (listener) =>
          acceptLoop({ ...accepting, listener, assumed, fork })
        )
        return Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(shutdown.register(latch, restore(opened)), (opened) => {
            const closed = Effect.suspend(() => {
              // The server may have been closed and listen again: that listener is not closed here.
              const stopped = opened !== undefined && opened === listening.current ? listening.close : Effect.void
              return Effect.zipRight(stopped, closeConnections(registry, timeouts, served))
            })
            return Effect.ensuring(restore(loop), shutdown.unregister(latch, closed))
          })
        )
      })

    // `addFinalizer` restores the FiberRefs of this fiber: the shutdown logs with the loggers of the server.
    yield* Effect.addFinalizer(() =>
      begun.pipe(Effect.zipRight(listening.shutdown), Effect.zipRight(closeConnections(registry, timeouts)))
    )

    return Server.of({
      listen,
      address: Effect.map(listening.bound("getsockname"), (bound) => bound.address),
      addresses: Effect.map(listening.bound("getsockname"), (bound) => bound.addresses),
      port: Effect.flatMap(listening.bound("getsockname"), portOf),
      reloadTls: Effect.flatMap(listening.bound("getsockname"), (bound) => bound.reloadTls),
      shouldAcceptRequest: (assumed = DescriptorBudget.assumedDescriptorsPerRequest) => budget.hasRoom(assumed),
      acceptRequest,
      serve,
      close,
      awaitShutdown: shutdown.await,
      budget,
      bodyBudget: state.bodyBudget
    })
  })

/**
 * A layer of the server that requires its `Listener`, `RequestParser`, `ResponseWriter` and `DescriptorBudget`: for
 * implementations other than the default ones.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { DescriptorBudget, RequestParser, ResponseWriter, Server, TcpListener } from "effect-asynchttpserver"
 *
 * // A server with its own descriptor budget.
 * const live = Server.layerWithoutDependencies().pipe(
 *   Layer.provide([TcpListener.layer, RequestParser.layer, ResponseWriter.layer]),
 *   Layer.provide(DescriptorBudget.layer({ max: 10 }))
 * )
 * console.log(await Effect.runPromise(Effect.provide(Server.shouldAcceptRequest(10), live)))
 * // false
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWithoutDependencies = (
  options: Options = {}
): Layer.Layer<
  Server,
  never,
  Listener.Listener | RequestParser.RequestParser | ResponseWriter.ResponseWriter | DescriptorBudget.DescriptorBudget
> => Layer.scoped(Server, make(options))

/**
 * The default dependencies of a server: the TCP listener, the strict parser, the writer, and one descriptor budget, which all
 * servers with this layer share.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response, Server } from "effect-asynchttpserver"
 *
 * // Two servers in one scope, with one descriptor budget.
 * const program = Effect.gen(function*() {
 *   const one = yield* Server.make({ address: "127.0.0.1" })
 *   const two = yield* Server.make({ address: "127.0.0.1" })
 *   yield* one.listen()
 *   yield* two.listen()
 *   yield* Effect.forkScoped(one.serve((request) => Response.respond(request, 200, "one")))
 *   yield* Effect.forkScoped(two.serve((request) => Response.respond(request, 200, "two")))
 *   const port = yield* two.port
 *   return yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()))
 * })
 * console.log(await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Server.layerDependencies))))
 * // two
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerDependencies: Layer.Layer<
  Listener.Listener | RequestParser.RequestParser | ResponseWriter.ResponseWriter | DescriptorBudget.DescriptorBudget
> = Layer.provideMerge(
  Layer.mergeAll(TcpListener.layer, RequestParser.layer, ResponseWriter.layer),
  DescriptorBudget.layer()
)

/**
 * A layer of the server over TCP, with the default dependencies. Nothing is opened before `listen` or `serve`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response, Server } from "effect-asynchttpserver"
 *
 * const program = Effect.gen(function*() {
 *   yield* Server.listen({ address: "127.0.0.1" })
 *   yield* Effect.fork(Server.serve((request) => Response.respond(request, 200, "Hello World")))
 *   const port = yield* Server.port
 *   const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`))
 *   return yield* Effect.promise(() => response.text())
 * })
 * console.log(await Effect.runPromise(Effect.provide(program, Server.layer())))
 * // Hello World
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Server> =>
  Layer.provide(layerWithoutDependencies(options), layerDependencies)

/**
 * A layer that serves: it listens while it is built, unless the server listens already, and serves in its scope. The end of the
 * scope closes the server if this layer has made it listen, and otherwise the connections that it has served.
 *
 * Errors of the bind fail the layer: `ValueError` and `OSError`, as with `listen`. An error that ends the accept loop later is
 * logged at level ERROR. It has the two signatures of `serve`; the options say where to listen.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Response, Server } from "effect-asynchttpserver"
 *
 * const live = Server.layerServe((request) => Response.respond(request, 200, "Hello World")).pipe(
 *   Layer.provideMerge(Server.layer({ address: "127.0.0.1" }))
 * )
 * const program = Effect.flatMap(Server.port, (port) =>
 *   Effect.promise(() => fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()))
 * )
 * console.log(await Effect.runPromise(Effect.provide(program, live)))
 * // Hello World
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServe: {
  /** Listens while the layer is built, and serves in its scope. Errors other than `ValueError` and `KeyError` require `onFailure`. */
  <E extends RespondableError, R>(
    handler: Handler<E, R>,
    options?: ServeOptions
  ): Layer.Layer<never, ListenError, Server | Exclude<R, Scope.Scope>>
  /** The same for a handler with other errors: they are reported by `onFailure`, and the response is 500. */
  <E, R, R2>(
    handler: Handler<E, R>,
    options: ServeOptions & OnFailure<E, R2>
  ): Layer.Layer<never, ListenError, Server | Exclude<R | R2, Scope.Scope>>
} = <E, R, R2>(handler: Handler<E, R>, options: ServeOptions & Partial<OnFailure<E, R2>> = {}) => {
  const { assumedDescriptorsPerRequest, onFailure, ...listenOptions } = options
  return Layer.scopedDiscard(
    Effect.flatMap(Server, (server) => {
      const serving =
        onFailure === undefined
          ? // Without `onFailure`, the first signature ensures that E is a `RespondableError`.
            server.serve(handler as Handler<RespondableError, R>, { assumedDescriptorsPerRequest })
          : server.serve(handler, { assumedDescriptorsPerRequest, onFailure })
      return serveInScope(server, listenOptions, serving)
    })
  )
}

/**
 * `layer` with options from a `Config`.
 *
 * @example
 * ```ts
 * import { Config } from "effect"
 * import { Server } from "effect-asynchttpserver"
 *
 * const live = Server.layerConfig({ port: Config.withDefault(Config.integer("PORT"), 8080) })
 * console.log(typeof live)
 * // object
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (options: Config.Config.Wrap<Options>): Layer.Layer<Server, ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))

/**
 * Binds and listens; returns the bound address. Connections are pending until `acceptRequest` or `serve` takes them.
 *
 * `ValueError`: `Port`, `Address`, `Option`, `AlreadyListening`. `OSError`: the system's (`EADDRINUSE`, `EACCES`,
 * `EADDRNOTAVAIL` …), and `ENOTSUP` for an option that Node does not support. `SslError`: a certificate that cannot be used.
 *
 * @since 0.1.0
 * @category accessors
 */
export const listen: Listen<Server> = ((options?: ListenOptions) =>
  // The overloads narrow the address by the place that is given.
  Effect.flatMap(Server, (server) => server.listen(options))) as Listen<Server>

/**
 * The bound address, without those of `additional`; `OSError` `ENOTCONN` if the server does not listen.
 *
 * @since 0.1.0
 * @category accessors
 */
export const address: Effect.Effect<Address, OSError, Server> = Effect.flatMap(Server, (server) => server.address)

/**
 * All bound addresses, that of `address` first; `OSError` `ENOTCONN` if the server does not listen.
 *
 * @since 0.1.0
 * @category accessors
 */
export const addresses: Effect.Effect<ReadonlyArray<Address>, OSError, Server> = Effect.flatMap(
  Server,
  (server) => server.addresses
)

/**
 * Loads the keys and certificates of TLS again, from their sources. New connections receive the new ones; those that are
 * open are not affected. Each listener is reloaded by itself: one whose certificates cannot be used keeps those in use, and
 * the effect fails with its `SslError` after the others. `OSError`: `ENOTCONN` if the server does not listen.
 *
 * @example
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { Server } from "effect-asynchttpserver"
 *
 * // Once a day; a certificate that cannot be used is logged, and the one in use is kept.
 * const daily = Server.reloadTls.pipe(
 *   Effect.catchTag("SslError", (error) => Effect.logError("the certificate was not reloaded", error)),
 *   Effect.schedule(Schedule.spaced("1 day"))
 * )
 * console.log(Effect.isEffect(daily))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const reloadTls: Effect.Effect<void, OSError | SslError, Server> = Effect.flatMap(
  Server,
  (server) => server.reloadTls
)

/**
 * The bound TCP port; `OSError` `ENOTCONN` if the server does not listen, `EAFNOSUPPORT` if it listens at a path.
 *
 * @since 0.1.0
 * @category accessors
 */
export const port: Effect.Effect<number, OSError, Server> = Effect.flatMap(Server, (server) => server.port)

/**
 * True if the budget has so many free descriptors: `held + assumed < max`, and always for a negative number. Default: 5.
 *
 * @since 0.1.0
 * @category accessors
 */
export const shouldAcceptRequest = (assumedDescriptorsPerRequest?: number): Effect.Effect<boolean, never, Server> =>
  Effect.flatMap(Server, (server) => server.shouldAcceptRequest(assumedDescriptorsPerRequest))

/**
 * Accepts one connection, waiting for it if none is pending, and serves it in the background; returns the connection's
 * fiber. For an accept loop of the caller's own, with `shouldAcceptRequest` as its gate.
 *
 * Nothing runs in the fiber: it is suspended until the connection has closed, and then succeeds with a `ConnectionSummary`.
 * The `Supervisor` of the caller sees it. Interrupting it closes the connection, and interrupts the handler of a
 * request in flight; its result is then a summary with the reason `Interrupted`. The fiber belongs to the server, not to the
 * caller, whose end does not interrupt it. A request that needs a fiber has one of its own, with the caller's services,
 * FiberRefs and loggers, and with a `Scope` that closes after the response.
 *
 * `OSError`: `ENOTCONN` if the server does not listen, `ECANCELED` if it is closed meanwhile, and what the system reports.
 * A handler may fail with `ValueError` and `KeyError`, whose status becomes the response; any other failure requires
 * `onFailure`, or `Effect.catchTags` in the handler.
 *
 * @example
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Response, Server } from "effect-asynchttpserver"
 *
 * const program = Effect.gen(function*() {
 *   const { port } = yield* Server.listen({ address: "127.0.0.1" })
 *   const fiber = yield* Effect.fork(Effect.flatMap(
 *     Server.acceptRequest((request) => Response.respond(request, 200, "once", { Connection: "close" })),
 *     Fiber.join
 *   ))
 *   yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()))
 *   return yield* Fiber.join(fiber)
 * })
 * const { reason, requests } = await Effect.runPromise(Effect.provide(program, Server.layer()))
 * console.log(reason, requests)
 * // ClosedByServer 1
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const acceptRequest: {
  /** Accepts one connection and serves it in the background; returns its fiber. `OSError`: `ENOTCONN`, `ECANCELED`. */
  <E extends RespondableError, R>(
    handler: Handler<E, R>
  ): Effect.Effect<Fiber.RuntimeFiber<ConnectionSummary>, OSError, Server | Exclude<R, Scope.Scope>>
  /** The same for a handler with other errors: they are reported by `onFailure`, and the response is 500. */
  <E, R, R2>(
    handler: Handler<E, R>,
    options: OnFailure<E, R2>
  ): Effect.Effect<Fiber.RuntimeFiber<ConnectionSummary>, OSError, Server | Exclude<R | R2, Scope.Scope>>
} = <E, R, R2>(handler: Handler<E, R>, options?: OnFailure<E, R2>) =>
  // Without `onFailure`, the first signature ensures that E is a `RespondableError`.
  Effect.flatMap(Server, (server) => server.acceptRequest(handler, options as OnFailure<E, R2>))

/**
 * Listens, unless the server listens already, and serves every connection until it is interrupted.
 *
 * It is a supervised stream of the gate's openings. Each element waits until the budget has capacity, then accepts
 * connections until it has none, forking the fiber of each, as `acceptRequest` returns it. A `Supervisor` around `serve` sees
 * these fibers, and those of requests. Transient accept errors, as `EMFILE`, are logged and retried after 10 ms, doubled up
 * to 1 s.
 *
 * An interruption closes what this `serve` has opened: its listener, and its connections, gracefully as `close` does.
 *
 * Fails as `listen` and `acceptRequest` do: with `ValueError` `AlreadyListening` if options say where to listen and the
 * server listens already, with `OSError` `ECANCELED` if the server is closed meanwhile.
 *
 * @example
 * ```ts
 * import { Data, Effect } from "effect"
 * import { Response, Server } from "effect-asynchttpserver"
 *
 * class NotFound extends Data.TaggedError("NotFound")<{ readonly path: string }> {}
 *
 * const program = Server.serve(
 *   (request) =>
 *     Effect.gen(function*() {
 *       if (request.path !== "/") return yield* new NotFound({ path: request.path })
 *       return yield* Response.respond(request, 200, "Hello")
 *     }),
 *   { port: 8080, onFailure: (cause, request) => Effect.logError(`${request.method} ${request.url}`, cause) }
 * )
 * console.log(Effect.isEffect(program))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const serve: {
  /**
   * Listens, unless the server listens already, and serves every connection until it is interrupted.
   * `ValueError`: `Port`, `Address`, `Option`, `AlreadyListening`. `OSError`: the system's, and `ECANCELED` if the server is
   * closed meanwhile. Errors other than `ValueError` and `KeyError` require `onFailure`.
   */
  <E extends RespondableError, R>(
    handler: Handler<E, R>,
    options?: ServeOptions
  ): Effect.Effect<never, ListenError, Server | Exclude<R, Scope.Scope>>
  /** The same for a handler with other errors: they are reported by `onFailure`, and the response is 500. */
  <E, R, R2>(
    handler: Handler<E, R>,
    options: ServeOptions & OnFailure<E, R2>
  ): Effect.Effect<never, ListenError, Server | Exclude<R | R2, Scope.Scope>>
} = <E, R, R2>(handler: Handler<E, R>, options: ServeOptions & Partial<OnFailure<E, R2>> = {}) =>
  // As for `acceptRequest`.
  Effect.flatMap(Server, (server) => server.serve(handler, options as ServeOptions & OnFailure<E, R2>))

/**
 * Closes the server gracefully: stops listening, closes idle connections, gives requests in flight `drainTimeout` to
 * complete, then interrupts the others and gives them `interruptTimeout`. Completes when no connection is left, with counts
 * of what became of them. Closing a closed server has no effect; a closed server may listen again.
 *
 * @since 0.1.0
 * @category accessors
 */
export const close: Effect.Effect<CloseReport, never, Server> = Effect.flatMap(Server, (server) => server.close)

/**
 * Completes when the server begins to close, or at once after it has: for effects that would otherwise run as long as
 * the server. Once the server listens again, it completes at the next close. A handler has `Request.awaitShutdown`, which
 * also completes when its `serve` ends.
 *
 * @example
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Server } from "effect-asynchttpserver"
 *
 * const program = Effect.gen(function*() {
 *   yield* Server.listen({ address: "127.0.0.1" })
 *   const fiber = yield* Effect.fork(Effect.as(Server.awaitShutdown, "the server closes"))
 *   yield* Server.close
 *   return yield* Fiber.join(fiber)
 * })
 * console.log(await Effect.runPromise(Effect.provide(program, Server.layer())))
 * // the server closes
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const awaitShutdown: Effect.Effect<void, never, Server> = Effect.flatMap(Server, (self) => self.awaitShutdown)

/**
 * The descriptor budget of the server.
 *
 * @since 0.1.0
 * @category accessors
 */
export const budget: Effect.Effect<DescriptorBudget.Budget, never, Server> = Effect.map(Server, (self) => self.budget)

/**
 * The body budget of the server: bytes held by request bodies that are read whole.
 *
 * @since 0.1.0
 * @category accessors
 */
export const bodyBudget: Effect.Effect<BodyBudget.Budget, never, Server> = Effect.map(Server, (self) => self.bodyBudget)

/**
 * Reserves descriptors of the server's budget until the request ends: see `DescriptorBudget.Budget.reserve`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { type Request, Response, Server } from "effect-asynchttpserver"
 *
 * // A handler that opens one file per request.
 * const handler = (request: Request.Request) =>
 *   Effect.zipRight(Server.reserve(1), Response.respond(request, 200, "read from a file"))
 * console.log(typeof handler)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const reserve = (count: number): Effect.Effect<void, never, Server | Scope.Scope> =>
  Effect.flatMap(Server, (server) => server.budget.reserve(count))
