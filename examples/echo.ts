/**
 * Streams each request's body back while it arrives, with the content type of the request.
 *
 * Nothing is buffered: a client that reads slowly is read from slowly.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect } from "effect"
import { Address, HttpHeaders, Response, Server } from "effect-asynchttpserver"

const echo: Response.Handler = (request) =>
  Response.respondStream(request, 200, request.stream, {
    "Content-Type": HttpHeaders.getOrElse(request.headers, "content-type", () => "application/octet-stream")
  })

const program = Effect.gen(function* () {
  const address = yield* Server.listen()
  yield* Console.log(`Listening on ${Address.toUrl(address)}`)
  return yield* Server.serve(echo)
})

const live = Server.layerConfig({
  address: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

runMain(Effect.provide(program, live))
