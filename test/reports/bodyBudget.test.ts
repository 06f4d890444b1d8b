/**
 * Request bodies that are read whole are bounded in sum: beyond the bound a read is suspended, and rejected with 503 at last.
 * In bytes here; `npm run pressure` does it in MiB.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Ref from "effect/Ref"
import * as Metrics from "../../src/Metrics.js"
import { respond } from "../../src/Response.js"
import { Lines } from "../server/logged.js"
import { advance, servingInMemory, settled } from "../server/memory.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import {
  application,
  exhaustedServer,
  headOf,
  holdingHandler,
  limits,
  maxHeldBytes,
  pieceBytes,
  respondLength,
  sampleHeldBytes,
  sendBody,
  untilReleased,
  untilWaiting
} from "./bufferedBodies.js"

describe("bodies that are read whole", () => {
  for (const isChunked of [false, true]) {
    it.scoped(`are bounded in sum, and all are served: ${isChunked ? "chunked" : "with their length"}`, () =>
      Effect.gen(function* () {
        const { connect, server } = yield* servingInMemory(
          (request) => Effect.zipLeft(respondLength(request), eventLoopTurns(3)),
          {
            limits
          }
        )
        const budget = server.bodyBudget
        const seen = yield* sampleHeldBytes(budget)
        const connections = yield* Effect.all(Array.from({ length: 20 }, () => connect))
        for (const connection of connections) connection.send(headOf(isChunked ? "chunked" : 400))
        yield* Effect.forEach(connections, (connection) => sendBody(connection, 400, isChunked), {
          concurrency: "unbounded"
        })
        for (const connection of connections) expect((yield* connection.response()).text).toBe("400")
        // Besides, the bytes of each body that have arrived when its handler asks.
        expect(seen.most).toBeGreaterThan(maxHeldBytes / 2)
        expect(seen.most).toBeLessThanOrEqual(maxHeldBytes + 400 + 20 * 2 * pieceBytes)
        yield* untilReleased(budget)
      })
    )
  }

  it.scoped("are read one after the other when each is larger than the budget, in the order in which they came", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const { connect, server } = yield* servingInMemory(
        (request) => Effect.tap(respondLength(request), () => order.push(request.path)),
        { limits: { ...limits, maxBufferedBodies: 200 } }
      )
      const connections = yield* Effect.all(Array.from({ length: 5 }, () => connect))
      for (const [i, connection] of connections.entries()) {
        connection.send(headOf(600, `/${i}`))
        yield* eventLoopTurns(1)
      }
      yield* Effect.forEach(connections, (connection) => sendBody(connection, 600), { concurrency: "unbounded" })
      for (const connection of connections) expect((yield* connection.response()).text).toBe("600")
      expect(order).toStrictEqual(["/0", "/1", "/2", "/3", "/4"])
      yield* untilReleased(server.bodyBudget)
    })
  )

  it.scoped("wait with their sockets paused, and continue when others have ended", () =>
    Effect.gen(function* () {
      const { budget, connect, open } = yield* exhaustedServer()
      const connection = yield* connect
      connection.send(headOf(300))
      yield* sendBody(connection, 300)
      yield* untilWaiting(budget, 1)
      expect(connection.pauses - connection.resumes).toBe(1)
      expect(yield* Ref.get(budget.held)).toBeLessThanOrEqual(1500 + 2 * pieceBytes)
      yield* open
      expect((yield* connection.response()).text).toBe("300")
      yield* untilReleased(budget)
    })
  )

  it.scoped("that are small are read at once, whatever is queued", () =>
    Effect.gen(function* () {
      const { budget, connect } = yield* exhaustedServer()
      const [large, small] = [yield* connect, yield* connect]
      large.send(headOf(300))
      yield* sendBody(large, 300)
      yield* untilWaiting(budget, 1)
      for (const length of [pieceBytes, 1, "chunked"] as const) {
        small.send(headOf(length))
        yield* sendBody(small, length === "chunked" ? pieceBytes : length, length === "chunked")
        expect((yield* small.response()).status).toBe(200)
      }
      expect(budget.unsafeWaiting()).toBe(1)
    })
  )

  it.scoped("without a bound are only counted", () =>
    Effect.gen(function* () {
      const { handler, open } = yield* holdingHandler
      const { connect, server } = yield* servingInMemory(handler, {
        limits: { ...limits, maxBufferedBodies: Number.POSITIVE_INFINITY }
      })
      const connections = yield* Effect.all(Array.from({ length: 10 }, () => connect))
      for (const connection of connections) {
        connection.send(headOf(500))
        yield* sendBody(connection, 500)
      }
      yield* eventually(Ref.get(server.bodyBudget.held), (held) => held === 5000, "5000 held")
      yield* open
      yield* untilReleased(server.bodyBudget)
    })
  )
})

describe("a body that waits for too long", () => {
  it.scoped("gets 503 with Retry-After, and the connection ends after what is unread", () =>
    Effect.gen(function* () {
      const { budget, connect } = yield* exhaustedServer()
      const before = yield* Metric.value(Metrics.bodiesRejected)
      for (const [length, connectionField] of [
        [300, "keep-alive"],
        [300_000, "close"]
      ] as const) {
        const connection = yield* connect
        connection.send(headOf(length))
        yield* sendBody(connection, 200)
        yield* untilWaiting(budget, 1)
        yield* advance(9_999)
        expect(connection.written).toBe("")
        yield* advance(1)
        const response = yield* connection.response()
        expect([response.status, response.header("Retry-After"), response.header("Connection")]).toStrictEqual([
          503,
          "1",
          connectionField
        ])
        expect(response.text).toBe("503 Service Unavailable: too many request bodies are in memory; try again later\n")
        yield* untilWaiting(budget, 0)
        yield* eventually(Ref.get(budget.held), (held) => held === 1500, "as much as before")
        if (connectionField === "keep-alive") {
          // The rest is discarded, and the next request is served.
          yield* sendBody(connection, 100)
          connection.send(`${headOf(3)}abc`)
          expect((yield* connection.response()).text).toBe("3")
        }
      }
      expect((yield* Metric.value(Metrics.bodiesRejected)).count - before.count).toBe(2)
    })
  )

  it.scoped("gets 503 from an application", () =>
    Effect.gen(function* () {
      const { connect } = yield* exhaustedServer(application)
      for (const path of ["/text", "/json", "/form", "/buffer"]) {
        const connection = yield* connect
        connection.send(headOf(300, path))
        yield* sendBody(connection, 200)
        yield* advance(10_000)
        const response = yield* connection.response()
        expect([path, response.status, response.header("Retry-After")]).toStrictEqual([path, 503, "1"])
      }
    })
  )

  it.scoped("fails the read of a handler, which may send another response or read again", () =>
    Effect.gen(function* () {
      const { budget, connect, open } = yield* exhaustedServer((request) =>
        Effect.catchTag(respondLength(request), "ValueError", ({ reason }) =>
          reason === "BodyBudget" && request.path === "/again" ? respondLength(request) : respond(request, 429, reason)
        )
      )
      const [other, again] = [yield* connect, yield* connect]
      other.send(headOf(300, "/other"))
      again.send(headOf(300, "/again"))
      yield* Effect.forEach([other, again], (connection) => sendBody(connection, 200))
      yield* advance(10_000)
      expect((yield* other.response()).text).toBe("BodyBudget")
      yield* untilWaiting(budget, 1)
      yield* open
      yield* sendBody(again, 100)
      expect((yield* again.response()).text).toBe("300")
      yield* untilReleased(budget)
    })
  )

  it.scoped("is logged when it begins, once in ten seconds, and when the budget is available again", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      yield* Effect.gen(function* () {
        const { budget, connect, open } = yield* exhaustedServer((request) =>
          Effect.provide(respondLength(request), lines.layer)
        )
        const connections = yield* Effect.all([connect, connect, connect])
        for (const connection of connections) {
          connection.send(headOf(300))
          yield* sendBody(connection, 300)
        }
        yield* untilWaiting(budget, 3)
        yield* open
        for (const connection of connections) expect((yield* connection.response()).status).toBe(200)
      })
      expect(lines.all.map(({ level, message }) => [level, message])).toStrictEqual([
        ["WARN", "body budget exhausted: reading of request bodies is suspended or rejected"],
        ["INFO", "body budget available again"]
      ])
      expect(lines.all[0]?.annotations).toMatchObject({ held: 1500 + 2 * pieceBytes, max: maxHeldBytes })
    })
  )
})

describe("the time in which a body waits", () => {
  it.scoped("counts for neither bodyTimeout nor bodyTotalTimeout", () =>
    Effect.gen(function* () {
      const { connect, open } = yield* exhaustedServer(respondLength, {
        bodyTimeout: 2_000,
        bodyTotalTimeout: 3_000,
        bufferedBodyTimeout: 60_000
      })
      const connection = yield* connect
      connection.send(headOf(300))
      yield* sendBody(connection, 150)
      yield* advance(50_000)
      expect(connection.written).toBe("")
      yield* open
      yield* settled
      yield* advance(1_500)
      yield* sendBody(connection, 50)
      yield* advance(1_000)
      yield* sendBody(connection, 100)
      expect((yield* connection.response()).text).toBe("300")
    })
  )

  it.scoped("ends when the body may continue: a client that stalls then gets 408", () =>
    Effect.gen(function* () {
      const { connect, open } = yield* exhaustedServer(respondLength, {
        bodyTimeout: 2_000,
        bufferedBodyTimeout: 60_000
      })
      const connection = yield* connect
      connection.send(headOf(300))
      yield* sendBody(connection, 150)
      yield* advance(50_000)
      yield* open
      yield* settled
      yield* advance(2_000)
      expect((yield* connection.response()).status).toBe(408)
    })
  )
})
