/**
 * A program made of layers: settings from `Config`, a service that handlers need, and errors mapped to answers.
 *
 * - `GREETING` is what people are greeted with, "Hello" by default.
 * - `GET /people/ada` greets; a stranger is 404, and a client that does not say who it is (`X-Client`) is 400.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Context, Data, Effect, Layer } from "effect"
import { Address, HttpHeaders, type Request, Response, Server } from "effect-asynchttpserver"

class Stranger extends Data.TaggedError("Stranger")<{ readonly name: string }> {}

class Greeter extends Context.Tag("Greeter")<
  Greeter,
  { readonly greet: (name: string) => Effect.Effect<string, Stranger> }
>() {
  static readonly live = Layer.effect(
    Greeter,
    Effect.gen(function* () {
      const greeting = yield* Config.withDefault(Config.string("GREETING"), "Hello")
      const people = new Map([
        ["ada", "Ada Lovelace"],
        ["grace", "Grace Hopper"]
      ])
      return {
        greet: (name) => {
          const found = people.get(name)
          return found === undefined ? new Stranger({ name }) : Effect.succeed(`${greeting}, ${found}`)
        }
      }
    })
  )
}

const text = { "Content-Type": "text/plain; charset=utf-8" }

/** Fails with a `KeyError`, which the server answers 400, and with a `Stranger`, which it knows nothing of. */
const greet = (request: Request.Request) =>
  Effect.gen(function* () {
    const client = yield* HttpHeaders.get(request.headers, "x-client")
    const greeter = yield* Greeter
    const greeting = yield* greeter.greet(request.path.slice("/people/".length))
    return yield* Response.respond(request, 200, `${greeting}! (to ${client})`, text)
  })

const handler = (request: Request.Request) =>
  Effect.catchTags(greet(request), {
    Stranger: ({ name }) => Response.respond(request, 404, `${name} is a stranger`, text)
  })

const program = Effect.gen(function* () {
  const address = yield* Server.listen()
  yield* Console.log(`Listening on ${Address.toUrl(address)}`)
  return yield* Server.serve(handler)
})

const server = Server.layerConfig({
  address: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

runMain(Effect.provide(program, Layer.merge(server, Greeter.live)))
