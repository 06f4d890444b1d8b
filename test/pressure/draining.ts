/**
 * A program as the examples are, whose responses take a while: SIGTERM finds one under way. `test/examples/program.ts`
 * starts and ends it.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import { Address, Response, Server } from "effect-asynchttpserver"

const program = Effect.gen(function* () {
  const address = yield* Server.listen()
  yield* Console.log(`Listening on ${Address.toUrl(address)}`)
  return yield* Server.serve((request) => Effect.zipRight(Effect.sleep(500), Response.respond(request, 200, "drained")))
})

runMain(Effect.provide(program, Server.layer({ address: "127.0.0.1" })))
