/**
 * An application written for `NodeHttpServer`, moved by one line:
 *
 * ```diff
 * -import { NodeHttpServer } from "@effect/platform-node"
 * +import * as NodeHttpServer from "effect-asynchttpserver/HttpServer"
 * ```
 *
 * Everything else is unchanged. The function that makes a `node:http` server is still accepted, for its settings, and may be removed.
 */
import { createServer } from "node:http"
import { HttpMiddleware, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect, Layer } from "effect"
import * as NodeHttpServer from "effect-asynchttpserver/HttpServer"

const echo = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  return yield* HttpServerResponse.json({ method: request.method, url: request.url, body: yield* request.text })
})

const app = HttpRouter.empty.pipe(
  HttpRouter.get("/", HttpServerResponse.text("Hello World")),
  HttpRouter.all("/echo", echo),
  HttpMiddleware.cors({ allowedOrigins: ["https://example.com"] })
)

const server = NodeHttpServer.layerConfig(() => createServer(), {
  host: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

const ready = HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`))

const live = Layer.effectDiscard(ready).pipe(Layer.merge(HttpServer.serve(app)), Layer.provide(server))

runMain(Layer.launch(live))
