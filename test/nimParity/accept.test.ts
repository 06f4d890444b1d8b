/** The procedures of Nim's asynchttpserver that accept connections, each under its name there. */
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import { type Handler, respond } from "../../src/Response.js"
import { make, serving, untilDescriptorsHeld } from "../server/harness.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { connect, get, requestText } from "../wire/rawConnection.js"
import { osError, valueError } from "./expectedErrors.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")

describe("shouldAcceptRequest(server, assumedDescriptorsPerRequest)", () => {
  it.scopedLive("is true while the held and the assumed descriptors are less than the maximum", () =>
    Effect.gen(function* () {
      const { budget, server } = yield* make({}, { max: 10 })
      yield* server.listen()
      expect(yield* budget.held).toBe(1)
      expect(yield* server.shouldAcceptRequest(0)).toBe(true)
      expect(yield* server.shouldAcceptRequest(8)).toBe(true)
      expect(yield* server.shouldAcceptRequest(9)).toBe(false)
      expect(yield* server.shouldAcceptRequest(100)).toBe(false)
    })
  )

  it.scopedLive("assumes 5 by default", () =>
    Effect.gen(function* () {
      expect(DescriptorBudget.assumedDescriptorsPerRequest).toBe(5)
      const enough = yield* make({}, { max: 7 })
      yield* enough.server.listen()
      expect(yield* enough.server.shouldAcceptRequest()).toBe(true)
      const short = yield* make({}, { max: 6 })
      yield* short.server.listen()
      expect(yield* short.server.shouldAcceptRequest()).toBe(false)
    })
  )

  it.scopedLive("is always true for a negative argument", () =>
    Effect.gen(function* () {
      const { server } = yield* make({}, { max: 1 })
      yield* server.listen()
      expect(yield* server.shouldAcceptRequest(0)).toBe(false)
      expect(yield* server.shouldAcceptRequest(-1)).toBe(true)
    })
  )

  it.scopedLive("counts every connection once, while it is there", () =>
    Effect.gen(function* () {
      const made = yield* serving(hello, { max: 20 })
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      expect(yield* made.budget.held).toBe(2)
      expect(yield* made.server.shouldAcceptRequest(17)).toBe(true)
      expect(yield* made.server.shouldAcceptRequest(18)).toBe(false)
      yield* client.halfClose
      yield* untilDescriptorsHeld(made, 1)
      expect(yield* made.server.shouldAcceptRequest(18)).toBe(true)
    })
  )
})

describe("acceptRequest(server, callback)", () => {
  it.scopedLive("accepts one connection and serves it in the background", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const one = yield* connect(port)
      const other = yield* connect(port)
      yield* other.send(requestText("GET /other"))
      yield* one.send(requestText("GET /one"))
      const fiber = yield* server.acceptRequest((request) => respond(request, 200, request.url))
      expect((yield* one.readResponse()).text).toBe("/one")
      yield* one.send(requestText("GET /again", ["Connection: close"]))
      expect((yield* one.readResponse()).text).toBe("/again")
      expect(yield* one.closedWith).toBe("FIN")
      expect(yield* Fiber.join(fiber)).toStrictEqual({ reason: "ClosedByServer", requests: 2 })
      // The other has waited, unread: one call takes one connection.
      yield* server.acceptRequest((request) => respond(request, 200, `second ${request.url}`))
      expect((yield* other.readResponse()).text).toBe("second /other")
    })
  )

  it.scopedLive("works in the caller's own loop, with shouldAcceptRequest", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const loop = Effect.forever(
        Effect.if(server.shouldAcceptRequest(), {
          onTrue: () => server.acceptRequest(hello),
          onFalse: () => Effect.sleep("500 millis")
        })
      )
      const fiber = yield* Effect.forkScoped(loop)
      for (let i = 0; i < 5; i++) expect((yield* get(port)).text).toBe("Hello World")
      yield* Fiber.interrupt(fiber)
    })
  )

  it.scopedLive("the connection continues when the fiber that accepted it has ended", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const client = yield* connect(port)
      const accepting = yield* Effect.fork(server.acceptRequest(hello))
      yield* Fiber.await(accepting)
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(200)
    })
  )

  it.scopedLive("interrupting the fiber it gives ends that connection alone", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const one = yield* connect(port)
      const first = yield* server.acceptRequest(hello)
      const other = yield* connect(port)
      yield* server.acceptRequest(hello)
      expect(yield* Fiber.interrupt(first)).toStrictEqual(Exit.succeed({ reason: "Interrupted", requests: 0 }))
      yield* one.closedWith
      yield* other.send(requestText("GET /"))
      expect((yield* other.readResponse()).status).toBe(200)
    })
  )

  it.scopedLive("an interrupted acceptRequest accepts no connection", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const waiting = yield* Effect.fork(server.acceptRequest(hello))
      yield* eventLoopTurns(3)
      yield* Fiber.interrupt(waiting)
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* server.acceptRequest((request) => respond(request, 200, "taken later"))
      expect((yield* client.readResponse()).text).toBe("taken later")
    })
  )

  it.scopedLive("reports failures to onFailure", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const client = yield* connect(port)
      const reported = yield* Deferred.make<string>()
      yield* server.acceptRequest(() => Effect.fail("an error" as const), {
        onFailure: (cause, request) => Deferred.succeed(reported, `${request.url} ${cause}`)
      })
      yield* client.send(requestText("GET /failing"))
      expect((yield* client.readResponse()).status).toBe(500)
      expect(yield* Deferred.await(reported)).toMatch(/^\/failing .*an error/s)
    })
  )

  it.scopedLive("is an OSError when the server does not listen", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      expect(yield* Effect.flip(server.acceptRequest(hello))).toStrictEqual(osError("ENOTCONN", "accept"))
    })
  )

  it.scopedLive("is an OSError when the server is closed while it waits", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      yield* server.listen()
      const waiting = yield* Effect.fork(Effect.flip(server.acceptRequest(hello)))
      yield* eventLoopTurns(3)
      yield* server.close
      expect(yield* Fiber.join(waiting)).toStrictEqual(osError("ECANCELED", "accept"))
    })
  )
})

describe("serve(server, port, callback, address, assumedDescriptorsPerRequest, domain)", () => {
  it.scopedLive("listens by itself and serves every connection", () =>
    Effect.gen(function* () {
      const { server } = yield* make({ address: "" })
      yield* Effect.forkScoped(server.serve(hello, { port: 0, address: "127.0.0.1", domain: "IPv4" }))
      const port = yield* eventually(Effect.option(server.port), Option.isSome, "listening")
      const responses = yield* Effect.all(
        Array.from({ length: 10 }, () => get(Option.getOrThrow(port))),
        { concurrency: "unbounded" }
      )
      expect(responses.map(({ text }) => text)).toStrictEqual(Array(10).fill("Hello World"))
    })
  )

  it.scopedLive("never returns, and interrupting it closes all that it has opened", () =>
    Effect.gen(function* () {
      const made = yield* make()
      const { server } = made
      const fiber = yield* Effect.fork(server.serve(hello))
      const found = yield* eventually(Effect.option(server.port), Option.isSome, "listening")
      const port = Option.getOrThrow(found)
      const idle = yield* connect(port)
      yield* idle.send(requestText("GET /"))
      yield* idle.readResponse()
      const silent = yield* connect(port)
      yield* untilDescriptorsHeld(made, 3)
      expect(Option.isNone(yield* Fiber.poll(fiber))).toBe(true)
      const exit = yield* Fiber.interrupt(fiber)
      expect(Exit.isInterrupted(exit)).toBe(true)
      yield* idle.closedWith
      yield* silent.closedWith
      yield* untilDescriptorsHeld(made, 0)
      expect(yield* Effect.flip(server.port)).toStrictEqual(osError("ENOTCONN", "getsockname"))
      // The port is free for the same server and for others.
      expect((yield* server.listen({ port })).port).toBe(port)
    })
  )

  it.scopedLive("does not close a listener that was open before it", () =>
    Effect.gen(function* () {
      const { fiber, port, server } = yield* serving(hello)
      expect((yield* get(port)).status).toBe(200)
      yield* Fiber.interrupt(fiber)
      expect(yield* server.port).toBe(port)
      yield* Effect.forkScoped(server.serve((request) => respond(request, 200, "the next one")))
      expect((yield* get(port)).text).toBe("the next one")
    })
  )

  it.scopedLive("a connection that was queued when it was interrupted is served by the next serve", () =>
    Effect.gen(function* () {
      const isHeld = yield* Deferred.make<void>()
      const hold: Handler = () => Effect.zipRight(Deferred.succeed(isHeld, undefined), Effect.never)
      const made = yield* serving(hold, { max: 10, assumed: 8 })
      // One descriptor is the listener's and one a connection's, so 8 more are not free.
      const held = yield* connect(made.port)
      yield* held.send(requestText("GET /"))
      yield* Deferred.await(isHeld)
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* untilDescriptorsHeld(made, 3)
      yield* eventLoopTurns(3)
      yield* Fiber.interrupt(made.fiber)
      yield* Effect.forkScoped(made.server.serve((request) => respond(request, 200, "the next one")))
      expect((yield* client.readResponse()).text).toBe("the next one")
    })
  )

  it.scopedLive("fails as listen does", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello)
      const { budget, server } = yield* make()
      expect(yield* Effect.flip(server.serve(hello, { port: 65_536 }))).toStrictEqual(valueError("Port"))
      expect(yield* Effect.flip(server.serve(hello, { address: "::1" }))).toStrictEqual(valueError("Address"))
      expect(yield* Effect.flip(server.serve(hello, { port }))).toStrictEqual(osError("EADDRINUSE", "listen"))
      expect(yield* budget.held).toBe(0)
    })
  )

  it.scopedLive("fails when the server is closed while it serves", () =>
    Effect.gen(function* () {
      const { fiber, server } = yield* serving(hello)
      yield* eventLoopTurns(3)
      yield* server.close
      expect(yield* Effect.flip(Fiber.join(fiber))).toStrictEqual(osError("ECANCELED", "accept"))
    })
  )

  it.scopedLive("with an argument it waits for descriptors before it accepts a connection", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      const made = yield* serving(
        (request) => {
          handled.push(request.url)
          return respond(request, 200, "Hello World")
        },
        { max: 10, assumed: 6 }
      )
      const one = yield* connect(made.port)
      const two = yield* connect(made.port)
      yield* one.send(requestText("GET /1"))
      yield* two.send(requestText("GET /2"))
      yield* one.readResponse()
      yield* two.readResponse()
      const three = yield* connect(made.port)
      yield* three.send(requestText("GET /3"))
      yield* untilDescriptorsHeld(made, 4)
      yield* two.send(requestText("GET /2/again"))
      yield* two.readResponse()
      yield* eventLoopTurns(10)
      expect(yield* made.server.shouldAcceptRequest(6)).toBe(false)
      expect(handled).not.toContain("/3")
      yield* one.halfClose
      expect((yield* three.readResponse()).status).toBe(200)
      expect(handled).toStrictEqual(["/1", "/2", "/2/again", "/3"])
    })
  )
})

describe("nimMaxDescriptorsFallback", () => {
  it.effect("is 16000 unless it is configured", () =>
    Effect.gen(function* () {
      const given = (entries: ReadonlyArray<readonly [string, string]>) =>
        Effect.withConfigProvider(DescriptorBudget.maxDescriptorsFallback, ConfigProvider.fromMap(new Map(entries)))
      expect(yield* given([])).toBe(16_000)
      expect(yield* given([["MAX_DESCRIPTORS_FALLBACK", "300"]])).toBe(300)
      expect(Exit.isFailure(yield* Effect.exit(given([["MAX_DESCRIPTORS_FALLBACK", "0"]])))).toBe(true)
      expect(Exit.isFailure(yield* Effect.exit(given([["MAX_DESCRIPTORS_FALLBACK", "many"]])))).toBe(true)
    })
  )
})
