/**
 * Issues of Nim's asynchttpserver, by their numbers in Nim's tracker, and its own test cases. `npm run pressure` reports these
 * tests in its table.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberStatus from "effect/FiberStatus"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import { type Handler, respond, sendHeaders, upgrade } from "../../src/Response.js"
import { make, openDescriptors, refusal, serving, untilDescriptorsHeld } from "../server/harness.js"
import { advance, servingInMemory, sleepsUntil } from "../server/memory.js"
import { Condition, eventLoopTurns, eventually } from "../support/eventually.js"
import { ask, connect, get, type RawConnection, requestText, withBody } from "../wire/rawConnection.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

/** Connects that many clients, sends a request on each, and returns the status of each. */
const crowd = (port: number, size: number) =>
  Effect.forEach(
    Array.from({ length: size }, (_, i) => i),
    (i) => Effect.map(ask(port, requestText(`GET /${i}`, ["Connection: close"])), ({ status }) => status),
    { concurrency: "unbounded" }
  )

/** A server in a separate process with a limit of the system on its descriptors. */
const limitedProcess = (descriptors: number): Effect.Effect<Serving, never, Scope.Scope> =>
  Effect.gen(function* () {
    const program = fileURLToPath(new URL("./limitedServer.ts", import.meta.url))
    const condition = new Condition()
    const lines: Array<string> = []
    let exit: string | undefined
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(
          "sh",
          [
            "-c",
            `ulimit -n ${descriptors} && exec "$0" --conditions=effect-asynchttpserver-source --import tsx "$1"`,
            process.execPath,
            program
          ],
          {
            stdio: ["pipe", "pipe", "inherit"]
          }
        )
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    createInterface(child.stdout).on("line", (line) => {
      lines.push(line)
      condition.notify()
    })
    child.on("exit", (code, signal) => {
      exit = `${code ?? signal}`
      condition.notify()
    })
    const nextLine = condition.until(
      () => {
        if (exit !== undefined) throw new Error(`the process ended: ${exit}`)
        return lines.shift()
      },
      () => "a line of the server"
    )
    const port = Number(yield* nextLine)
    return {
      port,
      counts: Effect.suspend(() => {
        child.stdin.write("counts\n")
        return Effect.map(nextLine, (line): Counts => JSON.parse(line))
      }),
      isAlive: Effect.sync(() => exit === undefined)
    }
  })

interface Counts {
  readonly served: number
  readonly rejected: number
  readonly held: number
}

interface Serving {
  readonly port: number
  readonly counts: Effect.Effect<Counts>
  readonly isAlive: Effect.Effect<boolean>
}

describe("#18161, #15925, #15957: too many open files kills the server", () => {
  it.scopedLive(
    "with ten times as many connections as descriptors, each is served or rejected, and all are counted",
    () =>
      Effect.gen(function* () {
        const mayRespond = yield* Deferred.make<void>()
        const made = yield* serving((request) => Effect.zipRight(Deferred.await(mayRespond), hello(request)), {
          max: 20
        })
        const { rejected, pending: waiting } = made.bounds[0]!
        const asking = yield* Effect.fork(crowd(made.port, 200))
        const arrived = Effect.zipWith(made.budget.held, rejected, (held, rejected) => held - 1 + rejected)
        yield* eventually(arrived, (count) => count === 200, "200 arrived")
        // One descriptor is the listener's, and a quarter is headroom: 13 connections are served, and four are queued.
        expect([yield* rejected, yield* waiting]).toStrictEqual([183, 4])
        yield* Deferred.succeed(mayRespond, undefined)
        const statuses = yield* Fiber.join(asking)
        expect(statuses.filter((status) => status === 200)).toHaveLength(17)
        expect(statuses.filter((status) => status === 503)).toHaveLength(183)
        yield* untilDescriptorsHeld(made, 1)
        expect(yield* waiting).toBe(0)
        expect((yield* get(made.port)).text).toBe("Hello World")
      })
  )

  it.scopedLive("a queued idle client is served when others disconnect", () =>
    Effect.gen(function* () {
      const made = yield* serving(hello, { max: 12, assumed: 6 })
      const clients: Array<RawConnection> = []
      for (let i = 0; i < 6; i++) clients.push(yield* connect(made.port))
      for (const client of clients) yield* client.send(requestText("GET /"))
      for (const client of clients) {
        expect((yield* client.readResponse()).status).toBe(200)
        yield* client.halfClose
      }
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive(
    "a process at the limit of the system stays alive, responds to every connection, and continues to serve",
    () =>
      Effect.gen(function* () {
        const { counts, isAlive, port } = yield* limitedProcess(100)
        const statuses = yield* crowd(port, 1000)
        expect(yield* isAlive).toBe(true)
        const served = statuses.filter((status) => status === 200).length
        expect(statuses.filter((status) => status === 503)).toHaveLength(1000 - served)
        const seen = yield* eventually(counts, ({ held }) => held === 1, "all given back")
        expect(seen).toStrictEqual({ served, rejected: 1000 - served, held: 1 })
        expect((yield* get(port)).status).toBe(200)
      })
  )
})

describe("#7398, #12526, jester #236: a client's reset ends the whole server", () => {
  const request = requestText("POST /", ["Transfer-Encoding: chunked"], "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n")

  it.scopedLive("a reset after any byte of a request ends that connection alone", () =>
    Effect.gen(function* () {
      const made = yield* serving(echo)
      const bystander = yield* connect(made.port)
      for (let at = 0; at <= request.length; at++) {
        const client = yield* connect(made.port)
        if (at > 0) yield* client.send(request.slice(0, at))
        yield* eventLoopTurns(at % 3)
        yield* client.reset
      }
      yield* bystander.send(request)
      expect((yield* bystander.readResponse()).text).toBe("abcde")
      yield* untilDescriptorsHeld(made, 2)
    })
  )

  it.scopedLive("a reset after any byte of a response ends that connection alone", () =>
    Effect.gen(function* () {
      const made = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200)
          for (let i = 0; i < 30; i++) yield* body.write("x".repeat(100_000))
          return yield* body.end()
        })
      )
      for (const bytes of [1, 20, 1000, 100_000, 1_000_000]) {
        const client = yield* connect(made.port)
        yield* client.send(requestText("GET /"))
        yield* client.readUntil((seen) => seen.length >= bytes)
        yield* client.reset
      }
      yield* untilDescriptorsHeld(made, 1)
      expect((yield* get(made.port)).body).toHaveLength(3_000_000)
    })
  )
})

describe("#18692, #18161: a connection that is not closed on one of the paths", () => {
  const offer = requestText("GET /upgrade", ["Connection: Upgrade", "Upgrade: echo"])
  const paths: ReadonlyArray<readonly [string, (client: RawConnection) => Effect.Effect<unknown>]> = [
    ["a 413", (client) => client.send(withBody("POST /", "x".repeat(100)))],
    ["a 400", (client) => client.send("nonsense\r\n\r\n")],
    ["a Connection: close", (client) => client.send(requestText("GET /", ["Connection: close"]))],
    ["an HTTP/1.0 request", (client) => client.send("GET / HTTP/1.0\r\n\r\n")],
    ["an upgrade that the server ends", (client) => client.send(`${offer}end`)],
    ["an upgrade that the client ends", (client) => Effect.zipRight(client.send(offer), client.halfClose)],
    ["an upgrade that fails", (client) => client.send(`${offer}fail`)]
  ]

  for (const [what, act] of paths) {
    it.scopedLive(`${what} leaks no descriptor, and the client sees the end`, () =>
      Effect.gen(function* () {
        const before = yield* openDescriptors
        yield* Effect.scoped(
          Effect.gen(function* () {
            const made = yield* serving(
              (request) =>
                request.url === "/upgrade"
                  ? upgrade(request, { Upgrade: "echo" }, ({ stream, write }) =>
                      stream.pipe(
                        Stream.decodeText(),
                        Stream.takeUntil((text) => text === "end"),
                        Stream.runForEach((text) => (text === "fail" ? Effect.die(text) : write(text)))
                      )
                    )
                  : respond(request, 200),
              { maxBody: 10 }
            )
            for (let i = 0; i < 3; i++) {
              const client = yield* connect(made.port)
              yield* act(client)
              yield* client.closedWith
            }
            yield* untilDescriptorsHeld(made, 1)
          })
        )
        yield* eventually(openDescriptors, (now) => now <= before, `${before} descriptors or fewer`)
      })
    )
  }
})

describe("#17783, #16506: the documented accept loop spins a core when nothing is to accept", () => {
  it.scopedLive("waiting for a connection is a fiber that is suspended", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      let rounds = 0
      const loop = Effect.forever(
        Effect.suspend(() => {
          rounds++
          return Effect.whenEffect(server.acceptRequest(hello), server.shouldAcceptRequest())
        })
      )
      const fiber = yield* Effect.forkScoped(loop)
      yield* eventually(Fiber.status(fiber), FiberStatus.isSuspended, "suspended")
      yield* eventLoopTurns(100)
      expect(rounds).toBe(1)
      expect(FiberStatus.isSuspended(yield* Fiber.status(fiber))).toBe(true)
      expect((yield* get(port)).status).toBe(200)
      yield* eventually(Fiber.status(fiber), FiberStatus.isSuspended, "suspended")
      expect(rounds).toBe(2)
    })
  )

  it.scopedLive("waiting for descriptors is a suspended fiber too", () =>
    Effect.gen(function* () {
      const made = yield* serving(hello, { max: 10, assumed: 8 })
      // One descriptor is the listener's, one the connection's: 8 more are never free.
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* untilDescriptorsHeld(made, 2)
      yield* eventually(Fiber.status(made.fiber), FiberStatus.isSuspended, "suspended")
      for (let i = 0; i < 100; i++) {
        yield* eventLoopTurns(1)
        expect(FiberStatus.isSuspended(yield* Fiber.status(made.fiber))).toBe(true)
      }
    })
  )
})

describe("#18198, #18205: no keep-alive timeout", () => {
  it.scoped("an idle connection is closed after keepAliveTimeout, counted from its last response", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello, { limits: { keepAliveTimeout: "10 seconds" } })
      const connection = yield* connect
      yield* sleepsUntil(10_000)
      yield* advance(9000)
      connection.send(requestText("GET /"))
      yield* connection.response()
      yield* advance(1000)
      // A second more than what was announced: a request may be under way.
      yield* sleepsUntil(20_000)
      yield* advance(9999)
      expect(connection.ending).toBe(undefined)
      yield* advance(1)
      expect(yield* connection.ended).toBe("end")
      expect(connection.writes).toHaveLength(1)
    })
  )
})

describe("#16436: a wrong Content-Length set by the handler hangs the client for ever", () => {
  for (const [announced, reason] of [
    [100, "ContentTooShort"],
    [3, "ContentTooLong"]
  ] as const) {
    it.scopedLive(`${announced} for 11 bytes is a ValueError, and the client gets 500`, () =>
      Effect.gen(function* () {
        const reasons: Array<string> = []
        const { port } = yield* serving((request) =>
          Effect.tapError(respond(request, 200, "Hello World", { "Content-Length": String(announced) }), (error) =>
            Effect.sync(() => reasons.push(error.reason))
          )
        )
        const client = yield* connect(port)
        yield* client.send(requestText("GET /"))
        const response = yield* client.readResponse()
        expect(response.status).toBe(500)
        expect(response.text).not.toContain("Hello")
        expect(reasons).toStrictEqual([reason])
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).status).toBe(500)
      })
    )
  }

  it.scopedLive("content by hand that ends too early breaks the connection", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200, { "Content-Length": "100" })
          yield* body.write("Hello World")
          return yield* body.end()
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      const seen = (yield* client.readToEnd).toString("latin1")
      expect(seen).toContain("Content-Length: 100")
      expect(seen.endsWith("Hello World")).toBe(true)
    })
  )
})

describe("#22778: a handler's own Content-Length: 0 with content", () => {
  it.scopedLive("is a ValueError to the handler, before a byte has left", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.flatMap(refusal(respond(request, 200, "content", { "Content-Length": "0" })), (error) =>
          respond(request, 200, error.reason)
        )
      )
      expect((yield* get(port)).text).toBe("ContentTooLong")
    })
  )
})

describe("the test cases of Nim's asynchttpserver", () => {
  for (const code of [200, 404]) {
    it.scopedLive(`${code} with its content and length`, () =>
      Effect.gen(function* () {
        const { port } = yield* serving((request) => respond(request, code, `Hello World, ${code}`))
        const response = yield* get(port)
        expect([response.status, response.text]).toStrictEqual([code, `Hello World, ${code}`])
        expect(response.header("Content-Length")).toBe("16")
      })
    )
  }

  it.scopedLive("empty headers of the handler's own leave the length", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200, "Hello World, 200", HttpHeaders.empty))
      const response = yield* get(port)
      expect([response.status, response.text]).toStrictEqual([200, "Hello World, 200"])
      expect(response.header("Content-Length")).toBe("16")
    })
  )

  it.scopedLive(
    "a Content-Length of the handler is sent once; a wrong one is rejected, where Nim's asynchttpserver sends it",
    () =>
      Effect.gen(function* () {
        const { port } = yield* serving((request) =>
          respond(request, 200, "Hello World, 200", { "Content-Length": request.query })
        )
        const response = yield* get(port, "/?16")
        expect([response.status, response.text]).toStrictEqual([200, "Hello World, 200"])
        expect(response.header("Content-Length")).toBe("16")
        expect((yield* get(port, "/?0")).status).toBe(500)
      })
  )

  for (const [what, body, expected] of [
    ["one chunk", "b\r\nhello=world\r\n0\r\n\r\n", "hello=world"],
    ["another chunk", "e\r\nhello=encoding\r\n0\r\n\r\n", "hello=encoding"],
    ["several chunks", "7\r\nMozilla\r\n9\r\nDeveloper\r\n7\r\nNetwork\r\n0\r\n\r\n", "MozillaDeveloperNetwork"],
    [
      "chunks with line ends in them",
      "4\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\n",
      "Wikipedia in \r\n\r\nchunks."
    ]
  ] as const) {
    it.scopedLive(`a body of ${what}`, () =>
      Effect.gen(function* () {
        const { port } = yield* serving((request) =>
          Effect.gen(function* () {
            expect(HttpHeaders.has(request.headers, "Transfer-Encoding")).toBe(true)
            expect(HttpHeaders.getOption(request.headers, "Content-Length")).toStrictEqual(Option.none())
            return yield* respond(request, 200, yield* request.text)
          })
        )
        const fields = ["Accept: */*", "Transfer-Encoding:chunked", "Content-Type: application/x-www-form-urlencoded"]
        const response = yield* ask(port, requestText("POST /", fields, body))
        expect([response.status, response.text]).toStrictEqual([200, expected])
      })
    )
  }
})
