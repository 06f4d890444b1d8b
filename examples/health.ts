/**
 * An instance behind a load balancer, as `nginx.conf` and `haproxy.cfg` in this folder configure them.
 *
 * - `GET /health` is 200, and 503 as soon as the program is to end, so that the balancer chooses another instance.
 * - SIGTERM: for `DRAIN` the instance still responds to everything, and closes each connection with its next response. Then it
 *   stops listening, and completes the requests in flight. Give `DRAIN` as long as the balancer needs to notice.
 *
 * `HOST` and `PORT` set the address.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Duration, Effect, Fiber, Option, Ref } from "effect"
import { Address, HttpHeaders, type Request, Response, Server } from "effect-asynchttpserver"

/** What this instance sees of a request: the client that the balancer names, and the connection of the balancer. */
const describe = (request: Request.Request): string => {
  const client = HttpHeaders.getOrElse(request.headers, "x-forwarded-for", () => "an unnamed client")
  const connection = Option.match(request.client.remote, { onNone: () => "unknown", onSome: Address.toAuthority })
  return `instance ${process.pid} for ${client} over ${connection}`
}

const program = Effect.gen(function* () {
  const drainDelay = yield* Config.withDefault(Config.duration("DRAIN"), Duration.seconds(5))
  const isDraining = yield* Ref.make(false)
  const address = yield* Server.listen()
  const serving = yield* Effect.forkScoped(
    Server.serve((request) =>
      Effect.flatMap(isDraining, (draining) => {
        const headers = draining ? { Connection: "close" } : {}
        return request.path === "/health"
          ? Response.respond(request, draining ? 503 : 200, draining ? "draining" : "ready", headers)
          : Response.respond(request, 200, describe(request), headers)
      })
    )
  )
  yield* Effect.addFinalizer(() =>
    Ref.set(isDraining, true).pipe(Effect.zipRight(Effect.sleep(drainDelay)), Effect.zipRight(Server.close))
  )
  yield* Console.log(`Listening on ${Address.toUrl(address)}`)
  return yield* Fiber.join(serving)
})

const live = Server.layerConfig({
  address: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

// A second signal does not shorten the shutdown.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {})

runMain(Effect.scoped(program).pipe(Effect.provide(live)))
