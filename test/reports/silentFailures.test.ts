/** "A request got 500, and there was no line in the log." Every 500 of the server is logged with its cause. */
import { HttpApp, HttpMiddleware, HttpServerRespondable, HttpServerResponse } from "@effect/platform"
import { it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger, LogLevel, Stream } from "effect"
import { describe, expect } from "vitest"
import { serving as servingApp } from "../platform/harness.js"
import { Condition } from "../support/eventually.js"
import { get } from "../wire/rawConnection.js"

/** What is logged as an error, with its cause. */
class Errors {
  readonly all: Array<string> = []
  private readonly condition = new Condition()
  readonly layer: Layer.Layer<never> = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ cause, logLevel, message }) => {
      const failure = Array.isArray(message) ? message.find(Cause.isCause) : undefined
      this.all.push(`${logLevel.label} ${Cause.pretty(failure ?? cause)}`)
      this.condition.notify()
    })
  )

  readonly some = (text: string, level = "ERROR"): Effect.Effect<string> =>
    this.condition.until(
      () => this.all.find((line) => line.startsWith(level) && line.includes(text)),
      () => `${level} with ${text}; there are ${JSON.stringify(this.all)}`
    )
}

const boom = new Error("boom")

class Broken {
  readonly _tag = "Broken"
  toString(): string {
    return "Broken: boom"
  }
  [HttpServerRespondable.symbol]() {
    return Effect.succeed(HttpServerResponse.empty({ status: 500 }))
  }
}

const spoiled = HttpServerResponse.text("boom", { headers: { "x-boom": "a\nb" } })

const apps: { readonly [name: string]: HttpApp.Default<unknown> } = {
  "that dies": Effect.die(boom),
  "that fails": Effect.fail(boom),
  "that throws": Effect.suspend(() => {
    throw boom
  }),
  "with a response header that cannot be sent": Effect.succeed(spoiled),
  "with a body of no known kind": Effect.succeed(HttpServerResponse.raw({ boom: true })),
  "with a stream that fails before its first byte": Effect.succeed(HttpServerResponse.stream(Stream.fail(boom))),
  "with a pre-response handler that fails": Effect.zipRight(
    HttpApp.appendPreResponseHandler(() => Effect.die(boom)),
    HttpServerResponse.text("fine")
  )
}

const middlewares: { readonly [name: string]: HttpMiddleware.HttpMiddleware | undefined } = {
  "without a middleware": undefined,
  "with cors": HttpMiddleware.cors(),
  "with one that passes everything on": (app) => app
}

for (const [how, middleware] of Object.entries(middlewares)) {
  describe(`an application ${how}`, () => {
    for (const [what, app] of Object.entries(apps)) {
      it.scopedLive(`${what} gets 500, and is logged once for each 500`, () =>
        Effect.gen(function* () {
          const errors = new Errors()
          const port = yield* servingApp(app, { middleware, live: errors.layer })
          expect((yield* get(port)).status).toBe(500)
          expect(yield* errors.some("")).toMatch(/boom|raw response|HeaderValue|header/i)
          expect(errors.all.filter((line) => line.startsWith("ERROR")).length).toBeLessThanOrEqual(2)
        })
      )
    }

    it.scopedLive("that responds 404 is not logged", () =>
      Effect.gen(function* () {
        const errors = new Errors()
        const port = yield* servingApp(HttpServerResponse.empty({ status: 404 }), { middleware, live: errors.layer })
        expect((yield* get(port)).status).toBe(404)
        expect(errors.all).toStrictEqual([])
      })
    )
  })
}

it.scopedLive("a middleware that dies is logged", () =>
  Effect.gen(function* () {
    const errors = new Errors()
    const port = yield* servingApp(HttpServerResponse.text("fine"), {
      middleware: () => Effect.die(boom),
      live: errors.layer
    })
    expect((yield* get(port)).status).toBe(500)
    yield* errors.some("boom")
  })
)

it.scopedLive("a failure that responds by 500 itself is logged at level Debug", () =>
  Effect.gen(function* () {
    const errors = new Errors()
    const live = Layer.merge(errors.layer, Logger.minimumLogLevel(LogLevel.Debug))
    const port = yield* servingApp(Effect.fail(new Broken()), { live })
    expect((yield* get(port)).status).toBe(500)
    yield* errors.some("boom", "DEBUG")
  })
)

it.scopedLive("what HttpMiddleware.logger logs is not logged again", () =>
  Effect.gen(function* () {
    const errors = new Errors()
    const port = yield* servingApp(Effect.die(boom), { middleware: HttpMiddleware.logger, live: errors.layer })
    expect((yield* get(port)).status).toBe(500)
    expect(errors.all.filter((line) => line.includes("boom")).length).toBe(1)
  })
)

it.scopedLive("a response that breaks off after its head is logged, whatever the middleware", () =>
  Effect.gen(function* () {
    const errors = new Errors()
    const chunks = Stream.concat(Stream.make(new Uint8Array([65])), Stream.fail(boom))
    const port = yield* servingApp(HttpServerResponse.stream(chunks), {
      middleware: HttpMiddleware.cors(),
      live: errors.layer
    })
    yield* Effect.promise(() =>
      fetch(`http://127.0.0.1:${port}`)
        .then((response) => response.text())
        .catch(() => "")
    )
    yield* errors.some("boom")
  })
)
