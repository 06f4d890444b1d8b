/** Recorded requests, and the members of a test server, over both transports. */
import { HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Option, Scope, Stream } from "effect"
import { type Errors, HttpHeaders, Response } from "effect-asynchttpserver"
import { type RecordedRequest, TestServer } from "effect-asynchttpserver/testing"
import { openDescriptors } from "../server/harness.js"
import { overBoth } from "./both.js"

const echo: Response.Handler = (request) =>
  Effect.flatMap(request.text, (text) => Response.respond(request, 200, `${request.method} ${request.url} ${text}`))

const hello: Response.Handler = (request) => Response.respond(request, 200, "Hello")

const textOf = (path: string) => Effect.flatMap(HttpClient.get(path), (response) => response.text)

overBoth(({ layer, make }) => {
  describe("requests", () => {
    it.scoped("are recorded: method, target, headers as sent, body, outcome", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const client = yield* server.connect
        yield* client.send(
          "POST /a%20b?c=d&c=%26 HTTP/1.1\r\nhOST: x\r\nX-One: 1\r\nx-one: 2\r\nContent-Length: 2\r\n\r\nhi"
        )
        yield* client.readUntil((seen) => seen.endsWith("hi"))
        const request = yield* server.takeRequest
        expect([request.method, request.url, request.target, request.path]).toStrictEqual([
          "POST",
          "/a%20b?c=d&c=%26",
          "/a%20b?c=d&c=%26",
          "/a%20b"
        ])
        expect(request.query.getAll("c")).toStrictEqual(["d", "&"])
        expect(Array.from(request.headers)).toStrictEqual([
          ["hOST", "x"],
          ["X-One", "1"],
          ["x-one", "2"],
          ["Content-Length", "2"]
        ])
        expect(yield* request.text).toBe("hi")
        expect(yield* request.isComplete).toBe(true)
        expect(yield* request.outcome).toStrictEqual({ _tag: "Responded", status: 200 })
      }).pipe(Effect.provide(layer(echo)))
    )

    it.scoped("have the indices of their connection and exchange", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        const first = yield* server.connect
        yield* first.send(get)
        yield* server.takeRequest
        const second = yield* server.connect
        yield* second.send(get + get)
        yield* first.send(get)
        yield* server.settle
        const all = yield* Stream.runCollect(Stream.take(server.requests, 4))
        const places = Array.from(all, ({ connection, exchangeIndex: exchange }) => `${connection}.${exchange}`)
        expect(places.sort()).toStrictEqual(["0.0", "0.1", "1.0", "1.1"])
      }).pipe(Effect.provide(layer(hello)))
    )

    it.scoped("are taken in order, or by a predicate; all of them remain in received", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        for (const path of ["/a", "/b", "/c"]) yield* textOf(path)
        expect((yield* server.takeRequestWhere(({ path }) => path === "/b")).path).toBe("/b")
        expect((yield* server.takeRequest).path).toBe("/a")
        expect((yield* server.takeRequest).path).toBe("/c")
        const all = yield* Stream.runCollect(Stream.take(server.requests, 3))
        expect(Chunk.toReadonlyArray(all).map(({ path }) => path)).toStrictEqual(["/a", "/b", "/c"])
      }).pipe(Effect.provide(layer(hello)))
    )

    it.scoped("are not lost if a taker is interrupted", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const impatient = yield* Effect.fork(server.takeRequest)
        const patient = yield* Effect.fork(server.takeRequest)
        yield* server.settle
        yield* Fiber.interrupt(impatient)
        yield* textOf("/only")
        expect((yield* Fiber.join(patient)).path).toBe("/only")
      }).pipe(Effect.provide(layer(hello)))
    )

    it.scoped("are streamed until the server is closed", () =>
      Effect.gen(function* () {
        const seen = yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* make(hello)
            yield* Effect.flatMap(server.client.get("/"), (response) => response.text)
            return server.requests
          })
        )
        expect(yield* Stream.runCount(seen)).toBe(1)
      })
    )

    it.scoped("whose client has disconnected are aborted", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const fiber = yield* Effect.fork(textOf("/"))
        const request = yield* server.takeRequest
        yield* Fiber.interrupt(fiber)
        expect(yield* request.outcome).toStrictEqual({ _tag: "Aborted" })
        yield* server.assertNoLeaks
      }).pipe(Effect.provide(layer(() => Effect.never)))
    )
  })

  describe("a body", () => {
    const bodyOf = (request: RecordedRequest.RecordedRequest) => Effect.all([request.text, request.isComplete] as const)

    const posted = (handler: Response.Handler<Errors.RespondableError>, text = "a body") =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const response = yield* HttpClient.post("/", { body: HttpBody.text(text) })
        yield* response.text
        return yield* Effect.flatMap(server.takeRequest, bodyOf)
      }).pipe(Effect.provide(layer(handler)))

    it.scoped("is recorded even if it is not read", () =>
      Effect.map(posted(hello), (body) => expect(body).toStrictEqual(["a body", true]))
    )

    it.scoped("is recorded when it is streamed, and when the handler stops in the middle", () =>
      Effect.gen(function* () {
        const long = "0123456789".repeat(20_000)
        const whole = yield* posted(
          (request) => Effect.zipRight(Stream.runDrain(request.stream), Response.respond(request, 200)),
          long
        )
        expect(whole).toStrictEqual([long, true])
        const part = yield* posted(
          (request) => Effect.zipRight(Stream.runHead(request.stream), Response.respond(request, 200)),
          long
        )
        expect(part).toStrictEqual([long, true])
      })
    )

    it.scoped("is not recorded if it is unread and longer than maxDiscardedBody", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const client = yield* server.connect
        yield* client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\nbegun")
        yield* client.readUntil((seen) => seen.endsWith("Hello"))
        expect(yield* Effect.flatMap(server.takeRequest, bodyOf)).toStrictEqual(["", false])
      }).pipe(Effect.provide(layer(hello)))
    )

    it.scoped("of a client that expects 100 (Continue) is not requested after the response", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const client = yield* server.connect
        yield* client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        const seen = yield* client.readUntil((seen) => seen.endsWith("Hello"))
        expect(seen).not.toContain("100 Continue")
        expect(yield* Effect.flatMap(server.takeRequest, bodyOf)).toStrictEqual(["", false])
      }).pipe(Effect.provide(layer(hello)))
    )

    it.scoped("is read by the kit if a handler never responds, and remains available to it", () => {
      const handler: Response.Handler = (request) =>
        Effect.flatMap(Effect.zipRight(Effect.sleep("1 second"), Stream.runCollect(request.stream)), (pieces) =>
          Response.respond(request, 200, Buffer.concat(Chunk.toArray(pieces)))
        )
      return Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const fiber = yield* Effect.fork(
          Effect.flatMap(HttpClient.post("/", { body: HttpBody.text("a body") }), (response) => response.text)
        )
        const request = yield* server.takeRequest
        expect(yield* request.text).toBe("a body")
        yield* TestServer.advance("1 second")
        expect(yield* Fiber.join(fiber)).toBe("a body")
      }).pipe(Effect.provide(layer(handler)))
    })

    it.scoped("is parsed as JSON, or fails", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        for (const text of ['{"a":1}', "{"]) {
          yield* Effect.flatMap(HttpClient.post("/", { body: HttpBody.text(text) }), (response) => response.text)
        }
        expect(yield* (yield* server.takeRequest).json).toStrictEqual({ a: 1 })
        expect((yield* Effect.flip((yield* server.takeRequest).json)).reason).toBe("Json")
      }).pipe(Effect.provide(layer(hello)))
    )
  })

  describe("connections", () => {
    it.scoped("are listed with their state", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const states = Effect.map(server.connections, (all) => all.map(({ index, state }) => `${index} ${state}`))
        const client = yield* server.connect
        yield* server.settle
        expect(yield* states).toStrictEqual(["0 new"])
        yield* client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        yield* server.settle
        expect(yield* states).toStrictEqual(["0 active"])
        yield* TestServer.advance("1 second")
        expect(yield* states).toStrictEqual(["0 idle"])
        yield* client.reset
        yield* server.settle
        expect(yield* states).toStrictEqual([])
      }).pipe(Effect.provide(layer((request) => Effect.zipRight(Effect.sleep("1 second"), hello(request)))))
    )

    it.scoped("are closed, and can be opened again", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const client = yield* server.connect
        yield* server.settle
        yield* server.closeClientConnections
        expect(yield* server.connections).toStrictEqual([])
        expect(yield* client.closedWith).toBe("FIN")
        expect(yield* textOf("/")).toBe("Hello")
      }).pipe(Effect.provide(layer(hello)))
    )

    it.scoped("are refused while the server is down, and accepted after up on the same port", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        expect(yield* textOf("/")).toBe("Hello")
        yield* server.down
        const refused = yield* Effect.flip(server.client.get("/"))
        expect(refused.cause).toHaveProperty("code", "ECONNREFUSED")
        expect((yield* Effect.flip(server.connect)).code).toBe("ECONNREFUSED")
        yield* server.up
        expect(yield* textOf("/")).toBe("Hello")
        expect((yield* Effect.flip(server.up)).code).toBe("EADDRINUSE")
      }).pipe(Effect.provide(layer(hello)))
    )

    it.scoped("are closed by down, without handler failures", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        yield* Effect.fork(server.client.get("/"))
        const request = yield* server.takeRequest
        yield* server.down
        expect((yield* request.outcome)._tag).toBe("Aborted")
      }).pipe(Effect.provide(layer(() => Effect.never)))
    )

    it.scoped("of clients that disconnect as the test ends are no leak", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const client = yield* server.connect
        yield* client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        yield* server.takeRequest
        yield* client.reset
      }).pipe(Effect.provide(layer(() => Effect.never)))
    )

    it.scoped("of a raw client can be half-closed, reset, and read to the end", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const client = yield* server.connect
        yield* client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        expect((yield* client.readToEnd).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*Hello$/)
        expect(yield* client.closedWith).toBe("FIN")
        expect((yield* Effect.flip(client.readUntil(() => false))).code).toBe("EOF")
      }).pipe(Effect.provide(layer(hello)))
    )

    it.scoped("whose client does not read are backpressured", () => {
      let written = 0
      const piece = new Uint8Array(64 * 1024)
      const counted = Effect.sync(() => {
        written++
        return piece
      })
      const endless: Response.Handler = (request) => Response.respondStream(request, 200, Stream.repeatEffect(counted))
      return Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const client = yield* server.connect
        yield* client.stopReading
        yield* client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        yield* server.settle
        const before = written
        yield* server.settle
        expect(written).toBe(before)
        yield* client.resumeReading
        yield* client.readUntil((seen) => seen.length > (before + 4) * piece.length)
        expect(written).toBeGreaterThan(before)
        yield* client.reset
        const request = yield* server.takeRequest
        expect(yield* request.outcome).toStrictEqual({ _tag: "Aborted" })
      }).pipe(Effect.provide(layer(endless)))
    })
  })

  it.scoped("its client connects to it under any host", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      expect(yield* Effect.flatMap(client.get("http://api.example/v1"), (response) => response.text)).toBe("Hello")
      const server = yield* TestServer.TestServer
      const request = yield* server.takeRequest
      expect(HttpHeaders.getOption(request.headers, "Host")).toStrictEqual(Option.some("api.example"))
      expect(yield* Effect.flatMap(client.get("relative"), (response) => response.text)).toBe("Hello")
      expect((yield* server.takeRequest).url).toBe("/relative")
    }).pipe(Effect.provide(layer(hello)))
  )

  it.scoped("takes the server's options: with onFull reject, connections without a taker are rejected", () =>
    Effect.gen(function* () {
      const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      const server = yield* make(hello, { onFull: "reject", limits: { maxRequestsPerConnection: 1 } })
      const clients = yield* Effect.all([server.connect, server.connect, server.connect])
      for (const client of clients) yield* client.send(get)
      for (const client of clients) expect((yield* client.readToEnd).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
      yield* server.settle
      expect(yield* server.connections).toStrictEqual([])
    })
  )

  it.scoped("streams in both directions at once", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const body = HttpBody.stream(
        Stream.range(1, 1000).pipe(
          Stream.map((n) => `${n},`),
          Stream.encodeText
        )
      )
      const received = yield* client.execute(HttpClientRequest.post("/").pipe(HttpClientRequest.setBody(body)))
      const text = yield* received.text
      expect(text).toBe(Array.from({ length: 1000 }, (_, i) => `${i + 1},`).join(""))
    }).pipe(Effect.provide(layer((request) => Response.respondStream(request, 200, request.stream))))
  )

  it.scopedLive("closes without waiting for a silent client, a half-sent request or a handler that goes on", () =>
    Effect.gen(function* () {
      const outer = yield* Effect.scope
      const began = performance.now()
      const clients = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* make(() => Effect.never)
          const silent = yield* Scope.extend(server.connect, outer)
          const half = yield* Scope.extend(server.connect, outer)
          yield* half.send("GET / HTTP/1.1\r\nHo")
          const whole = yield* Scope.extend(server.connect, outer)
          yield* whole.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
          yield* server.takeRequest
          yield* Effect.fork(server.client.get("/"))
          yield* server.takeRequest
          return [silent, half, whole]
        })
      )
      for (const client of clients) expect(["FIN", "RST"]).toContain(yield* client.closedWith)
      expect(performance.now() - began).toBeLessThan(1000)
    })
  )
})

describe("in memory", () => {
  it.scoped("uses no descriptor", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.flatMap(TestServer.makeMemory(hello), ({ client }) => client.get("/")))
      const before = yield* openDescriptors
      const server = yield* TestServer.makeMemory(hello)
      yield* Effect.flatMap(server.client.get("/"), (response) => response.text)
      yield* server.connect
      expect(yield* openDescriptors).toBe(before)
    })
  )

  it.scopedLive("hundreds of servers at once are each by itself", () =>
    Effect.forEach(
      Array.from({ length: 300 }, (_, i) => String(i)),
      (name) =>
        Effect.scoped(
          Effect.gen(function* () {
            const server = yield* TestServer.makeMemory((request) => Response.respond(request, 200, name))
            expect(yield* Effect.flatMap(server.client.get("/"), (response) => response.text)).toBe(name)
            expect((yield* server.takeRequest).connection).toBe(0)
          })
        ),
      { concurrency: "unbounded" }
    )
  )
})
