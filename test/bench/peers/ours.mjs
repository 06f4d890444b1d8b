/** This package as it is published: the built files, the default options. */
import * as Effect from "effect/Effect"
import { Response, Server } from "effect-asynchttpserver"

const headers = { "Content-Type": "text/plain; charset=utf-8" }

const program = Effect.gen(function* () {
  const { port } = yield* Server.listen({ address: "127.0.0.1" })
  console.log(port)
  return yield* Server.serve((request) => Response.respond(request, 200, "ok", headers))
})

Effect.runFork(Effect.provide(program, Server.layer()))
