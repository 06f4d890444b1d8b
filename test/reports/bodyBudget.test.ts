/**
 * Request bodies that are read whole have a bound in sum: beyond it reading waits, and gets 503 at last; nothing waits
 * for ever, and nothing is held when all requests have ended. In bytes here; `npm run pressure` does it in MiB.
 */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { TestServer } from "effect-asynchttpserver/testing"
import * as BodyBudget from "../../src/BodyBudget.js"
import { toHandler } from "../../src/HttpServer.js"
import * as Metrics from "../../src/Metrics.js"
import type { Request } from "../../src/Request.js"
import { type Handler, respond } from "../../src/Response.js"
import * as Server from "../../src/Server.js"
import { Random } from "../fuzz/random.js"
import { Lines } from "../server/logged.js"
import { advance, type MemoryConnection, servingInMemory, settled } from "../server/memory.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { requestText } from "../wire/rawConnection.js"

const max = 1000

/** Bytes that come in one read, and that each body may hold without asking. */
const piece = 50

const limits = { maxBufferedBodies: max, maxReadAhead: piece } as const

const lengthOf = (request: Request) => Effect.map(request.bytes, (bytes) => String(bytes.length))

/** Answers with the length of the body. */
const measuring: Handler = (request) => Effect.flatMap(lengthOf(request), (length) => respond(request, 200, length))

const application = toHandler(
  Effect.gen(function* () {
    const request = yield* HttpServerRequest
    switch (request.url) {
      case "/json":
        return HttpServerResponse.text(JSON.stringify(yield* request.json))
      case "/form":
        return HttpServerResponse.text((yield* request.urlParamsBody).map(([name]) => name).join())
      case "/buffer":
        return HttpServerResponse.text(String((yield* request.arrayBuffer).byteLength))
      default:
        return HttpServerResponse.text(String((yield* request.text).length))
    }
  })
)

/** A head that announces a body, or says that it is chunked. */
const headOf = (length: number | "chunked", path = "/"): string =>
  requestText(`POST ${path}`, [length === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`])

const chunk = (length: number): string => `${length.toString(16)}\r\n${"x".repeat(length)}\r\n`

/** Sends a body of that many bytes, one piece a turn, chunked or not. */
const sendBody = (connection: MemoryConnection, length: number, isChunked = false): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let sent = 0; sent < length; sent += piece) {
      const next = Math.min(piece, length - sent)
      connection.send(isChunked ? chunk(next) : "x".repeat(next))
      yield* eventLoopTurns(1)
    }
    if (isChunked) connection.send("0\r\n\r\n")
  })

interface Seen {
  most: number
}

/** Looks at what is held once a turn, until the scope ends. */
const watching = (budget: BodyBudget.Budget): Effect.Effect<Seen, never, import("effect/Scope").Scope> =>
  Effect.gen(function* () {
    const seen: Seen = { most: 0 }
    const look = Effect.map(Ref.get(budget.held), (held) => {
      seen.most = Math.max(seen.most, held)
    })
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(look, eventLoopTurns(1))))
    return seen
  })

const nothingIsHeld = (budget: BodyBudget.Budget): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* eventually(Ref.get(budget.held), (held) => held === 0, "nothing held")
    expect(budget.unsafeWaiting()).toBe(0)
  })

const waitingBecomes = (budget: BodyBudget.Budget, count: number): Effect.Effect<void> =>
  Effect.asVoid(eventually(Effect.sync(budget.unsafeWaiting), (waiting) => waiting === count, `${count} waiting`))

/** A handler that reads the body, and then holds it until a latch is opened. */
const holding = Effect.gen(function* () {
  const mayEnd = yield* Deferred.make<void>()
  const handler: Handler = (request) =>
    Effect.flatMap(lengthOf(request), (length) =>
      Effect.zipRight(Deferred.await(mayEnd), respond(request, 200, length))
    )
  return { handler, open: Deferred.succeed(mayEnd, undefined) }
})

/** A server whose budget is full: that many bodies of 500 bytes are held by their handlers. */
const full = (handler: Handler = measuring, options: Server.Options["limits"] = {}) =>
  Effect.gen(function* () {
    const { handler: held, open } = yield* holding
    const made = yield* servingInMemory((request) => (request.path === "/held" ? held(request) : handler(request)), {
      limits: { ...limits, ...options }
    })
    const budget = made.server.bodyBudget
    const holders = yield* Effect.all([made.connect, made.connect, made.connect])
    for (const connection of holders) {
      connection.send(headOf(500, "/held"))
      yield* sendBody(connection, 500)
    }
    // Of the third a part waits no longer: it is the one that may continue beyond the maximum.
    yield* eventually(Ref.get(budget.held), (held) => held === 1500, "1500 held")
    return { ...made, budget, open }
  })

describe("the bodies that are read whole", () => {
  for (const isChunked of [false, true]) {
    it.scoped(`are bounded in sum, and all are served: ${isChunked ? "chunked" : "with their length"}`, () =>
      Effect.gen(function* () {
        const { connect, server } = yield* servingInMemory(
          (request) => Effect.zipLeft(measuring(request), eventLoopTurns(3)),
          {
            limits
          }
        )
        const budget = server.bodyBudget
        const seen = yield* watching(budget)
        const connections = yield* Effect.all(Array.from({ length: 20 }, () => connect))
        for (const connection of connections) connection.send(headOf(isChunked ? "chunked" : 400))
        yield* Effect.forEach(connections, (connection) => sendBody(connection, 400, isChunked), {
          concurrency: "unbounded"
        })
        for (const connection of connections) expect((yield* connection.response()).text).toBe("400")
        // What has come of each when it asks, at most, besides.
        expect(seen.most).toBeGreaterThan(max / 2)
        expect(seen.most).toBeLessThanOrEqual(max + 400 + 20 * 2 * piece)
        yield* nothingIsHeld(budget)
      })
    )
  }

  it.scoped("are read one after the other when each is larger than the budget, in the order in which they came", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const { connect, server } = yield* servingInMemory(
        (request) => Effect.tap(measuring(request), () => order.push(request.path)),
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
      yield* nothingIsHeld(server.bodyBudget)
    })
  )

  it.scoped("wait with their sockets paused, and continue when others have ended", () =>
    Effect.gen(function* () {
      const { budget, connect, open } = yield* full()
      const connection = yield* connect
      connection.send(headOf(300))
      yield* sendBody(connection, 300)
      yield* waitingBecomes(budget, 1)
      expect(connection.pauses - connection.resumes).toBe(1)
      expect(yield* Ref.get(budget.held)).toBeLessThanOrEqual(1500 + 2 * piece)
      yield* open
      expect((yield* connection.response()).text).toBe("300")
      yield* nothingIsHeld(budget)
    })
  )

  it.scoped("that are small are read at once, whatever waits", () =>
    Effect.gen(function* () {
      const { budget, connect } = yield* full()
      const [large, small] = [yield* connect, yield* connect]
      large.send(headOf(300))
      yield* sendBody(large, 300)
      yield* waitingBecomes(budget, 1)
      for (const length of [piece, 1, "chunked"] as const) {
        small.send(headOf(length))
        yield* sendBody(small, length === "chunked" ? piece : length, length === "chunked")
        expect((yield* small.response()).status).toBe(200)
      }
      expect(budget.unsafeWaiting()).toBe(1)
    })
  )

  it.scoped("without a bound are only counted", () =>
    Effect.gen(function* () {
      const { handler, open } = yield* holding
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
      yield* nothingIsHeld(server.bodyBudget)
    })
  )
})

describe("a body that waits for too long", () => {
  it.scoped("gets 503 with Retry-After, and the connection ends after what is unread", () =>
    Effect.gen(function* () {
      const { budget, connect } = yield* full()
      const before = yield* Metric.value(Metrics.bodiesRejected)
      for (const [length, connectionField] of [
        [300, "keep-alive"],
        [300_000, "close"]
      ] as const) {
        const connection = yield* connect
        connection.send(headOf(length))
        yield* sendBody(connection, 200)
        yield* waitingBecomes(budget, 1)
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
        yield* waitingBecomes(budget, 0)
        yield* eventually(Ref.get(budget.held), (held) => held === 1500, "as much as before")
        if (connectionField === "keep-alive") {
          // The rest is thrown away, and the next request is served.
          yield* sendBody(connection, 100)
          connection.send(`${headOf(3)}abc`)
          expect((yield* connection.response()).text).toBe("3")
        }
      }
      expect((yield* Metric.value(Metrics.bodiesRejected)).count - before.count).toBe(2)
    })
  )

  it.scoped("gets 503 by an application", () =>
    Effect.gen(function* () {
      const { connect } = yield* full(application)
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

  it.scoped("fails a handler that may answer otherwise, or read again", () =>
    Effect.gen(function* () {
      const { budget, connect, open } = yield* full((request) =>
        Effect.catchTag(measuring(request), "ValueError", ({ reason }) =>
          reason === "BodyBudget" && request.path === "/again" ? measuring(request) : respond(request, 429, reason)
        )
      )
      const [other, again] = [yield* connect, yield* connect]
      other.send(headOf(300, "/other"))
      again.send(headOf(300, "/again"))
      yield* Effect.forEach([other, again], (connection) => sendBody(connection, 200))
      yield* advance(10_000)
      expect((yield* other.response()).text).toBe("BodyBudget")
      yield* waitingBecomes(budget, 1)
      yield* open
      yield* sendBody(again, 100)
      expect((yield* again.response()).text).toBe("300")
      yield* nothingIsHeld(budget)
    })
  )

  it.scoped("is logged when it begins, once in ten seconds, and when there is memory again", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      yield* Effect.gen(function* () {
        const { budget, connect, open } = yield* full((request) => Effect.provide(measuring(request), lines.layer))
        const connections = yield* Effect.all([connect, connect, connect])
        for (const connection of connections) {
          connection.send(headOf(300))
          yield* sendBody(connection, 300)
        }
        yield* waitingBecomes(budget, 3)
        yield* open
        for (const connection of connections) expect((yield* connection.response()).status).toBe(200)
      })
      expect(lines.all.map(({ level, message }) => [level, message])).toStrictEqual([
        ["WARN", "body budget exhausted: reading of request bodies is suspended or rejected"],
        ["INFO", "body budget available again"]
      ])
      expect(lines.all[0]?.annotations).toMatchObject({ held: 1500 + 2 * piece, max })
    })
  )
})

describe("the time that a body waits", () => {
  it.scoped("is not its client's: neither bodyTimeout nor bodyTotalTimeout runs", () =>
    Effect.gen(function* () {
      const { connect, open } = yield* full(measuring, {
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

  it.scoped("runs for a client that stalls when it may continue", () =>
    Effect.gen(function* () {
      const { connect, open } = yield* full(measuring, { bodyTimeout: 2_000, bufferedBodyTimeout: 60_000 })
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

describe("nothing is held any more", () => {
  const waiting = (handler?: Handler) =>
    Effect.gen(function* () {
      const made = yield* full(handler)
      const connection = yield* made.connect
      connection.send(headOf(300))
      yield* sendBody(connection, 200)
      yield* waitingBecomes(made.budget, 1)
      return { ...made, connection }
    })

  const asBefore = (budget: BodyBudget.Budget) =>
    Effect.gen(function* () {
      yield* waitingBecomes(budget, 0)
      yield* eventually(Ref.get(budget.held), (held) => held === 1500, "as much as before")
    })

  it.scoped("when the client of a body that waits resets its connection", () =>
    Effect.gen(function* () {
      const { budget, connect, open } = yield* full()
      const connection = yield* connect
      connection.send(headOf(300))
      yield* sendBody(connection, 200)
      yield* waitingBecomes(budget, 1)
      connection.reset()
      // A socket that is paused does not see it.
      yield* advance(10_000)
      yield* asBefore(budget)
      yield* open
      yield* nothingIsHeld(budget)
    })
  )

  it.scoped("when the handler that waits is interrupted, fails or gives up, and another body continues", () =>
    Effect.gen(function* () {
      const enough = yield* Deferred.make<void>()
      const { budget, connection, connect, open } = yield* waiting((request) =>
        request.path === "/next"
          ? measuring(request)
          : Effect.raceFirst(
              measuring(request),
              Effect.zipRight(Deferred.await(enough), respond(request, 200, "gave up"))
            )
      )
      yield* Deferred.succeed(enough, undefined)
      expect((yield* connection.response()).text).toBe("gave up")
      yield* asBefore(budget)
      const next = yield* connect
      next.send(headOf(300, "/next"))
      yield* sendBody(next, 300)
      yield* waitingBecomes(budget, 1)
      yield* open
      expect((yield* next.response()).text).toBe("300")
      yield* nothingIsHeld(budget)
    })
  )

  it.scoped("when one of two readers of a body is interrupted, and the other reads on", () =>
    Effect.gen(function* () {
      const enough = yield* Deferred.make<void>()
      const { budget, connection, open } = yield* waiting((request) =>
        Effect.gen(function* () {
          const other = yield* Effect.fork(request.bytes)
          yield* Effect.fork(Effect.zipRight(Deferred.await(enough), Fiber.interrupt(other)))
          return yield* measuring(request)
        })
      )
      yield* Deferred.succeed(enough, undefined)
      yield* settled
      expect(budget.unsafeWaiting()).toBe(1)
      yield* open
      yield* sendBody(connection, 100)
      expect((yield* connection.response()).text).toBe("300")
      yield* nothingIsHeld(budget)
    })
  )

  it.scoped("when the server closes, whatever waits", () =>
    Effect.gen(function* () {
      const { budget, connection, server } = yield* waiting()
      const { timedOut } = yield* server.close
      expect(timedOut).toBe(0)
      yield* nothingIsHeld(budget)
      expect(connection.ending).toBe("destroy")
    })
  )

  it.scoped("when a body is too large, malformed, too slow or cut short, or its handler fails", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* servingInMemory(
        (request) =>
          request.path === "/die" ? Effect.zipRight(lengthOf(request), Effect.die("broken")) : measuring(request),
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
        larger.send(chunk(piece * 2))
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
      yield* nothingIsHeld(budget)
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
      yield* nothingIsHeld(server.bodyBudget)
    })
  )
})

describe("an application of @effect/platform", () => {
  it.scoped("reads its bodies by the same budget", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* servingInMemory(application, { limits })
      const budget = server.bodyBudget
      const seen = yield* watching(budget)
      const connections = yield* Effect.all(Array.from({ length: 20 }, () => connect))
      for (const connection of connections) connection.send(headOf(400, "/text"))
      yield* Effect.forEach(connections, (connection) => sendBody(connection, 400), { concurrency: "unbounded" })
      for (const connection of connections) expect((yield* connection.response()).text).toBe("400")
      expect(seen.most).toBeGreaterThan(0)
      expect(seen.most).toBeLessThanOrEqual(max + 400 + 20 * 2 * piece)
      yield* nothingIsHeld(budget)
    })
  )

  it.scoped("holds the fields of its forms by it, and no files", () =>
    Effect.gen(function* () {
      const read = yield* Deferred.make<void>()
      const mayEnd = yield* Deferred.make<void>()
      const app = toHandler(
        Effect.gen(function* () {
          const { multipartStream } = yield* HttpServerRequest
          const parts = yield* Stream.runCollect(
            Stream.mapEffect(multipartStream, (part) =>
              part._tag === "Field" ? Effect.succeed(part.value) : Effect.as(Stream.runDrain(part.content), part.name)
            )
          )
          yield* Deferred.succeed(read, undefined)
          yield* Deferred.await(mayEnd)
          return HttpServerResponse.text(Chunk.join(parts, ","))
        })
      )
      const { connect, server } = yield* servingInMemory(app)
      const form = [
        '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n0123456789\r\n',
        `--b\r\nContent-Disposition: form-data; name="f"; filename="file"\r\n\r\n${"x".repeat(1000)}\r\n`,
        "--b--\r\n"
      ].join("")
      const connection = yield* connect
      connection.send(
        requestText("POST /", ["Content-Type: multipart/form-data; boundary=b", `Content-Length: ${form.length}`], form)
      )
      yield* Deferred.await(read)
      expect(yield* Ref.get(server.bodyBudget.held)).toBe(10)
      yield* Deferred.succeed(mayEnd, undefined)
      expect((yield* connection.response()).text).toBe("0123456789,file")
      yield* nothingIsHeld(server.bodyBudget)
    })
  )

  it.scoped("holds a file of a form by it that is read whole", () =>
    Effect.gen(function* () {
      const read = yield* Deferred.make<void>()
      const mayEnd = yield* Deferred.make<void>()
      const app = toHandler(
        Effect.gen(function* () {
          const { multipartStream } = yield* HttpServerRequest
          const sizes = yield* Stream.runCollect(
            Stream.mapEffect(multipartStream, (part) =>
              part._tag === "Field" ? Effect.succeed(0) : Effect.map(part.contentEffect, ({ length }) => length)
            )
          )
          yield* Deferred.succeed(read, undefined)
          yield* Deferred.await(mayEnd)
          return HttpServerResponse.text(Chunk.join(Chunk.map(sizes, String), ","))
        })
      )
      const { connect, server } = yield* servingInMemory(app)
      const form = [
        `--b\r\nContent-Disposition: form-data; name="f"; filename="file"\r\n\r\n${"x".repeat(1000)}\r\n`,
        "--b--\r\n"
      ].join("")
      const connection = yield* connect
      connection.send(
        requestText("POST /", ["Content-Type: multipart/form-data; boundary=b", `Content-Length: ${form.length}`], form)
      )
      yield* Deferred.await(read)
      expect(yield* Ref.get(server.bodyBudget.held)).toBe(1000)
      yield* Deferred.succeed(mayEnd, undefined)
      expect((yield* connection.response()).text).toBe("1000")
      yield* nothingIsHeld(server.bodyBudget)
    })
  )
})

/** A body without a connection: it asks before each piece, as a request's does. */
class Simulated implements BodyBudget.BodyHolder {
  heldBytes = 0
  order = 0
  read = 0
  isWaiting = false

  constructor(
    readonly size: number,
    readonly nextBytes: number
  ) {}

  onGranted(): void {
    this.isWaiting = false
  }

  /** Reads its next bytes, if it may. */
  step(budget: BodyBudget.Budget): void {
    if (this.heldBytes === this.read && !budget.unsafeRequest(this)) {
      this.isWaiting = true
      return
    }
    this.read = Math.min(this.size, this.heldBytes)
    if (this.read === this.size) budget.unsafeTake(this, this.read - this.heldBytes)
  }
}

describe("bodies in any order", () => {
  it.effect("never all wait for each other, and never hold more than the maximum and one of them", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= 100; seed++) {
        const random = new Random(seed)
        const budget = yield* BodyBudget.make({ max: 1 + random.below(300) })
        let bodies = Array.from(
          { length: 2 + random.below(10) },
          () => new Simulated(1 + random.below(400), 1 + random.below(40))
        )
        const largest = Math.max(...bodies.map(({ nextBytes, size }) => size + nextBytes))
        while (bodies.length > 0) {
          const running = bodies.filter(({ isWaiting }) => !isWaiting)
          expect([seed, running.length > 0]).toStrictEqual([seed, true])
          const body = random.pick(running)
          // Those that are whole are kept for a while, and some leave half-read.
          if (body.read < body.size && !random.oneIn(30)) body.step(budget)
          else if (random.oneIn(3)) {
            budget.unsafeRelease(body)
            bodies = bodies.filter((each) => each !== body)
          }
          expect(yield* Ref.get(budget.held)).toBe(bodies.reduce((sum, { heldBytes }) => sum + heldBytes, 0))
          expect(yield* Ref.get(budget.held)).toBeLessThanOrEqual(budget.max + largest)
        }
        expect([yield* Ref.get(budget.held), budget.unsafeWaiting()]).toStrictEqual([0, 0])
      }
    })
  )
})

describe("the budget", () => {
  it.scoped("can be watched", () =>
    Effect.gen(function* () {
      const { budget, connect, open } = yield* full()
      const gauge = yield* Metric.value(Metrics.bodyBytesHeld)
      expect(gauge.value).toBeGreaterThanOrEqual(1500)
      const states = yield* Effect.forkScoped(
        Stream.runCollect(Stream.takeUntil(budget.changes, ({ held }) => held === 0))
      )
      yield* eventLoopTurns(1)
      const connection = yield* connect
      connection.send(headOf(300))
      yield* sendBody(connection, 300)
      yield* open
      yield* connection.response()
      const all = Chunk.toReadonlyArray(yield* Fiber.join(states))
      expect(all[0]).toStrictEqual({ held: 1500, max, waiting: 0 })
      expect(all.some(({ waiting }) => waiting === 1)).toBe(true)
      expect(all.at(-1)).toStrictEqual({ held: 0, max, waiting: 0 })
    })
  )

  it.scoped("is one for all servers that it is provided to, but for those with a limit of their own", () =>
    Effect.gen(function* () {
      const shared = yield* BodyBudget.make({ max: 5000 })
      const made = (options: Server.Options) =>
        Effect.provideService(Server.make(options), BodyBudget.BodyBudget, shared).pipe(
          Effect.map((server) => server.bodyBudget),
          Effect.provide(Server.layerDependencies)
        )
      expect(yield* made({})).toBe(shared)
      expect(yield* made({ limits: { maxBody: 10 } })).toBe(shared)
      expect((yield* made({ limits: { maxBufferedBodies: 10 } })).max).toBe(10)
      const own = yield* Effect.provide(Server.bodyBudget, Server.layer())
      expect(own.max).toBe(128 * 1024 * 1024)
      const layered = Layer.provide(Server.layer(), BodyBudget.layer({ max: 7 }))
      expect((yield* Effect.provide(Server.bodyBudget, layered)).max).toBe(7)
    })
  )

  it.effect("is no negative number, nor none", () =>
    Effect.gen(function* () {
      for (const max of [-1, Number.NaN]) {
        expect((yield* Effect.flip(BodyBudget.make({ max })))._op).toBe("InvalidData")
      }
    })
  )

  it.scoped("of a test server has no bound, unless it is given one", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory(measuring, { limits: { maxReadAhead: piece } })
      const client = yield* server.connect
      yield* client.send(`${headOf(300)}${"x".repeat(300)}`)
      expect((yield* client.readUntil((seen) => seen.includes("300"))).length).toBeGreaterThan(0)
    })
  )
})
