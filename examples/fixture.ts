/**
 * A server as the fixture of one call: it runs while its scope is open, on a port chosen by the system. Prints the
 * response and ends.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import { Address, Response, Server } from "effect-asynchttpserver"

/** The URL of a server that runs until the scope ends. */
const fixture = Effect.gen(function* () {
  const address = yield* Server.listen({ address: "127.0.0.1", port: 0 })
  yield* Effect.forkScoped(Server.serve((request) => Response.respond(request, 200, `requested ${request.url}`)))
  return Address.toUrl(address)
})

const program = Effect.gen(function* () {
  const url = yield* fixture
  const response = yield* Effect.promise(() => fetch(`${url}/things?id=1`))
  const text = yield* Effect.promise(() => response.text())
  yield* Console.log(`${response.status} ${text}`)
})

runMain(Effect.scoped(program).pipe(Effect.provide(Server.layer())))
