/**
 * The original's first program: answers every request with "Hello World". `PORT` chooses the port, 8080 by default.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect } from "effect"
import { Address, Response, Server } from "effect-asynchttpserver"

const hello: Response.Handler = (request) =>
  Response.respond(request, 200, "Hello World", { "Content-Type": "text/plain; charset=utf-8" })

const program = Effect.gen(function* () {
  const address = yield* Server.listen()
  yield* Console.log(`Listening on ${Address.toUrl(address)}`)
  return yield* Server.serve(hello)
})

const port = Config.withDefault(Config.port("PORT"), 8080)

NodeRuntime.runMain(Effect.provide(program, Server.layerConfig({ port })))
