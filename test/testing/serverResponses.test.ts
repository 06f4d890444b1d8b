/** Every form of response that the server writes, read by the kit's client, which shares no code with the server. */
import { HttpClientRequest } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import { Response } from "effect-asynchttpserver"
import { TestServer } from "effect-asynchttpserver/testing"
import { overBoth } from "./both.js"

const pieces = Stream.make("Hello ", "", "World").pipe(Stream.encodeText)

const allBytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)

interface Form {
  readonly handler: Response.Handler
  readonly status?: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Fields that the response must not have. */
  readonly without?: ReadonlyArray<string>
}

const length = (bytes: number): Readonly<Record<string, string>> => ({ "content-length": String(bytes) })

const inChunks = { "transfer-encoding": "chunked" }

const unframed = ["content-length", "transfer-encoding"]

const forms: Readonly<Record<string, Form>> = {
  "a text": {
    handler: (request) => Response.respond(request, 200, "Hello World", { "X-A": " a \t b ", "x-B": "\xe9" }),
    body: "Hello World",
    headers: { ...length(11), "x-a": "a \t b", "x-b": "\xe9" }
  },
  "no content": { handler: (request) => Response.respond(request, 200), body: "", headers: length(0) },
  "all bytes that there are": {
    handler: (request) => Response.respond(request, 200, allBytes),
    body: Buffer.from(allBytes).toString("latin1"),
    headers: length(256)
  },
  "an error": { handler: (request) => Response.respond(request, 404, "no"), status: 404, body: "no" },
  "a code without a phrase": { handler: (request) => Response.respond(request, 299, "ok"), status: 299, body: "ok" },
  "fields that are repeated": {
    handler: (request) =>
      Response.respond(request, 200, "", [
        ["Set-Cookie", "a=1"],
        ["Vary", "a"],
        ["Set-Cookie", "b=2"],
        ["vary", "b"]
      ]),
    body: "",
    headers: { "set-cookie": "a=1, b=2", vary: "a, b" }
  },
  "a head of many fields": {
    handler: (request) =>
      Response.respond(
        request,
        200,
        "x",
        Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`X-${i}`, "y".repeat(i)]))
      ),
    body: "x",
    headers: { "x-1": "y", "x-89": "y".repeat(89) }
  },
  "204, whatever is given": {
    handler: (request) => Response.respond(request, 204, "left out"),
    status: 204,
    body: "",
    without: unframed
  },
  "a stream as 204": {
    handler: (request) => Response.respondStream(request, 204, pieces),
    status: 204,
    body: "",
    without: unframed
  },
  "205, whatever is given": {
    handler: (request) => Response.respond(request, 205, "left out"),
    status: 205,
    body: "",
    headers: length(0)
  },
  "a stream as 205": { handler: (request) => Response.respondStream(request, 205, pieces), status: 205, body: "" },
  "304, whatever is given": { handler: (request) => Response.respond(request, 304, "left out"), status: 304, body: "" },
  "304 with a length": {
    handler: (request) => Response.respond(request, 304, "", { "Content-Length": "11" }),
    status: 304,
    body: "",
    headers: length(11)
  },
  "a stream": {
    handler: (request) => Response.respondStream(request, 200, pieces),
    body: "Hello World",
    headers: inChunks,
    without: ["content-length"]
  },
  "an empty stream": {
    handler: (request) => Response.respondStream(request, 200, Stream.empty),
    body: "",
    headers: inChunks
  },
  "a stream of large pieces": {
    handler: (request) =>
      Response.respondStream(request, 200, Stream.make(new Uint8Array(15), new Uint8Array(300_000))),
    body: "\0".repeat(300_015)
  },
  "a stream of a given length": {
    handler: (request) => Response.respondStream(request, 200, pieces, { "Content-Length": "11" }),
    body: "Hello World",
    headers: length(11),
    without: ["transfer-encoding"]
  },
  "content piece by piece, with trailers": {
    handler: (request) =>
      Effect.gen(function* () {
        const body = yield* Response.sendHeaders(request, 200)
        yield* body.write("Hello ")
        yield* Effect.yieldNow()
        yield* body.write("World")
        return yield* body.end({ "X-T": "1", ETag: '"x"' })
      }),
    body: "Hello World",
    headers: inChunks
  },
  "interim responses before it": {
    handler: (request) =>
      Effect.gen(function* () {
        yield* Response.sendInformational(request, 102)
        yield* Response.sendInformational(request, 103, { Link: "</a>" })
        return yield* Response.respond(request, 200, "Hello World")
      }),
    body: "Hello World",
    headers: length(11)
  },
  close: {
    handler: (request) => Response.respond(request, 200, "Hello World", { Connection: "close, x" }),
    body: "Hello World",
    headers: { connection: "close, x" }
  },
  "a failure": { handler: () => Effect.dieMessage("no"), status: 500 }
}

overBoth(({ make }) => {
  const read = (form: Form, method: "GET" | "HEAD") =>
    Effect.gen(function* () {
      const server = yield* make(form.handler)
      // Twice: surplus bytes after the first response fail the second, if not the first.
      for (let times = 0; times < 2; times++) {
        const response = yield* server.client.execute(HttpClientRequest.make(method)("/"))
        expect(response.status).toBe(form.status ?? 200)
        // A response to HEAD need not have the coding that its content would have (RFC 9110 §9.3.2).
        if (method === "GET" || form.headers !== inChunks) expect(response.headers).toMatchObject(form.headers ?? {})
        for (const name of form.without ?? []) expect(response.headers).not.toHaveProperty(name)
        const body = Buffer.from(yield* response.arrayBuffer).toString("latin1")
        if (method === "HEAD") expect(body).toBe("")
        else if (form.body !== undefined) expect(body).toBe(form.body)
        yield* server.settle
      }
      if (form.status === 500) for (let times = 0; times < 2; times++) yield* server.takeFailure
    })

  for (const [name, form] of Object.entries(forms)) {
    it.scoped(`${name}, to GET`, () => read(form, "GET"))
    it.scoped(`${name}, to HEAD`, () => read(form, "HEAD"))
  }

  it.scoped("a stream as it is written, and the one after it on the same connection", () =>
    Effect.gen(function* () {
      const server = yield* make((request) => Response.respondStream(request, 200, pieces))
      for (let times = 0; times < 2; times++) {
        const response = yield* server.client.get("/")
        const chunks = yield* Stream.runCollect(response.stream)
        expect(Buffer.concat(Chunk.toArray(chunks)).toString()).toBe("Hello World")
      }
      expect(yield* server.connections).toHaveLength(1)
    })
  )

  it.scoped("another protocol", () =>
    Effect.gen(function* () {
      const server = yield* make((request) =>
        Response.upgrade(request, { Upgrade: "echo" }, ({ write }) => write(Buffer.from("Hello World")))
      )
      const headers = { connection: "upgrade", upgrade: "other, echo" }
      const response = yield* server.client.get("/", { headers })
      expect(response.status).toBe(101)
      expect(yield* response.text).toBe("Hello World")
    })
  )
})

describe("a response that the server cannot finish", () => {
  it.scoped("has an error where its content is cut", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory((request) =>
        Response.respondStream(request, 200, Stream.concat(pieces, Stream.die("no")))
      )
      const response = yield* server.client.get("/")
      expect(yield* Effect.flip(response.text)).toMatchObject({ reason: "Decode", cause: { code: "ECONNRESET" } })
      yield* server.takeFailure
    })
  )
})
