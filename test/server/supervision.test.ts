/** The end of one connection affects no other, and is reported once, with its client. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import * as Address from "../../src/Address.js"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import { OSError } from "../../src/Errors.js"
import { ConnectionRegistry } from "../../src/internal/connection/connectionRegistry.js"
import { monotonicNow } from "../../src/internal/host/hostTimers.js"
import { untagged } from "../../src/internal/metrics.js"
import * as Listener from "../../src/Listener.js"
import * as RequestParser from "../../src/RequestParser.js"
import { respond } from "../../src/Response.js"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import * as Server from "../../src/Server.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { connect, requestText } from "../wire/rawConnection.js"
import { make } from "./harness.js"
import { allSteps, interruptedAt } from "./interruptedAt.js"
import { Lines } from "./logged.js"
import { MemoryConnection } from "./memory.js"

/** A listener with an `accept` that yields the results that a test lists. */
const scripted = (script: ReadonlyArray<string | MemoryConnection>) => {
  const left = [...script]
  const accept: Listener.BoundListener["accept"] = Effect.suspend((): Effect.Effect<Listener.Connection, OSError> => {
    const next = left.shift()
    if (next === undefined) return Effect.never
    return typeof next === "string" ? new OSError({ code: next, syscall: "accept" }) : Effect.succeed(next)
  })
  const bound: Listener.BoundListener = {
    address: Address.tcp("192.0.2.1", 80, "IPv4"),
    accept,
    acceptWhile: Listener.acceptWhileBy(accept),
    pending: Effect.succeed(0),
    rejected: Effect.succeed(0)
  }
  return Layer.provide(
    Server.layerWithoutDependencies({ drainTimeout: 0 }),
    Layer.mergeAll(
      Layer.succeed(Listener.Listener, { listen: () => Effect.succeed(bound) }),
      RequestParser.layer,
      ResponseWriter.layer,
      DescriptorBudget.layer({ max: 100 })
    )
  )
}

const hello = (request: Parameters<typeof respond>[0]) => respond(request, 200, "Hello World")

describe("an error of accept", () => {
  it.scoped("that is transient is logged and retried after a growing delay, and the server continues", () =>
    Effect.gen(function* () {
      const connection = new MemoryConnection()
      const lines = new Lines()
      const live = scripted(["EMFILE", "ENFILE", "ECONNABORTED", connection])
      yield* Effect.forkScoped(Effect.provide(Server.serve(hello), [live, lines.layer]))
      const untilLogged = (count: number) =>
        eventually(
          Effect.sync(() => lines.count("could not accept")),
          (seen) => seen === count,
          `${count} lines`
        )
      yield* untilLogged(1)
      // 10 ms, then 20, then 40: not sooner, and not later.
      for (const [milliseconds, count] of [
        [9, 1],
        [1, 2],
        [19, 2],
        [1, 3]
      ] as const) {
        yield* TestClock.adjust(milliseconds)
        yield* eventLoopTurns(5)
        yield* untilLogged(count)
      }
      yield* TestClock.adjust(40)
      yield* connection.opened
      connection.send(requestText("GET /"))
      expect((yield* connection.response()).status).toBe(200)
    })
  )

  it.scoped("that is transient has a delay that does not depend on errors of long ago", () =>
    Effect.gen(function* () {
      const [first, second] = [new MemoryConnection(), new MemoryConnection()]
      const lines = new Lines()
      const live = scripted(["EMFILE", "ENFILE", first, "ECONNABORTED", second])
      yield* Effect.forkScoped(Effect.provide(Server.serve(hello), [live, lines.layer]))
      const untilLogged = (count: number) =>
        eventually(
          Effect.sync(() => lines.count("could not accept")),
          (seen) => seen === count,
          `${count} lines`
        )
      yield* untilLogged(1)
      yield* TestClock.adjust(10)
      yield* untilLogged(2)
      yield* TestClock.adjust(20)
      yield* untilLogged(3)
      yield* eventLoopTurns(5)
      yield* TestClock.adjust(10)
      yield* second.opened
    })
  )

  it.scoped("that is permanent ends serve with its OSError", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const exit = yield* Effect.exit(Effect.provide(Server.serve(hello), [scripted(["EBADF"]), lines.layer]))
      expect(exit).toStrictEqual(Exit.fail(new OSError({ code: "EBADF", syscall: "accept" })))
    })
  )
})

describe("what is logged of a connection", () => {
  it.scopedLive("a disconnect is logged at level Debug, with its request and its address", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const entered = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const serve = server.serve(() =>
        Effect.ensuring(
          Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never),
          Deferred.succeed(ended, undefined)
        )
      )
      yield* Effect.provide(Effect.forkScoped(serve), lines.layer)
      const client = yield* connect(port)
      const { localPort } = client
      yield* client.send(requestText("GET /wait?for=ever"))
      yield* Deferred.await(entered)
      yield* client.reset
      yield* Deferred.await(ended)
      const line = yield* lines.some(({ message }) => message.includes("client disconnected"))
      expect(line).toMatchObject({
        level: "DEBUG",
        annotations: { method: "GET", url: "/wait?for=ever", peer: `127.0.0.1:${localPort}` }
      })
      expect(lines.all.filter(({ level }) => level !== "DEBUG")).toStrictEqual([])
    })
  )

  it.scopedLive("finalizers run, though the logger throws on a failure", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      const throwing = Logger.replace(
        Logger.defaultLogger,
        Logger.make(() => {
          throw new Error("a logger's own")
        })
      )
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const serve = server.serve(() =>
        Effect.zipRight(
          Effect.addFinalizer(() => Deferred.succeed(released, undefined)),
          Effect.die("a defect")
        )
      )
      yield* Effect.forkScoped(Effect.provide(serve, throwing))
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(500)
      yield* Deferred.await(released)
    })
  )

  it.scopedLive("the log lines and spans of a handler carry its connection and its peer, and the caller's own", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const attributes: Array<ReadonlyMap<string, unknown>> = []
      const serve = server.serve((request) =>
        Effect.gen(function* () {
          yield* Effect.log("handling")
          const span = yield* Effect.orDie(Effect.currentSpan)
          attributes.push(span.attributes)
          return yield* respond(request, 200, String(request.client.id))
        }).pipe(Effect.withSpan("handler"))
      )
      const annotated = Effect.annotateLogs(serve, "caller", "me")
      yield* Effect.provide(Effect.forkScoped(annotated), lines.layer)
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      const id = Number((yield* client.readResponse()).text)
      const peer = `127.0.0.1:${client.localPort}`
      const line = yield* lines.some(({ message }) => message === "handling")
      expect(line.annotations).toStrictEqual({ caller: "me", connection: id, peer })
      expect(attributes.map((each) => [each.get("connection"), each.get("peer")])).toStrictEqual([[id, peer]])
    })
  )
})

describe("interrupted between any two steps", () => {
  it.scopedLive("acceptRequest loses no connection: it is served, or is queued for the next call", () =>
    Effect.gen(function* () {
      const { budget, server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      for (const step of allSteps) {
        const client = yield* connect(port)
        yield* client.send(requestText("GET /", ["Connection: close"]))
        yield* eventually(budget.held, (held) => held === 2, "arrived")
        yield* interruptedAt(server.acceptRequest(hello), step)
        const next = yield* Effect.fork(server.acceptRequest(hello))
        expect((yield* client.readResponse()).status).toBe(200)
        yield* Fiber.interrupt(next)
        yield* eventually(budget.held, (held) => held === 1, "closed")
      }
    })
  )

  it.scopedLive("close leaves no listening socket, and no connection that another close awaits", () =>
    Effect.gen(function* () {
      for (const step of allSteps) {
        const { budget, server } = yield* make()
        yield* server.listen()
        yield* interruptedAt(server.close, step)
        yield* server.close
        expect([step, yield* budget.held]).toStrictEqual([step, 0])
      }
    })
  )
})

describe("closing", () => {
  it.scopedLive("the fiber of a connection that is given up ends too", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const mayEnd = yield* Deferred.make<void>()
      const { server } = yield* make({ interruptTimeout: 20 })
      const { port } = yield* server.listen({ port: 0 })
      const stubborn = Effect.uninterruptible(
        Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(mayEnd))
      )
      const taking = yield* Effect.fork(server.acceptRequest((request) => Effect.zipRight(stubborn, hello(request))))
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(entered)
      expect((yield* server.close).timedOut).toBe(1)
      expect(yield* Fiber.join(yield* Fiber.join(taking))).toStrictEqual({ reason: "Interrupted", requests: 1 })
      yield* Deferred.succeed(mayEnd, undefined)
    })
  )

  it.scopedLive("interrupts an onFailure that does not end, though its client has left", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const { budget, server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const hanging = Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never)
      yield* Effect.forkScoped(
        server.serve(() => Effect.fail("a failure"), {
          onFailure: () => Effect.onInterrupt(hanging, () => Deferred.succeed(interrupted, undefined))
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(entered)
      yield* client.reset
      yield* eventually(budget.held, (held) => held === 1, "left")
      expect(yield* server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 1, timedOut: 0 })
      yield* Deferred.await(interrupted)
    })
  )

  it.scopedLive("reports what was interrupted, though it was by a serve that ends meanwhile", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const { server } = yield* make({ drainTimeout: 50 })
      const { port } = yield* server.listen({ port: 0 })
      const serving = yield* Effect.fork(
        server.serve(() => Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never))
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(entered)
      const interrupting = yield* Effect.fork(Fiber.interrupt(serving))
      yield* eventLoopTurns(3)
      expect(yield* server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 1, timedOut: 0 })
      yield* Fiber.join(interrupting)
    })
  )

  it.scopedLive(
    "with timeouts of 0 counts no handler as timed out that ends when interrupted, nor an idle connection",
    () =>
      Effect.gen(function* () {
        const lines = new Lines()
        const entered = yield* Deferred.make<void>()
        const { server } = yield* make({ interruptTimeout: 0 })
        const { port } = yield* server.listen({ port: 0 })
        const serve = server.serve((request) =>
          request.url === "/" ? hello(request) : Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never)
        )
        yield* Effect.forkScoped(serve)
        const [idle, busy] = [yield* connect(port), yield* connect(port)]
        yield* idle.send(requestText("GET /"))
        yield* idle.readResponse()
        yield* busy.send(requestText("GET /never"))
        yield* Deferred.await(entered)
        const report = yield* Effect.provide(server.close, lines.layer)
        expect(report).toStrictEqual({ idle: 1, drained: 0, interrupted: 1, timedOut: 0 })
        expect(lines.all).toStrictEqual([])
      })
  )

  it.live("waits no longer than its timeouts, though a timer may fire up to a millisecond early", () => {
    const registry = new ConnectionRegistry()
    registry.add({
      index: -1,
      handler: undefined,
      metrics: untagged,
      isBusy: true,
      closeReason: undefined,
      beginShutdown: () => {},
      interrupt: () => {},
      giveUp: () => {},
      deadline: () => Number.POSITIVE_INFINITY,
      onDeadline: () => {}
    })
    // Node truncates delays and the time that they are added to, so each wait begins at another part of a millisecond.
    const waitFrom = (part: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        const [now, until] = [monotonicNow(), monotonicNow() + 4]
        while (monotonicNow() < now + part) {}
        return registry.awaitNone(() => true, until)
      })
    return Effect.forEach(
      Array.from({ length: 300 }, (_, i) => i / 300),
      waitFrom,
      { discard: true }
    )
  })

  it.scopedLive("abandons handlers that do not end when they are interrupted, and logs it", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const entered = yield* Deferred.make<void>()
      const mayEnd = yield* Deferred.make<void>()
      const over = yield* Deferred.make<void>()
      const { budget, server } = yield* make({ interruptTimeout: 20 })
      const { port } = yield* server.listen({ port: 0 })
      const stubborn = Effect.uninterruptible(
        Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(mayEnd))
      )
      const serve = server.serve((request) =>
        Effect.ensuring(Effect.zipRight(stubborn, hello(request)), Deferred.succeed(over, undefined))
      )
      yield* Effect.forkScoped(serve)
      // The scope waits for the handler: a failed assertion would be a timeout.
      yield* Effect.addFinalizer(() => Deferred.succeed(mayEnd, undefined))
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(entered)
      expect(yield* Effect.provide(server.close, lines.layer)).toStrictEqual({
        idle: 0,
        drained: 0,
        interrupted: 1,
        timedOut: 1
      })
      yield* client.closedWith
      yield* eventually(budget.held, (held) => held === 0, "nothing held")
      expect(lines.count("handlers still running after interruptTimeout: 1")).toBe(1)
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Deferred.await(over)
    })
  )

  it.scoped("ends at once connections without a request, and those idle long enough to have read everything", () =>
    Effect.gen(function* () {
      const [silent, rested, recent] = [new MemoryConnection(), new MemoryConnection(), new MemoryConnection()]
      const program = Effect.gen(function* () {
        yield* Effect.forkScoped(Server.serve(hello))
        yield* recent.opened
        rested.send(requestText("GET /"))
        yield* rested.response()
        yield* TestClock.adjust("2 seconds")
        recent.send(requestText("GET /"))
        yield* recent.response()
        const closing = yield* Effect.fork(Server.close)
        yield* eventLoopTurns(2)
        const endings = [silent.ending, rested.ending, recent.ending]
        return [endings, yield* Fiber.join(closing)] as const
      })
      const [endings, report] = yield* Effect.provide(program, [scripted([silent, rested, recent]), new Lines().layer])
      expect(endings).toStrictEqual(["close", "close", "end"])
      expect(report).toStrictEqual({ idle: 3, drained: 0, interrupted: 0, timedOut: 0 })
    })
  )
})
