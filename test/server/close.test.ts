/** Closing a server's scope, in every state of a connection. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Handler, respond, respondStream, upgrade } from "../../src/Response.js"
import { eventLoopTurn, eventually } from "../support/eventually.js"
import { connect, type RawConnection, requestText } from "../wire/rawConnection.js"
import { openDescriptors, servingReported, untilDescriptorsHeld } from "./harness.js"
import { servingInMemory, settled } from "./memory.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

describe("closing the scope, under a TestClock that does not advance", () => {
  /** Serves in a separate scope, brings the connection into a state, closes the scope, and counts the descriptors that are still open. */
  const closes = <E, R>(
    handler: Handler<E, R>,
    bring: (client: RawConnection, isRunning: Effect.Effect<void>) => Effect.Effect<unknown>
  ) =>
    Effect.gen(function* () {
      const isRunning = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const before = yield* openDescriptors
      const made = yield* Scope.extend(
        servingReported((request) => Effect.zipRight(Deferred.succeed(isRunning, undefined), handler(request))),
        scope
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* connect(made.port)
          yield* untilDescriptorsHeld(made, 2)
          yield* bring(client, Deferred.await(isRunning))
          yield* settled
          yield* Scope.close(scope, Exit.void)
          // All descriptors are released when the scope has closed, and not some time after it.
          expect(yield* made.budget.held).toBe(0)
          yield* client.closedWith
        })
      )
      yield* eventually(openDescriptors, (now) => now <= before, `${before} descriptors or fewer`)
      expect(Exit.isInterrupted(yield* Fiber.await(made.fiber))).toBe(true)
    })

  const never: Handler<never> = () => Effect.never
  const forever = Stream.repeatEffect(Effect.as(eventLoopTurn, Buffer.alloc(10_000, "more")))

  it.scoped("ends a silent connection", () => closes(hello, () => Effect.void))

  it.scoped("ends an idle connection", () =>
    closes(hello, (client) => Effect.zipRight(client.send(requestText("GET /")), client.readResponse()))
  )

  it.scoped("ends a half-sent request", () => closes(hello, (client) => client.send("GET / HTTP/1.1\r\nHo")))

  it.scoped("ends a request with half of its body sent", () =>
    closes(echo, (client, isRunning) =>
      Effect.zipRight(client.send(requestText("POST /", ["Content-Length: 10"], "half")), isRunning)
    )
  )

  it.scoped("ends a handler that never ends", () =>
    closes(never, (client, isRunning) => Effect.zipRight(client.send(requestText("GET /")), isRunning))
  )

  it.scoped("ends an endless stream that is read", () =>
    closes(
      (request) => respondStream(request, 200, forever),
      (client) =>
        Effect.zipRight(
          client.send(requestText("GET /")),
          client.readUntil((seen) => seen.length > 100_000)
        )
    )
  )

  it.scoped("ends an endless stream that is not read", () =>
    closes(
      (request) => respondStream(request, 200, Stream.repeatEffect(Effect.succeed(Buffer.alloc(100_000)))),
      (client, isRunning) =>
        client.stopReading.pipe(
          Effect.zipRight(client.send(requestText("GET /"))),
          Effect.zipRight(isRunning),
          Effect.ensuring(Effect.fork(Effect.zipRight(settled, client.resumeReading)))
        )
    )
  )

  it.scoped("ends an upgraded connection", () =>
    closes(
      (request) => upgrade(request, { Upgrade: "x" }, () => Effect.never),
      (client) =>
        Effect.zipRight(client.send(requestText("GET /", ["Connection: Upgrade", "Upgrade: x"])), client.readResponse())
    )
  )

  it.scoped("ends a connection that lingers after its last response", () =>
    closes(hello, (client) =>
      Effect.zipRight(
        client.send(requestText("POST /", ["Content-Length: 1000000"], "x".repeat(1000))),
        client.readResponse()
      )
    )
  )

  it.scoped("waits without end for a request in flight when drainTimeout is infinite", () =>
    Effect.gen(function* () {
      const latch = yield* Deferred.make<void>()
      const { connect, server } = yield* servingInMemory(
        (request) => Effect.zipRight(Deferred.await(latch), respond(request, 200, "late")),
        { drainTimeout: Duration.infinity }
      )
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* settled
      const closing = yield* Effect.fork(server.close)
      yield* settled
      expect(connection.ending).toBe(undefined)
      yield* Deferred.succeed(latch, undefined)
      expect(yield* connection.response()).toMatchObject({ status: 200, text: "late" })
      expect(yield* Fiber.join(closing)).toStrictEqual({ idle: 0, drained: 1, interrupted: 0, timedOut: 0 })
    })
  )

  it.scoped("lets a client read the response to its request, and counts the connection as busy", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* servingInMemory(hello, { drainTimeout: "1 minute" })
      const connection = yield* connect
      connection.send(requestText("GET /1"))
      yield* connection.response()
      connection.setFull(true)
      connection.send(requestText("GET /2"))
      yield* settled
      const closing = yield* Effect.fork(server.close)
      yield* settled
      connection.setFull(false)
      const response = yield* connection.response()
      expect(response.header("Connection")).toBe("close")
      expect(yield* Fiber.join(closing)).toStrictEqual({ idle: 0, drained: 1, interrupted: 0, timedOut: 0 })
    })
  )

  it.scoped("runs the finalizers of the requests it interrupts", () =>
    Effect.gen(function* () {
      let released = 0
      yield* closes(
        () =>
          Effect.acquireRelease(Effect.void, () =>
            Effect.zipRight(
              eventLoopTurn,
              Effect.sync(() => released++)
            )
          ).pipe(Effect.zipRight(Effect.never)),
        (client, isRunning) => Effect.zipRight(client.send(requestText("GET /")), isRunning)
      )
      expect(released).toBe(1)
    })
  )
})
