/**
 * This server as the `HttpServer` of `@effect/platform`: a replacement for `NodeHttpServer` with `HttpApp`, `HttpRouter`,
 * `HttpLayerRouter`, `HttpApi` and RPC.
 *
 * Only the import of an application changes: the layers have the same names, arguments and outputs. The application is
 * adapted to a handler; this module parses nothing, writes to no socket, and opens no connection.
 *
 * @since 0.1.0
 */

import * as Etag from "@effect/platform/Etag"
import type * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpClient from "@effect/platform/HttpClient"
import type { HttpMiddleware } from "@effect/platform/HttpMiddleware"
import type * as HttpPlatform from "@effect/platform/HttpPlatform"
import * as Platform from "@effect/platform/HttpServer"
import { ServeError } from "@effect/platform/HttpServerError"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpPlatform from "@effect/platform-node/NodeHttpPlatform"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type { LazyArg } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type Address, isUnix } from "./Address.js"
import * as DescriptorBudget from "./DescriptorBudget.js"
import { ValueError } from "./Errors.js"
import { isRequest } from "./internal/message/request.js"
import { makeProgram } from "./internal/platform/application.js"
import { type AppConfig, AppRequest } from "./internal/platform/appRequest.js"
import { type Bounds, descriptorsFor, headSize, withNodeSettings } from "./internal/platform/nodeSettings.js"
import { makeRequest } from "./internal/platform/serverRequest.js"
import { WebSockets } from "./internal/platform/webSocket.js"
import { forkServing } from "./internal/server/servingFiber.js"
import { withDefaults } from "./internal/server/validateOptions.js"
import * as Limits from "./Limits.js"
import { awaitShutdown as awaitShutdownOf, type Request } from "./Request.js"
import * as RequestParser from "./RequestParser.js"
import type { Handler } from "./Response.js"
import * as ResponseWriter from "./ResponseWriter.js"
import * as Server from "./Server.js"
import * as TcpListener from "./TcpListener.js"

/**
 * Options of a server: those of `Server.Options`, and aliases of `node:net`.
 *
 * The defaults are those of `NodeHttpServer` where `Server`'s differ: the server listens on all addresses of both families; a
 * client's FIN interrupts the handler (`onClientEnd: "interrupt"`); methods of any name reach the application
 * (`unknownMethods: "handle"`); and the limits are `Limits.nodeHttp`, which accept what `node:http` accepts. A body is limited
 * by `HttpServerRequest.MaxBodySize`, whose default is 10 MiB here; an application cannot raise `maxBody`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Server.Options {
  /** The address: its name in `node:net`. */
  readonly host?: string | undefined
  /** Disables dual-stack on `"::"`, as in `node:net`; false by default. */
  readonly ipv6Only?: boolean | undefined
  /**
   * Whether a disconnect of the client interrupts any application: true by default. With false, only routes that `HttpRouter`
   * makes interruptible are interrupted, as in `NodeHttpServer`.
   */
  readonly interruptOnDisconnect?: boolean | undefined
}

/** Resolves the aliases of `node:net`, and applies the defaults. */
const optionsOf = ({ host, ipv6Only, interruptOnDisconnect: _, limits, ...options }: Options): Server.Options =>
  withDefaults(options, {
    onClientEnd: "interrupt",
    unknownMethods: "handle",
    address: host,
    domain: ipv6Only === true ? "IPv6" : "Dual",
    limits: withDefaults(limits, Limits.nodeHttp)
  } as const)

/** An address that is valid as the host of a URL: `HttpServer.layerTestClient` and `logAddress` insert it as it is. */
const addressOf = (address: Address): Platform.Address => {
  if (isUnix(address)) return { _tag: "UnixAddress", path: address.path }
  const { family, hostname, port } = address
  return {
    _tag: "TcpAddress",
    hostname: hostname === "::" ? "0.0.0.0" : family === "IPv6" ? `[${hostname}]` : hostname,
    port
  }
}

/** Options of an application, independent of its server. */
type HandlerOptions = Pick<Options, "interruptOnDisconnect">

const makeHandler = <E, R>(
  httpApp: HttpApp.Default<E, R>,
  middleware: HttpMiddleware | undefined,
  { interruptOnDisconnect: isInterruptible = true }: HandlerOptions = {}
): Handler<ValueError, never> => {
  const program = makeProgram(httpApp, { isInterruptible, middleware })
  const webSockets = new WebSockets()
  const config: AppConfig = {
    isInterruptible,
    program,
    makeRequest,
    upgrade: (appRequest, request) => webSockets.upgrade(appRequest, request)
  }
  // Its `R` is that of the application: an `AppRequest` runs in the context of its server, with its own services added.
  return (request) => new AppRequest(request, config)
}

/**
 * An application as a handler of `Server`: to be combined with other handlers, or served by a custom accept loop. The
 * environment of the application is that of the handler; failures are turned into responses. A handler that is passed to the
 * server unchanged costs least; a wrapped one runs as an ordinary Effect.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Response, Server } from "effect-asynchttpserver"
 * import { toHandler } from "effect-asynchttpserver/HttpServer"
 *
 * const app = toHandler(HttpServerResponse.text("from an application"))
 *
 * const program = Effect.gen(function*() {
 *   const { port } = yield* Server.listen({ address: "127.0.0.1" })
 *   yield* Effect.fork(Server.serve((request) =>
 *     request.path === "/native" ? Response.respond(request, 200, "from a handler") : app(request)
 *   ))
 *   const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).then((response) => response.text())
 *   return yield* Effect.promise(() => Promise.all([get("/"), get("/native")]))
 * })
 * console.log(await Effect.runPromise(Effect.provide(program, Server.layer())))
 * // [ 'from an application', 'from a handler' ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const toHandler: {
  /** An application as a handler. */
  <E, R>(
    httpApp: HttpApp.Default<E, R>,
    middleware?: undefined,
    options?: HandlerOptions
  ): Handler<ValueError, Exclude<R, HttpServerRequest>>
  /** The same, with a middleware around the application and its written response. */
  <E, R, App extends HttpApp.Default<unknown, unknown>>(
    httpApp: HttpApp.Default<E, R>,
    middleware: HttpMiddleware.Applied<App, E, R>,
    options?: HandlerOptions
  ): Handler<ValueError, Exclude<Effect.Effect.Context<App>, HttpServerRequest>>
} = makeHandler

/**
 * The underlying request of an application's request: for its HTTP version, trailers and connection. `None` for a request of
 * another source, such as `HttpServerRequest.fromWeb`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toRequest = ({ source }: HttpServerRequest): Option.Option<Request> =>
  isRequest(source) ? Option.some(source) : Option.none()

/**
 * Completes when the server begins to close, or to end the application; at once if it has begun already.
 *
 * For responses that otherwise last as long as the client stays connected, such as event streams: if they end by themselves,
 * the server closes without waiting for `drainTimeout`, and the client receives a complete response. WebSockets do not need
 * it: they are closed with code 1001. It never completes in a request of another server.
 *
 * @example
 * ```ts
 * import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
 * import { Effect, Schedule, Stream } from "effect"
 * import { awaitShutdown } from "effect-asynchttpserver/HttpServer"
 *
 * // Counts until the client disconnects or the server closes.
 * const counting = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
 *   const closing = Effect.provideService(awaitShutdown, HttpServerRequest.HttpServerRequest, request)
 *   const ticks = Stream.repeatEffectWithSchedule(Effect.succeed("tick\n"), Schedule.spaced("1 second"))
 *   return HttpServerResponse.stream(Stream.encodeText(Stream.interruptWhen(ticks, closing)))
 * })
 * console.log(Effect.isEffect(counting))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category shutdown
 */
export const awaitShutdown: Effect.Effect<void, never, HttpServerRequest> = Effect.flatMap(
  HttpServerRequest,
  (request) => Option.match(toRequest(request), { onNone: () => Effect.never, onSome: awaitShutdownOf })
)

/** The dependencies of a server with a maximum number of connections. */
const dependenciesFor = (maxConnections: number | undefined): typeof Server.layerDependencies => {
  if (maxConnections === undefined) return Server.layerDependencies
  const limited = Effect.flatMap(DescriptorBudget.make(), ({ max }) =>
    DescriptorBudget.make({ max: Math.min(max, descriptorsFor(maxConnections)) })
  )
  const budget = Layer.effect(DescriptorBudget.DescriptorBudget, Effect.orDie(limited))
  return Layer.provideMerge(Layer.mergeAll(TcpListener.layer, RequestParser.layer, ResponseWriter.layer), budget)
}

/** Rejects a head that exceeds the `maxHeaderSize` of `node:http`. */
const withMaxHeaderSize =
  <R>(handler: Handler<ValueError, R>, maxHeaderSize: number): Handler<ValueError, R> =>
  (request) =>
    headSize(request) < maxHeaderSize ? handler(request) : new ValueError({ reason: "HeadersTooLarge" })

const makeServer = ({
  interruptOnDisconnect,
  maxConnections,
  maxHeaderSize,
  ...options
}: Options & Partial<Bounds>): Effect.Effect<Platform.HttpServer, ServeError, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* Server.make(optionsOf(options))
    const address = yield* server.listen()
    /** Number of applications that are served: the server closes when the last one ends. */
    let applications = 0
    /** After the last application has ended, another may be served at the same address. */
    const listening = Effect.catchAll(server.address, () =>
      isUnix(address) ? server.listen() : server.listen({ port: address.port })
    )
    return Platform.make({
      address: addressOf(address),
      serve: (httpApp, middleware) => {
        const appHandler = makeHandler(httpApp, middleware, { interruptOnDisconnect })
        const handler = maxHeaderSize === undefined ? appHandler : withMaxHeaderSize(appHandler, maxHeaderSize)
        const closed = Effect.suspend(() => (--applications === 0 ? server.close : Effect.void))
        const served = Effect.suspend(() => {
          applications++
          return forkServing(server.serve(handler), closed)
        })
        return Effect.zipRight(Effect.orDie(listening), Effect.uninterruptible(served))
      }
    })
  }).pipe(
    Effect.mapError((cause) => new ServeError({ cause })),
    Effect.provide(dependenciesFor(maxConnections))
  )

/** The members that distinguish a server of `node:http` from others. */
interface NodeServer {
  readonly requestTimeout: number
  readonly closeIdleConnections: () => void
}

/** A compile-time message: why the server is not supported. */
type Unsupported<S> = S extends { readonly updateSettings: unknown }
  ? "HTTP/2 is not supported: evaluate must return a server of node:http or node:https"
  : S extends NodeServer
    ? never
    : "evaluate must return a server of node:http or node:https"

/** `unknown` if each member of a union is supported, else the message. `any` is accepted. */
type Check<S> = 0 extends 1 & S ? unknown : [Unsupported<S>] extends [never] ? unknown : Unsupported<S>

/** The first argument of `NodeHttpServer`'s constructors, which creates a server of `node:http`. */
type Evaluate<S> = LazyArg<S> & Check<S>

type Arguments = readonly [options?: Options | undefined] | readonly [evaluate: LazyArg<unknown>, options: Options]

const hasEvaluate = (args: Arguments): args is readonly [evaluate: LazyArg<unknown>, options: Options] =>
  typeof args[0] === "function"

const makeFrom = (args: Arguments): Effect.Effect<Platform.HttpServer, ServeError, Scope.Scope> =>
  // Untyped code may omit the options.
  hasEvaluate(args) ? Effect.flatMap(withNodeSettings(args[0], args[1] ?? {}), makeServer) : makeServer(args[0] ?? {})

const serverLayer = (args: Arguments): Layer.Layer<Platform.HttpServer, ServeError> =>
  Layer.scoped(Platform.HttpServer, makeFrom(args))

/**
 * Creates a server that is listening: its address is known before an application is served, and earlier connections are
 * queued. Fails with `ServeError`, whose cause is an `OSError` or a `ValueError`, when it cannot listen. Closing the scope
 * closes all connections: within `drainTimeout`, plus the time that interrupted handlers need.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  /** Listens on the address of the options, by default on an ephemeral port. */
  (options?: Options): Effect.Effect<Platform.HttpServer, ServeError, Scope.Scope>
  /**
   * Has the signature of `NodeHttpServer.make`. The server of `node:http` or `node:https` is created once, for its settings:
   * `keepAliveTimeout`, `headersTimeout`, `requestTimeout`, `timeout`, `maxHeaderSize`, `maxHeadersCount`,
   * `maxRequestsPerSocket`, `maxConnections`, and those of TLS: `key`, `cert`, `ca`, `passphrase`, `requestCert`,
   * `rejectUnauthorized`, `minVersion` (1.2 or 1.3), `ciphers`, `ticketKeys`, `handshakeTimeout`. Any other setting that
   * differs from Node's defaults, a listener and HTTP/2 are a `ServeError`, and so is an option that is less strict than a
   * setting.
   */
  <S>(evaluate: Evaluate<S>, options: Options): Effect.Effect<Platform.HttpServer, ServeError, Scope.Scope>
} = (...args: Arguments) => makeFrom(args)

/**
 * The service alone, without `layerContext`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer: {
  /** Listens on the address of the options. */
  (options?: Options): Layer.Layer<Platform.HttpServer, ServeError>
  /** Has the signature of `NodeHttpServer.layerServer`. */
  <S>(evaluate: Evaluate<S>, options: Options): Layer.Layer<Platform.HttpServer, ServeError>
} = (...args: Arguments) => serverLayer(args)

/**
 * Services for applications: file responses, ETags, and the services of Node.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerContext: Layer.Layer<Context> = Layer.mergeAll(
  NodeHttpPlatform.layer,
  Etag.layerWeak,
  NodeContext.layer
)

type Context = HttpPlatform.HttpPlatform | Etag.Generator | NodeContext.NodeContext

/**
 * The server and the services of `layerContext`: replaces `NodeHttpServer.layer`.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
 * import { Effect, Layer } from "effect"
 * import { layer } from "effect-asynchttpserver/HttpServer"
 *
 * const app = HttpRouter.empty.pipe(
 *   HttpRouter.get("/hello/:name", Effect.map(HttpRouter.params, ({ name }) => HttpServerResponse.text(`Hello ${name}`)))
 * )
 * const program = HttpServer.addressFormattedWith((url) =>
 *   Effect.promise(() => fetch(`${url}/hello/World`).then((response) => response.text()))
 * )
 * const live = HttpServer.serve(app).pipe(Layer.provideMerge(layer({ port: 0, host: "127.0.0.1" })))
 * console.log(await Effect.runPromise(Effect.provide(program, live)))
 * // Hello World
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: {
  /** Listens on the address of the options. */
  (options?: Options): Layer.Layer<Platform.HttpServer | Context, ServeError>
  /** Has the signature of `NodeHttpServer.layer`. */
  <S>(evaluate: Evaluate<S>, options: Options): Layer.Layer<Platform.HttpServer | Context, ServeError>
} = (...args: Arguments) => Layer.merge(serverLayer(args), layerContext)

type Wrapped = Config.Config.Wrap<Options>

/**
 * `layer`, with options that are read from a `ConfigProvider`.
 *
 * @example
 * ```ts
 * import { Config } from "effect"
 * import { layerConfig } from "effect-asynchttpserver/HttpServer"
 *
 * const live = layerConfig({ port: Config.withDefault(Config.integer("PORT"), 3000) })
 * console.log(typeof live)
 * // object
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig: {
  /** Listens on the address of the configuration. */
  (options: Wrapped): Layer.Layer<Platform.HttpServer | Context, ServeError | ConfigError.ConfigError>
  /** Has the signature of `NodeHttpServer.layerConfig`. */
  <S>(
    evaluate: Evaluate<S>,
    options: Wrapped
  ): Layer.Layer<Platform.HttpServer | Context, ServeError | ConfigError.ConfigError>
} = (...[first, second]: readonly [Wrapped] | readonly [LazyArg<unknown>, Wrapped]) => {
  const server = Effect.map(Config.unwrap(second ?? (first as Wrapped)), (options) =>
    serverLayer(typeof first === "function" ? [first, options] : [options])
  )
  return Layer.merge(Layer.unwrapEffect(server), layerContext)
}

/**
 * A server for tests, on loopback and an ephemeral port, and an `HttpClient` for it, whose URLs are paths.
 *
 * @example
 * ```ts
 * import { HttpClient, HttpServer, HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { layerTest } from "effect-asynchttpserver/HttpServer"
 *
 * const test = Effect.gen(function*() {
 *   yield* HttpServer.serveEffect(HttpServerResponse.text("tested"))
 *   const response = yield* HttpClient.get("/")
 *   return yield* response.text
 * })
 * console.log(await Effect.runPromise(Effect.scoped(test).pipe(Effect.provide(layerTest))))
 * // tested
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerTest: Layer.Layer<HttpClient.HttpClient | Platform.HttpServer | Context, ServeError> =
  Platform.layerTestClient.pipe(
    Layer.provide(NodeHttpClient.layerWithoutAgent),
    Layer.provide(NodeHttpClient.makeAgentLayer({ keepAlive: false })),
    Layer.provideMerge(layer({ port: 0, host: "127.0.0.1" }))
  )
