/** The response when the fiber that runs an application is interrupted: here and with `NodeHttpServer`. */
import { createServer } from "node:http"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import type * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { toHandler } from "../../src/HttpServer.js"
import { respond } from "../../src/Response.js"
import * as TestServer from "../../src/testing/TestServer.js"
import { EventLog, endless, listening, portOf, quiet } from "../platform/harness.js"
import { serving as servingHandler } from "../server/harness.js"
import { eventLoopTurn, eventLoopTurns } from "../support/eventually.js"
import { connect, get, requestText } from "../wire/rawConnection.js"

type App = HttpApp.Default<unknown, Scope.Scope>
type Middleware = (app: HttpApp.Default) => App

const own = HttpServerResponse.text("own")
const other = HttpServerResponse.text("other")

const current = Effect.sync(() => Option.getOrThrow(Fiber.getCurrentFiber()))

const interrupted = {
  "by unsafeInterruptAsFork": Effect.map(current, (fiber) => fiber.unsafeInterruptAsFork(FiberId.none)),
  "by Fiber.interrupt": Effect.flatMap(current, (fiber) => Effect.forkDaemon(Fiber.interrupt(fiber))),
  "by Fiber.interruptFork": Effect.flatMap(current, Fiber.interruptFork)
} as const

/** Is interrupted, and continues for some turns. */
const working = (how: Effect.Effect<unknown>): App => Effect.zipRight(how, Effect.as(eventLoopTurns(3), own))

const routed = (app: App, uninterruptible: boolean) =>
  HttpRouter.empty.pipe(HttpRouter.get("/", app, { uninterruptible }))

const served = (server: HttpServer.HttpServer, app: App, middleware?: Middleware) =>
  Effect.gen(function* () {
    const serve =
      middleware === undefined ? server.serve(app) : server.serve(app, middleware as HttpMiddleware.HttpMiddleware)
    yield* serve as Effect.Effect<void, never, Scope.Scope>
    const { status, text } = yield* get(portOf(server))
    return `${status} ${text}`
  }).pipe(Effect.provide(quiet))

const upstream = Effect.orDie(NodeHttpServer.make(() => createServer(), { port: 0, host: "127.0.0.1" }))

/** Runs an application that is made anew for each server. */
const both = (app: Effect.Effect<App, never, Scope.Scope>, middleware?: Middleware) =>
  Effect.gen(function* () {
    const theirs = yield* served(yield* upstream, yield* app, middleware)
    const ours = yield* served(yield* listening(), yield* app, middleware)
    return { theirs, ours }
  })

describe("an application with an interrupted fiber sends the same as with NodeHttpServer", () => {
  const layered = (app: App) =>
    HttpLayerRouter.toHttpEffect(HttpLayerRouter.add("GET", "/", Effect.orDie(app), { uninterruptible: true }))
  const middlewares: Readonly<Record<string, Middleware | undefined>> = {
    "without a middleware": undefined,
    "with a logger": HttpMiddleware.logger,
    "in a fiber of the middleware's": (app) => Effect.flatMap(Effect.fork(app), Fiber.join)
  }
  for (const [how, interrupt] of Object.entries(interrupted)) {
    const app = working(interrupt)
    const apps: Readonly<Record<string, readonly [Effect.Effect<App, never, Scope.Scope>, string]>> = {
      "an uninterruptible route": [Effect.succeed(routed(app, true)), "200 own"],
      "an uninterruptible route in an Effect": [
        Effect.succeed(Effect.catchAll(routed(app, true), () => other)),
        "200 own"
      ],
      "an uninterruptible route of HttpLayerRouter": [layered(app), "200 own"],
      "an interruptible route": [Effect.succeed(routed(app, false)), "503 "],
      "an uninterruptible application": [Effect.succeed(Effect.uninterruptible(app)), "200 own"],
      "an uninterruptible handler of an interruptible route": [
        Effect.succeed(routed(Effect.uninterruptible(app), false)),
        "503 "
      ]
    }
    for (const [around, middleware] of Object.entries(middlewares)) {
      for (const [what, [made, expected]] of Object.entries(apps)) {
        it.scopedLive(`${what}, ${how}, ${around}`, () =>
          Effect.gen(function* () {
            expect(yield* both(made, middleware)).toStrictEqual({ theirs: expected, ours: expected })
          })
        )
      }
    }
    for (const [what, made] of Object.entries({
      "an application": app,
      "a mounted application": HttpRouter.empty.pipe(HttpRouter.mountApp("/", app))
    })) {
      it.scopedLive(`${what}, ${how}`, () =>
        Effect.gen(function* () {
          const expected = "200 own"
          expect(yield* both(Effect.succeed(made))).toStrictEqual({ theirs: expected, ours: expected })
        })
      )
    }
  }

  for (const [what, around, expected] of [
    ["after the application", (app) => Effect.zipRight(app, Effect.interrupt), "200 own"],
    ["before the application", () => Effect.interrupt, "503 "]
  ] as ReadonlyArray<readonly [string, Middleware, string]>) {
    it.scopedLive(`Effect.interrupt in a middleware ${what}`, () =>
      Effect.gen(function* () {
        const app = Effect.succeed(routed(Effect.succeed(own), true))
        expect(yield* both(app, around)).toStrictEqual({ theirs: expected, ours: expected })
      })
    )
  }
})

describe("what loses a race", () => {
  /** Continues for some turns after it has lost the race, and reports its end. */
  const slow = (started: Deferred.Deferred<void>, log: EventLog<string>): App =>
    Effect.zipRight(Deferred.succeed(started, undefined), eventLoopTurns(5)).pipe(
      Effect.zipRight(log.told("done")),
      Effect.as(own)
    )

  const losing = (
    uninterruptible: (app: App) => App,
    race: (app: App, rival: App) => App,
    where: "inside" | "around"
  ) =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const run = (server: HttpServer.HttpServer) =>
        Effect.gen(function* () {
          const started = yield* Deferred.make<void>()
          const rival = Effect.as(Deferred.await(started), other)
          const app = uninterruptible(slow(started, log))
          return yield* where === "inside"
            ? served(server, race(app, rival))
            : served(server, app, (app) => race(app, rival))
        })
      return { theirs: yield* run(yield* upstream), ours: yield* run(yield* listening()), reported: log.all }
    })

  const route = (app: App): App => routed(app, true)

  for (const [what, uninterruptible] of [
    ["an uninterruptible route", route],
    ["an uninterruptible application", Effect.uninterruptible<HttpServerResponse.HttpServerResponse, unknown, never>]
  ] as ReadonlyArray<readonly [string, (app: App) => App]>) {
    it.scopedLive(`is ${what}, and ends by itself: its response has been sent when a middleware prefers another`, () =>
      Effect.gen(function* () {
        expect(yield* losing(uninterruptible, Effect.raceFirst, "around")).toStrictEqual({
          theirs: "200 own",
          ours: "200 own",
          reported: ["done", "done"]
        })
      })
    )

    it.scopedLive(`is ${what}, and ends by itself though the application sends another response`, () =>
      Effect.gen(function* () {
        expect(yield* losing(uninterruptible, Effect.raceFirst, "inside")).toStrictEqual({
          theirs: "200 other",
          ours: "200 other",
          reported: ["done", "done"]
        })
      })
    )
  }
})

describe("a server that closes", () => {
  const closing = (made: (app: App) => App) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(listening({ interruptTimeout: "20 seconds" }), scope)
      const running = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const app = Deferred.succeed(running, undefined).pipe(Effect.zipRight(Deferred.await(go)), Effect.as(own))
      yield* Scope.extend(
        Effect.provide(server.serve(made(app)) as Effect.Effect<void, never, Scope.Scope>, quiet),
        scope
      )
      const client = yield* connect(portOf(server))
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(running)
      const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* eventLoopTurns(5)
      return { closed, go, wire: client }
    })

  for (const [what, made] of [
    ["an uninterruptible route", (app: App) => routed(app, true)],
    ["an uninterruptible handler of a route", (app: App) => routed(Effect.uninterruptible(app), false)],
    ["an uninterruptible application", (app: App) => Effect.uninterruptible(app)],
    ["an uninterruptible part of an application", (app: App) => Effect.tap(Effect.uninterruptible(app), () => {})]
  ] as const) {
    it.scopedLive(`lets ${what} end, and its response is sent`, () =>
      Effect.gen(function* () {
        const { closed, go, wire: client } = yield* closing(made)
        yield* Deferred.succeed(go, undefined)
        const { status, text } = yield* client.readResponse()
        expect([status, text]).toStrictEqual([200, "own"])
        yield* Fiber.join(closed)
      })
    )
  }

  it.scopedLive("interrupts what comes after an uninterruptible part", () =>
    Effect.gen(function* () {
      const { app: never, end } = yield* endless
      const { closed, go, wire: client } = yield* closing((app) => Effect.zipRight(Effect.uninterruptible(app), never))
      yield* Deferred.succeed(go, undefined)
      expect(Exit.isInterrupted(yield* end)).toBe(true)
      expect((yield* client.readResponse()).status).toBe(503)
      yield* Fiber.join(closed)
    })
  )
})

describe("an application within a handler", () => {
  const app = toHandler(routed(working(interrupted["by unsafeInterruptAsFork"]), true))

  it.scopedLive("sends the response of its uninterruptible route, whatever interrupts the handler", () =>
    Effect.gen(function* () {
      const { port } = yield* servingHandler((request) => Effect.tap(app(request), () => eventLoopTurn))
      expect((yield* get(port)).text).toBe("own")
    })
  )

  it.scopedLive("sends it though the handler has a timeout", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const slow = Effect.as(Effect.zipRight(Deferred.succeed(started, undefined), eventLoopTurns(5)), own)
      const app = toHandler(routed(slow, true))
      const { port } = yield* servingHandler((request) =>
        Effect.raceFirst(
          app(request),
          Effect.flatMap(Deferred.await(started), () => respond(request, 504))
        )
      )
      // The rival is first to respond; the route continues, and finds that the response was sent.
      expect((yield* get(port)).status).toBe(504)
    })
  )

  for (const [what, make] of [
    ["over loopback", TestServer.make],
    ["in memory", TestServer.makeMemory]
  ] as const) {
    it.scoped(`sends it to a client of the test kit, ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* make(app)
        const response = yield* server.client.get("/")
        expect([response.status, yield* response.text]).toStrictEqual([200, "own"])
        // The handler around the application is interrupted after it, which the kit reports.
        expect((yield* server.takeFailure).message).toContain("interrupted")
      })
    )
  }
})
