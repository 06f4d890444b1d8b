/**
 * An application of `@effect/platform`'s router: parameters of a path and a JSON body read by Schema, a middleware that
 * adds to every answer, and answers of its own for what failed.
 *
 * - `POST /people` with `{"name":"Ada","born":1815}` remembers a person, `GET /people/1` has her; a stranger is 404.
 * - What is not such a body, and an id that is no number, is 400 with what is wrong.
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

class Stranger extends Schema.TaggedError<Stranger>()("Stranger", { id: Schema.Number }) {}

const people: Array<Person> = []

const find = (id: number): Effect.Effect<Person, Stranger> => {
  const found = people[id - 1]
  return found === undefined ? new Stranger({ id }) : Effect.succeed(found)
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

/** It has a response to change because it is used by the router: around a server it would see one that is written. */
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
    // 400 for what is no JSON, 413 for a body that is too large, 408 for one that does not arrive.
    RequestError: (error) =>
      Effect.map(HttpServerRespondable.toResponse(error), ({ status }) => problem(status, error.message)),
    RouteNotFound: ({ request }) => problem(404, `there is no ${request.method} ${request.url}`),
    Stranger: ({ id }) => problem(404, `there is no person ${id}`)
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
