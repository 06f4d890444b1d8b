/**
 * A form that uploads files, and responds with the size and hash of each.
 *
 * A file may have 1 MiB and a form 2 MiB; beyond that the response is 413, as soon as the limit is exceeded. Files are
 * stored on disk, and deleted at the end of their request.
 */
import { createHash } from "node:crypto"
import {
  FileSystem,
  HttpIncomingMessage,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse,
  Multipart
} from "@effect/platform"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect, Layer, Option, Schema, Sink, Stream } from "effect"
import { layerConfig } from "effect-asynchttpserver/HttpServer"

const page = HttpServerResponse.html(`<!doctype html>
<meta charset="utf-8">
<title>Upload</title>
<h1>Upload</h1>
<form method="post" enctype="multipart/form-data">
  <label>Title <input name="title"></label>
  <label>Files <input name="files" type="file" multiple></label>
  <button>Send</button>
</form>
`)

const Form = Schema.Struct({ title: Schema.NonEmptyString, files: Multipart.FilesSchema })

const describe = (file: Multipart.PersistedFile) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const hash = createHash("sha256")
    const count = Sink.foldLeft(0, (size: number, bytes: Uint8Array) => {
      hash.update(bytes)
      return size + bytes.length
    })
    const size = yield* Stream.run(fs.stream(file.path), count)
    return `${file.name} (${file.contentType}): ${size} bytes, SHA-256 ${hash.digest("hex")}\n`
  })

const receive = Effect.gen(function* () {
  const { files, title } = yield* HttpServerRequest.schemaBodyForm(Form)
  const lines = yield* Effect.forEach(files, describe)
  // Without a charset a browser guesses the encoding of the text.
  return HttpServerResponse.text(`${title}\n${lines.join("")}`, { contentType: "text/plain; charset=utf-8" })
}).pipe(
  Multipart.withLimits({ maxParts: Option.some(20), maxFileSize: Option.some(FileSystem.MiB(1)) }),
  HttpIncomingMessage.withMaxBodySize(Option.some(FileSystem.MiB(2))),
  Effect.catchTag("ParseError", () => HttpServerResponse.text("a form requires a title and files\n", { status: 400 }))
)

const app = HttpRouter.empty.pipe(HttpRouter.get("/", page), HttpRouter.post("/", receive))

const server = layerConfig({
  host: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

const ready = HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`))

const live = Layer.effectDiscard(ready).pipe(Layer.merge(HttpServer.serve(app)), Layer.provide(server))

runMain(Layer.launch(live))
