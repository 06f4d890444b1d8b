/**
 * A program made of layers: settings from `Config`, a service that handlers require, and errors mapped to responses.
 *
 * - `GREETING` is the greeting, "Hello" by default.
 * - `GET /people/ada` greets; an unknown name is 404, and a request without the header `X-Client` is 400.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Context, Data, Effect, Layer } from "effect"
import { Address, HttpHeaders, type Request, Response, Server } from "effect-asynchttpserver"

class PersonNotFound extends Data.TaggedError("PersonNotFound")<{ readonly name: string }> {}

class Greeter extends Context.Tag("Greeter")<
  Greeter,
  { readonly greet: (name: string) => Effect.Effect<string, PersonNotFound> }
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
          return found === undefined ? new PersonNotFound({ name }) : Effect.succeed(`${greeting}, ${found}`)
        }
      }
    })
  )
}

const text = { "Content-Type": "text/plain; charset=utf-8" }

/** Fails with a `KeyError`, for which the server sends 400, or with a `PersonNotFound`, which has to be mapped. */
const greet = (request: Request.Request) =>
  Effect.gen(function* () {
    const client = yield* HttpHeaders.get(request.headers, "x-client")
    const greeter = yield* Greeter
    const greeting = yield* greeter.greet(request.path.slice("/people/".length))
    return yield* Response.respond(request, 200, `${greeting}! (to ${client})`, text)
  })

const handler = (request: Request.Request) =>
  Effect.catchTags(greet(request), {
    PersonNotFound: ({ name }) => Response.respond(request, 404, `${name} not found`, text)
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
