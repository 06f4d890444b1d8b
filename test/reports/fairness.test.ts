/**
 * A client that sends much at once does not delay the others: what is handled, in which order, when one connection has
 * thousands of requests to be served and another has one. No time is measured: an order does not depend on the machine.
 */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { TestServer } from "effect-asynchttpserver/testing"
import { toHandler } from "../../src/HttpServer.js"
import { PendingConnections } from "../../src/internal/net/pendingConnections.js"
import * as Listener from "../../src/Listener.js"
import type { Request } from "../../src/Request.js"
import { type Handler, respond, respondStream, sendHeaders, upgrade } from "../../src/Response.js"
import { make, serving } from "../server/harness.js"
import { advance, MemoryConnection, servingInMemory, settled } from "../server/memory.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { connect, requestText, withBody } from "../wire/rawConnection.js"

/** Requests of one connection that may be served in one turn of the event loop. */
const most = 32

const requests = (name: string, count: number): string => requestText(`GET /${name}`).repeat(count)

/** Requests of the connection that keeps the server busy, in bytes that come in one read. */
const many = 1500

const busy = requests("busy", many)
const lone = requests("lone", 1)

const ok = (request: Request) => respond(request, 200, "ok")

const app = (before: Effect.Effect<void>): Handler => toHandler(Effect.as(before, HttpServerResponse.text("ok")))

const handlers: Readonly<Record<string, Handler>> = {
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
}

/** A handler, and what it was asked for in order. */
const watched = (handler: Handler): { readonly handler: Handler; readonly order: Array<string> } => {
  const order: Array<string> = []
  return {
    order,
    handler: (request) => {
      order.push(request.path.slice(1))
      return handler(request)
    }
  }
}

/** Requests of the other connection that were begun before the lone one. */
const servedFirst = (order: ReadonlyArray<string>): number => order.indexOf("lone")

const answersOf = (connection: MemoryConnection): number => connection.written.split("HTTP/1.1 ").length - 1

const becomes = (look: () => number, expected: number): Effect.Effect<void> =>
  Effect.asVoid(eventually(Effect.sync(look), (seen) => seen === expected, `${expected}`))

describe("a lone GET beside a deep pipeline", () => {
  for (const [name, handler] of Object.entries(handlers)) {
    it.scoped(`is not served after thousands of others: ${name}`, () =>
      Effect.gen(function* () {
        const { handler: counted, order } = watched(handler)
        const { connect } = yield* servingInMemory(counted)
        const [one, other] = [yield* connect, yield* connect]
        yield* settled
        one.send(busy)
        other.send(lone)
        yield* becomes(() => answersOf(one), many)
        expect(servedFirst(order)).toBeGreaterThan(0)
        expect(servedFirst(order)).toBeLessThanOrEqual(most)
        expect(answersOf(other)).toBe(1)
      })
    )

    it.scopedLive(`over sockets: ${name}`, () =>
      Effect.gen(function* () {
        const { handler: counted, order } = watched(handler)
        const { port } = yield* serving(counted)
        const [one, other] = [yield* connect(port), yield* connect(port)]
        // Both have been accepted, and both arrive before the server looks again.
        for (const client of [one, other]) {
          yield* client.send(requests("first", 1))
          yield* client.readResponse()
        }
        yield* one.send(busy)
        yield* other.send(lone)
        yield* other.readResponse()
        expect(servedFirst(order.filter((each) => each !== "first"))).toBeLessThanOrEqual(2 * most)
        for (let i = 0; i < many; i++) yield* one.readResponse()
      })
    )
  }

  it.scoped("of requests with a body that the handler reads, or leaves", () =>
    Effect.gen(function* () {
      for (const path of ["read", "left"]) {
        const { handler, order } = watched((request) =>
          request.path === "/read" ? Effect.flatMap(request.text, () => ok(request)) : ok(request)
        )
        const { connect } = yield* servingInMemory(handler)
        const [one, other] = [yield* connect, yield* connect]
        yield* settled
        one.send(withBody(`POST /${path}`, "content").repeat(many))
        other.send(lone)
        yield* becomes(() => answersOf(one), many)
        expect(servedFirst(order)).toBeLessThanOrEqual(most)
      }
    })
  )

  it.scoped("the responses of one turn leave in one write", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(ok)
      const connection = yield* connect
      connection.send(requests("busy", 10 * most))
      yield* becomes(() => answersOf(connection), 10 * most)
      // A turn of a busy machine may end before its share has been used.
      const perWrite = connection.writes.map((text) => text.split("HTTP/1.1 ").length - 1)
      expect(perWrite.length).toBeGreaterThanOrEqual(10)
      expect(Math.max(...perWrite)).toBe(most)
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
      expect(servedFirst(order)).toBeLessThanOrEqual(2 * most)
    })
  )
})

describe("fifty deep pipelines", () => {
  /** Requests of each: several shares. */
  const pipelined = 150

  for (const name of ["a handler that responds", "an application", "an application that yields"]) {
    it.scoped(`take turns, and none is served much before the others: ${name}`, () =>
      Effect.gen(function* () {
        const counts = new Map<string, number>()
        let widest = 0
        const inner = handlers[name]!
        const { connect } = yield* servingInMemory((request) => {
          counts.set(request.path, (counts.get(request.path) ?? 0) + 1)
          const all = Array.from(counts.values())
          if (all.length === 50 && Math.max(...all) < pipelined)
            widest = Math.max(widest, Math.max(...all) - Math.min(...all))
          return inner(request)
        })
        const connections = yield* Effect.all(Array.from({ length: 50 }, () => connect))
        for (const [i, connection] of connections.entries()) connection.send(requests(String(i), pipelined))
        yield* becomes(() => connections.reduce((sum, each) => sum + answersOf(each), 0), 50 * pipelined)
        expect(widest).toBeLessThanOrEqual(2 * most)
      })
    )
  }

  it.scoped("all have a turn before one that came with them has its last", () =>
    Effect.gen(function* () {
      const { handler, order } = watched(ok)
      const { connect } = yield* servingInMemory(handler)
      const connections = yield* Effect.all(Array.from({ length: 50 }, () => connect))
      for (const connection of connections) connection.send(requests("busy", 400))
      const other = yield* connect
      other.send(lone)
      yield* becomes(() => answersOf(other), 1)
      expect(servedFirst(order)).toBeLessThanOrEqual(51 * most)
    })
  )
})

/** A body in chunks of one byte: 6 bytes on the wire for each, 10,000 of them in one read. */
const inBytes = (path: string, count = 10_000): string =>
  requestText(`POST /${path}`, ["Transfer-Encoding: chunked"], `${"1\r\nx\r\n".repeat(count)}0\r\n\r\n`)

/** What has been done when the lone request is begun; the work of the other connection reports how far it is. */
const besideWork = (work: (progress: () => void, request: Request) => ReturnType<Handler>) => {
  const seen = { progress: 0, atLone: -1, isOver: false }
  const handler: Handler = (request) => {
    if (request.path === "/lone") {
      seen.atLone = seen.progress
      return ok(request)
    }
    return Effect.tap(
      work(() => {
        seen.progress++
      }, request),
      () => {
        seen.isOver = true
      }
    )
  }
  return { handler, seen }
}

/** The lone request, when the event loop looks for events again. */
const sendLater = (connection: MemoryConnection): void => {
  setImmediate(() => connection.send(lone))
}

const oneByte = new Uint8Array(1)

describe("a lone GET beside one large request", () => {
  it.scoped("is not served after a body in chunks of one byte that is read whole", () =>
    Effect.gen(function* () {
      for (const toHandled of [
        (request: Request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, String(bytes.length))),
        toHandler(
          Effect.flatMap(HttpServerRequest, (request) =>
            Effect.map(Effect.orDie(request.text), (text) => HttpServerResponse.text(String(text.length)))
          )
        )
      ]) {
        const order: Array<string> = []
        const { connect } = yield* servingInMemory((request) =>
          Effect.tap(request.path === "/lone" ? ok(request) : toHandled(request), () => {
            order.push(request.path)
          })
        )
        const [one, other] = [yield* connect, yield* connect]
        yield* settled
        one.send(inBytes("body"))
        other.send(lone)
        expect((yield* one.response()).text).toBe("10000")
        expect(order).toStrictEqual(["/lone", "/body"])
      }
    })
  )

  it.scoped("is not served after a body in chunks of one byte that is read as a stream", () =>
    Effect.gen(function* () {
      const { handler, seen } = besideWork((progress, request) =>
        Effect.zipRight(
          Stream.runForEachChunk(request.stream, (chunks) => Effect.sync(() => chunks.length > 0 && progress())),
          ok(request)
        )
      )
      const { connect } = yield* servingInMemory(handler)
      const [one, other] = [yield* connect, yield* connect]
      yield* settled
      one.send(inBytes("body"))
      yield* eventLoopTurns(2)
      other.send(lone)
      yield* other.response()
      expect(seen.isOver).toBe(false)
      expect((yield* one.response()).status).toBe(200)
    })
  )

  it.scoped("is not served after an unread body in chunks of one byte", () =>
    Effect.gen(function* () {
      const { handler, order } = watched(ok)
      const { connect } = yield* servingInMemory(handler)
      const [one, other] = [yield* connect, yield* connect]
      yield* settled
      one.send(inBytes("left") + requests("next", 1))
      other.send(lone)
      yield* one.response()
      yield* one.response()
      expect(order).toStrictEqual(["left", "lone", "next"])
    })
  )

  it.scoped("is not served after a stream of small pieces that are there at once", () =>
    Effect.gen(function* () {
      const many = 20_000
      const counted = (progress: () => void) =>
        Stream.map(Stream.range(0, many - 1), () => {
          progress()
          return oneByte
        })
      const ways: ReadonlyArray<(progress: () => void, request: Request) => ReturnType<Handler>> = [
        (progress, request) => respondStream(request, 200, counted(progress)),
        (progress, request) => respondStream(request, 200, Stream.rechunk(counted(progress), 1)),
        (progress, request) =>
          respondStream(
            request,
            200,
            Stream.map(counted(progress), () => new Uint8Array(0))
          ),
        (progress, request) =>
          toHandler(Effect.succeed(HttpServerResponse.stream(Stream.rechunk(counted(progress), 1))))(request),
        (progress, request) =>
          Effect.gen(function* () {
            const body = yield* sendHeaders(request, 200)
            for (let i = 0; i < many; i++) {
              progress()
              yield* body.write(oneByte)
            }
            return yield* body.end()
          })
      ]
      for (const work of ways) {
        const { handler, seen } = besideWork(work)
        const { connect } = yield* servingInMemory(handler)
        const [one, other] = [yield* connect, yield* connect]
        yield* settled
        sendLater(other)
        one.send(requests("busy", 1))
        yield* other.response()
        expect(seen.atLone).toBeLessThan(many)
        yield* becomes(() => seen.progress, many)
        expect((yield* one.response()).status).toBe(200)
      }
    })
  )

  it.scoped("is not served after all that a connection sends which has been handed over", () =>
    Effect.gen(function* () {
      let received = 0
      let atLone = -1
      const { connect } = yield* servingInMemory((request) => {
        if (request.path === "/lone") {
          atLone = received
          return ok(request)
        }
        return upgrade(request, { Upgrade: "bytes" }, ({ stream, write }) =>
          Stream.runForEach(stream, () => {
            received++
            return Effect.repeatN(write("x"), 9)
          })
        )
      })
      const [one, other] = [yield* connect, yield* connect]
      one.send(requestText("GET /upgrade", ["Connection: Upgrade", "Upgrade: bytes"]))
      yield* settled
      const chunks = 100
      // Each is a read of its own, and too large to be joined with others.
      sendLater(other)
      for (let i = 0; i < chunks; i++) one.send("x".repeat(600))
      yield* other.response()
      expect(atLone).toBeLessThan(chunks)
      one.halfClose()
      yield* becomes(() => received, chunks)
    })
  )
})

/** Frames of a client, masked by zeros: a text of one byte each. */
const frames = (count: number): Buffer => Buffer.alloc(7 * count, Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x78]))

describe("a lone GET beside a WebSocket", () => {
  it.scopedLive("is not served after thousands of its messages", () =>
    Effect.gen(function* () {
      let received = 0
      let atLone = -1
      const many = 8000
      const app = Effect.gen(function* () {
        const { upgrade, url } = yield* HttpServerRequest
        if (url === "/lone") {
          atLone = received
          return HttpServerResponse.text("ok")
        }
        const socket = yield* upgrade
        yield* socket.runRaw(() => {
          received++
        })
        return HttpServerResponse.empty()
      })
      const { port } = yield* serving(toHandler(Effect.orDie(app)))
      const [one, other] = [yield* connect(port), yield* connect(port)]
      yield* one.send(
        requestText("GET /socket", [
          "Connection: Upgrade",
          "Upgrade: websocket",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
          "Sec-WebSocket-Version: 13"
        ])
      )
      expect((yield* one.readResponse()).status).toBe(101)
      yield* one.send(frames(1))
      yield* becomes(() => received, 1)
      yield* one.send(frames(many))
      yield* other.send(lone)
      yield* becomes(() => Math.min(atLone, 0), 0)
      expect(atLone).toBeLessThan(many / 2)
      yield* becomes(() => received, many + 1)
    })
  )
})

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
      yield* becomes(() => taken.length, 1001)
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
      yield* becomes(() => taken, 1000)
    })
  )

  it.scopedLive("do not delay a connection that is served", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const made = yield* make()
      const { port } = yield* made.server.listen()
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

describe("a connection that continues in a later turn", () => {
  it.scoped("is aborted when its client resets it, and nothing more of it is handled", () =>
    Effect.gen(function* () {
      const { handler, order } = watched(ok)
      const { connect, server } = yield* servingInMemory(handler)
      const one = yield* connect
      yield* settled
      one.send(busy)
      one.reset()
      yield* eventLoopTurns(20)
      expect(order.length).toBeLessThanOrEqual(most)
      expect(yield* server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 0, timedOut: 0 })
    })
  )

  it.scoped("answers what came before a FIN", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(ok)
      const one = yield* connect
      one.send(requests("busy", 10 * most))
      one.halfClose()
      expect(yield* one.ended).toBe("close")
      expect(answersOf(one)).toBe(10 * most)
    })
  )

  it.scoped("has left with its FIN, where that is what a FIN means", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(ok, { onClientEnd: "interrupt" })
      const one = yield* connect
      yield* settled
      one.send(requests("busy", 10 * most))
      one.halfClose()
      yield* one.ended
      expect(answersOf(one)).toBeLessThanOrEqual(most)
    })
  )

  it.scoped("is no idle one when the server closes: its next response is its last", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* servingInMemory(ok, { drainTimeout: "10 seconds" })
      const one = yield* connect
      yield* settled
      one.send(busy)
      yield* Effect.promise(() => Promise.resolve())
      const report = yield* server.close
      expect(report).toStrictEqual({ idle: 0, drained: 1, interrupted: 0, timedOut: 0 })
      const responses = one.written.split("HTTP/1.1 ").slice(1)
      expect(responses.length).toBeLessThan(many)
      expect(responses.map((response) => response.includes("Connection: close")).indexOf(true)).toBe(
        responses.length - 1
      )
    })
  )

  it.scoped("ends with a server that does not wait by the next response, which is its last", () =>
    Effect.gen(function* () {
      const { handler, order } = watched(ok)
      const { connect, server } = yield* servingInMemory(handler, { drainTimeout: 0 })
      const one = yield* connect
      yield* settled
      one.send(busy)
      yield* Effect.promise(() => Promise.resolve())
      yield* server.close
      const { length } = order
      expect(length).toBeLessThan(many)
      yield* eventLoopTurns(20)
      expect(order).toHaveLength(length)
      expect(one.written.lastIndexOf("Connection: close")).toBeGreaterThan(one.written.lastIndexOf("HTTP/1.1 "))
      expect(one.ending).toBe("end")
    })
  )

  it.scoped("interrupts a stream and a body that wait for their share", () =>
    Effect.gen(function* () {
      const { handler, seen } = besideWork((progress, request) =>
        request.path === "/body"
          ? Effect.flatMap(request.bytes, () => ok(request))
          : respondStream(
              request,
              200,
              Stream.repeatEffectChunk(
                Effect.sync(() => {
                  progress()
                  return Chunk.of(oneByte)
                })
              )
            )
      )
      const { connect, server } = yield* servingInMemory(handler, { interruptTimeout: "10 seconds" })
      for (const text of [requests("stream", 1), inBytes("body")]) {
        const one = yield* connect
        one.send(text)
        yield* eventLoopTurns(3)
      }
      const { timedOut } = yield* server.close
      expect(timedOut).toBe(0)
      const { progress } = seen
      yield* eventLoopTurns(20)
      expect(seen.progress).toBe(progress)
    })
  )

  it.scoped("waits for its next request as long as any other, when all has been answered", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(ok)
      const one = yield* connect
      yield* settled
      one.send(requests("busy", 10 * most) + requestText("GET /half").slice(0, 20))
      yield* becomes(() => answersOf(one), 10 * most)
      yield* advance(10_000)
      expect(one.written).toContain("HTTP/1.1 408")
    })
  )
})
