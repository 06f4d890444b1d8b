/** Control characters of a request: none of them reaches a log line, or another printed text, unescaped. */

import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import { HttpServerRequest, schemaBodyForm, schemaBodyJson, schemaHeaders } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { WebSocket } from "ws"
import { KeyError, ValueError } from "../../src/Errors.js"
import { toRequest } from "../../src/HttpServer.js"
import { escapeControls, escapeErrorControls } from "../../src/internal/host/escapeControls.js"
import { respond } from "../../src/Response.js"
import * as TestServer from "../../src/testing/TestServer.js"
import { EventLog, type Given, serving, Tracing } from "../platform/harness.js"
import { make as makeServer } from "../server/harness.js"
import { Lines } from "../server/logged.js"
import { connect, requestText, withBody } from "../wire/rawConnection.js"

/** What a terminal obeys, what ends a line, and what turns a text around. */
const controls = "\u001b[31m\u0000\u0007\b\u007f\u0085\u009b31m\u061c\u200e\u2028\u2029\u202e\u2066\ufeff"
const unsafe = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/
const forged = "\nFORGED level=ERROR"
/** The same in UTF-8, as bytes. */
const hostile = Buffer.from(`${controls}${forged}`).toString("latin1")
/** As much of it as a field may have. */
const inField = "\x80\x85\x9b31m\xff"

/** What Effect's own loggers write. */
class Written {
  readonly lines = new EventLog<string>()

  readonly layer: Layer.Layer<never> = Layer.mergeAll(
    Logger.remove(Logger.defaultLogger),
    ...[Logger.stringLogger, Logger.logfmtLogger, Logger.jsonLogger].map((logger) =>
      Logger.add(Logger.map(logger, (line) => this.lines.tell(line)))
    ),
    Logger.minimumLogLevel(LogLevel.Debug)
  )

  expectSafe(): void {
    expect(this.lines.all.length).toBeGreaterThan(0)
    for (const line of this.lines.all) {
      expect(line).not.toMatch(unsafe)
      expect(line).not.toMatch(/^FORGED/m)
    }
  }
}

type App = HttpApp.Default<unknown, Scope.Scope | NodeContext.NodeContext>

/** The log lines of one request, and of another after it. */
const logged = (app: App, sent: string, given: Given = {}) =>
  Effect.gen(function* () {
    const written = new Written()
    const sometimes: App = Effect.flatMap(HttpServerRequest, ({ url }) =>
      url === "/after" ? HttpServerResponse.text("after") : app
    )
    const port = yield* serving(sometimes, { live: written.layer, ...given })
    const client = yield* connect(port)
    yield* client.send(sent + requestText("GET /after"))
    const { status } = yield* client.readResponse()
    yield* client.readResponse()
    return { status, written }
  }).pipe(Effect.provide(NodeContext.layer))

const form = (head: string, content: string) => {
  const body = `--x\r\n${head}\r\n\r\n${content}\r\n--x--\r\n`
  return withBody("POST /", body, ["Content-Type: multipart/form-data; boundary=x"])
}

const named = Schema.Struct({ a: Schema.Number })
const inForm = Schema.Struct({ a: Schema.NumberFromString })

describe("a line of the log has no control character of a request in it", () => {
  const cases: Readonly<Record<string, readonly [app: App, sent: string, status: number]>> = {
    "JSON that is none": [
      Effect.flatMap(HttpServerRequest, ({ json }) => Effect.as(json, HttpServerResponse.empty())),
      withBody("POST /", `${hostile} ${"x".repeat(100)}`),
      400
    ],
    "JSON that is none, as a defect": [
      Effect.flatMap(HttpServerRequest, ({ json }) => Effect.as(Effect.orDie(json), HttpServerResponse.empty())),
      withBody("POST /", `{"a":"${hostile}`),
      400
    ],
    "JSON that does not match its schema": [
      Effect.as(schemaBodyJson(named), HttpServerResponse.empty()),
      withBody("POST /", JSON.stringify({ a: controls })).replace(/[^\x00-\xff]/g, "?"),
      400
    ],
    "JSON that does not match its schema, as a defect": [
      Effect.as(Effect.orDie(schemaBodyJson(named)), HttpServerResponse.empty()),
      withBody("POST /", Buffer.from(JSON.stringify({ a: `${controls}${forged}` })).toString("latin1")),
      500
    ],
    "headers that do not match their schema": [
      Effect.as(
        Effect.orDie(schemaHeaders(Schema.Struct({ "x-one": Schema.NumberFromString }))),
        HttpServerResponse.empty()
      ),
      requestText("GET /", [`X-One: ${inField}`]),
      500
    ],
    "a request that is logged itself": [
      Effect.flatMap(HttpServerRequest, (request) =>
        Effect.as(Effect.logInfo(request, toRequest(request)), HttpServerResponse.empty())
      ),
      requestText("GET /", [`X-One: ${inField}`, `User-Agent: ${inField}`]),
      204
    ],
    "a request that is logged with its body": [
      Effect.flatMap(HttpServerRequest, (request) =>
        Effect.as(Effect.zipRight(request.text, Effect.logInfo(request)), HttpServerResponse.empty())
      ),
      withBody("POST /", hostile, ["Content-Type: text/plain"]),
      204
    ],
    "no route": [HttpRouter.empty, requestText("GET /%1b%5b31m%0aFORGED"), 404],
    "a form that does not match its schema": [
      Effect.as(schemaBodyForm(inForm), HttpServerResponse.empty()),
      form(`Content-Disposition: form-data; name="a"`, hostile),
      400
    ],
    "a failure that is text": [
      Effect.flatMap(HttpServerRequest, ({ text }) => Effect.flatMap(text, (body) => Effect.fail(`not ${body}`))),
      withBody("POST /", Buffer.from(controls).toString("latin1")),
      500
    ],
    "a defect that is text": [
      Effect.flatMap(HttpServerRequest, ({ text }) => Effect.flatMap(text, (body) => Effect.die(`not ${body}`))),
      withBody("POST /", Buffer.from(controls).toString("latin1")),
      500
    ],
    "a file of a hostile name": [
      Effect.flatMap(HttpServerRequest, ({ multipart }) => Effect.as(multipart, HttpServerResponse.empty())),
      form(`Content-Disposition: form-data; name="a"; filename="${inField}%00%1b%0a"\r\nContent-Type: text/html`, "1"),
      204
    ]
  }

  for (const [what, [app, sent, status]] of Object.entries(cases)) {
    for (const [around, middleware] of Object.entries({
      "without a middleware": undefined,
      "by HttpMiddleware.logger": HttpMiddleware.logger
    })) {
      it.scopedLive(`${what}, ${around}`, () =>
        Effect.gen(function* () {
          // Something is logged in any case.
          const both: App = Effect.zipRight(Effect.logInfo("asked"), app)
          const responded = yield* logged(both, sent, { middleware })
          expect(responded.status).toBe(status)
          responded.written.expectSafe()
        })
      )
    }
  }

  it.scopedLive("of what a client closes its WebSocket for", () =>
    Effect.gen(function* () {
      const written = new Written()
      const app = Effect.gen(function* () {
        const socket = yield* (yield* HttpServerRequest).upgrade
        yield* Effect.tapError(
          socket.runRaw(() => {}),
          (error) => Effect.logError(error.message, Cause.fail(error))
        )
        return HttpServerResponse.empty()
      })
      const port = yield* serving(app, { live: written.layer, middleware: HttpMiddleware.logger })
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
      yield* Effect.async<void>((resume) => {
        socket.once("open", () => resume(Effect.void))
      })
      socket.close(4000, `${controls}${forged}`)
      yield* written.lines.upTo(6)
      written.expectSafe()
    })
  )

  it.scopedLive("of a handler's own failure", () =>
    Effect.gen(function* () {
      const written = new Written()
      const { server } = yield* makeServer()
      const { port } = yield* server.listen({ port: 0 })
      const failing = server.serve(
        (request) => Effect.flatMap(request.text, (text) => Effect.die(new Error(`not understood: ${text}`))),
        {}
      )
      yield* Effect.forkScoped(failing).pipe(Effect.provide(written.layer))
      const client = yield* connect(port)
      yield* client.send(withBody("POST /", Buffer.from(controls).toString("latin1")))
      expect((yield* client.readResponse()).status).toBe(500)
      written.expectSafe()
    })
  )
})

describe("an error", () => {
  it("quotes what it saw without control characters", () => {
    for (const error of [
      new ValueError({ reason: "Json", actual: `${controls}${forged}` }),
      new KeyError({ name: controls, status: 400 })
    ]) {
      expect(error.message).not.toMatch(unsafe)
      expect(error.message).not.toContain("\n")
    }
  })

  it("is copied with its causes, and a message that is computed stays so", () => {
    const cause = new SyntaxError(`Unexpected ${controls}`)
    let name = controls
    class Computed extends Error {
      override readonly cause = cause
      override get message(): string {
        return `computed of ${name}`
      }
    }
    const error = escapeErrorControls(new Computed())
    name = `${controls}, later`
    expect(error.message).toBe(`computed of ${escapeControls(controls)}, later`)
    expect(error.cause.message).toBe(`Unexpected ${escapeControls(controls)}`)
    expect(error.cause.stack).not.toMatch(unsafe)
    expect(error).toBeInstanceOf(Computed)
    expect(cause.message).toBe(`Unexpected ${controls}`)
  })

  it("has no control character in a message that a class above its own computes, in its name, or in a cause of text", () => {
    class Computed extends Schema.TaggedError<Computed>()("Computed", { text: Schema.String }) {}
    expect(escapeErrorControls(new Computed({ text: controls })).message.replaceAll("\n", "")).not.toMatch(unsafe)
    expect(escapeErrorControls(Object.assign(new Error("named"), { name: controls })).name).toBe(
      escapeControls(controls)
    )
    expect(escapeErrorControls(new Error("caused", { cause: controls })).cause).toBe(escapeControls(controls))
  })

  it("is not copied if it has nothing to escape, and is copied if it is frozen", () => {
    const plain = new Error("plain")
    const { stack } = plain
    expect(escapeErrorControls(plain)).toBe(plain)
    expect([plain.message, plain.stack]).toStrictEqual(["plain", stack])
    expect(escapeErrorControls(Object.freeze(new Error(controls))).message).toBe(escapeControls(controls))
    expect(escapeErrorControls(controls)).toBe(controls)
  })
})

describe("a span", () => {
  it.scopedLive("has no control character of a header in its attributes", () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      const read = Effect.map(Effect.orDie(Effect.currentSpan), ({ attributes }) =>
        [...attributes.values()].map(String)
      )
      const app = Effect.flatMap(read, (values) => HttpServerResponse.json(values.join()))
      const sent = requestText("GET /", [`X-One: ${inField}`, `User-Agent: ${inField}`])
      for (const port of [
        yield* Effect.orDie(serving(app)),
        yield* Effect.orDie(Effect.withTracer(serving(app), tracing.tracer))
      ]) {
        const client = yield* connect(port)
        yield* client.send(sent)
        const { text } = yield* client.readResponse()
        expect(JSON.parse(text)).toContain("\\u009b31m")
        expect(JSON.parse(text)).not.toMatch(unsafe)
      }
    })
  )
})

describe("the test kit", () => {
  it.scoped("reports requests without their control characters", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* TestServer.makeMemory((request) =>
        Effect.flatMap(request.text, () => respond(request, 200))
      )
      yield* Scope.extend(
        server.expect({ headers: { "X-One": "1" }, json: { a: 1 }, text: (body) => JSON.parse(body) === 1 }),
        scope
      )
      const client = yield* server.connect
      yield* client.send(withBody("POST /", hostile, [`X-One: ${inField}`]))
      yield* client.readUntil((seen) => seen.includes("200"))
      const exit = yield* Effect.exit(Scope.close(scope, Exit.void))
      const report = Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : ""
      expect(report).toContain("expected 1 matching request")
      expect(report).not.toMatch(unsafe)
      expect(report).toContain("\\u001b[31m")
    })
  )
})

describe("what is logged of requests", () => {
  it.scopedLive("has targets as they were sent, percent-encoded", () =>
    Effect.gen(function* () {
      const lines = new Lines()
      const port = yield* serving(Effect.die("defect"), { live: lines.layer })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /%1b%0a?%E2%80%AE"))
      yield* client.readResponse()
      const line = yield* lines.some(({ level }) => level === "ERROR")
      expect(line.annotations).toMatchObject({ url: "/%1b%0a?%E2%80%AE" })
    })
  )
})
