/** The log of an application that fails: each failure that nothing else explains is logged once. */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerError from "@effect/platform/HttpServerError"
import { HttpServerRequest, schemaBodyJson } from "@effect/platform/HttpServerRequest"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { WebSocket } from "ws"
import { toHandler } from "../../src/HttpServer.js"
import * as Server from "../../src/Server.js"
import { EventLog, type Given, serving } from "../platform/harness.js"
import { connect, get, requestText, withBody } from "../wire/rawConnection.js"

interface Line {
  readonly level: string
  readonly text: string
  readonly cause: string
  readonly annotations: Readonly<Record<string, unknown>>
}

class Log {
  readonly lines = new EventLog<Line>()
  constructor(private readonly least = LogLevel.Debug) {}

  readonly layer: Layer.Layer<never> = Layer.suspend(() => Layer.merge(this.logger, Logger.minimumLogLevel(this.least)))

  private readonly logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, cause, logLevel, message }) =>
      this.lines.tell({
        level: logLevel.label,
        text: Array.isArray(message) ? message.map(String).join(" ") : String(message),
        cause: Cause.isEmpty(cause) ? "" : Cause.pretty(cause),
        annotations: Object.fromEntries(HashMap.toEntries(annotations))
      })
    )
  )

  /** The lines that name a failure. */
  about(what: string): ReadonlyArray<Line> {
    return this.lines.all.filter(({ cause, text }) => `${text} ${cause}`.includes(what))
  }

  get errors(): ReadonlyArray<Line> {
    return this.lines.all.filter(({ level }) => level === "ERROR")
  }
}

type App = HttpApp.Default<unknown, Scope.Scope>

/** Sends a request to an application, and then one to another: after its response the first request has ended. */
const asked = (app: App, given: Given = {}, sent = requestText("GET /path?q=1")) =>
  Effect.gen(function* () {
    const log = new Log()
    const sometimes: App = Effect.flatMap(HttpServerRequest, ({ url }) =>
      url === "/after" ? HttpServerResponse.text("after") : app
    )
    const port = yield* serving(sometimes, { live: log.layer, ...given })
    const client = yield* connect(port)
    yield* client.send(sent + requestText("GET /after"))
    const { status } = yield* client.readResponse()
    yield* client.readResponse()
    return { log, status }
  })

class Unavailable extends Data.TaggedError("Unavailable")<{ readonly status: number }> {
  [Respondable.symbol]() {
    return HttpServerResponse.empty({ status: this.status })
  }
}

class Missing extends Data.TaggedError("Missing") {}

describe("an application that fails and does not log it", () => {
  for (const [what, app, named] of [
    ["a defect", Effect.die(new Error("defect")), "defect"],
    ["a defect that is no Error", Effect.die("a text"), "a text"],
    ["an exception", Effect.sync(() => HttpServerResponse.unsafeJson(JSON.parse("{"))), "JSON"],
    ["a typed failure", Effect.fail(new Missing()), "Missing"],
    ["a response that cannot be written", HttpServerResponse.text("x", { headers: { bad: "\n" } }), "header"],
    ["a status that is none", HttpServerResponse.empty({ status: 700 }), "700"],
    [
      "a response that cannot be made",
      Effect.flatMap(HttpServerRequest, (request) =>
        Effect.fail(
          new HttpServerError.ResponseError({ request, response: HttpServerResponse.empty(), reason: "Decode" })
        )
      ),
      "Decode"
    ],
    ["a defect of a route", HttpRouter.empty.pipe(HttpRouter.get("/path", Effect.die(new Error("defect")))), "defect"],
    [
      "a defect of a pre-response handler",
      Effect.as(
        HttpApp.appendPreResponseHandler(() => Effect.die(new Error("defect"))),
        HttpServerResponse.text("x")
      ),
      "defect"
    ]
  ] as ReadonlyArray<readonly [string, App, string]>) {
    it.scopedLive(`is logged as an error, once, with its cause and its request: ${what}`, () =>
      Effect.gen(function* () {
        const { log, status } = yield* asked(app)
        expect(status).toBe(500)
        expect(log.about(named)).toHaveLength(1)
        expect(log.errors).toHaveLength(1)
        const [line] = log.errors
        expect(line?.cause).toContain(named)
        expect(line?.annotations).toMatchObject({ method: "GET", url: "/path?q=1" })
      })
    )

    it.scopedLive(`is logged so beside a middleware that logs nothing: ${what}`, () =>
      Effect.gen(function* () {
        const { log } = yield* asked(app, { middleware: HttpMiddleware.cors() })
        expect(log.errors).toHaveLength(1)
      })
    )

    it.scopedLive(`is logged by HttpMiddleware.logger, and by nothing else: ${what}`, () =>
      Effect.gen(function* () {
        const { log } = yield* asked(app, { middleware: HttpMiddleware.logger })
        expect(log.errors).toHaveLength(0)
        expect(log.about(named).filter(({ level }) => level === "INFO")).toHaveLength(1)
      })
    )
  }

  it.scopedLive("is not logged as an error twice where the application or its middleware has logged it", () =>
    Effect.gen(function* () {
      const app = Effect.tapErrorCause(Effect.die(new Error("defect")), Effect.logError)
      expect((yield* asked(app)).log.errors).toHaveLength(1)
      const around = (app: App): App => Effect.tapErrorCause(app, (cause) => Effect.logError("own", cause))
      const { log } = yield* asked(Effect.die(new Error("defect")), {
        middleware: around as HttpMiddleware.HttpMiddleware
      })
      expect(log.errors.map(({ text }) => text)).toStrictEqual(["own"])
    })
  )

  it.scopedLive("is logged though the application has logged another failure", () =>
    Effect.gen(function* () {
      const app = Effect.zipRight(Effect.logError("other", Cause.die("other")), Effect.die(new Error("defect")))
      const { log } = yield* asked(app)
      expect(log.errors.map(({ cause }) => cause.includes("defect"))).toStrictEqual([false, true])
    })
  )

  it.scopedLive("is logged where the level of the log hides what the middleware logs", () =>
    Effect.gen(function* () {
      const log = new Log(LogLevel.Warning)
      yield* asked(Effect.die(new Error("defect")), { live: log.layer, middleware: HttpMiddleware.logger })
      expect(log.errors).toHaveLength(1)
    })
  )

  it.scopedLive("is logged where the application is a handler of a server's", () =>
    Effect.gen(function* () {
      for (const [middleware, errors] of [
        [undefined, 1],
        [HttpMiddleware.logger, 0]
      ] as const) {
        const log = new Log()
        const app = Effect.die(new Error("defect"))
        const plain = middleware === undefined ? toHandler(app) : toHandler(app, middleware)
        const server = yield* Server.make({ address: "127.0.0.1", drainTimeout: 0 }).pipe(
          Effect.provide(Server.layerDependencies)
        )
        const { port } = yield* server.listen({ port: 0 })
        const serve = server.serve((request) =>
          request.path === "/wrapped" ? Effect.tap(plain(request), () => Effect.void) : plain(request)
        )
        yield* Effect.forkScoped(serve).pipe(Effect.provide(log.layer))
        for (const path of ["/", "/wrapped"]) expect((yield* get(port, path)).status).toBe(500)
        yield* get(port)
        expect(log.errors.length).toBeGreaterThanOrEqual(2 * errors)
        if (errors === 0) expect(log.errors).toHaveLength(0)
      }
    })
  )

  it.scopedLive("is logged when its response breaks off, once, whatever middleware there is", () =>
    Effect.gen(function* () {
      const body = Stream.concat(Stream.make(new Uint8Array(1)), Stream.die(new Error("broken")))
      const app = Effect.succeed(HttpServerResponse.stream(body))
      for (const [middleware, errors] of [
        [undefined, 1],
        [HttpMiddleware.cors(), 1],
        [HttpMiddleware.logger, 0]
      ] as const) {
        const log = new Log()
        const port = yield* serving(app, { live: log.layer, middleware: middleware as HttpMiddleware.HttpMiddleware })
        const client = yield* connect(port)
        yield* client.send(requestText("GET /"))
        yield* client.readToEnd
        yield* log.lines.some(({ cause }) => cause.includes("broken"))
        yield* get(yield* serving(HttpServerResponse.text("after")))
        expect([errors, log.errors.length]).toStrictEqual([errors, errors])
      }
    })
  )
})

describe("an application that responds by its failure", () => {
  for (const [what, app, status, sent] of [
    ["a Respondable", Effect.fail(new Unavailable({ status: 503 })), 503],
    ["a Respondable that is 500", Effect.fail(new Unavailable({ status: 500 })), 500],
    ["a Respondable defect", Effect.die(new Unavailable({ status: 418 })), 418],
    ["a response", Effect.fail(HttpServerResponse.empty({ status: 502 })), 502],
    ["no route", HttpRouter.empty, 404],
    ["nothing found", Effect.fail(new Cause.NoSuchElementException()), 404],
    [
      "a request that does not match its schema",
      Effect.as(schemaBodyJson(Schema.Struct({ a: Schema.Number })), HttpServerResponse.empty()),
      400,
      withBody("POST /", '{"a":"x"}')
    ],
    [
      "a body that is no JSON",
      Effect.flatMap(HttpServerRequest, ({ json }) => Effect.as(json, HttpServerResponse.empty())),
      400,
      withBody("POST /", "{")
    ]
  ] as ReadonlyArray<readonly [string, App, number, string?]>) {
    it.scopedLive(`has no error in the log: ${what}`, () =>
      Effect.gen(function* () {
        const responded = yield* asked(app, {}, sent)
        expect([responded.status, responded.log.errors]).toStrictEqual([status, []])
      })
    )
  }
})

describe("a client that disconnects", () => {
  it.scopedLive("is logged at level Debug alone", () =>
    Effect.gen(function* () {
      const log = new Log()
      const running = new EventLog<string>()
      const client = yield* connect(
        yield* serving(Effect.zipRight(running.told("running"), Effect.never), { live: log.layer })
      )
      yield* client.send(requestText("GET /"))
      yield* running.upTo(1)
      yield* client.reset
      yield* log.lines.some(({ text }) => text.includes("disconnected"))
      expect(log.lines.all.map(({ level }) => level)).toStrictEqual(["DEBUG"])
    })
  )

  it.scopedLive("does not hide a defect of what runs when it disconnects", () =>
    Effect.gen(function* () {
      const log = new Log()
      const running = new EventLog<string>()
      const app = Effect.onInterrupt(Effect.zipRight(running.told("running"), Effect.never), () =>
        Effect.die(new Error("defect"))
      )
      const client = yield* connect(yield* serving(app, { live: log.layer }))
      yield* client.send(requestText("GET /"))
      yield* running.upTo(1)
      yield* client.reset
      const line = yield* log.lines.some(({ cause }) => cause.includes("defect"))
      expect(line.level).toBe("ERROR")
    })
  )
})

describe("a WebSocket's application", () => {
  const opened = (port: number) =>
    Effect.acquireRelease(
      Effect.async<WebSocket>((resume) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
        socket.on("error", () => {})
        socket.once("open", () => resume(Effect.succeed(socket)))
      }),
      (socket) => Effect.sync(() => socket.terminate())
    )

  const app: App = Effect.gen(function* () {
    const socket = yield* (yield* HttpServerRequest).upgrade
    yield* socket.runRaw(() => Effect.die(new Error("defect")))
    return HttpServerResponse.empty()
  })

  it.scopedLive("that dies is logged as an error", () =>
    Effect.gen(function* () {
      const log = new Log()
      const socket = yield* opened(yield* serving(app, { live: log.layer }))
      socket.send("die")
      // Effect logs the end of its fiber besides, at level Debug.
      const line = yield* log.lines.some(({ cause, level }) => level !== "DEBUG" && cause.includes("defect"))
      expect(line.level).toBe("ERROR")
    })
  )

  it.scopedLive("that ends by the client's close code is not", () =>
    Effect.gen(function* () {
      const log = new Log()
      const socket = yield* opened(yield* serving(app, { live: log.layer }))
      socket.close(4000)
      const line = yield* log.lines.some(({ cause }) => cause.includes("SocketError"))
      expect(line.level).toBe("DEBUG")
    })
  )
})
