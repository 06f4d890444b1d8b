/**
 * The original's program for `respond`: one route that responds with JSON, and 404 for everything else.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect } from "effect"
import { Address, HttpCode, HttpHeaders, Response, Server } from "effect-asynchttpserver"

const handler: Response.Handler = (request) => {
  if (request.path === "/hello-world") {
    const message = JSON.stringify({ message: "Hello World" })
    const headers = HttpHeaders.make([["Content-Type", "application/json"]])
    return Response.respond(request, HttpCode.Http200, message, headers)
  }
  return Response.respond(request, HttpCode.Http404, "Not Found")
}

const program = Effect.gen(function* () {
  const address = yield* Server.listen()
  yield* Console.log(`Listening on ${Address.toUrl(address)}`)
  return yield* Server.serve(handler)
})

const live = Server.layerConfig({
  address: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

runMain(Effect.provide(program, live))
