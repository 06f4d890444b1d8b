/** Connections from idle to closed: close reasons, fibers, lingering close and descriptors. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Supervisor from "effect/Supervisor"
import { type Handler, respond, respondStream, tunnel, upgrade } from "../../src/Response.js"
import type { CloseReason } from "../../src/Server.js"
import { eventually } from "../support/eventually.js"
import { connect, type RawConnection, requestText, withBody } from "../wire/rawConnection.js"
import { make, openDescriptors, servingReported, untilDescriptorsHeld } from "./harness.js"
import { advance, expectOpen, type MemoryConnection, makeInMemory, servingInMemory, settled } from "./memory.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")

const breaking = Stream.concat(Stream.make(Buffer.from("begun")), Stream.die("broken"))

/** A connection of a server with a supervised `serve`, and the fiber of the connection. */
const connectionFiber = (
  supervisor: Supervisor.Supervisor<Array<Fiber.RuntimeFiber<unknown, unknown>>>,
  connect: Effect.Effect<MemoryConnection>
) =>
  Effect.gen(function* () {
    yield* settled
    const before = new Set(yield* supervisor.value)
    const connection = yield* connect
    yield* settled
    const [fiber, ...others] = (yield* supervisor.value).filter((each) => !before.has(each))
    expect(others).toStrictEqual([])
    if (fiber === undefined) return yield* Effect.die("a connection without a fiber")
    return { connection, fiber }
  })

describe("how a connection ended", () => {
  const cases: ReadonlyArray<readonly [CloseReason, number, (client: RawConnection) => Effect.Effect<unknown>]> = [
    ["ClosedByClient", 0, (client) => client.halfClose],
    ["ClosedByClient", 0, (client) => client.reset],
    ["ClosedByClient", 2, (client) => Effect.zipRight(client.send(requestText("GET /").repeat(2)), client.halfClose)],
    ["ClosedByServer", 1, (client) => client.send(requestText("GET /", ["Connection: close"]))],
    ["BadRequest", 1, (client) => client.send(`${requestText("GET /")}nonsense\r\n\r\n`)],
    ["ClientAborted", 0, (client) => Effect.zipRight(client.send("GET / HT"), client.halfClose)],
    ["ResponseFailed", 1, (client) => client.send(requestText("GET /breaks"))],
    ["Upgraded", 1, (client) => client.send(requestText("GET /upgrade", ["Connection: Upgrade", "Upgrade: x"]))]
  ]
  for (const [i, [reason, requests, act]] of cases.entries()) {
    it.scopedLive(`is returned by its fiber: ${reason} after ${requests} requests, ${i + 1}`, () =>
      Effect.gen(function* () {
        const { server } = yield* make()
        const { port } = yield* server.listen({ port: 0 })
        const client = yield* connect(port)
        const handler: Handler = (request) => {
          if (request.url === "/breaks") return respondStream(request, 200, breaking)
          if (request.url === "/upgrade") return upgrade(request, { Upgrade: "x" }, () => Effect.void)
          return respond(request, 200)
        }
        const fiber = yield* server.acceptRequest(handler, { onFailure: () => Effect.void })
        yield* act(client)
        expect(yield* Fiber.join(fiber)).toStrictEqual({ reason, requests })
      })
    )
  }
})

describe("the end of a connection after the client sent Connection: close", () => {
  const sized: Handler = (request) => respond(request, 200, "x".repeat(Number(request.query)))

  const endingOf = (text: string, handler: Handler = sized) =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(handler, { connectMethod: "handle" })
      const connection = yield* connect
      connection.send(text)
      return yield* connection.ended
    })

  it.scoped("does not linger after a small response, which a reset can no longer discard", () =>
    Effect.gen(function* () {
      expect(yield* endingOf(requestText("GET /?4000", ["Connection: close"]))).toBe("close")
    })
  )

  it.scoped("lingers after a response that may still be in transit, or if the client may send more", () =>
    Effect.gen(function* () {
      const close = ["Connection: close"]
      // A reset discards bytes that the kernel has buffered and the client has not read.
      expect(yield* endingOf(requestText("GET /?9000", close))).toBe("end")
      expect(yield* endingOf(requestText("GET /?3000", []).repeat(3) + requestText("GET /?1", close))).toBe("end")
      // Old clients send an empty line after a body.
      expect(yield* endingOf("POST /?1 HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")).toBe("end")
      // What follows the head of a tunnel is no request.
      const brief: Handler = (request) => tunnel(request, {}, () => Effect.void)
      expect(yield* endingOf("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", brief)).toBe("end")
    })
  )
})

describe("an idle connection", () => {
  it.scoped("has a fiber that a Supervisor tracks, with the close reason as its result", () =>
    Effect.gen(function* () {
      const supervisor = yield* Supervisor.track
      const { connect, server } = yield* makeInMemory()
      yield* Effect.forkScoped(Effect.supervised(server.serve(hello), supervisor))
      const { connection, fiber } = yield* connectionFiber(supervisor, connect)
      connection.send(requestText("GET /"))
      expect((yield* connection.response()).status).toBe(200)
      expect((yield* Fiber.status(fiber))._tag).toBe("Suspended")
      connection.halfClose()
      expect(yield* Fiber.join(fiber)).toStrictEqual({ reason: "ClosedByClient", requests: 1 })
    })
  )

  it.scoped("ends when its fiber is interrupted, which completes when it has closed", () =>
    Effect.gen(function* () {
      const supervisor = yield* Supervisor.track
      const { connect, server } = yield* makeInMemory()
      const interrupted = yield* Deferred.make<void>()
      const entered = yield* Deferred.make<void>()
      const hanging = Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never)
      const handler = () => Effect.onInterrupt(hanging, () => Deferred.succeed(interrupted, undefined))
      yield* Effect.forkScoped(Effect.supervised(server.serve(handler), supervisor))
      const { connection, fiber } = yield* connectionFiber(supervisor, connect)
      connection.send(requestText("GET /"))
      yield* Deferred.await(entered)
      expect(yield* Fiber.interrupt(fiber)).toStrictEqual(Exit.succeed({ reason: "Interrupted", requests: 1 }))
      yield* Deferred.await(interrupted)
      expect(yield* server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 0, timedOut: 0 })
    })
  )

  it.scoped("has a separate fiber for each request that needs one", () =>
    Effect.gen(function* () {
      const fibers = new Set<number>()
      const { connect, server } = yield* servingInMemory((request) =>
        Effect.flatMap(Effect.fiberId, (id) => {
          for (const each of FiberId.ids(id)) fibers.add(each)
          return respond(request, 200, request.path)
        })
      )
      const connection = yield* connect
      for (const path of ["/1", "/2", "/3"]) {
        connection.send(requestText(`GET ${path}`))
        expect((yield* connection.response()).text).toBe(path)
      }
      expect(fibers.size).toBe(3)
      expect(yield* server.close).toStrictEqual({ idle: 1, drained: 0, interrupted: 0, timedOut: 0 })
      expect(connection.ending).toBe("end")
    })
  )

  it.scoped("releases its parser to the pool, reset", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory((request) =>
        respond(request, 200, `${request.host} ${request.url} ${request.headers.size}`)
      )
      const [one, other] = [yield* connect, yield* connect]
      for (const round of [1, 2, 3]) {
        one.send(requestText(`GET /one/${round}`, ["X-One: 1"]))
        expect((yield* one.response()).text).toBe(`test /one/${round} 2`)
        // A connection keeps its parser after half a head, and after an empty line.
        other.send("\r\nGET /other HTT")
        yield* settled
        one.send(requestText("GET /between"))
        expect((yield* one.response()).text).toBe("test /between 1")
        other.send("P/1.1\r\nHost: b\r\n\r\n")
        expect((yield* other.response()).text).toBe("b /other 1")
      }
      other.send("\r\n")
      yield* settled
      one.send("\r\n")
      yield* settled
      other.send("\r\n")
      yield* settled
      expectOpen(one, one.written)
      other.send("\r\n")
      expect((yield* other.response()).status).toBe(400)
    })
  )

  it.scoped("is closed after keepAliveTimeout", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* connection.response()
      yield* settled
      yield* advance(75_999)
      expect(connection.ending).toBe(undefined)
      yield* advance(1)
      expect(yield* connection.ended).toBe("end")
    })
  )
})

describe("descriptors", () => {
  const offer = ["Connection: Upgrade", "Upgrade: x"]
  const endings: ReadonlyArray<readonly [string, (client: RawConnection) => Effect.Effect<unknown>]> = [
    ["nothing at all", (client) => client.halfClose],
    ["a reset before a byte", (client) => client.reset],
    ["half a head", (client) => Effect.zipRight(client.send("GET /"), client.halfClose)],
    ["half a head and a reset", (client) => Effect.zipRight(client.send("GET /"), client.reset)],
    ["a response", (client) => client.send(requestText("GET /", ["Connection: close"]))],
    ["a malformed request", (client) => client.send("x\r\n\r\n")],
    ["a body that is too large", (client) => client.send(requestText("POST /", ["Content-Length: 1000"]))],
    ["a body that was not read", (client) => client.send(withBody("POST /", "body", ["Connection: close"]))],
    [
      "a body that was not sent",
      (client) => client.send(requestText("POST /", ["Content-Length: 4", "Expect: 100-continue"]))
    ],
    ["a handler that died", (client) => client.send(requestText("GET /dies", ["Connection: close"]))],
    ["a response that broke off", (client) => client.send(requestText("GET /breaks"))],
    ["an upgrade", (client) => client.send(requestText("GET /upgrade", offer))],
    ["a reset under a handler", (client) => Effect.zipRight(client.send(requestText("GET /never")), client.reset)]
  ]

  it.scopedLive("none is left after any kind of ending, in the budget or in the process", () =>
    Effect.gen(function* () {
      const before = yield* openDescriptors
      const scope = yield* Scope.make()
      const handler: Handler = (request) => {
        if (request.url === "/dies") return Effect.die("dead")
        if (request.url === "/never") return Effect.never
        if (request.url === "/breaks") return respondStream(request, 200, breaking)
        if (request.url === "/upgrade") return upgrade(request, { Upgrade: "x" }, () => Effect.void)
        return respond(request, 200)
      }
      const made = yield* Scope.extend(servingReported(handler, { maxBody: 100 }), scope)
      for (const [, act] of endings) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const clients = yield* Effect.all(Array.from({ length: 5 }, () => connect(made.port)))
            for (const client of clients) yield* act(client)
            for (const client of clients) yield* client.closedWith
          })
        )
        yield* untilDescriptorsHeld(made, 1)
      }
      yield* Scope.close(scope, Exit.void)
      expect(yield* made.budget.held).toBe(0)
      yield* eventually(openDescriptors, (now) => now <= before, `${before} descriptors or fewer`)
    })
  )
})
