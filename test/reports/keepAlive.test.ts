/** A report: clients that ask once in about `keepAliveTimeout` lost POSTs, which were sent as the server closed. */
import { Agent, createServer, request as httpRequest } from "node:http"
import type { AddressInfo } from "node:net"
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Client } from "undici"
import { respond, respondStream } from "../../src/Response.js"
import type * as Server from "../../src/Server.js"
import * as TestServer from "../../src/testing/TestServer.js"
import { serving as servingApplication } from "../platform/harness.js"
import { serving } from "../server/harness.js"
import { advance, servingInMemory } from "../server/memory.js"
import { Condition, eventLoopTurns } from "../support/eventually.js"
import { type ParsedResponse, parseResponses } from "../wire/parsedResponse.js"
import { ask, connect, requestText, withBody } from "../wire/rawConnection.js"

type Serve = (options?: Server.Options) => Effect.Effect<number, never, Scope.Scope>

const servers: ReadonlyArray<readonly [string, Serve]> = [
  [
    "the native server",
    (options) =>
      Effect.map(
        serving((request) => respond(request, 200, "text"), options),
        ({ port }) => port
      )
  ],
  ["the drop-in", (options) => servingApplication(HttpServerResponse.text("text"), options)],
  [
    "the test kit",
    (options) =>
      Effect.map(
        Effect.orDie(TestServer.make((request) => respond(request, 200, "text"), options)),
        ({ address }) => address.port
      )
  ]
]

const hintOf = (response: ParsedResponse) => [response.header("Connection"), response.header("Keep-Alive")]

describe.each(servers)("the hint of %s", (_, serve) => {
  it.scopedLive.each<readonly [string, Server.Options, string, ReadonlyArray<string | undefined>]>([
    ["is 75 seconds by default", {}, requestText("GET /"), ["keep-alive", "timeout=75"]],
    ["is sent with HEAD", {}, requestText("HEAD /"), ["keep-alive", "timeout=75"]],
    [
      "is sent to HTTP/1.0 that asks to be kept",
      {},
      "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      ["keep-alive", "timeout=75"]
    ],
    ["is not sent to HTTP/1.0 that does not", {}, "GET / HTTP/1.0\r\n\r\n", ["close", undefined]],
    ["is not sent to a client that closes", {}, requestText("GET /", ["Connection: close"]), ["close", undefined]],
    ["is not sent with an error after which the server closes", {}, "nonsense\r\n\r\n", ["close", undefined]],
    [
      "is the limit's",
      { limits: { keepAliveTimeout: "5 seconds" } },
      requestText("GET /"),
      ["keep-alive", "timeout=5"]
    ],
    ["is rounded down", { limits: { keepAliveTimeout: 5999 } }, requestText("GET /"), ["keep-alive", "timeout=5"]],
    ["is 0 below a second", { limits: { keepAliveTimeout: 999 } }, requestText("GET /"), ["keep-alive", "timeout=0"]],
    [
      "is not sent without an end",
      { limits: { keepAliveTimeout: Number.POSITIVE_INFINITY } },
      requestText("GET /"),
      [undefined, undefined]
    ],
    [
      "is not sent where no connection is kept",
      { limits: { keepAliveTimeout: 0 } },
      requestText("GET /"),
      ["close", undefined]
    ],
    [
      "names the number of requests",
      { limits: { maxRequestsPerConnection: 100 } },
      requestText("GET /"),
      ["keep-alive", "timeout=75, max=100"]
    ],
    [
      "is not sent with the last of them",
      { limits: { maxRequestsPerConnection: 1 } },
      requestText("GET /"),
      ["close", undefined]
    ],
    [
      "is not sent before a body that is too long to be skipped",
      {},
      requestText("POST /", ["Content-Length: 8000000"]),
      ["close", undefined]
    ]
  ])("%s", ([, options, text, hint]) =>
    Effect.gen(function* () {
      const port = yield* serve(options)
      expect(hintOf(yield* ask(port, text, text.slice(0, text.indexOf(" "))))).toStrictEqual(hint)
    })
  )

  it.scopedLive("is what `node:http` sends", () =>
    Effect.gen(function* () {
      const node = yield* Effect.acquireRelease(
        Effect.async<ReturnType<typeof createServer>>((resume) => {
          const made = createServer({ keepAliveTimeout: 5000 }, (_, response) => response.end("text"))
          made.maxRequestsPerSocket = 10
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) =>
          Effect.sync(() => {
            made.close()
            made.closeAllConnections()
          })
      )
      // It listens over TCP.
      const theirs = yield* ask((node.address() as AddressInfo).port, requestText("GET /"))
      const port = yield* serve({ limits: { keepAliveTimeout: 5000, maxRequestsPerConnection: 10 } })
      expect(hintOf(yield* ask(port, requestText("GET /")))).toStrictEqual(hintOf(theirs))
    })
  )
})

describe("the hint", () => {
  it.scopedLive("of an application that gives one is its own, and never beside close", () =>
    Effect.gen(function* () {
      const own = { "Keep-Alive": "timeout=3" }
      const { port } = yield* serving((request) =>
        request.path === "/stream" ? respondStream(request, 200, Stream.empty, own) : respond(request, 200, "", own)
      )
      for (const path of ["/", "/stream"]) {
        expect(hintOf(yield* ask(port, requestText(`GET ${path}`)))).toStrictEqual(["keep-alive", "timeout=3"])
        const closing = requestText(`GET ${path}`, ["Connection: close"])
        expect(hintOf(yield* ask(port, closing))).toStrictEqual(["close", undefined])
      }
    })
  )

  it.scopedLive("of one server is not another's with the same responses", () =>
    Effect.gen(function* () {
      const serve = (seconds: number) =>
        serving((request) => respond(request, 200, "text"), { limits: { keepAliveTimeout: `${seconds} seconds` } })
      const [one, two] = [yield* serve(1), yield* serve(2)]
      for (const [{ port }, seconds] of [
        [one, 1],
        [two, 2],
        [one, 1]
      ] as const) {
        expect((yield* ask(port, requestText("GET /"))).header("Keep-Alive")).toBe(`timeout=${seconds}`)
      }
    })
  )

  it.scoped("is kept, and a second more: a request at the last moment gets its response", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory((request) => respond(request, 200, request.path), {
        limits: { keepAliveTimeout: "5 seconds" }
      })
      const connection = yield* connect
      for (const [i, pause] of [0, 4999, 5000, 5001, 5999].entries()) {
        yield* advance(pause)
        connection.send(withBody(`POST /${i}`, "order"))
        expect(yield* connection.response()).toMatchObject({ status: 200, text: `/${i}` })
      }
      yield* advance(5999)
      expect(connection.ending).toBe(undefined)
      yield* advance(1)
      expect(yield* connection.ended).toBe("end")
      expect(parseResponses(Buffer.from(connection.written))).toHaveLength(5)
    })
  )

  it.scopedLive("lets undici end a connection before the server does, whatever it would do by itself", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving((request) => respond(request, 200, String(request.client.id)), {
        limits: { keepAliveTimeout: "1 second" }
      })
      const condition = new Condition()
      let disconnects = 0
      const client = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const origin = `http://127.0.0.1:${port}`
          const made = new Client(origin, { keepAliveTimeout: 60_000, keepAliveTimeoutThreshold: 500 })
          made.on("disconnect", () => {
            disconnects++
            condition.notify()
          })
          return made
        }),
        (client) => Effect.promise(() => client.destroy())
      )
      const order = Effect.promise(async () => {
        const { body, headers, statusCode } = await client.request({ path: "/", method: "POST", body: "order" })
        return [statusCode, headers["keep-alive"], await body.text()]
      })
      const [status, hint, first] = yield* order
      expect([status, hint]).toStrictEqual([200, "timeout=1"])
      const before = performance.now()
      yield* condition.until(
        () => (disconnects === 1 ? true : undefined),
        () => "undici to end its connection"
      )
      // The server would have kept it for 2 seconds.
      expect(performance.now() - before).toBeLessThan(1900)
      const [again, , second] = yield* order
      expect([again, second === first]).toStrictEqual([200, false])
      expect(yield* server.budget.held).toBeGreaterThan(0)
    })
  )

  it.scopedLive("lets node:http's agent end a connection before the server does", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200, String(request.client.id)), {
        limits: { keepAliveTimeout: "2 seconds" }
      })
      const agent = yield* Effect.acquireRelease(
        Effect.sync(() => new Agent({ keepAlive: true, timeout: 60_000 })),
        (agent) => Effect.sync(() => agent.destroy())
      )
      const order = Effect.async<string>((resume) => {
        const request = httpRequest({ port, host: "127.0.0.1", method: "POST", agent }, (response) => {
          response.setEncoding("utf8")
          let text = ""
          response.on("data", (chunk: string) => (text += chunk)).on("end", () => resume(Effect.succeed(text)))
        })
        request.on("error", (error) => resume(Effect.die(error)))
        request.end("order")
      })
      const first = yield* order
      yield* eventLoopTurns(3)
      expect(yield* order).toBe(first)
    })
  )

  it.scopedLive("is long enough for clients that ignore it, and send a request about when it ends", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200, request.path), {
        limits: { keepAliveTimeout: "1 second" }
      })
      // The announced second, and up to 150 ms on either side of it.
      const pauses = Array.from({ length: 31 }, (_, i) => 850 + i * 10)
      const lost = yield* Effect.forEach(
        pauses,
        (pause) =>
          Effect.scoped(
            Effect.gen(function* () {
              const wire = yield* connect(port)
              yield* wire.send(withBody("POST /1", "order"))
              yield* wire.readResponse()
              yield* Effect.sleep(pause)
              yield* wire.send(withBody("POST /2", "order"))
              const response = yield* Effect.either(Effect.sandbox(wire.readResponse()))
              return response._tag === "Right" && response.right.text === "/2" ? [] : [pause]
            })
          ),
        { concurrency: "unbounded" }
      )
      expect(lost.flat()).toStrictEqual([])
    })
  )
})
