/**
 * An `HttpApi`: endpoints described by schemas, which give the validation, the errors, the OpenAPI document at
 * `/openapi.json` and the Swagger page at `/docs`.
 *
 * - `GET /notes/1`, `POST /notes` with `{"text":"…"}`, `GET /notes?containing=…`
 * - A missing note is 404 with a `NoteNotFound`; input that does not match its schema is 400 with an `HttpApiDecodeError`.
 */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiSchema,
  HttpApiSwagger,
  HttpServer,
  OpenApi
} from "@effect/platform"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect, Layer, Schema } from "effect"
import { layerConfig } from "effect-asynchttpserver/HttpServer"

class Note extends Schema.Class<Note>("Note")({ id: Schema.Int, text: Schema.NonEmptyString }) {}

class NoteNotFound extends Schema.TaggedError<NoteNotFound>()(
  "NoteNotFound",
  { id: Schema.Int },
  HttpApiSchema.annotations({ status: 404 })
) {}

const id = HttpApiSchema.param("id", Schema.NumberFromString.pipe(Schema.int()))

const notesGroup = HttpApiGroup.make("notes")
  .add(HttpApiEndpoint.get("find")`/notes/${id}`.addSuccess(Note).addError(NoteNotFound))
  .add(
    HttpApiEndpoint.get("search", "/notes")
      .setUrlParams(Schema.Struct({ containing: Schema.optional(Schema.String) }))
      .addSuccess(Schema.Array(Note))
  )
  .add(
    HttpApiEndpoint.post("write", "/notes")
      .setPayload(Schema.Struct({ text: Schema.NonEmptyString }))
      .addSuccess(Note, { status: 201 })
  )

const api = HttpApi.make("notebook").add(notesGroup).annotate(OpenApi.Title, "Notebook")

const notes = [new Note({ id: 1, text: "the first note" })]

const handlers = HttpApiBuilder.group(api, "notes", (handlers) =>
  handlers
    .handle("find", ({ path }) => {
      const found = notes.find((note) => note.id === path.id)
      return found === undefined ? new NoteNotFound({ id: path.id }) : Effect.succeed(found)
    })
    .handle("search", ({ urlParams: { containing = "" } }) =>
      Effect.succeed(notes.filter(({ text }) => text.includes(containing)))
    )
    .handle("write", ({ payload }) =>
      Effect.sync(() => {
        const note = new Note({ id: notes.length + 1, text: payload.text })
        notes.push(note)
        return note
      })
    )
)

const server = layerConfig({
  host: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

const ready = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`)))

const live = HttpApiBuilder.serve().pipe(
  Layer.merge(ready),
  Layer.provide(HttpApiSwagger.layer({ path: "/docs" })),
  Layer.provide(HttpApiBuilder.middlewareOpenApi({ path: "/openapi.json" })),
  Layer.provide(HttpApiBuilder.api(api)),
  Layer.provide(handlers),
  Layer.provide(server)
)

runMain(Layer.launch(live))
