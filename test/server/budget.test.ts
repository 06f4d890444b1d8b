/** The descriptor budget of a server: reservations, its stream of changes, metrics, and connections beyond it. */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import { AdmissionLog } from "../../src/internal/budget/admissionLog.js"
import * as Metrics from "../../src/Metrics.js"
import { respond, respondStream } from "../../src/Response.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { connect, get, requestText, withBody } from "../wire/rawConnection.js"
import { make, openDescriptors, serving, untilDescriptorsHeld } from "./harness.js"
import { allSteps, interruptedAt } from "./interruptedAt.js"
import { Lines } from "./logged.js"

const hello = (request: Parameters<typeof respond>[0]) => respond(request, 200, "Hello World")

describe("reserve", () => {
  it.scopedLive("takes a handler's own descriptors from the same budget, for as long as its request", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const mayEnd = yield* Deferred.make<void>()
      const made: { server?: { budget: DescriptorBudget.Budget } } = {}
      const server = yield* serving((request) =>
        Effect.gen(function* () {
          yield* made.server?.budget.reserve(3) ?? Effect.void
          yield* Deferred.succeed(entered, undefined)
          yield* Deferred.await(mayEnd)
          return yield* hello(request)
        })
      )
      made.server = server.server
      const client = yield* connect(server.port)
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(entered)
      expect(yield* server.budget.held).toBe(1 + 1 + 3)
      yield* Deferred.succeed(mayEnd, undefined)
      yield* client.readResponse()
      yield* untilDescriptorsHeld(server, 2)
    })
  )

  it.effect("waits for free descriptors, reserves none if it is interrupted meanwhile, and none for 0", () =>
    Effect.gen(function* () {
      const budget = yield* DescriptorBudget.make({ max: 10 })
      const first = yield* Scope.make()
      yield* Scope.extend(budget.reserve(8), first)
      const waiting = yield* Effect.fork(Effect.scoped(budget.reserve(3)))
      const given = yield* Effect.fork(Effect.scoped(Effect.zipRight(budget.reserve(4), Effect.never)))
      yield* Effect.yieldNow()
      expect(yield* Ref.get(budget.held)).toBe(8)
      yield* Fiber.interrupt(waiting)
      yield* Scope.close(first, Exit.void)
      yield* Effect.yieldNow()
      expect(yield* Ref.get(budget.held)).toBe(4)
      yield* Fiber.interrupt(given)
      expect(yield* Ref.get(budget.held)).toBe(0)
      yield* Effect.scoped(budget.reserve(0))
      expect(yield* Ref.get(budget.held)).toBe(0)
    })
  )

  it.live("keeps nothing, wherever it is interrupted", () =>
    Effect.gen(function* () {
      for (const step of allSteps) {
        const budget = yield* DescriptorBudget.make({ max: 10 })
        yield* interruptedAt(Effect.scoped(Effect.zipRight(budget.reserve(3), Effect.never)), step)
        expect([step, yield* Ref.get(budget.held)]).toStrictEqual([step, 0])
      }
    })
  )
})

describe("what cannot be reserved", () => {
  it.effect("is a defect, and never a wait without end", () =>
    Effect.gen(function* () {
      const budget = yield* DescriptorBudget.make({ max: 10 })
      for (const count of [10, 11, -3, 1.5, Number.NaN]) {
        const exit = yield* Effect.exit(Effect.scoped(budget.reserve(count)))
        expect(Exit.isFailure(exit) && exit.cause._tag).toBe("Die")
      }
      expect(yield* Effect.flip(DescriptorBudget.make({ max: 0 }))).toMatchObject({ _op: "InvalidData" })
    })
  )

  it.effect("lets no connection be taken before it", () =>
    Effect.gen(function* () {
      const budget = yield* DescriptorBudget.make({ max: 20 })
      const first = yield* Scope.make()
      yield* Scope.extend(budget.reserve(10), first)
      expect(budget.unsafeHasRoom(-1)).toBe(true)
      const second = yield* Effect.fork(Effect.scoped(Effect.zipRight(budget.reserve(12), Effect.never)))
      yield* Effect.yieldNow()
      expect(budget.unsafeHasRoom(-1)).toBe(false)
      const space = yield* Effect.fork(budget.awaitRoom(-1))
      yield* Scope.close(first, Exit.void)
      yield* Fiber.join(space)
      expect(budget.unsafeHasRoom(-1)).toBe(true)
      yield* Fiber.interrupt(second)
    })
  )
})

describe("its state", () => {
  it.scopedLive("its changes are a stream: what is held now, and the newest after each change", () =>
    Effect.gen(function* () {
      const made = yield* serving(hello)
      const seen: Array<number> = []
      yield* Effect.forkScoped(Stream.runForEach(made.budget.changes, ({ held }) => Effect.sync(() => seen.push(held))))
      const sees = (held: number) =>
        eventually(
          Effect.sync(() => seen[seen.length - 1]),
          (last) => last === held,
          `${held} seen`
        )
      yield* sees(1)
      const client = yield* connect(made.port)
      yield* sees(2)
      yield* client.reset
      yield* sees(1)
      expect(seen).toStrictEqual([1, 2, 1])
      const two = yield* Stream.runCollect(Stream.take(made.budget.changes, 1))
      expect(Chunk.toReadonlyArray(two)).toStrictEqual([{ held: 1, max: made.budget.max }])
    })
  )

  it.scopedLive("what is held is what the system counts, less what was open before", () =>
    Effect.gen(function* () {
      const made = yield* serving(hello)
      // The clients of a test are sockets of the same process.
      const others = (yield* openDescriptors) - (yield* made.budget.held)
      const clients = yield* Effect.all(Array.from({ length: 7 }, () => connect(made.port)))
      yield* untilDescriptorsHeld(made, 8)
      expect((yield* openDescriptors) - (yield* made.budget.held)).toBe(others + clients.length)
      expect(yield* DescriptorBudget.openDescriptors).toBeGreaterThan(8)
    })
  )

  it.scopedLive("metrics count connections, requests, bytes and what handlers take", () =>
    Effect.gen(function* () {
      const count = (metric: Metric.Metric.Counter<number>) => Effect.map(Metric.value(metric), ({ count }) => count)
      const open = Effect.map(Metric.value(Metrics.connectionsOpen), ({ value }) => value)
      const all = Effect.all({
        ok: count(Metrics.requests["2xx"]),
        wrong: count(Metrics.requests["4xx"]),
        failed: count(Metrics.requests["5xx"]),
        aborted: count(Metrics.requestsAborted),
        received: count(Metrics.bytesReceived),
        sent: count(Metrics.bytesSent),
        handled: Effect.map(Metric.value(Metrics.requestDuration), ({ count }) => count),
        open,
        left: count(Metrics.connectionsClosed.ClosedByClient),
        malformed: count(Metrics.connectionsClosed.BadRequest)
      })
      const entered = yield* Deferred.make<void>()
      const made = yield* serving((request) => {
        if (request.url === "/die") return Effect.die("a defect")
        if (request.url === "/never") return Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never)
        return request.method === "POST" ? Effect.flatMap(request.text, () => hello(request)) : hello(request)
      })
      const before = yield* all
      const text = requestText("GET /")
      const client = yield* connect(made.port)
      yield* client.send(text)
      const response = yield* client.readResponse()
      yield* client.send(withBody("POST /", "body"))
      yield* client.readResponse()
      yield* client.send(requestText("GET /die"))
      yield* client.readResponse()
      expect((yield* open) - before.open).toBe(1)
      yield* client.halfClose
      yield* client.closedWith
      const broken = yield* connect(made.port)
      yield* broken.send("GET\r\n\r\n")
      yield* broken.readResponse()
      yield* broken.halfClose
      const leaving = yield* connect(made.port)
      yield* leaving.send(requestText("GET /never"))
      yield* Deferred.await(entered)
      yield* leaving.reset
      yield* untilDescriptorsHeld(made, 1)
      const after = yield* all
      const grown = (name: keyof typeof after): number => after[name] - before[name]
      expect({ ok: grown("ok"), wrong: grown("wrong"), failed: grown("failed") }).toStrictEqual({
        ok: 2,
        wrong: 1,
        failed: 1
      })
      expect({ aborted: grown("aborted"), open: grown("open"), handled: grown("handled") }).toStrictEqual({
        aborted: 1,
        open: 0,
        handled: 3
      })
      expect({ left: grown("left"), malformed: grown("malformed") }).toStrictEqual({ left: 1, malformed: 1 })
      expect(grown("received")).toBeGreaterThan(3 * text.length)
      expect(grown("sent")).toBeGreaterThan(3 * response.length)
    })
  )

  it.scopedLive("requests that the server itself cuts off have no client that left", () =>
    Effect.gen(function* () {
      const aborted = Effect.map(Metric.value(Metrics.requestsAborted), ({ count }) => count)
      const endless = Stream.concat(Stream.make(Buffer.from("a")), Stream.never)
      const made = yield* serving((request) => respondStream(request, 200, endless))
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* client.readUntil((seen) => seen.endsWith("a\r\n"))
      const before = yield* aborted
      expect((yield* made.server.close).interrupted).toBe(1)
      expect((yield* aborted) - before).toBe(0)
    })
  )

  it.effect("a suppressed message is logged after the ten seconds if connections are still not accepted", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const budget = yield* DescriptorBudget.make({ max: 10 })
      const log = new AdmissionLog(budget, yield* Effect.clock)
      const mayOpen = yield* Deferred.make<void>()
      yield* Effect.provide(log.awaitOpening(Effect.void), lines.layer)
      yield* TestClock.adjust("1 second")
      const shut = yield* Effect.fork(Effect.provide(log.awaitOpening(Deferred.await(mayOpen)), lines.layer))
      yield* TestClock.adjust("8 seconds")
      expect([lines.count("budget exhausted"), lines.count("budget available again")]).toStrictEqual([1, 1])
      yield* TestClock.adjust("1 second")
      yield* lines.some(({ annotations }) => annotations.suppressed === 1)
      yield* Deferred.succeed(mayOpen, undefined)
      yield* Fiber.join(shut)
      expect([lines.count("budget exhausted"), lines.count("budget available again")]).toStrictEqual([2, 2])
    })
  )

  it.effect("of two accept loops, one that closes the gate unlogged does not hide that it is open again", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const budget = yield* DescriptorBudget.make({ max: 10 })
      const { logClosed: closed, logOpened: opened } = new AdmissionLog(budget, yield* Effect.clock)
      yield* Effect.provide(Effect.all([closed, closed, opened, opened]), lines.layer)
      expect([lines.count("budget exhausted"), lines.count("budget available again")]).toStrictEqual([1, 1])
    })
  )

  it.effect("that the gate has closed and is open again is logged at most once in ten seconds", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const budget = yield* DescriptorBudget.make({ max: 10 })
      const log = new AdmissionLog(budget, yield* Effect.clock)
      const once = Effect.zipRight(log.logClosed, log.logOpened)
      yield* Effect.provide(Effect.repeatN(once, 4), lines.layer)
      expect([lines.count("budget exhausted"), lines.count("budget available again")]).toStrictEqual([1, 1])
      yield* TestClock.adjust("10 seconds")
      yield* Effect.provide(Effect.repeatN(once, 4), lines.layer)
      expect([lines.count("budget exhausted"), lines.count("budget available again")]).toStrictEqual([2, 2])
      expect(lines.all[2]).toMatchObject({ level: "WARN", annotations: { held: 0, max: 10, suppressed: 4 } })
    })
  )
})

describe("without free descriptors", () => {
  it.scopedLive("a connection is queued, or rejected at once with onFull: 'reject'", () =>
    Effect.gen(function* () {
      // One connection is accepted whatever is assumed; five more descriptors are not free.
      const refusing = yield* serving(hello, { max: 8, assumed: 6, onFull: "reject" })
      const first = yield* connect(refusing.port)
      yield* first.send(requestText("GET /"))
      expect((yield* first.readResponse()).status).toBe(200)
      const rejected = yield* get(refusing.port)
      expect([rejected.status, rejected.header("Retry-After")]).toStrictEqual([503, "1"])
      expect(rejected.header("Date")).toMatch(/ GMT$/)
      yield* first.halfClose
      yield* untilDescriptorsHeld(refusing, 1)
      expect((yield* get(refusing.port)).status).toBe(200)

      const waiting = yield* serving(hello, { max: 8, assumed: 6 })
      const one = yield* connect(waiting.port)
      yield* one.send(requestText("GET /"))
      yield* one.readResponse()
      const other = yield* connect(waiting.port)
      yield* other.send(requestText("GET /"))
      yield* untilDescriptorsHeld(waiting, 3)
      yield* one.halfClose
      expect((yield* other.readResponse()).status).toBe(200)
    })
  )

  it.scopedLive("an accept loop rejects no connection that it waits for", () =>
    Effect.gen(function* () {
      const { server } = yield* make({ onFull: "reject" })
      const { port } = yield* server.listen({ port: 0 })
      const taking = yield* Effect.fork(server.acceptRequest(hello))
      yield* eventLoopTurns(3)
      expect((yield* get(port)).status).toBe(200)
      yield* Fiber.join(taking)
      expect((yield* get(port)).status).toBe(503)
    })
  )

  it.scopedLive("a queued connection gets 503 with Retry-After when the server closes", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* eventLoopTurns(3)
      yield* server.close
      expect((yield* client.readResponse()).status).toBe(503)
      expect(yield* client.closedWith).toBe("FIN")
    })
  )
})
