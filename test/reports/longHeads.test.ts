/** A report: a query of 12,000 bytes is 200 with `NodeHttpServer`, and was 414 with the drop-in and the test kit. */
import { createServer, maxHeaderSize } from "node:http"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { make } from "../../src/HttpServer.js"
import * as Limits from "../../src/Limits.js"
import { respond } from "../../src/Response.js"
import * as TestServer from "../../src/testing/TestServer.js"
import { portOf, quiet, serving as servingApplication } from "../platform/harness.js"
import { serving } from "../server/harness.js"
import { eventLoopTurns } from "../support/eventually.js"
import { ask, connect, requestText } from "../wire/rawConnection.js"
import { expectRefusal } from "../wire/rfc9112/rows.js"

const inChunks = (chunks: string, trailers = ""): string =>
  requestText("POST /", ["Connection: close", "Transfer-Encoding: chunked"], `${chunks}0\r\n${trailers}\r\n`)

const get = (target: string, ...fields: ReadonlyArray<string>): string =>
  requestText(`GET ${target}`, ["Connection: close", ...fields])

/** Requests that are as long as `node:http` takes them: its bound is one for a target and all fields, of 16 KiB. */
const long: ReadonlyArray<readonly [what: string, text: string]> = [
  ["a query of 12,000 bytes", get(`/?q=${"a".repeat(12_000)}`)],
  ["a query of 16,300 bytes", get(`/?q=${"a".repeat(16_300)}`)],
  ["a cookie of 16,300 bytes", get("/", `Cookie: ${"a".repeat(16_300)}`)],
  [
    "a token of 12,000 bytes beside a query of 4,000",
    get(`/${"q".repeat(4000)}`, `Authorization: Bearer ${"a".repeat(12_000)}`)
  ],
  [
    "a field of 16,200 bytes, and whitespace of as many around it",
    get("/", `A:${" ".repeat(8000)}${"a".repeat(16_200)}${" ".repeat(50)}`)
  ],
  ["1,000 fields", get("/", ...Array.from({ length: 1000 }, (_, i) => `A: ${i}`))],
  ["1,900 fields of 16 KiB in all", get("/", ...Array.from({ length: 1900 }, () => "A: 234567"))],
  ["a chunk extension of 16,000 bytes", inChunks(`1;a=${"b".repeat(16_000)}\r\nx\r\n`)],
  ["forty chunk extensions of 16,000 bytes", inChunks(`1;a=${"b".repeat(16_000)}\r\nx\r\n`.repeat(40))],
  ["a trailer of 16,000 bytes", inChunks("1\r\nx\r\n", `T: ${"a".repeat(16_000)}\r\n`)],
  ["1,000 trailers", inChunks("1\r\nx\r\n", "T: a\r\n".repeat(1000))],
  [
    "a body of 9 MiB",
    requestText("POST /", ["Connection: close", `Content-Length: ${9 * 1024 * 1024}`], "a".repeat(9 * 1024 * 1024))
  ]
]

/** Reads the body, and responds with its length. */
const sizing = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ arrayBuffer }) =>
  Effect.map(arrayBuffer, ({ byteLength }) => HttpServerResponse.text(`read ${byteLength}`))
)

/** `NodeHttpServer` with its default settings. */
const nodeHttpServer = Effect.gen(function* () {
  const context = yield* Layer.build(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
  yield* Effect.provide(HttpServer.serveEffect(sizing), Layer.mergeAll(Layer.succeedContext(context), quiet))
  return yield* Effect.provide(
    HttpServer.addressWith((address) => Effect.succeed(address._tag === "TcpAddress" ? address.port : 0)),
    context
  )
})

const servers = [
  ["NodeHttpServer", nodeHttpServer],
  ["the drop-in", servingApplication(sizing)],
  [
    "the test kit",
    Effect.map(
      TestServer.make((request) =>
        Effect.flatMap(request.bytes, ({ length }) => respond(request, 200, `read ${length}`))
      ),
      ({ address }) => address.port
    )
  ]
] as const

describe.each(servers)("%s by default", (_, serve) => {
  it.scopedLive.each(long)("accepts %s", ([, text]) =>
    Effect.gen(function* () {
      const response = yield* ask(yield* serve, text)
      expect([response.status, response.text.startsWith("read ")]).toStrictEqual([200, true])
    })
  )
})

describe("the limits of the drop-in and of the test kit", () => {
  const { nodeHttp } = Limits

  it("are those of `node:http` at least, whichever version runs", () => {
    const node = createServer()
    expect(nodeHttp.maxRequestLine).toBeGreaterThanOrEqual(maxHeaderSize)
    expect(nodeHttp.maxHeaderLine).toBeGreaterThanOrEqual(maxHeaderSize)
    expect(nodeHttp.maxHeaderSection).toBeGreaterThanOrEqual(maxHeaderSize)
    expect(nodeHttp.maxHeaders).toBeGreaterThanOrEqual(2000)
    expect(nodeHttp.maxTrailerSection).toBeGreaterThanOrEqual(maxHeaderSize)
    expect(nodeHttp.maxTrailers).toBeGreaterThanOrEqual(1000)
    expect(Duration.toMillis(nodeHttp.headerTimeout)).toBeGreaterThanOrEqual(node.headersTimeout)
    expect(Duration.toMillis(nodeHttp.bodyTimeout)).toBeGreaterThanOrEqual(node.requestTimeout)
    expect(Duration.toMillis(nodeHttp.bodyTotalTimeout)).toBeGreaterThanOrEqual(node.requestTimeout)
    expect(Duration.toMillis(Limits.defaults.keepAliveTimeout)).toBeGreaterThanOrEqual(node.keepAliveTimeout)
  })

  it.scopedLive("are bounds nevertheless", () =>
    Effect.gen(function* () {
      const port = yield* servingApplication(sizing)
      expectRefusal(yield* ask(port, get(`/${"a".repeat(100_000)}`)), 414)
      expectRefusal(yield* ask(port, get("/", `A: ${"a".repeat(200_000)}`)), 431)
      expectRefusal(yield* ask(port, get("/", ...Array.from({ length: 3000 }, () => "A: b"))), 431)
      const trailers = yield* ask(port, inChunks("", `T: ${"a".repeat(200_000)}\r\n`))
      expect([trailers.status, trailers.header("Connection")]).toStrictEqual([431, "close"])
    })
  )

  it.scopedLive("are replaced one by one by given limits, and by no `undefined`", () =>
    Effect.gen(function* () {
      const limits = { maxRequestLine: 9000, maxHeaders: undefined }
      const server = yield* make({
        host: "127.0.0.1",
        port: 0,
        limits,
        onClientEnd: undefined,
        unknownMethods: undefined
      })
      yield* Effect.provide(server.serve(sizing), quiet)
      expectRefusal(yield* ask(portOf(server), get(`/?q=${"a".repeat(12_000)}`)), 414)
      expect((yield* ask(portOf(server), get("/", ...Array.from({ length: 1000 }, () => "A: b")))).status).toBe(200)
      expect((yield* ask(portOf(server), requestText("PURGE /", ["Connection: close"]))).status).toBe(200)
      const kit = yield* TestServer.make((request) => respond(request, 200), { limits })
      expectRefusal(yield* ask(kit.address.port, get(`/?q=${"a".repeat(12_000)}`)), 414)
      expect((yield* ask(kit.address.port, get("/", ...Array.from({ length: 1000 }, () => "A: b")))).status).toBe(200)
    })
  )

  it.scopedLive("are not the native server's, which sends 414 and 431 sooner", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200))
      expectRefusal(yield* ask(port, get(`/?q=${"a".repeat(12_000)}`)), 414)
      expectRefusal(yield* ask(port, get("/", ...Array.from({ length: 1000 }, () => "A: b"))), 431)
    })
  )

  it.scoped("allow 60 seconds for a head, and 300 for a body", () =>
    Effect.gen(function* () {
      const port = yield* servingApplication(sizing)
      const head = yield* connect(port)
      yield* head.send("GET / HTTP/1.1\r\n")
      const body = yield* connect(port)
      yield* body.send(requestText("POST /", ["Connection: close", "Content-Length: 2"], "a"))
      // Both have arrived when a third request, sent after them, gets its response.
      yield* ask(port, get("/"))
      yield* eventLoopTurns(20)
      yield* TestClock.adjust("59 seconds")
      yield* head.send("Host: a\r\nConnection: close\r\n\r\n")
      expect((yield* head.readResponse()).status).toBe(200)
      yield* TestClock.adjust("240 seconds")
      yield* body.send("b")
      expect((yield* body.readResponse()).text).toBe("read 2")
    })
  )
})
