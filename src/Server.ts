/**
 * The server: it listens, takes connections through the gate of the descriptor budget, and serves each in a fiber.
 *
 * Making a server opens nothing; closing its scope stops accepting, ends idle
 * connections, lets requests in flight finish for `drainTimeout`, interrupts the rest and destroys every socket. What a
 * connection says and does is not decided here.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { type Address, type Domain, toUrl } from "./Address.js"
import type * as BodyBudget from "./BodyBudget.js"
import type { CloseReason, Connection, ConnectionSummary } from "./Connection.js"
import * as DescriptorBudget from "./DescriptorBudget.js"
import { OSError, type RespondableError, ValueError } from "./Errors.js"
import { AdmissionLog } from "./internal/budget/admissionLog.js"
import { makeConnectionContext } from "./internal/connection/context.js"
import { timeSourceOf } from "./internal/host/timeSource.js"
import { acceptLoop } from "./internal/server/acceptLoop.js"
import { forkConnection } from "./internal/server/connectionFiber.js"
import { makeRequestHandler } from "./internal/server/failureReport.js"
import { type CloseReport, closeConnections } from "./internal/server/shutdown.js"
import { ShutdownSignal } from "./internal/server/shutdownSignal.js"
import {
  describe,
  firstInvalid,
  isBacklog,
  limitOptionsOf,
  listenOptionsOf,
  validators
} from "./internal/server/validateOptions.js"
import * as Limits from "./Limits.js"
import * as Listener from "./Listener.js"
import type { Request } from "./Request.js"
import * as RequestParser from "./RequestParser.js"
import type { Handler } from "./Response.js"
import * as ResponseWriter from "./ResponseWriter.js"
import * as TcpListener from "./TcpListener.js"

export type {
  /**
   * Why a connection ended.
   *
   * @since 0.1.0
   * @category models
   */
  CloseReason,
  /**
   * What became of the connections that were there when a server was closed.
   *
   * @since 0.1.0
   * @category models
   */
  CloseReport,
  /**
   * How a connection ended, and how many requests it had brought.
   *
   * @since 0.1.0
   * @category models
   */
  ConnectionSummary
}

/**
 * Where to listen. What is left out comes from the options the server was made with.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListenOptions {
  /** 0 to 65535; 0, the default, lets the system choose. */
  readonly port?: number | undefined
  /** An IP address of the domain, or a name that has one; "", the default, is every address of the domain. */
  readonly address?: string | undefined
  /** `"IPv4"`, the default; `"IPv6"`, which is IPv6 only; or `"Dual"`: both by one socket, or any address that is given. */
  readonly domain?: Domain | "Dual" | undefined
  /** Connections that the system keeps before they are accepted; 511 by default, as in Node and nginx. */
  readonly backlog?: number | undefined
}

/**
 * What a server is made with. Everything has a default, the original's where it has one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ListenOptions {
  /** `SO_REUSEADDR`. True by default; false is an `OSError` at `listen`, since this runtime always sets it. */
  readonly reuseAddr?: boolean | undefined
  /** `SO_REUSEPORT`. False by default; an `OSError` at `listen` where the runtime lacks it. */
  readonly reusePort?: boolean | undefined
  /** Bytes of a request body at most; 8 MiB by default. The same as `limits.maxBody`, and wins over it. */
  readonly maxBody?: number | undefined
  readonly limits?: Limits.Options | undefined
  /** What a client's FIN means while its request is served: it still wants the `"answer"` (default), or has left. */
  readonly onClientEnd?: "continue" | "interrupt" | undefined
  /** What becomes of CONNECT: it is refused with 501 (default), or a handler may answer it, by `Response.tunnel`. */
  readonly connectMethod?: "reject" | "handle" | undefined
  /**
   * What becomes of a method beyond the nine of `HttpMethod.all`: it is rejected with 501 (default), or a handler gets the
   * request like any other, whatever token its method is (RFC 9110 §9.1).
   */
  readonly unknownMethods?: "reject" | "handle" | undefined
  /**
   * What becomes of a connection when there is no room for it: it waits (default) as long as the waiting room has a place,
   * or is refused at once, with 503 and `Retry-After`. Without a place it is refused in any case.
   */
  readonly onFull?: "queue" | "reject" | undefined
  /** How long requests in flight may go on when the server closes, in real time; 5 seconds by default. */
  readonly drainTimeout?: Duration.DurationInput | undefined
  /**
   * How long handlers that were interrupted then may take to end, finalizers included, in real time; 5 seconds by default.
   * Those that take longer are left to themselves, without a connection, and counted as `timedOut`.
   */
  readonly interruptTimeout?: Duration.DurationInput | undefined
}

/**
 * What `serve` can be told besides its handler.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServeOptions extends ListenOptions {
  /**
   * Descriptors that one request is assumed to need: a connection is taken when there is room for so many. -1, the
   * default, asks for none; a small reserve is kept in any case.
   */
  readonly assumedDescriptorsPerRequest?: number | undefined
}

/**
 * Told of every failure that was answered 500 or could not be answered, before the next request of its connection is
 * handled. No client that leaves interrupts it; a server that closes does, when `drainTimeout` is over.
 *
 * @since 0.1.0
 * @category models
 */
export interface OnFailure<E, R2> {
  readonly onFailure: (cause: Cause.Cause<E>, request: Request) => Effect.Effect<void, never, R2>
}

/** An effect in which handlers run: their `Scope` is the request's, and no need of whoever serves. */
type Serving<R, A, E> = Effect.Effect<A, E, Exclude<R, Scope.Scope>>

/**
 * A server.
 *
 * @since 0.1.0
 * @category models
 */
export interface Server {
  /**
   * Binds and listens; connections that arrive wait to be taken. `ValueError`: `Port`, `Address`, `Option`,
   * `AlreadyListening`. `OSError`: what the system refuses (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL` …), and `ENOTSUP`
   * for what this runtime cannot do.
   */
  readonly listen: (options?: ListenOptions) => Effect.Effect<Address, OSError | ValueError>
  /** The address that is really bound; `OSError` `ENOTCONN` when the server does not listen. */
  readonly address: Effect.Effect<Address, OSError>
  /** The port that is really bound; `OSError` `ENOTCONN` when the server does not listen. */
  readonly port: Effect.Effect<number, OSError>
  /** Whether there is room for so many more descriptors (5 unless told): `held + assumed < max`; true if negative. */
  readonly shouldAcceptRequest: (assumedDescriptorsPerRequest?: number) => Effect.Effect<boolean>
  /**
   * Takes one connection, waiting for it without using the processor, and serves it in the background: gives the
   * fiber, which belongs to the server and always succeeds with how the connection ended. The loop is the caller's, and
   * so are its errors: `OSError` `ENOTCONN` when the server does not listen, `ECANCELED` when it is closed meanwhile.
   *
   * A handler may fail with `ValueError` and `KeyError`, which are answered by their status; any other failure needs
   * `onFailure`, or `Effect.catchTags` in the handler.
   */
  readonly acceptRequest: {
    <E extends RespondableError, R>(handler: Handler<E, R>): Serving<R, Fiber.RuntimeFiber<ConnectionSummary>, OSError>
    <E, R, R2>(
      handler: Handler<E, R>,
      options: OnFailure<E, R2>
    ): Serving<R | R2, Fiber.RuntimeFiber<ConnectionSummary>, OSError>
  }
  /**
   * Listens, unless the server does already, and serves every connection, until it is interrupted: then it closes
   * what it has opened. Fails as `listen` and `acceptRequest` do: with `ValueError` `AlreadyListening` when it is told
   * where to listen and the server does already, with `OSError` `ECANCELED` when the server is closed meanwhile.
   */
  readonly serve: {
    <E extends RespondableError, R>(
      handler: Handler<E, R>,
      options?: ServeOptions
    ): Serving<R, never, OSError | ValueError>
    <E, R, R2>(
      handler: Handler<E, R>,
      options: ServeOptions & OnFailure<E, R2>
    ): Serving<R | R2, never, OSError | ValueError>
  }
  /**
   * Stops listening, ends idle connections, lets requests in flight finish for `drainTimeout`, then interrupts them.
   * Closing what is closed does nothing; a closed server may listen again.
   */
  readonly close: Effect.Effect<CloseReport>
  /**
   * Completes when the server begins to close, at once while it is closed, and not before it has: for what would run for as
   * long as the server does. Once the server listens again, it completes at the next close. A handler has
   * `Request.awaitShutdown`, which completes as well when the `serve` that runs it ends.
   */
  readonly awaitShutdown: Effect.Effect<void>
  /** The descriptors this server counts: how many are held, their changes, and `reserve` for a handler's own. */
  readonly budget: DescriptorBudget.Budget
  /** The bytes of bodies that are read whole: how many are held, and their changes. */
  readonly bodyBudget: BodyBudget.Budget
}

/**
 * The service.
 *
 * @since 0.1.0
 * @category tags
 */
export const Server: Context.Tag<Server, Server> = Context.GenericTag<Server>("effect-asynchttpserver/Server")

const defaultDrainTimeout = Duration.seconds(5)

const defaultInterruptTimeout = Duration.seconds(5)

const notListening = (syscall: string): OSError => new OSError({ code: "ENOTCONN", syscall })

type Listening = { readonly bound: Listener.BoundListener; readonly scope: Scope.CloseableScope }

/**
 * Makes a server; nothing is opened yet. Closing the scope closes the server.
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
    const scope = yield* Effect.scope
    const wrong = firstInvalid(options, validators)
    const context = yield* makeConnectionContext(
      Limits.make(wrong === undefined ? limitOptionsOf(options) : {}),
      budget,
      {
        connectMethod: options.connectMethod ?? "reject",
        onClientEnd: options.onClientEnd ?? "continue",
        unknownMethods: options.unknownMethods ?? "reject"
      }
    )
    const { lingering, registry } = context
    const { drainTimeout = defaultDrainTimeout, interruptTimeout = defaultInterruptTimeout } = wrong ? {} : options
    const timeouts = { drain: Duration.toMillis(drainTimeout), interrupt: Duration.toMillis(interruptTimeout) }
    const clock = yield* Effect.clock
    const accepting = {
      budget,
      admissionLog: new AdmissionLog(budget, clock),
      lingering,
      registry,
      time: timeSourceOf(clock)
    }
    // Used uninterruptibly alone: an interruption between the permit and its release would lose it (effect 3.22).
    const mutex = Effect.unsafeMakeSemaphore(1)
    const shutdown = new ShutdownSignal()
    let listening: Listening | undefined

    const whenListening = (syscall: string): Effect.Effect<Listener.BoundListener, OSError> =>
      Effect.suspend(() => (listening === undefined ? notListening(syscall) : Effect.succeed(listening.bound)))

    const bind = (given: ListenOptions): Effect.Effect<Listening, OSError | ValueError> =>
      Effect.gen(function* () {
        if (listening !== undefined) {
          return yield* new ValueError({ reason: "AlreadyListening", actual: toUrl(listening.bound.address) })
        }
        const invalid =
          given.backlog === undefined || isBacklog(given.backlog) ? wrong : describe("backlog", given.backlog)
        if (invalid !== undefined) return yield* new ValueError({ reason: "Option", actual: invalid })
        const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
        const bound = yield* listener.listen(listenOptionsOf(given, options)).pipe(
          Scope.extend(own),
          Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(own, exit)))
        )
        listening = { bound, scope: own }
        shutdown.renew()
        return listening
      })

    /** One at a time, and uninterruptible from the bind to its record: a socket that listens is never lost. */
    const exclusively = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.uninterruptible(mutex.withPermits(1)(effect))

    const listen = (given: ListenOptions = {}): Effect.Effect<Address, OSError | ValueError> =>
      Effect.map(exclusively(bind(given)), ({ bound }) => bound.address)

    const stopListening = Effect.suspend(() => {
      if (listening === undefined) return Effect.void
      const { scope } = listening
      listening = undefined
      return Scope.close(scope, Exit.void)
    })

    // A `serve` that was forked just before finds the server listening still, and does not listen anew behind the close.
    const stopped = shutdown.begin.pipe(Effect.zipRight(Effect.yieldNow()), Effect.zipRight(exclusively(stopListening)))

    const close = Effect.zipRight(stopped, closeConnections(registry, timeouts))

    const acceptRequest = <E, R, R2>(
      handler: Handler<E, R>,
      given?: OnFailure<E, R2>
    ): Serving<R | R2, Fiber.RuntimeFiber<ConnectionSummary>, OSError> =>
      Effect.flatMap(Effect.runtime<Exclude<R | R2, Scope.Scope>>(), (runtime) => {
        const requestHandler = makeRequestHandler(handler, given?.onFailure, runtime, shutdown.serverLatch)
        let fiber: Fiber.RuntimeFiber<ConnectionSummary> | undefined
        const fork = (connection: Connection): void => {
          fiber = forkConnection(connection, context, requestHandler)
        }
        return Effect.flatMap(whenListening("accept"), (bound) =>
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
    ): Serving<R | R2, never, OSError | ValueError> =>
      Effect.flatMap(Effect.runtime<Exclude<R | R2, Scope.Scope>>(), (runtime) => {
        const assumed = given.assumedDescriptorsPerRequest ?? -1
        if (Number.isNaN(assumed))
          return new ValueError({ reason: "Option", actual: describe("assumedDescriptorsPerRequest", assumed) })
        const latch = Effect.unsafeMakeLatch(false)
        const requestHandler = makeRequestHandler(handler, given.onFailure, runtime, latch)
        const fork = (connection: Connection): void => void forkConnection(connection, context, requestHandler)
        const isAddressGiven = [given.port, given.address, given.domain, given.backlog].some(
          (each) => each !== undefined
        )
        // With an address it listens there or fails; without one it accepts from the listener that there is.
        const opened = exclusively(
          Effect.suspend(() => (listening === undefined || isAddressGiven ? bind(given) : Effect.succeed(undefined)))
        )
        return Effect.acquireUseRelease(
          shutdown.register(latch, opened),
          () =>
            Effect.flatMap(whenListening("accept"), (listener) =>
              acceptLoop({ ...accepting, listener, assumed, fork })
            ),
          (opened) => {
            // The server may have been closed by now, and may listen again: that listener is not this one's to close.
            const stopped = opened !== undefined && opened === listening ? stopListening : Effect.void
            const closed = closeConnections(registry, timeouts, requestHandler)
            return shutdown.unregister(latch, Effect.zipRight(stopped, closed))
          }
        )
      })

    // Logged where the server was made. With no connection there is nothing to restore its FiberRefs for, which costs most.
    const serverRuntime = yield* Effect.runtime<never>()
    const closeAll = Effect.suspend(() =>
      registry.isEmpty ? Effect.void : Fiber.join(Runtime.runFork(serverRuntime)(closeConnections(registry, timeouts)))
    )
    yield* Scope.addFinalizer(scope, Effect.zipRight(stopped, closeAll))

    return Server.of({
      listen,
      address: Effect.map(whenListening("getsockname"), (bound) => bound.address),
      port: Effect.map(whenListening("getsockname"), (bound) => bound.address.port),
      shouldAcceptRequest: (assumed = DescriptorBudget.assumedDescriptorsPerRequest) => budget.hasRoom(assumed),
      acceptRequest,
      serve,
      close,
      awaitShutdown: shutdown.await,
      budget,
      bodyBudget: context.bodyBudget
    })
  })

/**
 * The server, with its rooms left open: give a `Listener`, `RequestParser`, `ResponseWriter` or `DescriptorBudget` of
 * your own, and the default layers for the rest.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { DescriptorBudget, RequestParser, ResponseWriter, Server, TcpListener } from "effect-asynchttpserver"
 *
 * // A server with a budget of its own.
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
 * The default rooms: TCP, the strict parser, the writer, and one descriptor budget for whatever they are given to.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response, Server } from "effect-asynchttpserver"
 *
 * // Two servers in one scope, under one budget.
 * const program = Effect.gen(function*() {
 *   const one = yield* Server.make({ address: "127.0.0.1" })
 *   const two = yield* Server.make({ address: "127.0.0.1" })
 *   yield* one.listen()
 *   yield* two.listen()
 *   yield* Effect.forkScoped(one.serve((request) => Response.respond(request, 200, "one")))
 *   yield* Effect.forkScoped(two.serve((request) => Response.respond(request, 200, "two")))
 *   const port = yield* two.port
 *   return yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text()))
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
 * The server, over TCP, with the default rooms. Nothing is opened before `listen` or `serve`.
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
 *   const answer = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`))
 *   return yield* Effect.promise(() => answer.text())
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
 * `layer`, with options that are read from a `ConfigProvider`.
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
 * `listen` of the server in the context: see `Server`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const listen = (options?: ListenOptions): Effect.Effect<Address, OSError | ValueError, Server> =>
  Effect.flatMap(Server, (server) => server.listen(options))

/**
 * The address that is really bound.
 *
 * @since 0.1.0
 * @category accessors
 */
export const address: Effect.Effect<Address, OSError, Server> = Effect.flatMap(Server, (server) => server.address)

/**
 * The port that is really bound.
 *
 * @since 0.1.0
 * @category accessors
 */
export const port: Effect.Effect<number, OSError, Server> = Effect.flatMap(Server, (server) => server.port)

/**
 * Whether there is room for so many more descriptors: see `Server`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const shouldAcceptRequest = (assumedDescriptorsPerRequest?: number): Effect.Effect<boolean, never, Server> =>
  Effect.flatMap(Server, (server) => server.shouldAcceptRequest(assumedDescriptorsPerRequest))

/**
 * Takes one connection and serves it in the background: see `Server`.
 *
 * @example
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Response, Server } from "effect-asynchttpserver"
 *
 * const program = Effect.gen(function*() {
 *   const { port } = yield* Server.listen({ address: "127.0.0.1" })
 *   const served = yield* Effect.fork(Effect.flatMap(
 *     Server.acceptRequest((request) => Response.respond(request, 200, "once", { Connection: "close" })),
 *     Fiber.join
 *   ))
 *   yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text()))
 *   return yield* Fiber.join(served)
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
  /** Takes one connection and serves it in the background; gives its fiber. `OSError`: `ENOTCONN`, `ECANCELED`. */
  <E extends RespondableError, R>(
    handler: Handler<E, R>
  ): Effect.Effect<Fiber.RuntimeFiber<ConnectionSummary>, OSError, Server | Exclude<R, Scope.Scope>>
  /** The same, for a handler with errors of its own: `onFailure` is told of them, and they are answered 500. */
  <E, R, R2>(
    handler: Handler<E, R>,
    options: OnFailure<E, R2>
  ): Effect.Effect<Fiber.RuntimeFiber<ConnectionSummary>, OSError, Server | Exclude<R | R2, Scope.Scope>>
} = <E, R, R2>(handler: Handler<E, R>, options?: OnFailure<E, R2>) =>
  Effect.flatMap(Server, (server) =>
    options === undefined
      ? // Without `onFailure` the first signature has made sure that E is answered.
        server.acceptRequest(handler as Handler<RespondableError, R>)
      : server.acceptRequest(handler, options)
  )

/**
 * Listens and serves until it is interrupted: see `Server`.
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
   * Listens, unless the server does already, and serves every connection until it is interrupted; never returns.
   * `ValueError`: `Port`, `Address`, `Option`, `AlreadyListening`. `OSError`: what the system refuses, and `ECANCELED`
   * when the server is closed meanwhile. A handler with errors of its own maps them, or is given `onFailure`.
   */
  <E extends RespondableError, R>(
    handler: Handler<E, R>,
    options?: ServeOptions
  ): Effect.Effect<never, OSError | ValueError, Server | Exclude<R, Scope.Scope>>
  /** The same, for a handler with errors of its own: `onFailure` is told of them, and they are answered 500. */
  <E, R, R2>(
    handler: Handler<E, R>,
    options: ServeOptions & OnFailure<E, R2>
  ): Effect.Effect<never, OSError | ValueError, Server | Exclude<R | R2, Scope.Scope>>
} = <E, R, R2>(handler: Handler<E, R>, options: ServeOptions & Partial<OnFailure<E, R2>> = {}) =>
  Effect.flatMap(Server, (server) =>
    options.onFailure === undefined
      ? // Without `onFailure` the first signature has made sure that E is answered.
        server.serve(handler as Handler<RespondableError, R>, options)
      : server.serve(handler, { ...options, onFailure: options.onFailure })
  )

/**
 * Stops listening and ends every connection: see `Server`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const close: Effect.Effect<CloseReport, never, Server> = Effect.flatMap(Server, (server) => server.close)

/**
 * Completes when the server in the context begins to close: see `Server`.
 *
 * @example
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Server } from "effect-asynchttpserver"
 *
 * const program = Effect.gen(function*() {
 *   yield* Server.listen({ address: "127.0.0.1" })
 *   const last = yield* Effect.fork(Effect.as(Server.awaitShutdown, "the server closes"))
 *   yield* Server.close
 *   return yield* Fiber.join(last)
 * })
 * console.log(await Effect.runPromise(Effect.provide(program, Server.layer())))
 * // the server closes
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const awaitShutdown: Effect.Effect<void, never, Server> = Effect.flatMap(Server, (it) => it.awaitShutdown)

/**
 * The descriptors that the server in the context counts.
 *
 * @since 0.1.0
 * @category accessors
 */
export const budget: Effect.Effect<DescriptorBudget.Budget, never, Server> = Effect.map(
  Server,
  (server) => server.budget
)

/**
 * The bytes of request bodies that the server in the context holds because they are read whole.
 *
 * @since 0.1.0
 * @category accessors
 */
export const bodyBudget: Effect.Effect<BodyBudget.Budget, never, Server> = Effect.map(Server, (made) => made.bodyBudget)

/**
 * Takes descriptors from the server's budget for what a handler opens itself, until its request ends: see
 * `DescriptorBudget.Budget.reserve`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { type Request, Response, Server } from "effect-asynchttpserver"
 *
 * // A handler that opens one file a request.
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
