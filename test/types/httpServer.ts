/** The exact types of the `HttpServer` entry. Compiled, never run. */
// What must not compile is reported by the language service too.
// @effect-diagnostics missingEffectContext:off missingEffectError:off floatingEffect:off
import * as http from "node:http"
import { createServer } from "node:http"
import * as http2 from "node:http2"
import * as https from "node:https"
import * as net from "node:net"
import * as tls from "node:tls"
import type * as Etag from "@effect/platform/Etag"
import type { HttpClient } from "@effect/platform/HttpClient"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import type { HttpPlatform } from "@effect/platform/HttpPlatform"
import type * as Platform from "@effect/platform/HttpServer"
import type { ServeError } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type { NodeContext } from "@effect/platform-node/NodeContext"
import type * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { LazyArg } from "effect/Function"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ValueError } from "../../src/Errors.js"
import * as HttpServer from "../../src/HttpServer.js"
import type { Request } from "../../src/Request.js"
import type { Handler } from "../../src/Response.js"
import { equals } from "./equals.js"

class Users extends Context.Tag("Users")<Users, { readonly count: number }>() {}
class Session extends Context.Tag("Session")<Session, { readonly user: string }>() {}

type Given = HttpPlatform | Etag.Generator | NodeContext

export const layers = (): void => {
  const layer = HttpServer.layer({ port: 0 })
  equals<typeof layer, Layer.Layer<Platform.HttpServer | Given, ServeError>>()
  const moved = HttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })
  equals<typeof moved, ReturnType<typeof NodeHttpServer.layer>>()
  const server = HttpServer.layerServer(createServer, { port: 0 })
  equals<typeof server, ReturnType<typeof NodeHttpServer.layerServer>>()
  const configured = HttpServer.layerConfig(createServer, { port: Config.integer("PORT") })
  equals<typeof configured, Layer.Layer<Platform.HttpServer | Given, ConfigError.ConfigError | ServeError>>()
  const alone = HttpServer.layerConfig({ port: Config.integer("PORT"), host: Config.string("HOST") })
  equals<typeof alone, typeof configured>()
  const made = HttpServer.make(createServer, { port: 0 })
  equals<typeof made, Effect.Effect<Platform.HttpServer, ServeError, Scope.Scope>>()
  equals<typeof HttpServer.layerTest, Layer.Layer<HttpClient | Platform.HttpServer | Given, ServeError>>()
  equals<typeof HttpServer.layerContext, typeof NodeHttpServer.layerContext>()

  const { port } = { port: 0 }
  HttpServer.layer(() => http.createServer({ keepAliveTimeout: 1000 }), { port })
  HttpServer.layer(() => http.createServer({ ServerResponse: http.ServerResponse }, () => {}), { port })
  HttpServer.layer(
    () => {
      const server = createServer()
      server.keepAliveTimeout = 1000
      return server
    },
    { port }
  )
  HttpServer.layerServer(http.createServer, { port })
  const annotated: LazyArg<http.Server> = () => createServer()
  HttpServer.make(annotated, { port })
  // biome-ignore lint/suspicious/noExplicitAny: what makes anything is taken, and looked at when it is made.
  const anything: LazyArg<any> = () => createServer()
  HttpServer.make(anything, { port })

  HttpServer.layer(() => https.createServer({}), { port })
  HttpServer.layer(https.createServer, { port })
  HttpServer.layerServer(() => (port === 0 ? createServer() : https.createServer({})), { port })
  HttpServer.make((): https.Server => https.createServer({}), { port })
  // @ts-expect-error: a server of node:tls is no server of HTTP
  HttpServer.make(() => tls.createServer(), { port })
  // @ts-expect-error: HTTP/2 is not served by this version
  HttpServer.layer(() => http2.createServer(), { port })
  // @ts-expect-error: nor with TLS
  HttpServer.layerConfig(() => http2.createSecureServer(), { port: Config.integer("PORT") })
  // @ts-expect-error: a server of node:net is no server of HTTP
  HttpServer.layer(() => net.createServer(), { port })
  // @ts-expect-error: what makes a server is no promise of one
  HttpServer.layer(async () => createServer(), { port })
  // @ts-expect-error: nor nothing
  HttpServer.layer(() => undefined, { port })
  const unknown: LazyArg<unknown> = () => createServer()
  // @ts-expect-error: nor what may be anything
  HttpServer.make(unknown, { port })
  // @ts-expect-error: a server is made when the layer is built
  HttpServer.layer(createServer(), { port })

  // @ts-expect-error: there is no such option
  HttpServer.layer({ prot: 8080 })
  HttpServer.layer({ path: "/run/server.sock" })
}

export const handlers = (request: HttpServerRequest.HttpServerRequest): void => {
  const plain = HttpServer.toHandler(HttpServerResponse.text("ok"))
  equals<typeof plain, Handler<ValueError, never>>()

  // What an application needs beyond its request is the handler's; its errors it responds by itself.
  const app = Effect.gen(function* () {
    yield* HttpServerRequest.HttpServerRequest
    const { count } = yield* Users
    yield* Effect.addFinalizer(() => Effect.void)
    if (count === 0) return yield* Effect.fail("none" as const)
    return HttpServerResponse.text(String(count))
  })
  const handler = HttpServer.toHandler(app)
  equals<typeof handler, Handler<ValueError, Users | Scope.Scope>>()

  // A middleware that provides what the application needs takes it out.
  const provided = HttpServer.toHandler(
    Effect.flatMap(Session, ({ user }) => HttpServerResponse.text(user)),
    (inner) => Effect.provideService(inner, Session, { user: "Ada" })
  )
  equals<typeof provided, Handler<ValueError, never>>()
  const logged = HttpServer.toHandler(app, HttpMiddleware.logger, { interruptOnDisconnect: false })
  equals<typeof logged, Handler<ValueError, Users | Scope.Scope>>()

  const native = HttpServer.toRequest(request)
  equals<typeof native, Option.Option<Request>>()

  // @ts-expect-error: an application gives a response
  HttpServer.toHandler(Effect.succeed("ok"))
}
