/** The service `BodyBudget`: applications of `@effect/platform`, its order of grants, its state and its options. */
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
import * as Server from "../../src/Server.js"
import { Random } from "../fuzz/random.js"
import { servingInMemory } from "../server/memory.js"
import { eventLoopTurns } from "../support/eventually.js"
import { requestText } from "../wire/rawConnection.js"
import {
  application,
  exhaustedServer,
  headOf,
  limits,
  maxHeldBytes,
  pieceBytes,
  respondLength,
  sampleHeldBytes,
  sendBody,
  untilReleased
} from "./bufferedBodies.js"

describe("an application of @effect/platform", () => {
  it.scoped("reads its bodies within the same budget", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* servingInMemory(application, { limits })
      const budget = server.bodyBudget
      const seen = yield* sampleHeldBytes(budget)
      const connections = yield* Effect.all(Array.from({ length: 20 }, () => connect))
      for (const connection of connections) connection.send(headOf(400, "/text"))
      yield* Effect.forEach(connections, (connection) => sendBody(connection, 400), { concurrency: "unbounded" })
      for (const connection of connections) expect((yield* connection.response()).text).toBe("400")
      expect(seen.most).toBeGreaterThan(0)
      expect(seen.most).toBeLessThanOrEqual(maxHeldBytes + 400 + 20 * 2 * pieceBytes)
      yield* untilReleased(budget)
    })
  )

  it.scoped("counts the fields of its forms, and no files", () =>
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
      yield* untilReleased(server.bodyBudget)
    })
  )

  it.scoped("counts a file of a form that is read whole", () =>
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
      yield* untilReleased(server.bodyBudget)
    })
  )
})

/** A body without a connection: it requests budget before each piece, as the body of a request does. */
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
      for (let randomSeed = 1; randomSeed <= 100; randomSeed++) {
        const random = new Random(randomSeed)
        const budget = yield* BodyBudget.make({ max: 1 + random.below(300) })
        let bodies = Array.from(
          { length: 2 + random.below(10) },
          () => new Simulated(1 + random.below(400), 1 + random.below(40))
        )
        const largest = Math.max(...bodies.map(({ nextBytes, size }) => size + nextBytes))
        while (bodies.length > 0) {
          const running = bodies.filter(({ isWaiting }) => !isWaiting)
          expect([randomSeed, running.length > 0]).toStrictEqual([randomSeed, true])
          const body = random.pick(running)
          // Complete bodies are held for a while, and some end half-read.
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
  it.scoped("publishes its changes and its gauge", () =>
    Effect.gen(function* () {
      const { budget, connect, open } = yield* exhaustedServer()
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
      expect(all[0]).toStrictEqual({ held: 1500, max: maxHeldBytes, waiting: 0 })
      expect(all.some(({ waiting }) => waiting === 1)).toBe(true)
      expect(all.at(-1)).toStrictEqual({ held: 0, max: maxHeldBytes, waiting: 0 })
    })
  )

  it.scoped("is shared by all servers that it is provided to, except those with their own limit", () =>
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

  it.effect("rejects a maximum that is negative or NaN", () =>
    Effect.gen(function* () {
      for (const max of [-1, Number.NaN]) {
        expect((yield* Effect.flip(BodyBudget.make({ max })))._op).toBe("InvalidData")
      }
    })
  )

  it.scoped("of a test server has no bound, unless it is given one", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory(respondLength, { limits: { maxReadAhead: pieceBytes } })
      const client = yield* server.connect
      yield* client.send(`${headOf(300)}${"x".repeat(300)}`)
      expect((yield* client.readUntil((seen) => seen.includes("300"))).length).toBeGreaterThan(0)
    })
  )
})
