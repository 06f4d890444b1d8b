/** How a closing server signals it: WebSockets by code 1001, and handlers, applications and tests by `awaitShutdown`. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import { fromWeb, HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Socket from "@effect/platform/Socket"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { WebSocket } from "ws"
import { awaitShutdown, type Options } from "../../src/HttpServer.js"
import * as Request from "../../src/Request.js"
import { respond, respondStream, upgrade } from "../../src/Response.js"
import * as Reply from "../../src/testing/Reply.js"
import * as TestServer from "../../src/testing/TestServer.js"
import { EventLog, listening, portOf, quiet } from "../platform/harness.js"
import { make as makeServer, serving } from "../server/harness.js"
import { eventLoopTurn, eventLoopTurns } from "../support/eventually.js"
import { connect, get, requestText } from "../wire/rawConnection.js"

/** Longer than a test may take: a server that waits for it never closes. */
const drainTimeout = "1 hour"

const handshake = requestText("GET /", [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13"
])

/** A close frame of the server's, which is not masked: code 1001. */
const goingAway = "\x88\x02\x03\xe9"

/** An application that is a WebSocket, and reports how its run ended. */
const socketApp = (log = new EventLog<unknown>()): HttpApp.Default<unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* (yield* HttpServerRequest).upgrade
    log.tell("upgraded")
    const exit = yield* Effect.either(socket.runRaw(() => {}))
    log.tell(exit)
    return HttpServerResponse.empty()
  })

/** Serves an application in a separate scope, which `close` ends. */
const served = (app: HttpApp.Default<unknown, Scope.Scope>, options: Options = {}) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
    const server = yield* Scope.extend(listening({ drainTimeout, ...options }), scope)
    yield* Scope.extend(server.serve(app), scope)
    return { port: portOf(server), close: Scope.close(scope, Exit.void) }
  }).pipe(Effect.provide(quiet))

const opened = (port: number, log: EventLog<unknown>): Effect.Effect<WebSocket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<WebSocket>((resume) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
      socket.on("close", (code, reason) => log.tell(`closed ${code} ${reason}`))
      socket.on("error", (error) => log.tell(error))
      socket.once("open", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.terminate())
  )

const closeError = Either.left(new Socket.SocketCloseError({ reason: "Close", code: 1001, closeReason: "" }))

describe("a WebSocket of a server that closes", () => {
  it.scopedLive(
    "is closed with 1001 at once, and its application's run fails with a SocketCloseError of that code",
    () =>
      Effect.gen(function* () {
        const events = new EventLog<unknown>()
        const seen = new EventLog<unknown>()
        const { close, port } = yield* served(socketApp(events))
        yield* opened(port, seen)
        yield* events.upTo(1)
        yield* close
        expect(yield* seen.upTo(1)).toStrictEqual(["closed 1001 "])
        const [, ended] = yield* events.upTo(2)
        expect(JSON.stringify(ended)).toBe(JSON.stringify(closeError))
      })
  )

  it.scopedLive("completes though nothing is drained", () =>
    Effect.gen(function* () {
      const seen = new EventLog<unknown>()
      const events = new EventLog<unknown>()
      const { close, port } = yield* served(socketApp(events), { drainTimeout: 0 })
      yield* opened(port, seen)
      yield* events.upTo(1)
      yield* close
      expect(yield* seen.upTo(1)).toStrictEqual(["closed 1001 "])
    })
  )

  it.scopedLive("is cut off when its client does not respond to the close frame", () =>
    Effect.gen(function* () {
      const events = new EventLog<unknown>()
      const { close, port } = yield* served(socketApp(events), { limits: { lingerTimeout: "50 millis" } })
      const client = yield* connect(port)
      yield* client.send(handshake)
      yield* client.readResponse()
      yield* close
      expect((yield* client.readToEnd).toString("latin1")).toBe(goingAway)
      // No close frame has come: 1006, which a socket takes for an end as any other.
      expect((yield* events.upTo(2))[1]).toStrictEqual(Either.void)
    })
  )

  it.scopedLive("is cut off in time when its client does not respond, however long others may linger", () =>
    Effect.gen(function* () {
      const { close, port } = yield* served(socketApp(), { limits: { lingerTimeout: "1 hour" } })
      const client = yield* connect(port)
      yield* client.send(handshake)
      yield* client.readResponse()
      yield* close
      expect((yield* client.readToEnd).toString("latin1")).toBe(goingAway)
    })
  )

  it.scopedLive("is cut off when its client does not read", () =>
    Effect.gen(function* () {
      const full = yield* Deferred.make<void>()
      const app = Effect.gen(function* () {
        const socket = yield* (yield* HttpServerRequest).upgrade
        const write = yield* socket.writer
        yield* Effect.forkScoped(
          Effect.zipRight(Effect.repeatN(write(new Uint8Array(1024 * 1024)), 31), Deferred.succeed(full, undefined))
        )
        yield* Effect.ignore(socket.runRaw(() => {}))
        return HttpServerResponse.empty()
      })
      const { close, port } = yield* served(app, { limits: { lingerTimeout: "50 millis" } })
      const client = yield* connect(port)
      yield* client.stopReading
      yield* client.send(handshake)
      yield* Deferred.await(full)
      yield* close
    })
  )

  it.scopedLive("is one of many, and all complete", () =>
    Effect.gen(function* () {
      const seen = new EventLog<unknown>()
      const { close, port } = yield* served(socketApp())
      yield* Effect.forEach(Array.from({ length: 50 }), () => opened(port, seen), { concurrency: 10 })
      yield* close
      expect(new Set(yield* seen.upTo(50))).toStrictEqual(new Set(["closed 1001 "]))
    })
  )

  it.scopedLive("is closed as soon as it is opened, if the server began to close before", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const app = Deferred.succeed(asked, undefined).pipe(
        Effect.zipRight(Deferred.await(go)),
        Effect.zipRight(socketApp())
      )
      const { close, port } = yield* served(app)
      const client = yield* connect(port)
      yield* client.send(handshake)
      yield* Deferred.await(asked)
      const closing = yield* Effect.fork(close)
      yield* eventLoopTurns(3)
      yield* Deferred.succeed(go, undefined)
      expect((yield* client.readResponse()).status).toBe(101)
      expect(yield* client.readUntil((seen) => seen.length >= 4)).toBe(goingAway)
      yield* client.send("\x88\x82\0\0\0\0\x03\xe9")
      yield* Fiber.join(closing)
    })
  )

  it.scopedLive("was closed by its application before, and close does not wait for its client", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const socket = yield* (yield* HttpServerRequest).upgrade
        const write = yield* socket.writer
        yield* Effect.forkScoped(socket.runRaw(() => {}))
        yield* write("last")
        return HttpServerResponse.empty()
      })
      const { close, port } = yield* served(app, { limits: { lingerTimeout: "50 millis" } })
      const client = yield* connect(port)
      yield* client.send(handshake)
      yield* client.readResponse()
      // The text, and a close frame without a code, to which this client does not respond.
      yield* client.readUntil((seen) => seen.includes("\x88"))
      yield* close
    })
  )

  it.scopedLive("completes when its `serve` ends, and the next application's does not", () =>
    Effect.gen(function* () {
      const server = yield* listening({ drainTimeout })
      const scope = yield* Scope.make()
      const [one, two] = [new EventLog<unknown>(), new EventLog<unknown>()]
      yield* Scope.extend(server.serve(socketApp()), scope)
      yield* opened(portOf(server), one)
      yield* Scope.close(scope, Exit.void)
      expect(yield* one.upTo(1)).toStrictEqual(["closed 1001 "])
      const next = yield* Scope.make()
      yield* Scope.extend(server.serve(socketApp()), next)
      const socket = yield* opened(portOf(server), two)
      yield* eventLoopTurns(3)
      expect([two.all, socket.readyState]).toStrictEqual([[], WebSocket.OPEN])
      yield* Scope.close(next, Exit.void)
    })
  )

  it.scopedLive("is RPC's, and its client gets the close", () =>
    Effect.gen(function* () {
      const group = RpcGroup.make(Rpc.make("Wait", { success: Schema.Void }))
      const asked = yield* Deferred.make<void>()
      const handlers = group.toLayer({ Wait: () => Effect.zipRight(Deferred.succeed(asked, undefined), Effect.never) })
      const app = yield* RpcServer.toHttpAppWebsocket(group).pipe(
        Effect.provide(handlers),
        Effect.provide(RpcSerialization.layerJson)
      )
      const { close, port } = yield* served(app)
      const seen = new EventLog<unknown>()
      const socket = yield* opened(port, seen)
      socket.send(JSON.stringify({ _tag: "Request", id: "1", tag: "Wait", payload: null, headers: [] }))
      yield* Deferred.await(asked)
      yield* close
      expect(yield* seen.upTo(1)).toStrictEqual(["closed 1001 "])
    })
  )
})

describe("an application's event stream", () => {
  const ticking = Stream.repeatEffectWithSchedule(Effect.succeed("data: tick\n\n"), Schedule.spaced("5 millis"))

  const events = Effect.map(HttpServerRequest, (request) => {
    const closing = Effect.provideService(awaitShutdown, HttpServerRequest, request)
    return HttpServerResponse.stream(Stream.encodeText(Stream.interruptWhen(ticking, closing)), {
      contentType: "text/event-stream"
    })
  })

  for (const [what, app] of [
    ["of a plain application", events],
    ["of a route", HttpRouter.empty.pipe(HttpRouter.get("/", events))],
    [
      "of a mounted router",
      HttpRouter.empty.pipe(HttpRouter.mount("/", HttpRouter.empty.pipe(HttpRouter.get("/", events))))
    ],
    ["after a middleware that changes the request", HttpMiddleware.xForwardedHeaders(events)]
  ] as const) {
    it.scopedLive(`ends as a whole when it waits for the shutdown: ${what}`, () =>
      Effect.gen(function* () {
        const { close, port } = yield* served(app)
        const client = yield* connect(port)
        yield* client.send(requestText("GET /"))
        yield* client.readUntil((seen) => seen.includes("tick"))
        yield* close
        expect((yield* client.readToEnd).toString()).toMatch(/0\r\n\r\n$/)
      })
    )
  }

  it.scopedLive("does not end before the server closes", () =>
    Effect.gen(function* () {
      const { port } = yield* served(events, { drainTimeout: 0 })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readUntil((seen) => seen.split("tick").length > 4)
    })
  )

  it.effect("never ends so in a request of another server's", () =>
    Effect.gen(function* () {
      const request = fromWeb(new globalThis.Request("http://test/"))
      const closing = Effect.provideService(awaitShutdown, HttpServerRequest, request)
      const fiber = yield* Effect.fork(closing)
      yield* Effect.yieldNow()
      expect(Option.isNone(yield* Fiber.poll(fiber))).toBe(true)
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("Server.awaitShutdown", () => {
  const begun = (fiber: Fiber.RuntimeFiber<void>) =>
    Effect.zipRight(eventLoopTurns(3), Effect.map(Fiber.poll(fiber), Option.isSome))

  it.scopedLive("completes when the server begins to close, before requests in flight have ended", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      const running = yield* Deferred.make<void>()
      const { port, server } = yield* serving(
        (request) =>
          Deferred.succeed(running, undefined).pipe(
            Effect.zipRight(Deferred.await(go)),
            Effect.zipRight(respond(request, 200, "finished"))
          ),
        { drainTimeout }
      )
      const shutdown = yield* Effect.fork(server.awaitShutdown)
      const response = yield* Effect.fork(get(port))
      yield* Deferred.await(running)
      expect(yield* begun(shutdown)).toBe(false)
      const closing = yield* Effect.fork(server.close)
      yield* Fiber.join(shutdown)
      expect(Option.isNone(yield* Fiber.poll(closing))).toBe(true)
      yield* Deferred.succeed(go, undefined)
      expect((yield* Fiber.join(response)).text).toBe("finished")
      yield* Fiber.join(closing)
      // It stays so while the server is closed, and a second close changes nothing.
      yield* server.awaitShutdown
      yield* server.close
    })
  )

  it.scopedLive("completes at the next close of a server that listens again", () =>
    Effect.gen(function* () {
      const { server } = yield* makeServer()
      yield* server.listen()
      yield* server.close
      yield* server.listen()
      const shutdown = yield* Effect.fork(server.awaitShutdown)
      expect(yield* begun(shutdown)).toBe(false)
      yield* server.close
      yield* Fiber.join(shutdown)
    })
  )

  it.scopedLive("completes when the scope of the server ends", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { server } = yield* Scope.extend(makeServer(), scope)
      const shutdown = yield* Effect.fork(server.awaitShutdown)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(shutdown)
    })
  )
})

describe("Request.awaitShutdown", () => {
  const untilShutdown = (request: Request.Request) =>
    Effect.zipRight(Request.awaitShutdown(request), respond(request, 200, "the server closes"))

  it.scopedLive("lets a handler end, in time for its response", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving(untilShutdown, { drainTimeout })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* eventLoopTurns(5)
      const { drained, interrupted } = yield* server.close
      expect({ drained, interrupted }).toStrictEqual({ drained: 1, interrupted: 0 })
      expect((yield* client.readResponse()).text).toBe("the server closes")
    })
  )

  it.scopedLive("lets it end though nothing is drained", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving(untilShutdown, { drainTimeout: 0 })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* eventLoopTurns(5)
      yield* server.close
      expect((yield* client.readResponse()).text).toBe("the server closes")
    })
  )

  it.scopedLive("completes when the `serve` of the handler ends, and the server's does not", () =>
    Effect.gen(function* () {
      const { fiber, port, server } = yield* serving(untilShutdown, { drainTimeout })
      const whole = yield* Effect.fork(server.awaitShutdown)
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* eventLoopTurns(5)
      yield* Fiber.interrupt(fiber)
      expect((yield* client.readResponse()).text).toBe("the server closes")
      yield* eventLoopTurn
      expect(Option.isNone(yield* Fiber.poll(whole))).toBe(true)
      yield* Fiber.interrupt(whole)
    })
  )

  it.scopedLive("is there in an accept loop of one's own", () =>
    Effect.gen(function* () {
      const { server } = yield* makeServer({ drainTimeout })
      const { port } = yield* server.listen({ port: 0 })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      const connection = yield* server.acceptRequest(untilShutdown)
      yield* eventLoopTurns(5)
      yield* server.close
      yield* Fiber.join(connection)
      expect((yield* client.readResponse()).text).toBe("the server closes")
    })
  )

  it.scopedLive("ends a stream, which is whole", () =>
    Effect.gen(function* () {
      const ticks = Stream.repeatEffectWithSchedule(Effect.succeed("tick"), Schedule.spaced("5 millis"))
      const { port, server } = yield* serving(
        (request) =>
          respondStream(request, 200, Stream.encodeText(Stream.interruptWhen(ticks, Request.awaitShutdown(request)))),
        { drainTimeout }
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readUntil((seen) => seen.includes("tick"))
      yield* server.close
      expect((yield* client.readToEnd).toString()).toMatch(/0\r\n\r\n$/)
    })
  )

  it.scopedLive("lets a handler of another protocol send a final message", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving(
        (request) =>
          upgrade(request, { Upgrade: "echo" }, (duplex) =>
            Effect.raceFirst(
              Stream.runForEach(duplex.stream, duplex.write),
              Effect.zipRight(Request.awaitShutdown(request), duplex.write("goodbye"))
            )
          ),
        { drainTimeout }
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /", ["Connection: Upgrade", "Upgrade: echo"]))
      yield* client.readResponse()
      yield* client.send("hello")
      yield* client.readUntil((seen) => seen === "hello")
      yield* server.close
      expect((yield* client.readToEnd).toString()).toBe("goodbye")
    })
  )
})

describe("in the test kit", () => {
  for (const [what, make] of [
    ["over loopback", TestServer.make],
    ["in memory", TestServer.makeMemory]
  ] as const) {
    it.scoped(`awaitShutdown completes by down, and not again before the next one, ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* make(Reply.text("up"))
        const shutdown = yield* Effect.fork(server.awaitShutdown)
        yield* server.settle
        expect(Option.isNone(yield* Fiber.poll(shutdown))).toBe(true)
        yield* server.down
        yield* Fiber.join(shutdown)
        yield* server.up
        const again = yield* Effect.fork(server.awaitShutdown)
        yield* server.settle
        expect(Option.isNone(yield* Fiber.poll(again))).toBe(true)
        yield* server.down
        yield* Fiber.join(again)
      })
    )

    it.scoped(`events end as a whole when the server closes, ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* make(Reply.events(Stream.concat(Stream.make("one"), Stream.never)))
        const client = yield* server.connect
        yield* client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        yield* client.readUntil((seen) => seen.includes("data: one"))
        yield* server.down
        expect((yield* client.readToEnd).toString()).toMatch(/0\r\n\r\n$/)
      })
    )

    it.scoped(`a handler sees the shutdown of its server, ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* make((request) =>
          Effect.zipRight(Request.awaitShutdown(request), respond(request, 200, "down"))
        )
        const client = yield* server.connect
        yield* client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        yield* server.settle
        yield* server.down
        expect((yield* client.readToEnd).toString()).toMatch(/down$/)
      })
    )
  }
})
