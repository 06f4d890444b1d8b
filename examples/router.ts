/**
 * An application with `@effect/platform`'s router: path parameters and a JSON body decoded by Schema, a middleware that
 * adds a header to every response, and custom responses for errors.
 *
 * - `POST /people` with `{"name":"Ada","born":1815}` stores a person, `GET /people/1` returns it; an unknown id is 404.
 * - An invalid body, or an id that is not a number, is 400 with an explanation.
 */
import {
  HttpMiddleware,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "@effect/platform"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Duration, Effect, Layer, ParseResult, Schema } from "effect"
import { layerConfig } from "effect-asynchttpserver/HttpServer"

class Person extends Schema.Class<Person>("Person")({ name: Schema.NonEmptyString, born: Schema.Int }) {}

class PersonNotFound extends Schema.TaggedError<PersonNotFound>()("PersonNotFound", { id: Schema.Number }) {}

const people: Array<Person> = []

const find = (id: number): Effect.Effect<Person, PersonNotFound> => {
  const found = people[id - 1]
  return found === undefined ? new PersonNotFound({ id }) : Effect.succeed(found)
}

const show = Effect.gen(function* () {
  const { id } = yield* HttpRouter.schemaPathParams(Schema.Struct({ id: Schema.NumberFromString }))
  return yield* HttpServerResponse.json(yield* find(id))
})

const remember = Effect.gen(function* () {
  const person = yield* HttpServerRequest.schemaBodyJson(Person)
  const id = people.push(person)
  return yield* HttpServerResponse.json({ id }, { status: 201, headers: { location: `/people/${id}` } })
})

const problem = (status: number, message: string) => HttpServerResponse.unsafeJson({ message }, { status })

/** Adds a header to the response. It is applied to the router: around a server the response would already be written. */
const timed = HttpMiddleware.make((app) =>
  Effect.map(Effect.timed(app), ([taken, response]) =>
    HttpServerResponse.setHeader(response, "server-timing", `app;dur=${Duration.toMillis(taken).toFixed(1)}`)
  )
)

const app = HttpRouter.empty.pipe(
  HttpRouter.get("/", HttpServerResponse.text("POST /people, GET /people/:id\n")),
  HttpRouter.get("/people/:id", show),
  HttpRouter.post("/people", remember),
  Effect.catchTags({
    ParseError: (error) => problem(400, ParseResult.TreeFormatter.formatErrorSync(error)),
    // 400 for invalid JSON, 413 for a body that is too large, 408 for one that does not arrive.
    RequestError: (error) =>
      Effect.map(HttpServerRespondable.toResponse(error), ({ status }) => problem(status, error.message)),
    RouteNotFound: ({ request }) => problem(404, `no route for ${request.method} ${request.url}`),
    PersonNotFound: ({ id }) => problem(404, `person ${id} not found`)
  }),
  timed
)

const server = layerConfig({
  host: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

const ready = HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`))

const live = Layer.effectDiscard(ready).pipe(Layer.merge(HttpServer.serve(app)), Layer.provide(server))

runMain(Layer.launch(live))
