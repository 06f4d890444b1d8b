/** What failures become: the response of an error, of a defect, of an interruption; and what middleware sees of it. */

import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerError from "@effect/platform/HttpServerError"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Lines } from "../../server/logged.js"
import { ask, connect, get, requestText } from "../../support/rawClient.js"
import { EventLog, endless, serving, statusOf } from "../harness.js"

const text = HttpServerResponse.text

class Teapot extends Data.TaggedError("Teapot") {
  [Respondable.symbol]() {
    return text("short and stout", { status: 418 })
  }
}

class Broken extends Data.TaggedError("Broken") {
  [Respondable.symbol]() {
    return Effect.fail("no response either")
  }
}

const failing: ReadonlyArray<readonly [what: string, app: HttpApp.Default<unknown>, status: number, body: string]> = [
  ["a route that is not there", HttpRouter.empty, 404, ""],
  [
    "a RequestError",
    Effect.flatMap(HttpServerRequest, (request) =>
      Effect.fail(new HttpServerError.RequestError({ request, reason: "Decode" }))
    ),
    400,
    ""
  ],
  ["a ParseError", Schema.decodeUnknown(Schema.Number)("x").pipe(Effect.as(text("x"))), 400, ""],
  ["an unknown error", Effect.fail("mine"), 500, ""],
  ["a Respondable error", Effect.fail(new Teapot()), 418, "short and stout"],
  ["a Respondable defect", Effect.die(new Teapot()), 418, "short and stout"],
  ["a Respondable error without a response", Effect.fail(new Broken()), 500, ""],
  ["an error that is a response", Effect.fail(text("failed", { status: 409 })), 409, "failed"],
  ["a defect", Effect.die("broken"), 500, ""],
  ["a defect that is a response", Effect.die(text("enough", { status: 202 })), 202, "enough"],
  [
    "an exception",
    Effect.sync((): HttpServerResponse.HttpServerResponse => {
      throw new Error("thrown")
    }),
    500,
    ""
  ],
  ["an interruption of its own", Effect.interrupt, 503, ""],
  [
    "several errors",
    Effect.failCause(Cause.parallel(Cause.fail("one"), Cause.die(new Teapot()))),
    418,
    "short and stout"
  ]
]

describe("an application that fails", () => {
  for (const [what, app, status, body] of failing) {
    it.scopedLive(`by ${what} gets ${status}, and the connection continues`, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* serving(app))
        yield* client.send(requestText("GET /") + requestText("GET /"))
        for (let times = 0; times < 2; times++) {
          const response = yield* client.readResponse()
          expect([response.status, response.text]).toStrictEqual([status, body])
        }
      })
    )
  }

  it.scopedLive("is seen by its middleware as failed, with the response among the defects", () =>
    Effect.gen(function* () {
      const seen = new EventLog<ReadonlyArray<unknown>>()
      const port = yield* serving(Effect.fail(new Teapot()), {
        middleware: (app) =>
          Effect.tapErrorCause(app, (cause) =>
            seen.told([
              ...Cause.failures(cause),
              ...[...Cause.defects(cause)].filter(HttpServerResponse.isServerResponse).map(({ status }) => status)
            ])
          )
      })
      expect((yield* get(port)).status).toBe(418)
      expect(yield* seen.upTo(1)).toStrictEqual([[new Teapot(), 418]])
    })
  )
})

describe("pre-response handlers", () => {
  const marked =
    (mark: string): HttpApp.PreResponseHandler =>
    (_, response) =>
      Effect.sync(() => HttpServerResponse.setHeader(response, "x-mark", `${response.headers["x-mark"] ?? ""}${mark}`))

  for (const [what, app, status] of [
    ["a response", Effect.succeed(text("fine")), 200],
    ["a failure's response", Effect.fail(new Teapot()), 418]
  ] as const) {
    it.scopedLive(`change ${what}, one after the other`, () =>
      Effect.gen(function* () {
        const marking = HttpApp.appendPreResponseHandler(marked("a")).pipe(
          Effect.zipRight(HttpApp.appendPreResponseHandler(marked("b"))),
          Effect.zipRight(app)
        )
        const client = yield* connect(yield* serving(marking))
        yield* client.send(requestText("GET /") + requestText("GET /"))
        for (let times = 0; times < 2; times++) {
          const received = yield* client.readResponse()
          expect([received.status, received.header("x-mark")]).toStrictEqual([status, "ab"])
        }
      })
    )
  }

  it.scopedLive("get the request, may wait, and fail as the application does", () =>
    Effect.gen(function* () {
      const app = HttpApp.appendPreResponseHandler((request, response) =>
        Effect.zipRight(
          Effect.promise(() => Promise.resolve()),
          response.status === 200
            ? Effect.fail(
                new HttpServerError.ResponseError({ request, response, reason: "Decode", description: request.url })
              )
            : Effect.succeed(HttpServerResponse.setHeader(response, "x-url", request.url))
        )
      ).pipe(Effect.as(text("fine")))
      const received = yield* get(yield* serving(app), "/asked")
      expect([received.status, received.header("x-url")]).toStrictEqual([500, "/asked"])
    })
  )
})

describe("middleware", () => {
  it.scopedLive("is around the written response: what it returns instead is not sent", () =>
    Effect.gen(function* () {
      const port = yield* serving(text("the application's"), {
        middleware: (app) => Effect.as(app, text("the middleware's", { status: 201 }))
      })
      const response = yield* get(port)
      expect([response.status, response.text]).toStrictEqual([200, "the application's"])
    })
  )

  it.scopedLive("responds by itself where it does not ask the application", () =>
    Effect.gen(function* () {
      const client = yield* connect(
        yield* serving(text("unasked"), { middleware: () => Effect.succeed(text("its own", { status: 201 })) })
      )
      yield* client.send(requestText("GET /") + requestText("GET /"))
      for (let times = 0; times < 2; times++) {
        const response = yield* client.readResponse()
        expect([response.status, response.text]).toStrictEqual([201, "its own"])
      }
    })
  )

  const endings: ReadonlyArray<readonly [what: string, ending: Effect.Effect<never, unknown>, status: number]> = [
    ["fails", Effect.fail(new Teapot()), 418],
    ["dies", Effect.die("broken"), 500],
    ["fails without a response", Effect.fail(new Broken()), 500],
    ["is interrupted", Effect.interrupt, 503]
  ]
  for (const [what, ending, status] of endings) {
    it.scopedLive(`gets a response like an application when it ${what} before that`, () =>
      Effect.gen(function* () {
        const client = yield* connect(
          yield* serving(text("unasked"), { middleware: (app) => Effect.zipRight(Effect.orDie(ending), app) })
        )
        yield* client.send(requestText("GET /") + requestText("GET /"))
        expect((yield* client.readResponse()).status).toBe(status)
        expect((yield* client.readResponse()).status).toBe(status)
      })
    )

    it.scopedLive(`changes nothing of a response when it ${what} after that`, () =>
      Effect.gen(function* () {
        const client = yield* connect(
          yield* serving(text("answered"), { middleware: (app) => Effect.zipRight(app, Effect.orDie(ending)) })
        )
        yield* client.send(requestText("GET /") + requestText("GET /"))
        expect((yield* client.readResponse()).text).toBe("answered")
        expect((yield* client.readResponse()).text).toBe("answered")
      })
    )
  }

  it.scopedLive("is run in order, the outermost first, with the application's service", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const around =
        (name: string): HttpMiddleware.HttpMiddleware =>
        (app) =>
          Effect.zipRight(log.told(`before ${name}`), Effect.zipLeft(app, log.told(`after ${name}`)))
      const inner = around("inner")
      const outer = around("outer")
      const port = yield* serving(Effect.as(log.told("application"), text("x")), {
        middleware: (app) => outer(inner(app))
      })
      yield* get(port)
      expect(yield* log.upTo(5)).toStrictEqual([
        "before outer",
        "before inner",
        "application",
        "after inner",
        "after outer"
      ])
    })
  )

  it.scopedLive("may run the application in a fiber of its own, and end it", () =>
    Effect.gen(function* () {
      const port = yield* serving(Effect.as(Effect.never, text("never")), {
        middleware: (app) =>
          Effect.interruptible(Effect.disconnect(app)).pipe(
            Effect.timeoutOption("20 millis"),
            Effect.flatMap((responded) => (responded._tag === "Some" ? responded : text("too late", { status: 504 })))
          )
      })
      const { status } = yield* get(port)
      expect([503, 504]).toContain(status)
    })
  )

  it.scopedLive("may run the application with no more than its request, in a runtime of its own", () =>
    Effect.gen(function* () {
      const port = yield* serving(text("elsewhere"), {
        middleware: (app) =>
          Effect.flatMap(HttpServerRequest, (request) => {
            const alone = Context.make(HttpServerRequest, request) as Context.Context<Effect.Effect.Context<typeof app>>
            return Effect.promise(() => Effect.runPromise(Effect.provide(app, alone)))
          })
      })
      const { status, text: body } = yield* get(port)
      expect([status, body]).toStrictEqual([200, "elsewhere"])
    })
  )

  it.scopedLive("xForwardedHeaders changes what the application sees", () =>
    Effect.gen(function* () {
      const app = Effect.map(HttpServerRequest, ({ headers, remoteAddress }) =>
        text(`${headers.host} ${remoteAddress._tag === "Some" ? remoteAddress.value : ""}`)
      )
      const port = yield* serving(app, { middleware: HttpMiddleware.xForwardedHeaders })
      const response = yield* ask(
        port,
        requestText("GET /", ["X-Forwarded-Host: outside", "X-Forwarded-For: 10.1.1.1, 10.2.2.2"])
      )
      expect(response.text).toBe("outside 10.1.1.1")
    })
  )

  it.scopedLive("cors responds to OPTIONS by itself, and marks every other response", () =>
    Effect.gen(function* () {
      const app = Effect.flatMap(HttpServerRequest, ({ url }) =>
        url === "/" ? Effect.succeed(text("x")) : Effect.fail("x")
      )
      const port = yield* serving(app, { middleware: HttpMiddleware.cors({ allowedOrigins: ["http://a"] }) })
      const preflight = yield* ask(port, requestText("OPTIONS /"))
      expect([preflight.status, preflight.header("access-control-allow-origin")]).toStrictEqual([204, "http://a"])
      expect(preflight.header("access-control-allow-methods")).toContain("PATCH")
      for (const [path, status] of [
        ["/", 200],
        ["/fails", 500]
      ] as const) {
        const response = yield* get(port, path)
        expect([response.status, response.header("access-control-allow-origin")]).toStrictEqual([status, "http://a"])
      }
    })
  )

  it.scopedLive("logger logs each response, unless it is disabled", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const app = Effect.flatMap(HttpServerRequest, ({ url }) => {
        if (url === "/quiet") return HttpMiddleware.withLoggerDisabled(Effect.succeed(text("x")))
        return url === "/" ? Effect.succeed(text("x")) : Effect.fail(new Teapot())
      })
      const port = yield* serving(app, { live: lines.layer, middleware: HttpMiddleware.logger })
      for (const path of ["/quiet", "/", "/fails"]) yield* get(port, path)
      const line = yield* lines.some(({ annotations }) => annotations["http.url"] === "/fails")
      expect(line.annotations).toMatchObject({ "http.method": "GET", "http.status": 418 })
      expect(
        lines.all.map(({ annotations }) => annotations["http.url"]).filter((url) => url !== undefined)
      ).toStrictEqual(["/", "/fails"])
      expect(yield* lines.some(({ annotations }) => annotations["http.url"] === "/")).toMatchObject({
        message: "Sent HTTP response",
        annotations: { "http.status": 200 }
      })
    })
  )
})

describe("a client that leaves", () => {
  /** Serves an application that waits, and returns what its middleware has seen. */
  const waiting = (given: Parameters<typeof serving>[1] = {}) =>
    Effect.gen(function* () {
      const running = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const log = new EventLog<string>()
      const seen = yield* Deferred.make<Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>>()
      const app: HttpApp.Default = Deferred.succeed(running, undefined).pipe(
        Effect.zipRight(Deferred.await(go)),
        Effect.onInterrupt(() => log.told("interrupted")),
        Effect.as(text("answered")),
        Effect.tap(() => log.told("ran to its end"))
      )
      const port = yield* serving(app, {
        middleware: (app) => Effect.onExit(app, (exit) => Deferred.succeed(seen, exit)),
        ...given
      })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(running)
      return { wire: client, story: log, go: Deferred.succeed(go, undefined), seen: Deferred.await(seen) }
    })

  const abortOf = (exit: Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>) =>
    exit._tag === "Failure" ? HttpServerError.causeResponseStripped(exit.cause)[0].status : exit.value.status

  for (const [how, leave] of [
    ["reset", "reset"],
    ["FIN", "halfClose"]
  ] as const) {
    it.scopedLive(`by ${how} interrupts a plain application, as 499`, () =>
      Effect.gen(function* () {
        const { seen, story: log, wire: client } = yield* waiting()
        yield* client[leave]
        const exit = yield* seen
        expect(abortOf(exit)).toBe(499)
        expect(log.all).toStrictEqual(["interrupted"])
        expect(
          exit._tag === "Failure" && Cause.contains(exit.cause, Cause.interrupt(HttpServerError.clientAbortFiberId))
        ).toBe(true)
      })
    )
  }

  it.scopedLive("by FIN still gets its response where onClientEnd allows it", () =>
    Effect.gen(function* () {
      const { go, story: log, wire: client } = yield* waiting({ onClientEnd: "continue" })
      yield* client.halfClose
      yield* go
      expect((yield* client.readResponse()).text).toBe("answered")
      expect(log.all).toStrictEqual(["ran to its end"])
    })
  )

  it.scopedLive("does not interrupt a plain application that is not interruptible", () =>
    Effect.gen(function* () {
      const { go, seen, story: log, wire: client } = yield* waiting({ interruptOnDisconnect: false })
      yield* client.reset
      // Another connection's response is after the reset.
      yield* get(yield* serving(text("meanwhile")))
      yield* go
      expect(statusOf(yield* seen)).toBe(200)
      expect(log.all).toStrictEqual(["ran to its end"])
    })
  )

  for (const [interruptOnDisconnect, uninterruptible] of [
    [true, false],
    [false, false],
    [true, true],
    [false, true]
  ] as const) {
    it.scopedLive(
      `${uninterruptible ? "does not interrupt an uninterruptible" : "interrupts a"} route${interruptOnDisconnect ? "" : " of an application that is not interruptible"}`,
      () =>
        Effect.gen(function* () {
          const running = yield* Deferred.make<void>()
          const go = yield* Deferred.make<void>()
          const seen = yield* Deferred.make<Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>>()
          const router = HttpRouter.empty.pipe(
            HttpRouter.get(
              "/",
              Deferred.succeed(running, undefined).pipe(Effect.zipRight(Deferred.await(go)), Effect.as(text("x"))),
              { uninterruptible }
            )
          )
          const port = yield* serving(router, {
            interruptOnDisconnect,
            middleware: (app) => Effect.onExit(app, (exit) => Deferred.succeed(seen, exit))
          })
          const client = yield* connect(port)
          yield* client.send(requestText("GET /"))
          yield* Deferred.await(running)
          yield* client.reset
          // Another connection's response is after the reset.
          yield* get(yield* serving(text("meanwhile")))
          if (uninterruptible) yield* Deferred.succeed(go, undefined)
          expect(abortOf(yield* Deferred.await(seen))).toBe(uninterruptible ? 200 : 499)
        })
    )
  }

  it.scopedLive("interrupts what an uninterruptible route has made interruptible, as NodeHttpServer does", () =>
    Effect.gen(function* () {
      const { app, end, running } = yield* endless
      const router = HttpRouter.empty.pipe(HttpRouter.get("/", Effect.interruptible(app), { uninterruptible: true }))
      const client = yield* connect(yield* serving(router, { interruptOnDisconnect: false }))
      yield* client.send(requestText("GET /"))
      yield* running
      yield* client.reset
      expect(Exit.isInterrupted(yield* end)).toBe(true)
    })
  )

  it.scopedLive("is logged as 499 by the logger", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const { wire: client } = yield* waiting({ live: lines.layer, middleware: HttpMiddleware.logger })
      yield* client.reset
      const line = yield* lines.some(({ annotations }) => annotations["http.url"] === "/")
      expect(line.annotations).toMatchObject({ "http.method": "GET", "http.status": 499 })
    })
  )
})
