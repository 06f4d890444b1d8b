/** What begins ends: scopes of requests, handlers whose client leaves, servers that close, deadlines, descriptors. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Supervisor from "effect/Supervisor"
import { type Handler, respond, respondStream, tunnel, upgrade } from "../../src/Response.js"
import type { CloseReason } from "../../src/Server.js"
import { eventLoopTurn, eventually } from "../support/eventually.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { connect, type RawConnection, requestText, withBody } from "../wire/rawConnection.js"
import { make, openDescriptors, serving, servingReported, untilDescriptorsHeld } from "./harness.js"
import {
  advance,
  expectOpen,
  type MemoryConnection,
  makeInMemory,
  servingInMemory,
  servingInMemoryReported,
  settled,
  sleepsUntil
} from "./memory.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

const breaking = Stream.concat(Stream.make(Buffer.from("begun")), Stream.die("broken"))

/** A handler that reports when it runs, never responds, and reports how it ended. */
const endless = Effect.gen(function* () {
  const isRunning = yield* Deferred.make<void>()
  const end = yield* Deferred.make<Exit.Exit<never>>()
  const handler: Handler<never> = () =>
    Effect.onExit(Effect.zipRight(Deferred.succeed(isRunning, undefined), Effect.never), (exit) =>
      Deferred.succeed(end, exit)
    )
  return { handler, isRunning: Deferred.await(isRunning), end: Deferred.await(end) }
})

/** A connection of a server whose `serve` is supervised, and the fiber that it has. */
const connectionFiber = (
  supervisor: Supervisor.Supervisor<Array<Fiber.RuntimeFiber<unknown, unknown>>>,
  connect: Effect.Effect<MemoryConnection>
) =>
  Effect.gen(function* () {
    yield* settled
    const before = new Set(yield* supervisor.value)
    const connection = yield* connect
    yield* settled
    const [fiber, ...others] = (yield* supervisor.value).filter((each) => !before.has(each))
    expect(others).toStrictEqual([])
    if (fiber === undefined) return yield* Effect.die("a connection without a fiber")
    return { connection, fiber }
  })

describe("the scope of a request", () => {
  it.scopedLive("ends with the request, before the next one of the connection is handled", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Effect.acquireRelease(
            Effect.sync(() => log.push(`acquire ${request.url}`)),
            () =>
              Effect.zipRight(
                eventLoopTurn,
                Effect.sync(() => log.push(`release ${request.url}`))
              )
          )
          log.push(`answer ${request.url}`)
          return yield* respond(request, 200)
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2"))
      yield* client.readResponse()
      yield* client.readResponse()
      yield* client.halfClose
      yield* client.closedWith
      expect(log).toStrictEqual(["acquire /1", "answer /1", "release /1", "acquire /2", "answer /2", "release /2"])
    })
  )

  for (const [what, ending, expected] of [
    ["succeeds", Effect.void, "Success"],
    ["fails", Effect.fail("mine"), "Failure"],
    ["dies", Effect.die("mine"), "Failure"]
  ] as const) {
    it.scopedLive(`passes its finalizers the exit of a handler that ${what}`, () =>
      Effect.gen(function* () {
        const exit = yield* Deferred.make<string>()
        const { port } = yield* servingReported((request) =>
          Effect.gen(function* () {
            yield* Effect.addFinalizer((each) => Deferred.succeed(exit, each._tag))
            yield* ending
            return yield* respond(request, 200)
          })
        )
        const client = yield* connect(port)
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).status).toBe(expected === "Success" ? 200 : 500)
        expect(yield* Deferred.await(exit)).toBe(expected)
      })
    )
  }

  it.scopedLive("runs finalizers in reverse order, and a finalizer that dies ends nothing else", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("first")))
          if (request.url === "/dies") yield* Effect.addFinalizer(() => Effect.die("a finalizer"))
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("second")))
          return yield* respond(request, 200)
        })
      )
      const bystander = yield* connect(port)
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      yield* client.send(requestText("GET /dies"))
      expect((yield* client.readResponse()).status).toBe(200)
      yield* bystander.send(requestText("GET /"))
      expect((yield* bystander.readResponse()).status).toBe(200)
      yield* eventually(
        Effect.sync(() => log.length),
        (length) => length === 6,
        "six finalizers"
      )
      expect(log).toStrictEqual(["second", "first", "second", "first", "second", "first"])
    })
  )

  it.scopedLive("a child fiber ends with the request", () =>
    Effect.gen(function* () {
      const ends: Array<string> = []
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const isRunning = yield* Deferred.make<void>()
          const child = Effect.zipRight(Deferred.succeed(isRunning, undefined), Effect.never)
          yield* Effect.fork(Effect.onInterrupt(child, () => Effect.sync(() => ends.push(request.url))))
          yield* Deferred.await(isRunning)
          return yield* respond(request, 200, ends.join())
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2") + requestText("GET /3"))
      expect((yield* client.readResponse()).text).toBe("")
      expect((yield* client.readResponse()).text).toBe("/1")
      expect((yield* client.readResponse()).text).toBe("/1,/2")
    })
  )

  it.scopedLive("forkScoped ends with the request, before what was acquired before it", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("released")))
          const isRunning = yield* Deferred.make<void>()
          const child = Effect.zipRight(Deferred.succeed(isRunning, undefined), Effect.never)
          yield* Effect.forkScoped(Effect.onInterrupt(child, () => Effect.sync(() => log.push("interrupted"))))
          yield* Deferred.await(isRunning)
          return yield* respond(request, 200, log.join())
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2"))
      expect((yield* client.readResponse()).text).toBe("")
      expect((yield* client.readResponse()).text).toBe("interrupted,released")
    })
  )

  it.scopedLive("a daemon that outlives its request keeps the scope it was born under, which is closed", () =>
    Effect.gen(function* () {
      const mayAsk = yield* Deferred.make<void>()
      const log: Array<string> = []
      const daemonEnd = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          if (request.url === "/daemon") {
            yield* Effect.forkDaemon(
              Effect.gen(function* () {
                yield* Deferred.await(mayAsk)
                // Acquired under a scope that is over: released at once, and not with the request served meanwhile.
                yield* Effect.acquireRelease(
                  Effect.sync(() => log.push("acquired")),
                  () => Effect.sync(() => log.push("released"))
                )
                log.push("went on")
                yield* Deferred.succeed(daemonEnd, undefined)
              })
            )
          } else {
            yield* Effect.addFinalizer(() => Effect.sync(() => log.push("the next request's")))
            yield* Deferred.succeed(mayAsk, undefined)
            yield* Deferred.await(daemonEnd)
          }
          return yield* respond(request, 200)
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /daemon"))
      yield* client.readResponse()
      yield* client.send(requestText("GET /next"))
      yield* client.readResponse()
      yield* client.halfClose
      yield* client.closedWith
      expect(log).toStrictEqual(["acquired", "released", "went on", "the next request's"])
    })
  )

  it.scopedLive("is not the server's: a scope of the application's own stays open", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.void)
          return yield* respond(request, 200)
        })
      )
      let isReleased = false
      yield* Effect.addFinalizer(() => Effect.sync(() => (isReleased = true)))
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      expect(isReleased).toBe(false)
    })
  )
})

describe("a FiberRef", () => {
  it.scopedLive("that a handler sets is not for the next request of its connection", () =>
    Effect.gen(function* () {
      const fresh = FiberRef.unsafeMake("nobody")
      const known = FiberRef.unsafeMake("nobody")
      const { port } = yield* Effect.locally(
        serving((request) =>
          Effect.gen(function* () {
            const seen = `${yield* FiberRef.get(known)} ${yield* FiberRef.get(fresh)}`
            yield* FiberRef.set(known, "somebody")
            yield* FiberRef.set(fresh, "somebody")
            if (request.url === "/fork") yield* Effect.fork(Effect.never)
            if (request.url === "/fail") yield* Effect.die("a defect")
            return yield* respond(request, 200, seen)
          })
        ),
        known,
        "everybody"
      )
      const client = yield* connect(port)
      for (const path of ["/", "/", "/fork", "/", "/fail", "/", "/"]) {
        yield* client.send(requestText(`GET ${path}`))
        const { status, text } = yield* client.readResponse()
        expect(status === 200 ? text : status).toBe(path === "/fail" ? 500 : "everybody nobody")
      }
    })
  )
})

describe("a client that leaves", () => {
  it.scopedLive("by a reset interrupts its handler, and runs its finalizers", () =>
    Effect.gen(function* () {
      const { end, handler, isRunning } = yield* endless
      const made = yield* serving(handler)
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* isRunning
      yield* client.reset
      expect(Exit.isInterrupted(yield* end)).toBe(true)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("by a reset that comes with its request interrupts its handler", () =>
    Effect.gen(function* () {
      const { end, handler } = yield* endless
      const made = yield* serving(handler)
      for (let i = 0; i < 10; i++) {
        const client = yield* connect(made.port)
        yield* client.send(requestText("GET /"))
        yield* client.reset
      }
      yield* untilDescriptorsHeld(made, 1)
      expect(Exit.isInterrupted(yield* end)).toBe(true)
    })
  )

  for (const [what, onClientEnd, leave] of [
    ["by a reset", "continue", (connection: MemoryConnection) => connection.reset()],
    ["half, when that interrupts", "interrupt", (connection: MemoryConnection) => connection.halfClose()]
  ] as const) {
    it.scoped(`${what}, before its request was read, begins no handler`, () =>
      Effect.gen(function* () {
        let begun = 0
        const { connect, server } = yield* makeInMemory({ onClientEnd })
        yield* server.listen()
        const accepting = yield* Effect.fork(
          server.acceptRequest((request) => {
            begun++
            return hello(request)
          })
        )
        const connection = yield* connect
        const fiber = yield* Fiber.join(accepting)
        connection.send(requestText("GET /"))
        yield* connection.response()
        // The next one waits until the client has read what it was sent.
        connection.setFull(true)
        connection.send(requestText("GET /"))
        yield* settled
        leave(connection)
        yield* settled
        connection.setFull(false)
        expect(yield* Fiber.join(fiber)).toStrictEqual({ reason: "ClientAborted", requests: 1 })
        expect(begun).toBe(1)
      })
    )
  }

  it.scopedLive("by a reset ends a stream that it reads", () =>
    Effect.gen(function* () {
      const end = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const forever = Stream.repeatEffect(Effect.as(eventLoopTurn, Buffer.from("more")))
      const made = yield* serving((request) =>
        Effect.onExit(respondStream(request, 200, forever), (exit) => Deferred.succeed(end, exit))
      )
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* client.readUntil((seen) => seen.endsWith("more\r\n"))
      yield* client.reset
      expect(Exit.isInterrupted(yield* Deferred.await(end))).toBe(true)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("by a reset ends the wait for its body", () =>
    Effect.gen(function* () {
      const isRunning = yield* Deferred.make<void>()
      const end = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const made = yield* serving((request) =>
        Effect.onExit(Effect.zipRight(Deferred.succeed(isRunning, undefined), echo(request)), (exit) =>
          Deferred.succeed(end, exit)
        )
      )
      const client = yield* connect(made.port)
      yield* client.send(requestText("POST /", ["Content-Length: 10"], "half"))
      yield* Deferred.await(isRunning)
      yield* client.reset
      expect(Exit.isInterrupted(yield* Deferred.await(end))).toBe(true)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scoped("by a reset in the turn of its request takes no report of a handler that has thrown", () =>
    Effect.gen(function* () {
      const { connect, reports } = yield* servingInMemoryReported((request): ReturnType<Handler> => {
        if (request.path === "/throws") throw new Error("thrown")
        return hello(request)
      })
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* connection.response()
      connection.send(requestText("GET /throws"))
      connection.reset()
      expect((yield* reports.first).request.path).toBe("/throws")
      yield* settled
      expect(reports.all).toHaveLength(1)
    })
  )

  it.scopedLive("is not reported as a failure of its handler", () =>
    Effect.gen(function* () {
      const { end, handler, isRunning } = yield* endless
      const made = yield* servingReported(handler)
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* isRunning
      yield* client.reset
      yield* end
      yield* untilDescriptorsHeld(made, 1)
      expect(made.reports.all).toHaveLength(0)
    })
  )

  it.scopedLive("half, still gets its response, and then the end", () =>
    Effect.gen(function* () {
      const isRunning = yield* Deferred.make<void>()
      const mayAnswer = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        Deferred.succeed(isRunning, undefined).pipe(
          Effect.zipRight(Deferred.await(mayAnswer)),
          Effect.zipRight(respond(request, 200, "all the same"))
        )
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.halfClose
      yield* Deferred.await(isRunning)
      yield* Deferred.succeed(mayAnswer, undefined)
      expect((yield* client.readResponse()).text).toBe("all the same")
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  it.scopedLive('half, interrupts its handler when onClientEnd is "interrupt"', () =>
    Effect.gen(function* () {
      const { end, handler, isRunning } = yield* endless
      const made = yield* serving(handler, { onClientEnd: "interrupt" })
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* isRunning
      yield* client.halfClose
      expect(Exit.isInterrupted(yield* end)).toBe(true)
      // A half-closed client may get a response, but not the handler's.
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.every(({ status }) => status === 503)).toBe(true)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("half, in the middle of a body, gets 400 for an incomplete one", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Content-Length: 10"], "half"))
      yield* client.halfClose
      const response = yield* client.readResponse()
      expect([response.status, response.header("Connection")]).toStrictEqual([400, "close"])
    })
  )
})

describe("how a connection ended", () => {
  const cases: ReadonlyArray<readonly [CloseReason, number, (client: RawConnection) => Effect.Effect<unknown>]> = [
    ["ClosedByClient", 0, (client) => client.halfClose],
    ["ClosedByClient", 0, (client) => client.reset],
    ["ClosedByClient", 2, (client) => Effect.zipRight(client.send(requestText("GET /").repeat(2)), client.halfClose)],
    ["ClosedByServer", 1, (client) => client.send(requestText("GET /", ["Connection: close"]))],
    ["BadRequest", 1, (client) => client.send(`${requestText("GET /")}nonsense\r\n\r\n`)],
    ["ClientAborted", 0, (client) => Effect.zipRight(client.send("GET / HT"), client.halfClose)],
    ["ResponseFailed", 1, (client) => client.send(requestText("GET /breaks"))],
    ["Upgraded", 1, (client) => client.send(requestText("GET /upgrade", ["Connection: Upgrade", "Upgrade: x"]))]
  ]
  for (const [i, [reason, requests, act]] of cases.entries()) {
    it.scopedLive(`is returned by its fiber: ${reason} after ${requests} requests, ${i + 1}`, () =>
      Effect.gen(function* () {
        const { server } = yield* make()
        const { port } = yield* server.listen()
        const client = yield* connect(port)
        const handler: Handler = (request) => {
          if (request.url === "/breaks") return respondStream(request, 200, breaking)
          if (request.url === "/upgrade") return upgrade(request, { Upgrade: "x" }, () => Effect.void)
          return respond(request, 200)
        }
        const fiber = yield* server.acceptRequest(handler, { onFailure: () => Effect.void })
        yield* act(client)
        expect(yield* Fiber.join(fiber)).toStrictEqual({ reason, requests })
      })
    )
  }
})

describe("closing the scope, under a clock that stands still", () => {
  /** Serves in a scope of its own, brings the connection into a state, closes the scope, and counts what is left. */
  const closes = <E, R>(
    handler: Handler<E, R>,
    bring: (client: RawConnection, isRunning: Effect.Effect<void>) => Effect.Effect<unknown>
  ) =>
    Effect.gen(function* () {
      const isRunning = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const before = yield* openDescriptors
      const made = yield* Scope.extend(
        servingReported((request) => Effect.zipRight(Deferred.succeed(isRunning, undefined), handler(request))),
        scope
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* connect(made.port)
          yield* untilDescriptorsHeld(made, 2)
          yield* bring(client, Deferred.await(isRunning))
          yield* settled
          yield* Scope.close(scope, Exit.void)
          // All is given back when the scope has ended, and not only some time after it.
          expect(yield* made.budget.held).toBe(0)
          yield* client.closedWith
        })
      )
      yield* eventually(openDescriptors, (now) => now <= before, `${before} descriptors or fewer`)
      expect(Exit.isInterrupted(yield* Fiber.await(made.fiber))).toBe(true)
    })

  const never: Handler<never> = () => Effect.never
  const forever = Stream.repeatEffect(Effect.as(eventLoopTurn, Buffer.alloc(10_000, "more")))

  it.scoped("ends a silent connection", () => closes(hello, () => Effect.void))

  it.scoped("ends an idle connection", () =>
    closes(hello, (client) => Effect.zipRight(client.send(requestText("GET /")), client.readResponse()))
  )

  it.scoped("ends a half-sent request", () => closes(hello, (client) => client.send("GET / HTTP/1.1\r\nHo")))

  it.scoped("ends a request whose body is half sent", () =>
    closes(echo, (client, isRunning) =>
      Effect.zipRight(client.send(requestText("POST /", ["Content-Length: 10"], "half")), isRunning)
    )
  )

  it.scoped("ends a handler that never ends", () =>
    closes(never, (client, isRunning) => Effect.zipRight(client.send(requestText("GET /")), isRunning))
  )

  it.scoped("ends an endless stream that is read", () =>
    closes(
      (request) => respondStream(request, 200, forever),
      (client) =>
        Effect.zipRight(
          client.send(requestText("GET /")),
          client.readUntil((seen) => seen.length > 100_000)
        )
    )
  )

  it.scoped("ends an endless stream that are not read", () =>
    closes(
      (request) => respondStream(request, 200, Stream.repeatEffect(Effect.succeed(Buffer.alloc(100_000)))),
      (client, isRunning) =>
        client.stopReading.pipe(
          Effect.zipRight(client.send(requestText("GET /"))),
          Effect.zipRight(isRunning),
          Effect.ensuring(Effect.fork(Effect.zipRight(settled, client.resumeReading)))
        )
    )
  )

  it.scoped("ends an upgraded connection", () =>
    closes(
      (request) => upgrade(request, { Upgrade: "x" }, () => Effect.never),
      (client) =>
        Effect.zipRight(client.send(requestText("GET /", ["Connection: Upgrade", "Upgrade: x"])), client.readResponse())
    )
  )

  it.scoped("ends a connection that lingers after its last response", () =>
    closes(hello, (client) =>
      Effect.zipRight(
        client.send(requestText("POST /", ["Content-Length: 1000000"], "x".repeat(1000))),
        client.readResponse()
      )
    )
  )

  it.scoped("waits without end for a request in flight when drainTimeout is infinite", () =>
    Effect.gen(function* () {
      const latch = yield* Deferred.make<void>()
      const { connect, server } = yield* servingInMemory(
        (request) => Effect.zipRight(Deferred.await(latch), respond(request, 200, "late")),
        { drainTimeout: Duration.infinity }
      )
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* settled
      const closing = yield* Effect.fork(server.close)
      yield* settled
      expect(connection.ending).toBe(undefined)
      yield* Deferred.succeed(latch, undefined)
      expect(yield* connection.response()).toMatchObject({ status: 200, text: "late" })
      expect(yield* Fiber.join(closing)).toStrictEqual({ idle: 0, drained: 1, interrupted: 0, timedOut: 0 })
    })
  )

  it.scoped("lets a client read what it has asked for, and counts it among the busy", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* servingInMemory(hello, { drainTimeout: "1 minute" })
      const connection = yield* connect
      connection.send(requestText("GET /1"))
      yield* connection.response()
      connection.setFull(true)
      connection.send(requestText("GET /2"))
      yield* settled
      const closing = yield* Effect.fork(server.close)
      yield* settled
      connection.setFull(false)
      const response = yield* connection.response()
      expect(response.header("Connection")).toBe("close")
      expect(yield* Fiber.join(closing)).toStrictEqual({ idle: 0, drained: 1, interrupted: 0, timedOut: 0 })
    })
  )

  it.scoped("runs the finalizers of the requests it interrupts", () =>
    Effect.gen(function* () {
      let released = 0
      yield* closes(
        () =>
          Effect.acquireRelease(Effect.void, () =>
            Effect.zipRight(
              eventLoopTurn,
              Effect.sync(() => released++)
            )
          ).pipe(Effect.zipRight(Effect.never)),
        (client, isRunning) => Effect.zipRight(client.send(requestText("GET /")), isRunning)
      )
      expect(released).toBe(1)
    })
  )
})

describe("the end of a connection whose client has said close", () => {
  const sized: Handler = (request) => respond(request, 200, "x".repeat(Number(request.query)))

  const endingOf = (text: string, handler: Handler = sized) =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(handler, { connectMethod: "handle" })
      const connection = yield* connect
      connection.send(text)
      return yield* connection.ended
    })

  it.scoped("waits for nothing when the response is small: no reset can take it any more", () =>
    Effect.gen(function* () {
      expect(yield* endingOf(requestText("GET /?4000", ["Connection: close"]))).toBe("close")
    })
  )

  it.scoped("lingers after what may still be on its way, or where nothing was promised", () =>
    Effect.gen(function* () {
      const close = ["Connection: close"]
      // A reset throws away what the system has taken and the client has not.
      expect(yield* endingOf(requestText("GET /?9000", close))).toBe("end")
      expect(yield* endingOf(requestText("GET /?3000", []).repeat(3) + requestText("GET /?1", close))).toBe("end")
      // Old clients send an empty line after a body.
      expect(yield* endingOf("POST /?1 HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")).toBe("end")
      // What follows the head of a tunnel is no request.
      const brief: Handler = (request) => tunnel(request, {}, () => Effect.void)
      expect(yield* endingOf("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", brief)).toBe("end")
    })
  )
})

describe("an idle connection", () => {
  it.scoped("has a fiber, which a Supervisor sees, whose result says how it ended", () =>
    Effect.gen(function* () {
      const supervisor = yield* Supervisor.track
      const { connect, server } = yield* makeInMemory()
      yield* Effect.forkScoped(Effect.supervised(server.serve(hello), supervisor))
      const { connection, fiber } = yield* connectionFiber(supervisor, connect)
      connection.send(requestText("GET /"))
      expect((yield* connection.response()).status).toBe(200)
      expect((yield* Fiber.status(fiber))._tag).toBe("Suspended")
      connection.halfClose()
      expect(yield* Fiber.join(fiber)).toStrictEqual({ reason: "ClosedByClient", requests: 1 })
    })
  )

  it.scoped("ends when its fiber is interrupted, which completes when it has closed", () =>
    Effect.gen(function* () {
      const supervisor = yield* Supervisor.track
      const { connect, server } = yield* makeInMemory()
      const interrupted = yield* Deferred.make<void>()
      const entered = yield* Deferred.make<void>()
      const hanging = Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never)
      const handler = () => Effect.onInterrupt(hanging, () => Deferred.succeed(interrupted, undefined))
      yield* Effect.forkScoped(Effect.supervised(server.serve(handler), supervisor))
      const { connection, fiber } = yield* connectionFiber(supervisor, connect)
      connection.send(requestText("GET /"))
      yield* Deferred.await(entered)
      expect(yield* Fiber.interrupt(fiber)).toStrictEqual(Exit.succeed({ reason: "Interrupted", requests: 1 }))
      yield* Deferred.await(interrupted)
      expect(yield* server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 0, timedOut: 0 })
    })
  )

  it.scoped("has a fiber of its own for each request that needs one", () =>
    Effect.gen(function* () {
      const fibers = new Set<number>()
      const { connect, server } = yield* servingInMemory((request) =>
        Effect.flatMap(Effect.fiberId, (id) => {
          for (const each of FiberId.ids(id)) fibers.add(each)
          return respond(request, 200, request.path)
        })
      )
      const connection = yield* connect
      for (const path of ["/1", "/2", "/3"]) {
        connection.send(requestText(`GET ${path}`))
        expect((yield* connection.response()).text).toBe(path)
      }
      expect(fibers.size).toBe(3)
      expect(yield* server.close).toStrictEqual({ idle: 1, drained: 0, interrupted: 0, timedOut: 0 })
      expect(connection.ending).toBe("end")
    })
  )

  it.scoped("returns its parser to the pool, reset", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory((request) =>
        respond(request, 200, `${request.host} ${request.url} ${request.headers.size}`)
      )
      const [one, other] = [yield* connect, yield* connect]
      for (const round of [1, 2, 3]) {
        one.send(requestText(`GET /one/${round}`, ["X-One: 1"]))
        expect((yield* one.response()).text).toBe(`test /one/${round} 2`)
        // Half a head keeps its parser, and an empty line is remembered too.
        other.send("\r\nGET /other HTT")
        yield* settled
        one.send(requestText("GET /between"))
        expect((yield* one.response()).text).toBe("test /between 1")
        other.send("P/1.1\r\nHost: b\r\n\r\n")
        expect((yield* other.response()).text).toBe("b /other 1")
      }
      other.send("\r\n")
      yield* settled
      one.send("\r\n")
      yield* settled
      other.send("\r\n")
      yield* settled
      expectOpen(one, one.written)
      other.send("\r\n")
      expect((yield* other.response()).status).toBe(400)
    })
  )

  it.scoped("is closed after keepAliveTimeout", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* connection.response()
      yield* settled
      yield* advance(75_999)
      expect(connection.ending).toBe(undefined)
      yield* advance(1)
      expect(yield* connection.ended).toBe("end")
    })
  )
})

describe("deadlines", () => {
  it.scoped("the header section has its time in total, which trickling does not stretch", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      connection.send("GET / HTTP/1.1\r\nX-A: ")
      yield* sleepsUntil(10_000)
      for (let i = 0; i < 9; i++) {
        yield* advance(1000)
        connection.send("a")
        yield* settled
        expectOpen(connection)
      }
      yield* advance(999)
      expectOpen(connection)
      yield* advance(1)
      const response = yield* connection.response()
      expect([response.status, response.header("Connection")]).toStrictEqual([408, "close"])
      expect(yield* connection.ended).toBe("end")
    })
  )

  it.scoped("the header's time begins with the first byte, not with the connection", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      yield* sleepsUntil(75_000)
      yield* advance(50_000)
      connection.send("G")
      yield* sleepsUntil(60_000)
      yield* advance(9999)
      expectOpen(connection)
      yield* advance(1)
      expect((yield* connection.response()).status).toBe(408)
    })
  )

  it.scoped("each request has its own time", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      for (let i = 0; i < 3; i++) {
        connection.send("GET / HTTP/1.1\r\n")
        yield* settled
        yield* advance(9000)
        connection.send("Host: a\r\n\r\n")
        expect((yield* connection.response()).status).toBe(200)
      }
      expect(connection.ending).toBe(undefined)
    })
  )

  it.scoped("a body has its time between two pieces", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(echo)
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 5"]))
      yield* sleepsUntil(30_000)
      for (const byte of ["a", "b", "c", "d"]) {
        yield* advance(29_000)
        connection.send(byte)
        yield* settled
        expectOpen(connection)
      }
      yield* advance(29_999)
      expectOpen(connection)
      yield* advance(1)
      const response = yield* connection.response()
      expect([response.status, response.header("Connection")]).toStrictEqual([408, "close"])
      expect(yield* connection.ended).toBe("end")
    })
  )

  it.scoped("a body has its time in total, however it trickles", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(echo, { limits: { bodyTotalTimeout: "60 seconds" } })
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 10"]))
      yield* sleepsUntil(30_000)
      for (const byte of ["a", "b", "c"]) {
        yield* advance(19_000)
        connection.send(byte)
        yield* settled
        expectOpen(connection)
      }
      yield* advance(2999)
      expectOpen(connection)
      yield* advance(1)
      expect((yield* connection.response()).status).toBe(408)
      expect(yield* connection.ended).toBe("end")
    })
  )

  it.scoped(
    "with a keepAliveTimeout of 0 a connection has its headerTimeout to begin, and ends with its response",
    () =>
      Effect.gen(function* () {
        const { connect } = yield* servingInMemory(hello, { limits: { keepAliveTimeout: 0 } })
        const silent = yield* connect
        const connection = yield* connect
        yield* sleepsUntil(10_000)
        yield* advance(9_999)
        expectOpen(silent)
        connection.send(requestText("GET /"))
        const response = yield* connection.response()
        expect([response.status, response.header("Connection")]).toStrictEqual([200, "close"])
        expect(yield* connection.ended).toBe("end")
        yield* advance(1)
        expect(yield* silent.ended).toBe("end")
        expect(silent.written).toBe("")
      })
  )

  it.scoped("a slow handler has no deadline", () =>
    Effect.gen(function* () {
      const mayAnswer = yield* Deferred.make<void>()
      const { connect } = yield* servingInMemory((request) =>
        Effect.zipRight(Deferred.await(mayAnswer), hello(request))
      )
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* advance(24 * 60 * 60 * 1000)
      expectOpen(connection)
      yield* Deferred.succeed(mayAnswer, undefined)
      expect((yield* connection.response()).status).toBe(200)
    })
  )

  it.scoped("a body that the handler did not read has its time in total, and then the connection ends", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello, { limits: { bodyTimeout: "5 seconds" } })
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 100"]))
      expect((yield* connection.response()).status).toBe(200)
      const { written } = connection
      for (let i = 0; i < 4; i++) {
        yield* advance(1000)
        connection.send("a")
        yield* settled
      }
      expectOpen(connection, written)
      yield* advance(1000)
      expect(yield* connection.ended).toBe("end")
      expect(connection.written).toBe(written)
    })
  )

  it.scoped("the time is the same for a handler that catches it, which may still answer", () =>
    Effect.gen(function* () {
      const { connect, reports } = yield* servingInMemoryReported((request) =>
        Effect.catchTag(echo(request), "ValueError", ({ reason }) => respond(request, 200, reason))
      )
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 5"]))
      yield* sleepsUntil(30_000)
      yield* advance(30_000)
      const response = yield* connection.response()
      expect([response.text, response.header("Connection")]).toStrictEqual(["Timeout", "close"])
      expect(reports.all).toHaveLength(0)
    })
  )
})

describe("descriptors", () => {
  const offer = ["Connection: Upgrade", "Upgrade: x"]
  const endings: ReadonlyArray<readonly [string, (client: RawConnection) => Effect.Effect<unknown>]> = [
    ["nothing at all", (client) => client.halfClose],
    ["a reset before a byte", (client) => client.reset],
    ["half a head", (client) => Effect.zipRight(client.send("GET /"), client.halfClose)],
    ["half a head and a reset", (client) => Effect.zipRight(client.send("GET /"), client.reset)],
    ["an answer", (client) => client.send(requestText("GET /", ["Connection: close"]))],
    ["a malformed request", (client) => client.send("x\r\n\r\n")],
    ["a body that is too large", (client) => client.send(requestText("POST /", ["Content-Length: 1000"]))],
    ["a body that was not read", (client) => client.send(withBody("POST /", "body", ["Connection: close"]))],
    [
      "a body that was not sent",
      (client) => client.send(requestText("POST /", ["Content-Length: 4", "Expect: 100-continue"]))
    ],
    ["a handler that died", (client) => client.send(requestText("GET /dies", ["Connection: close"]))],
    ["an answer that broke", (client) => client.send(requestText("GET /breaks"))],
    ["an upgrade", (client) => client.send(requestText("GET /upgrade", offer))],
    ["a reset under a handler", (client) => Effect.zipRight(client.send(requestText("GET /never")), client.reset)]
  ]

  it.scopedLive("none is left after any kind of ending, in the budget or in the process", () =>
    Effect.gen(function* () {
      const before = yield* openDescriptors
      const scope = yield* Scope.make()
      const handler: Handler = (request) => {
        if (request.url === "/dies") return Effect.die("dead")
        if (request.url === "/never") return Effect.never
        if (request.url === "/breaks") return respondStream(request, 200, breaking)
        if (request.url === "/upgrade") return upgrade(request, { Upgrade: "x" }, () => Effect.void)
        return respond(request, 200)
      }
      const made = yield* Scope.extend(servingReported(handler, { maxBody: 100 }), scope)
      for (const [, act] of endings) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const clients = yield* Effect.all(Array.from({ length: 5 }, () => connect(made.port)))
            for (const client of clients) yield* act(client)
            for (const client of clients) yield* client.closedWith
          })
        )
        yield* untilDescriptorsHeld(made, 1)
      }
      yield* Scope.close(scope, Exit.void)
      expect(yield* made.budget.held).toBe(0)
      yield* eventually(openDescriptors, (now) => now <= before, `${before} descriptors or fewer`)
    })
  )
})
