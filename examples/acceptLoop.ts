/**
 * A custom accept loop, as in Nim's original: accepts connections one by one while the descriptor budget has room.
 * `acceptRequest` suspends its fiber; each connection is then served in the background.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect } from "effect"
import { Address, Response, Server } from "effect-asynchttpserver"

const hello: Response.Handler = (request) =>
  Response.respond(request, 200, "Hello World", { "Content-Type": "text/plain; charset=utf-8" })

const program = Effect.gen(function* () {
  const address = yield* Server.listen()
  yield* Console.log(`Listening on ${Address.toUrl(address)}`)
  while (true) {
    if (yield* Server.shouldAcceptRequest()) yield* Server.acceptRequest(hello)
    else yield* Effect.sleep("500 millis")
  }
})

const live = Server.layerConfig({
  address: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

runMain(Effect.provide(program, live))
