/** The body budget is released however a request ends. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import type * as BodyBudget from "../../src/BodyBudget.js"
import { type Handler, respond } from "../../src/Response.js"
import { advance, type MemoryConnection, servingInMemory, settled } from "../server/memory.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import {
  chunk,
  exhaustedServer,
  headOf,
  lengthOf,
  limits,
  pieceBytes,
  respondLength,
  sendBody,
  untilReleased,
  untilWaiting
} from "./bufferedBodies.js"

describe("the budget is released", () => {
  const waiting = (handler?: Handler) =>
    Effect.gen(function* () {
      const made = yield* exhaustedServer(handler)
      const connection = yield* made.connect
      connection.send(headOf(300))
      yield* sendBody(connection, 200)
      yield* untilWaiting(made.budget, 1)
      return { ...made, connection }
    })

  const asBefore = (budget: BodyBudget.Budget) =>
    Effect.gen(function* () {
      yield* untilWaiting(budget, 0)
      yield* eventually(Ref.get(budget.held), (held) => held === 1500, "as much as before")
    })

  it.scoped("when the client of a body that waits resets its connection", () =>
    Effect.gen(function* () {
      const { budget, connect, open } = yield* exhaustedServer()
      const connection = yield* connect
      connection.send(headOf(300))
      yield* sendBody(connection, 200)
      yield* untilWaiting(budget, 1)
      connection.reset()
      // A socket that is paused does not see it.
      yield* advance(10_000)
      yield* asBefore(budget)
      yield* open
      yield* untilReleased(budget)
    })
  )

  it.scoped("when the handler that waits is interrupted, fails or times out, and another body continues", () =>
    Effect.gen(function* () {
      const enough = yield* Deferred.make<void>()
      const { budget, connection, connect, open } = yield* waiting((request) =>
        request.path === "/next"
          ? respondLength(request)
          : Effect.raceFirst(
              respondLength(request),
              Effect.zipRight(Deferred.await(enough), respond(request, 200, "gave up"))
            )
      )
      yield* Deferred.succeed(enough, undefined)
      expect((yield* connection.response()).text).toBe("gave up")
      yield* asBefore(budget)
      const next = yield* connect
      next.send(headOf(300, "/next"))
      yield* sendBody(next, 300)
      yield* untilWaiting(budget, 1)
      yield* open
      expect((yield* next.response()).text).toBe("300")
      yield* untilReleased(budget)
    })
  )

  it.scoped("when one of two readers of a body is interrupted, and the other reads on", () =>
    Effect.gen(function* () {
      const enough = yield* Deferred.make<void>()
      const { budget, connection, open } = yield* waiting((request) =>
        Effect.gen(function* () {
          const other = yield* Effect.fork(request.bytes)
          yield* Effect.fork(Effect.zipRight(Deferred.await(enough), Fiber.interrupt(other)))
          return yield* respondLength(request)
        })
      )
      yield* Deferred.succeed(enough, undefined)
      yield* settled
      expect(budget.unsafeWaiting()).toBe(1)
      yield* open
      yield* sendBody(connection, 100)
      expect((yield* connection.response()).text).toBe("300")
      yield* untilReleased(budget)
    })
  )

  it.scoped("when the server closes while a body waits", () =>
    Effect.gen(function* () {
      const { budget, connection, server } = yield* waiting()
      const { timedOut } = yield* server.close
      expect(timedOut).toBe(0)
      yield* untilReleased(budget)
      expect(connection.ending).toBe("destroy")
    })
  )

  it.scoped("when a body is too large, malformed, too slow or cut short, or its handler fails", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* servingInMemory(
        (request) =>
          request.path === "/die" ? Effect.zipRight(lengthOf(request), Effect.die("broken")) : respondLength(request),
        { maxBody: 500, limits }
      )
      const budget = server.bodyBudget
      const began = (text: string) =>
        Effect.gen(function* () {
          const connection = yield* connect
          connection.send(text)
          yield* settled
          return connection
        })
      const statusOf = (connection: MemoryConnection) => Effect.map(connection.response(), ({ status }) => status)
      const large = yield* began(headOf("chunked"))
      yield* sendBody(large, 400, true).pipe(Effect.zipRight(Effect.void))
      expect(yield* statusOf(large)).toBe(200)
      const larger = yield* began(headOf("chunked"))
      for (let i = 0; i < 5; i++) {
        larger.send(chunk(pieceBytes * 2))
        yield* eventLoopTurns(1)
      }
      larger.send("200\r\n")
      expect(yield* statusOf(larger)).toBe(413)
      const malformed = yield* began(`${headOf("chunked")}${chunk(40)}nonsense`)
      expect(yield* statusOf(malformed)).toBe(400)
      const slow = yield* began(`${headOf(400)}half`)
      yield* advance(30_000)
      expect(yield* statusOf(slow)).toBe(408)
      const short = yield* began(`${headOf(400)}half`)
      short.halfClose()
      expect(yield* statusOf(short)).toBe(400)
      const dying = yield* began(`${headOf(4, "/die")}half`)
      expect(yield* statusOf(dying)).toBe(500)
      yield* untilReleased(budget)
    })
  )

  it.scoped("when a handler has read only the trailers, or has raced its reading against time", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* servingInMemory(
        (request) =>
          request.path === "/trailers"
            ? Effect.flatMap(request.trailers, ({ size }) => respond(request, 200, String(size)))
            : Effect.flatMap(Effect.timeoutOption(request.bytes, 1000), () => respond(request, 200, "late")),
        { limits }
      )
      const connection = yield* connect
      connection.send(headOf("chunked", "/trailers"))
      yield* sendBody(connection, 200, true)
      expect((yield* connection.response()).status).toBe(200)
      connection.send(`${headOf(400)}half`)
      yield* advance(1000)
      expect((yield* connection.response()).text).toBe("late")
      yield* untilReleased(server.bodyBudget)
    })
  )
})
