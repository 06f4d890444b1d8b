/**
 * This server as the `HttpServer` of `@effect/platform`: for `HttpApp`, `HttpRouter`, `HttpLayerRouter`, `HttpApi` and RPC,
 * in the place of `NodeHttpServer`.
 *
 * An application moves here by its import: the layers have the names, arguments and outputs that they have there. An
 * application becomes a handler like any other, so everything the server does is decided in the rooms below: this module
 * parses nothing, writes nothing to a socket, and opens no connection of its own.
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
import * as Fiber from "effect/Fiber"
import type { LazyArg } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Address } from "./Address.js"
import * as DescriptorBudget from "./DescriptorBudget.js"
import { isOSError, type OSError, ValueError } from "./Errors.js"
import { isRequest } from "./internal/message/request.js"
import { makeProgram } from "./internal/platform/application.js"
import { type AppConfig, AppRequest } from "./internal/platform/appRequest.js"
import { type Bounds, descriptorsFor, headSize, withNodeSettings } from "./internal/platform/nodeSettings.js"
import { WebSockets } from "./internal/platform/webSocket.js"
import { withDefaults } from "./internal/server/validateOptions.js"
import * as Limits from "./Limits.js"
import { awaitShutdown as awaitShutdownOf, type Request } from "./Request.js"
import * as RequestParser from "./RequestParser.js"
import type { Handler } from "./Response.js"
import * as ResponseWriter from "./ResponseWriter.js"
import * as Server from "./Server.js"
import * as TcpListener from "./TcpListener.js"

/**
 * What a server is made with: everything that `Server.Options` has, and the names that `node:net` has for some of it.
 *
 * These defaults differ from `Server`'s, as users of `NodeHttpServer` expect: every address of both families; a client's
 * FIN interrupts (`onClientEnd: "interrupt"`); methods of any name reach the application (`unknownMethods: "handle"`); and
 * the limits are `Limits.nodeHttp`, which accept what `node:http` does. A body is bounded by
 * `HttpServerRequest.MaxBodySize` alone, whose default is 10 MiB here; `maxBody` is a bound that no application can raise.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Server.Options {
  /** The address, by the name it has in `node:net`. */
  readonly host?: string | undefined
  /** Only IPv6 on an IPv6 address, or on `"::"`; false by default. */
  readonly ipv6Only?: boolean | undefined
  /**
   * Whether a client that leaves interrupts the application, whatever it is: true by default. With false, only what
   * `HttpRouter` makes interruptible is interrupted, as `NodeHttpServer` has it.
   */
  readonly interruptOnDisconnect?: boolean | undefined
}

/** What `node:net` calls by other names, and the defaults that differ. */
const optionsOf = ({ host, ipv6Only, interruptOnDisconnect: _, limits, ...options }: Options): Server.Options =>
  withDefaults(options, {
    onClientEnd: "interrupt",
    unknownMethods: "handle",
    address: host,
    domain: ipv6Only === true ? "IPv6" : "Dual",
    limits: withDefaults(limits, Limits.nodeHttp)
  } as const)

/** An address whose URL can be asked for: `HttpServer.layerTestClient` and `logAddress` put it into one as it is. */
const addressOf = ({ family, hostname, port }: Address): Platform.Address => ({
  _tag: "TcpAddress",
  hostname: hostname === "::" ? "0.0.0.0" : family === "IPv6" ? `[${hostname}]` : hostname,
  port
})

/** How a client that leaves is dealt with, besides what serves. */
type Choices = Pick<Options, "interruptOnDisconnect">

/**
 * An application as a handler of this package's own server: to be served beside other handlers, or by whoever accepts
 * connections himself. What the application needs is the handler's `R`; it answers every failure by itself. A handler that
 * the server is given as it is costs least; one that was wrapped is an ordinary Effect.
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
 *   const answer = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).then((answer) => answer.text())
 *   return yield* Effect.promise(() => Promise.all([answer("/"), answer("/native")]))
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
    options?: Choices
  ): Handler<ValueError, Exclude<R, HttpServerRequest>>
  /** The same, with a middleware around the application and its written response. */
  <E, R, App extends HttpApp.Default<unknown, unknown>>(
    httpApp: HttpApp.Default<E, R>,
    middleware: HttpMiddleware.Applied<App, E, R>,
    options?: Choices
  ): Handler<ValueError, Exclude<Effect.Effect.Context<App>, HttpServerRequest>>
} = <E, R>(
  httpApp: HttpApp.Default<E, R>,
  middleware: HttpMiddleware | undefined,
  { interruptOnDisconnect: isInterruptible = true }: Choices = {}
): Handler<ValueError, never> => {
  const work = makeProgram(httpApp, { isInterruptible, middleware })
  const house: AppConfig = { isInterruptible, program: work, webSockets: new WebSockets() }
  // Its `R` is the application's: a `Call` is run in the context of whoever serves it, with its own services added.
  return (request) => new AppRequest(request, house)
}

/**
 * The request of this package that an application's request is about: its HTTP version, its trailers, its connection.
 * None for a request that came from elsewhere, as by `HttpServerRequest.fromWeb`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toRequest = ({ source }: HttpServerRequest): Option.Option<Request> =>
  isRequest(source) ? Option.some(source) : Option.none()

/**
 * Completes when the server that serves the application begins to close, or to end the application; at once when it has.
 *
 * For what would go on for as long as the client likes, as a stream of events does: one that ends by itself lets the server
 * close without waiting for `drainTimeout`, and its client sees a whole response. WebSockets need none: they are closed with
 * code 1001. It never completes in a request that another server serves.
 *
 * @example
 * ```ts
 * import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
 * import { Effect, Schedule, Stream } from "effect"
 * import { awaitShutdown } from "effect-asynchttpserver/HttpServer"
 *
 * // Counts until the client leaves or the server closes.
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

const isClosed = (error: OSError | ValueError): boolean => isOSError(error) && error.code === "ECANCELED"

/** The rooms of a server that has so many connections at most. */
const roomsFor = (maxConnections: number | undefined): typeof Server.layerDependencies => {
  if (maxConnections === undefined) return Server.layerDependencies
  const limited = Effect.flatMap(DescriptorBudget.make(), ({ max }) =>
    DescriptorBudget.make({ max: Math.min(max, descriptorsFor(maxConnections)) })
  )
  const budget = Layer.effect(DescriptorBudget.DescriptorBudget, Effect.orDie(limited))
  return Layer.provideMerge(Layer.mergeAll(TcpListener.layer, RequestParser.layer, ResponseWriter.layer), budget)
}

/** Refuses a head that is larger than a server of `node:http` would take. */
const bounded =
  <R>(handler: Handler<ValueError, R>, maxHeaderSize: number): Handler<ValueError, R> =>
  (request) =>
    headSize(request) < maxHeaderSize ? handler(request) : new ValueError({ reason: "HeadersTooLarge" })

const makeServer = ({
  interruptOnDisconnect: isInterruptible,
  maxConnections,
  maxHeaderSize,
  ...options
}: Options & Partial<Bounds>): Effect.Effect<Platform.HttpServer, ServeError, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* Server.make(optionsOf(options))
    const address = yield* server.listen()
    /** Behind an application that has ended, another one may be served, at the same address. */
    const listening = Effect.catchAll(server.address, () => server.listen({ port: address.port }))
    return Platform.make({
      address: addressOf(address),
      serve: (httpApp, middleware) => {
        const whole =
          middleware === undefined
            ? toHandler(httpApp, undefined, { interruptOnDisconnect: isInterruptible })
            : toHandler(httpApp, middleware, { interruptOnDisconnect: isInterruptible })
        const handler = maxHeaderSize === undefined ? whole : bounded(whole, maxHeaderSize)
        const told = Effect.catchAll(server.serve(handler), (error) =>
          isClosed(error) ? Effect.void : Effect.logError("the server has stopped", error)
        )
        // Who comes while requests in flight are answered is refused at once, and not kept waiting for nobody.
        return Effect.zipRight(
          Effect.orDie(listening),
          Effect.asVoid(
            Effect.acquireRelease(Effect.forkDaemon(Effect.interruptible(told)), (loop) =>
              Effect.zipRight(server.close, Fiber.interrupt(loop))
            )
          )
        )
      }
    })
  }).pipe(
    Effect.mapError((cause) => new ServeError({ cause })),
    Effect.provide(roomsFor(maxConnections))
  )

/** A server of `node:http`, as far as it has to be told from others. */
interface NodeServer {
  readonly requestTimeout: number
  readonly closeIdleConnections: () => void
}

/** Why what is made cannot be served, as the compiler says it. */
type Refusal<S> = S extends { readonly setSecureContext: unknown }
  ? "TLS is not served by this version: give what makes a server of node:http"
  : S extends { readonly updateSettings: unknown }
    ? "HTTP/2 is not served by this version: give what makes a server of node:http"
    : S extends NodeServer
      ? never
      : "what makes a server of node:http is taken here, and nothing else"

/** What is made, or the reason why it cannot be served; each of several, and anything where the compiler knows nothing. */
type Check<S> = 0 extends 1 & S ? unknown : [Refusal<S>] extends [never] ? unknown : Refusal<S>

/** The first argument of `NodeHttpServer`'s constructors, which makes a server of `node:http`. */
type Evaluate<S> = LazyArg<S> & Check<S>

type Given = readonly [options?: Options | undefined] | readonly [evaluate: LazyArg<unknown>, options: Options]

const isMaking = (args: Given): args is readonly [evaluate: LazyArg<unknown>, options: Options] =>
  typeof args[0] === "function"

const makeFrom = (args: Given): Effect.Effect<Platform.HttpServer, ServeError, Scope.Scope> =>
  // Code without types may leave the options out.
  isMaking(args) ? Effect.flatMap(withNodeSettings(args[0], args[1] ?? {}), makeServer) : makeServer(args[0] ?? {})

/**
 * The service, listening: its address is known before anything is served, and who connects before waits. `ServeError`, with
 * an `OSError` or a `ValueError` as its cause, when it cannot listen. Closing the scope ends every connection, whatever it
 * is in the middle of: within `drainTimeout`, and as long as interrupted handlers need.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  /** Listens where the options say; on a port that the system chooses unless they do. */
  (options?: Options): Effect.Effect<Platform.HttpServer, ServeError, Scope.Scope>
  /**
   * The same, called as `NodeHttpServer.make` is. The server of `node:http` is made once, for its settings: `keepAliveTimeout`,
   * `headersTimeout`, `requestTimeout`, `timeout`, `maxHeaderSize`, `maxHeadersCount`, `maxRequestsPerSocket`,
   * `maxConnections`. Any other that differs from Node's defaults, a listener, TLS and HTTP/2 are a `ServeError`, and so is an
   * option that is less strict than a setting.
   */
  <S>(evaluate: Evaluate<S>, options: Options): Effect.Effect<Platform.HttpServer, ServeError, Scope.Scope>
} = (...args: Given) => makeFrom(args)

/**
 * The service alone, for whoever provides the rest himself.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer: {
  /** Listens where the options say. */
  (options?: Options): Layer.Layer<Platform.HttpServer, ServeError>
  /** The same, called as `NodeHttpServer.layerServer` is. */
  <S>(evaluate: Evaluate<S>, options: Options): Layer.Layer<Platform.HttpServer, ServeError>
} = (...args: Given) => Layer.scoped(Platform.HttpServer, makeFrom(args))

/**
 * What applications need besides a server: files as responses, their ETags, and the services of Node.
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
 * The server, and what applications need besides: in the place of `NodeHttpServer.layer`.
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
 *   Effect.promise(() => fetch(`${url}/hello/World`).then((answer) => answer.text()))
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
  /** Listens where the options say. */
  (options?: Options): Layer.Layer<Platform.HttpServer | Context, ServeError>
  /** The same, called as `NodeHttpServer.layer` is: an application moves by its import. */
  <S>(evaluate: Evaluate<S>, options: Options): Layer.Layer<Platform.HttpServer | Context, ServeError>
} = (...args: Given) => Layer.merge(Layer.scoped(Platform.HttpServer, makeFrom(args)), layerContext)

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
  /** Listens where the configuration says. */
  (options: Wrapped): Layer.Layer<Platform.HttpServer | Context, ServeError | ConfigError.ConfigError>
  /** The same, called as `NodeHttpServer.layerConfig` is. */
  <S>(
    evaluate: Evaluate<S>,
    options: Wrapped
  ): Layer.Layer<Platform.HttpServer | Context, ServeError | ConfigError.ConfigError>
} = (...[first, second]: readonly [Wrapped] | readonly [LazyArg<unknown>, Wrapped]) => {
  const given = (options: Options): Given => (typeof first === "function" ? [first, options] : [options])
  const options = second ?? (first as Wrapped)
  return Layer.unwrapEffect(
    Effect.map(Config.unwrap(options), (options) =>
      Layer.merge(Layer.scoped(Platform.HttpServer, makeFrom(given(options))), layerContext)
    )
  )
}

/**
 * A server for tests, on loopback and a port that the system chooses, and an `HttpClient` that asks it: a path is
 * all that a request needs.
 *
 * @example
 * ```ts
 * import { HttpClient, HttpServer, HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { layerTest } from "effect-asynchttpserver/HttpServer"
 *
 * const test = Effect.gen(function*() {
 *   yield* HttpServer.serveEffect(HttpServerResponse.text("tested"))
 *   const answer = yield* HttpClient.get("/")
 *   return yield* answer.text
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
