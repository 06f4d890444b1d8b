/** Clients that disconnect, by a reset or by closing their side. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { type Handler, respond, respondStream } from "../../src/Response.js"
import { eventLoopTurn } from "../support/eventually.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { connect, requestText } from "../wire/rawConnection.js"
import { serving, servingReported, untilDescriptorsHeld } from "./harness.js"
import { type MemoryConnection, makeInMemory, servingInMemoryReported, settled } from "./memory.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

/** A handler that reports when it runs, never responds, and reports how it ended. */
const endless = Effect.gen(function* () {
  const isRunning = yield* Deferred.make<void>()
  const end = yield* Deferred.make<Exit.Exit<never>>()
  const handler: Handler<never> = () =>
    Effect.onExit(Effect.zipRight(Deferred.succeed(isRunning, undefined), Effect.never), (exit) =>
      Deferred.succeed(end, exit)
    )
  return { handler, isRunning: Deferred.await(isRunning), end: Deferred.await(end) }
})

describe("a client that disconnects", () => {
  it.scopedLive("by a reset interrupts its handler, and runs its finalizers", () =>
    Effect.gen(function* () {
      const { end, handler, isRunning } = yield* endless
      const made = yield* serving(handler)
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* isRunning
      yield* client.reset
      expect(Exit.isInterrupted(yield* end)).toBe(true)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("by a reset that comes with its request interrupts its handler", () =>
    Effect.gen(function* () {
      const { end, handler } = yield* endless
      const made = yield* serving(handler)
      for (let i = 0; i < 10; i++) {
        const client = yield* connect(made.port)
        yield* client.send(requestText("GET /"))
        yield* client.reset
      }
      yield* untilDescriptorsHeld(made, 1)
      expect(Exit.isInterrupted(yield* end)).toBe(true)
    })
  )

  for (const [what, onClientEnd, leave] of [
    ["by a reset", "continue", (connection: MemoryConnection) => connection.reset()],
    ['by a FIN, when onClientEnd is "interrupt"', "interrupt", (connection: MemoryConnection) => connection.halfClose()]
  ] as const) {
    it.scoped(`${what}, before its request was read, begins no handler`, () =>
      Effect.gen(function* () {
        let begun = 0
        const { connect, server } = yield* makeInMemory({ onClientEnd })
        yield* server.listen()
        const accepting = yield* Effect.fork(
          server.acceptRequest((request) => {
            begun++
            return hello(request)
          })
        )
        const connection = yield* connect
        const fiber = yield* Fiber.join(accepting)
        connection.send(requestText("GET /"))
        yield* connection.response()
        // The next one waits until the client has read what it was sent.
        connection.setFull(true)
        connection.send(requestText("GET /"))
        yield* settled
        leave(connection)
        yield* settled
        connection.setFull(false)
        expect(yield* Fiber.join(fiber)).toStrictEqual({ reason: "ClientAborted", requests: 1 })
        expect(begun).toBe(1)
      })
    )
  }

  it.scopedLive("by a reset ends a stream that it reads", () =>
    Effect.gen(function* () {
      const end = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const forever = Stream.repeatEffect(Effect.as(eventLoopTurn, Buffer.from("more")))
      const made = yield* serving((request) =>
        Effect.onExit(respondStream(request, 200, forever), (exit) => Deferred.succeed(end, exit))
      )
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* client.readUntil((seen) => seen.endsWith("more\r\n"))
      yield* client.reset
      expect(Exit.isInterrupted(yield* Deferred.await(end))).toBe(true)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("by a reset ends the wait for its body", () =>
    Effect.gen(function* () {
      const isRunning = yield* Deferred.make<void>()
      const end = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const made = yield* serving((request) =>
        Effect.onExit(Effect.zipRight(Deferred.succeed(isRunning, undefined), echo(request)), (exit) =>
          Deferred.succeed(end, exit)
        )
      )
      const client = yield* connect(made.port)
      yield* client.send(requestText("POST /", ["Content-Length: 10"], "half"))
      yield* Deferred.await(isRunning)
      yield* client.reset
      expect(Exit.isInterrupted(yield* Deferred.await(end))).toBe(true)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scoped("by a reset in the turn of its request suppresses no report of a handler that has thrown", () =>
    Effect.gen(function* () {
      const { connect, reports } = yield* servingInMemoryReported((request): ReturnType<Handler> => {
        if (request.path === "/throws") throw new Error("thrown")
        return hello(request)
      })
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* connection.response()
      connection.send(requestText("GET /throws"))
      connection.reset()
      expect((yield* reports.first).request.path).toBe("/throws")
      yield* settled
      expect(reports.all).toHaveLength(1)
    })
  )

  it.scopedLive("is not reported as a failure of its handler", () =>
    Effect.gen(function* () {
      const { end, handler, isRunning } = yield* endless
      const made = yield* servingReported(handler)
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* isRunning
      yield* client.reset
      yield* end
      yield* untilDescriptorsHeld(made, 1)
      expect(made.reports.all).toHaveLength(0)
    })
  )

  it.scopedLive("by a FIN still gets its response, and then the end", () =>
    Effect.gen(function* () {
      const isRunning = yield* Deferred.make<void>()
      const mayRespond = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        Deferred.succeed(isRunning, undefined).pipe(
          Effect.zipRight(Deferred.await(mayRespond)),
          Effect.zipRight(respond(request, 200, "all the same"))
        )
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.halfClose
      yield* Deferred.await(isRunning)
      yield* Deferred.succeed(mayRespond, undefined)
      expect((yield* client.readResponse()).text).toBe("all the same")
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  it.scopedLive('by a FIN interrupts its handler when onClientEnd is "interrupt"', () =>
    Effect.gen(function* () {
      const { end, handler, isRunning } = yield* endless
      const made = yield* serving(handler, { onClientEnd: "interrupt" })
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* isRunning
      yield* client.halfClose
      expect(Exit.isInterrupted(yield* end)).toBe(true)
      // A half-closed client may get a response, but not the handler's.
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.every(({ status }) => status === 503)).toBe(true)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("by a FIN in the middle of a body gets 400 for an incomplete body", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Content-Length: 10"], "half"))
      yield* client.halfClose
      const response = yield* client.readResponse()
      expect([response.status, response.header("Connection")]).toStrictEqual([400, "close"])
    })
  )
})
