/** Accepting many connections at once does not delay those that are served. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import { PendingConnections } from "../../src/internal/net/pendingConnections.js"
import * as Listener from "../../src/Listener.js"
import { make } from "../server/harness.js"
import { MemoryConnection } from "../server/memory.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { connect, requestText } from "../wire/rawConnection.js"
import { ok, untilEquals } from "./loneRequest.js"

describe("a thousand connections that wait to be accepted", () => {
  const thousand = Array.from({ length: 1000 }, (_, i) => i)

  it.effect("are taken in several turns, in the order in which they came", () =>
    Effect.gen(function* () {
      const arrivals = new PendingConnections<number>()
      for (const each of thousand) arrivals.offer(each)
      const taken: Array<number> = []
      const loop = yield* Effect.fork(
        arrivals.acceptWhile(
          () => true,
          (each) => taken.push(each)
        )
      )
      yield* Effect.yieldNow()
      expect(taken.length).toBeGreaterThan(0)
      expect(taken.length).toBeLessThanOrEqual(64)
      // One that arrives meanwhile is not taken before those that wait.
      arrivals.offer(1000)
      expect(arrivals.hasTaker).toBe(true)
      yield* untilEquals(() => taken.length, 1001)
      expect(taken).toStrictEqual([...thousand, 1000])
      yield* Fiber.interrupt(loop)
    })
  )

  it.effect("by an accept loop that ends, no more are taken", () =>
    Effect.gen(function* () {
      const arrivals = new PendingConnections<number>()
      for (const each of thousand) arrivals.offer(each)
      const taken: Array<number> = []
      const loop = yield* Effect.fork(
        arrivals.acceptWhile(
          () => true,
          (each) => taken.push(each)
        )
      )
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(loop)
      const { length } = taken
      yield* eventLoopTurns(5)
      expect([taken.length, arrivals.size]).toStrictEqual([length, 1000 - length])
    })
  )

  it.effect("in several turns too by a listener that only accepts", () =>
    Effect.gen(function* () {
      const waiting = yield* Queue.unbounded<Listener.Connection>()
      for (const _ of thousand) waiting.unsafeOffer(new MemoryConnection())
      let taken = 0
      const admit = Listener.acceptWhileBy(Queue.take(waiting))
      yield* Effect.fork(
        admit(
          () => true,
          () => taken++
        )
      )
      yield* Effect.yieldNow()
      expect(taken).toBeLessThanOrEqual(64)
      yield* untilEquals(() => taken, 1000)
    })
  )

  it.scopedLive("do not delay a connection that is served", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const made = yield* make()
      const { port } = yield* made.server.listen({ port: 0 })
      const clients = yield* Effect.all(
        Array.from({ length: 200 }, () => connect(port)),
        { concurrency: "unbounded" }
      )
      for (const client of clients) yield* client.send(requestText("GET /waited"))
      yield* eventually(made.bounds[0]!.pending, (waiting) => waiting === 200, "200")
      yield* Effect.forkScoped(
        made.server.serve((request) => {
          order.push(request.path)
          return ok(request)
        })
      )
      for (const client of clients) expect((yield* client.readResponse()).status).toBe(200)
      expect(order).toHaveLength(200)
    })
  )
})
