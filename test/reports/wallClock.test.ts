/**
 * "The wall clock was set forward while an upload was running, and it got 408." Deadlines use the monotonic
 * clock; only `Date` uses the wall clock.
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Duration, Effect, Metric, type Scope, TestClock, TestContext } from "effect"
import { Metrics, Response } from "effect-asynchttpserver"
import { Fault, Reply, TestServer } from "effect-asynchttpserver/testing"
import { afterEach, describe, expect, it, vi } from "vitest"
import { serving as servingApp } from "../platform/harness.js"
import { serving } from "../server/harness.js"
import { eventLoopTurns } from "../support/eventually.js"
import { connect, requestText } from "../wire/rawConnection.js"

const hour = 3_600_000

/** Moves the wall clock, and lets it run on from there. */
const setClock = (by: number): void => {
  const now = Date.now
  vi.spyOn(Date, "now").mockImplementation(() => now() + by)
}

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

const run = <A>(effect: Effect.Effect<A, unknown, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))

const echo: Response.Handler = (request) => Effect.flatMap(request.text, (text) => Response.respond(request, 200, text))

const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) =>
  Effect.map(text, (body) => HttpServerResponse.text(body))
)

const limits = { bodyTimeout: 20_000, bodyTotalTimeout: 40_000, headerTimeout: 100 }

/** Lets a deadline of another connection expire: then the server checks the deadlines of all. */
const sweep = (port: number) =>
  Effect.gen(function* () {
    const other = yield* connect(port)
    yield* other.send("GET / HTTP/1.1\r\n")
    expect((yield* other.readResponse()).status).toBe(408)
  })

/** The native server and the server of an application, listening on a port. */
const servers = {
  natively: Effect.map(serving(echo, { limits }), ({ port }) => port),
  "as HttpServer": servingApp(app, { limits })
}

describe.each(Object.entries(servers))("%s", (_, listening) => {
  it.each([
    ["forward", hour],
    ["back", -hour]
  ])("an upload continues when the clock is set %s by an hour", (_, by) =>
    run(
      Effect.gen(function* () {
        const port = yield* listening
        const client = yield* connect(port)
        yield* client.send(requestText("POST /", ["Content-Length: 6"], "abc"))
        yield* eventLoopTurns(5)
        setClock(by)
        yield* sweep(port)
        yield* client.send("de")
        yield* eventLoopTurns(5)
        yield* client.send("f")
        expect((yield* client.readResponse("POST")).body.toString()).toBe("abcdef")
      })
    )
  )
})

it("a head that does not end gets 408 in time, though the clock is set back by an hour", () =>
  run(
    Effect.gen(function* () {
      const { port } = yield* serving(echo, { limits: { headerTimeout: 200 } })
      const client = yield* connect(port)
      yield* client.send("GET / HTTP/1.1\r\n")
      yield* eventLoopTurns(5)
      setClock(-hour)
      expect((yield* client.readResponse()).status).toBe(408)
    })
  ))

it("a connection that is idle stays when the clock is set forward by an hour", () =>
  run(
    Effect.gen(function* () {
      const { port } = yield* serving(echo, { limits })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      setClock(hour)
      yield* sweep(port)
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(200)
    })
  ))

it("Date is the wall clock's, whatever it is set to", () =>
  run(
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const client = yield* connect(port)
      const asked = Effect.gen(function* () {
        yield* client.send(requestText("GET /"))
        return Date.parse((yield* client.readResponse()).header("Date") ?? "")
      })
      const before = yield* asked
      setClock(hour)
      const forward = yield* asked
      expect(Math.abs(forward - before - hour)).toBeLessThan(10_000)
      vi.restoreAllMocks()
      vi.useFakeTimers({ toFake: ["Date"] })
      vi.setSystemTime(new Date("2031-02-03T04:05:06Z"))
      expect(yield* asked).toBe(Date.parse("2031-02-03T04:05:06Z"))
    })
  ))

it.each([
  ["nothing (a mock that was reset)", undefined],
  ["NaN", Number.NaN],
  ["a time that no Date can have", 9e15],
  ["a year that no IMF-fixdate can have", Date.UTC(12_000, 0)],
  ["a year before the first", -1e14]
])("Date is the real time where Date.now gives %s", (_, now) =>
  run(
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const client = yield* connect(port)
      const real = Date.now()
      vi.spyOn(Date, "now").mockReturnValue(now as number)
      for (let count = 0; count < 2; count++) {
        yield* client.send(requestText("GET /"))
        const date = (yield* client.readResponse()).header("Date") ?? ""
        expect(date).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/)
        expect(Math.abs(Date.parse(date) - real)).toBeLessThan(60_000)
      }
    })
  )
)

it("the time that a handler took is no hour when the clock was set meanwhile", () =>
  run(
    Effect.gen(function* () {
      const most = (): Effect.Effect<number> => Effect.map(Metric.value(Metrics.requestDuration), ({ max }) => max)
      const { port } = yield* serving((request) =>
        Effect.zipRight(
          Effect.sync(() => setClock(hour)),
          Effect.zipRight(Effect.yieldNow(), Response.respond(request, 200))
        )
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      expect(yield* most()).toBeLessThan(60)
    })
  ))

it("a throttled reply of the test kit continues when the clock is set back", () =>
  run(
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory(
        Fault.throttle({ bytes: 60, every: "20 millis" })(Reply.text("0123456789"))
      )
      const response = yield* Effect.fork(Effect.flatMap(server.client.get("/"), (response) => response.text))
      yield* eventLoopTurns(3)
      setClock(-hour)
      expect(yield* Effect.fromFiber(response)).toBe("0123456789")
    })
  ))

it("deadlines go by the TestClock of a test", () =>
  run(
    Effect.gen(function* () {
      const { port } = yield* serving(echo, { limits: { headerTimeout: "10 seconds" } })
      const client = yield* connect(port)
      yield* client.send("GET / HTTP/1.1\r\n")
      yield* eventLoopTurns(10)
      yield* TestClock.adjust(Duration.seconds(9))
      yield* eventLoopTurns(10)
      yield* TestClock.adjust(Duration.seconds(2))
      expect((yield* client.readResponse()).status).toBe(408)
    }).pipe(Effect.provide(TestContext.TestContext))
  ))
