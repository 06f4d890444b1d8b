/**
 * The original's first program: answers every request with "Hello World". `HOST` and `PORT` choose the address.
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

// One Ctrl-C may come twice: from the terminal, and from npm or tsx, which pass it on. The first ends the program, and what
// follows it cuts nothing off: requests in flight have as long as `drainTimeout`.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {})

runMain(Effect.provide(program, live))
