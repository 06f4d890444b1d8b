/**
 * The first program of Nim's original: responds to every request with "Hello World". `HOST` and `PORT` set the address.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect } from "effect"
import { Address, Response, Server } from "effect-asynchttpserver"

const hello: Response.Handler = (request) =>
  Response.respond(request, 200, "Hello World", { "Content-Type": "text/plain; charset=utf-8" })

const program = Effect.gen(function* () {
  const address = yield* Server.listen()
  yield* Console.log(`Listening on ${Address.toUrl(address)}`)
  return yield* Server.serve(hello)
})

const live = Server.layerConfig({
  address: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

// One Ctrl-C may arrive twice: from the terminal, and from npm or tsx, which forward it. The first ends the program; the second
// is ignored, so that requests in flight have the whole `drainTimeout`.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {})

runMain(Effect.provide(program, live))
