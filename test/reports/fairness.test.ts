/** A deep pipeline does not delay the requests of other connections. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestServer } from "effect-asynchttpserver/testing"
import { toHandler } from "../../src/HttpServer.js"
import type { Handler } from "../../src/Response.js"
import { serving } from "../server/harness.js"
import { servingInMemory, settled } from "../server/memory.js"
import { connect, withBody } from "../wire/rawConnection.js"
import {
  busy,
  busyRequests,
  lone,
  ok,
  recordOrder,
  requests,
  requestsPerTurn,
  responseCount,
  servedFirst,
  untilEquals
} from "./loneRequest.js"

const app = (before: Effect.Effect<void>): Handler => toHandler(Effect.as(before, HttpServerResponse.text("ok")))

const handlers = {
  "a handler that responds": ok,
  "an Effect.gen": (request) =>
    Effect.gen(function* () {
      return yield* ok(request)
    }),
  "a handler that yields": (request) => Effect.zipRight(Effect.yieldNow(), ok(request)),
  "a handler that waits for a promise": (request) =>
    Effect.flatMap(
      Effect.promise(() => Promise.resolve()),
      () => ok(request)
    ),
  "a handler with a finalizer": (request) =>
    Effect.zipRight(
      Effect.addFinalizer(() => Effect.yieldNow()),
      ok(request)
    ),
  "an application": app(Effect.void),
  "an application that yields": app(Effect.yieldNow()),
  "an application that waits for a promise": app(Effect.promise(() => Promise.resolve()))
} satisfies Readonly<Record<string, Handler>>

describe("a lone GET beside a deep pipeline", () => {
  for (const [name, handler] of Object.entries(handlers)) {
    it.scoped(`is not served after thousands of others: ${name}`, () =>
      Effect.gen(function* () {
        const { handler: counted, order } = recordOrder(handler)
        const { connect } = yield* servingInMemory(counted)
        const [one, other] = [yield* connect, yield* connect]
        yield* settled
        one.send(busy)
        other.send(lone)
        yield* untilEquals(() => responseCount(one), busyRequests)
        expect(servedFirst(order)).toBeGreaterThan(0)
        expect(servedFirst(order)).toBeLessThanOrEqual(requestsPerTurn)
        expect(responseCount(other)).toBe(1)
      })
    )

    it.scopedLive(`over sockets: ${name}`, () =>
      Effect.gen(function* () {
        const { handler: counted, order } = recordOrder(handler)
        const { port } = yield* serving(counted)
        const [one, other] = [yield* connect(port), yield* connect(port)]
        // Both connections are accepted, and both requests arrive before the server reads again.
        for (const client of [one, other]) {
          yield* client.send(requests("first", 1))
          yield* client.readResponse()
        }
        yield* one.send(busy)
        yield* other.send(lone)
        yield* other.readResponse()
        expect(servedFirst(order.filter((each) => each !== "first"))).toBeLessThanOrEqual(2 * requestsPerTurn)
        for (let i = 0; i < busyRequests; i++) yield* one.readResponse()
      })
    )
  }

  it.scoped("of requests with a body that the handler reads, or leaves", () =>
    Effect.gen(function* () {
      for (const path of ["read", "left"]) {
        const { handler, order } = recordOrder((request) =>
          request.path === "/read" ? Effect.flatMap(request.text, () => ok(request)) : ok(request)
        )
        const { connect } = yield* servingInMemory(handler)
        const [one, other] = [yield* connect, yield* connect]
        yield* settled
        one.send(withBody(`POST /${path}`, "content").repeat(busyRequests))
        other.send(lone)
        yield* untilEquals(() => responseCount(one), busyRequests)
        expect(servedFirst(order)).toBeLessThanOrEqual(requestsPerTurn)
      }
    })
  )

  it.scoped("the responses of one turn leave in one write", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(ok)
      const connection = yield* connect
      connection.send(requests("busy", 10 * requestsPerTurn))
      yield* untilEquals(() => responseCount(connection), 10 * requestsPerTurn)
      // A turn of a busy machine may end before its share has been used.
      const perWrite = connection.writes.map((text) => text.split("HTTP/1.1 ").length - 1)
      expect(perWrite.length).toBeGreaterThanOrEqual(10)
      expect(Math.max(...perWrite)).toBe(requestsPerTurn)
    })
  )

  it.scoped("of test servers too", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory(ok)
      const [one, other] = [yield* server.connect, yield* server.connect]
      yield* one.send(busy)
      yield* other.send(lone)
      yield* other.readUntil((seen) => seen.length > 0)
      const order = (yield* server.received).map(({ path }) => path.slice(1))
      expect(servedFirst(order)).toBeLessThanOrEqual(2 * requestsPerTurn)
    })
  )
})

describe("fifty deep pipelines", () => {
  /** Requests of each: several shares. */
  const pipelined = 150

  for (const name of ["a handler that responds", "an application", "an application that yields"] as const) {
    it.scoped(`take turns, and none is served much before the others: ${name}`, () =>
      Effect.gen(function* () {
        const counts = new Map<string, number>()
        let widest = 0
        const inner: Handler = handlers[name]
        const { connect } = yield* servingInMemory((request) => {
          counts.set(request.path, (counts.get(request.path) ?? 0) + 1)
          const all = Array.from(counts.values())
          if (all.length === 50 && Math.max(...all) < pipelined)
            widest = Math.max(widest, Math.max(...all) - Math.min(...all))
          return inner(request)
        })
        const connections = yield* Effect.all(Array.from({ length: 50 }, () => connect))
        for (const [i, connection] of connections.entries()) connection.send(requests(String(i), pipelined))
        yield* untilEquals(() => connections.reduce((sum, each) => sum + responseCount(each), 0), 50 * pipelined)
        expect(widest).toBeLessThanOrEqual(2 * requestsPerTurn)
      })
    )
  }

  it.scoped("each is served in part before one of them is served completely", () =>
    Effect.gen(function* () {
      const { handler, order } = recordOrder(ok)
      const { connect } = yield* servingInMemory(handler)
      const connections = yield* Effect.all(Array.from({ length: 50 }, () => connect))
      for (const connection of connections) connection.send(requests("busy", 400))
      const other = yield* connect
      other.send(lone)
      yield* untilEquals(() => responseCount(other), 1)
      expect(servedFirst(order)).toBeLessThanOrEqual(51 * requestsPerTurn)
    })
  )
})
