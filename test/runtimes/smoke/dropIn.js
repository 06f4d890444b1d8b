/**
 * The entry `HttpServer`: applications of `@effect/platform`.
 */
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { HttpClient, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse, Multipart } from "@effect/platform"
import { Effect, Schema, Stream } from "effect"
import { layer, layerTest } from "effect-asynchttpserver/HttpServer"
import { equal, group, match, Unsupported } from "./checks.js"
import { exchange, get, lastGet, open } from "./client.js"

export const dropIn = group("drop-in")

const { check } = dropIn

const file = join(process.env.SMOKE_FOLDER, "served.txt")
writeFileSync(file, "from a file")

const Form = Schema.Struct({ title: Schema.String, files: Multipart.FilesSchema })

const echoSocket = Effect.gen(function* () {
  const socket = yield* HttpServerRequest.upgrade
  const write = yield* socket.writer
  yield* socket.runRaw((message) => write(`echo ${message}`))
  return HttpServerResponse.empty()
}).pipe(Effect.scoped)

const app = HttpRouter.empty.pipe(
  HttpRouter.get(
    "/hello/:name",
    Effect.flatMap(HttpRouter.params, ({ name }) => HttpServerResponse.json({ hello: name }))
  ),
  HttpRouter.post(
    "/json",
    Effect.flatMap(HttpServerRequest.schemaBodyJson(Schema.Struct({ a: Schema.Number })), ({ a }) =>
      HttpServerResponse.text(String(a + 1))
    )
  ),
  HttpRouter.get("/file", HttpServerResponse.file(file)),
  HttpRouter.get(
    "/events",
    HttpServerResponse.stream(Stream.encodeText(Stream.make("data: 1\n\n", "data: 2\n\n")), {
      contentType: "text/event-stream"
    })
  ),
  HttpRouter.post(
    "/form",
    Effect.map(HttpServerRequest.schemaBodyForm(Form), ({ files, title }) =>
      HttpServerResponse.text(`${title} ${files.map(({ name }) => name).join()}`)
    )
  ),
  HttpRouter.get("/socket", echoSocket),
  HttpRouter.get("/fails", Effect.fail("expected"))
)

const applied = (use) =>
  Effect.gen(function* () {
    yield* HttpServer.serveEffect(Effect.catchAll(app, () => HttpServerResponse.text("caught", { status: 404 })))
    const { address } = yield* HttpServer.HttpServer
    yield* Effect.promise(() => use(address.port))
  }).pipe(Effect.scoped, Effect.provide(layer({ port: 0, host: "127.0.0.1" })), Effect.runPromise)

check("a router: parameters, JSON, an error", () =>
  applied(async (port) => {
    match(await exchange(port, lastGet("/hello/World")), /application\/json[\s\S]*\{"hello":"World"\}$/)
    const post =
      'POST /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
    match(await exchange(port, post), /\r\n\r\n2$/)
    match(await exchange(port, lastGet("/missing")), /^HTTP\/1\.1 404 [\s\S]*caught$/)
  })
)

check("fetch", () =>
  applied(async (port) => {
    const response = await fetch(`http://127.0.0.1:${port}/hello/fetch`)
    equal(await response.text(), '{"hello":"fetch"}')
  })
)

check("a static file", () =>
  applied(async (port) => match(await exchange(port, lastGet("/file")), /etag: [\s\S]*from a file$/i))
)

check("an event stream", () =>
  applied(async (port) =>
    match(await exchange(port, lastGet("/events")), /text\/event-stream[\s\S]*data: 1[\s\S]*data: 2/)
  )
)

check("a multipart form with a file", () =>
  applied(async (port) => {
    const body = new FormData()
    body.append("title", "Form")
    body.append("files", new Blob(["content"]), "a.txt")
    const response = await fetch(`http://127.0.0.1:${port}/form`, { method: "POST", body })
    equal(await response.text(), "Form a.txt")
  })
)

/** A frame of text from a client (RFC 6455 §5.2), with a mask of zeros. */
const frame = (text) => `\x81${String.fromCharCode(0x80 | text.length)}\0\0\0\0${text}`

check("a WebSocket", () =>
  applied(async (port) => {
    const client = await open(port)
    const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    client.send(get("/socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key))
    await client.receive(/^HTTP\/1\.1 101 [\s\S]*s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=[\s\S]*\r\n\r\n/)
    client.send(frame("one"))
    await client.receive(/\x81\x08echo one/)
    client.send(frame("two"))
    await client.receive(/\x81\x08echo two/)
    client.socket.destroy()
  })
)

check("layerTest, with the client of @effect/platform-node", () =>
  Effect.gen(function* () {
    yield* HttpServer.serveEffect(app)
    const response = yield* HttpClient.get("/hello/client")
    equal(yield* response.text, '{"hello":"client"}')
  }).pipe(Effect.scoped, Effect.provide(layerTest), Effect.runPromise)
)

check("the arguments of NodeHttpServer.layer", async () => {
  const moved = Effect.gen(function* () {
    yield* HttpServer.serveEffect(app)
    const { address } = yield* HttpServer.HttpServer
    match(yield* Effect.promise(() => exchange(address.port, lastGet("/hello/moved"))), /moved/)
  }).pipe(
    Effect.scoped,
    Effect.provide(layer(() => createServer({ keepAliveTimeout: 1000 }), { port: 0, host: "127.0.0.1" }))
  )
  const error = await Effect.runPromise(
    Effect.match(moved, { onSuccess: () => undefined, onFailure: (error) => error })
  )
  if (error === undefined) return
  if (error._tag !== "ServeError" || error.cause.reason !== "Setting") throw error
  throw new Unsupported(
    `\`layer(createServer, options)\` is a \`ServeError\` (${error.cause.actual}): use \`layer(options)\``
  )
})
