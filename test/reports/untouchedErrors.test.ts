/** Errors of an application are not changed: the response is made from them, and logs get an escaped copy. */
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { type Handler, respond } from "../../src/Response.js"
import { EventLog, serving } from "../platform/harness.js"
import { make } from "../server/harness.js"
import { get } from "../wire/rawConnection.js"

const text = "\u001b[1mbold\u001b[0m\u202e"

class Shown extends Data.TaggedError("Shown")<{ readonly message: string }> {
  [Respondable.symbol]() {
    return HttpServerResponse.text(this.message, { status: 422 })
  }
}

const written = () => {
  const lines = new EventLog<string>()
  const live = Layer.mergeAll(
    Logger.replace(
      Logger.defaultLogger,
      Logger.map(Logger.stringLogger, (line) => lines.tell(line))
    ),
    Logger.minimumLogLevel(LogLevel.Debug)
  )
  return { lines, live }
}

const contentOf = (error: Error) => ({
  ...Object.getOwnPropertyDescriptors(error),
  stack: error.stack,
  cause: error.cause instanceof Error ? error.cause.message : error.cause
})

for (const [name, middleware] of Object.entries({
  "without a middleware": undefined,
  "with HttpMiddleware.logger": HttpMiddleware.logger
})) {
  describe(`${name}`, () => {
    it.scopedLive("the response of a Respondable error has the text of the error", () =>
      Effect.gen(function* () {
        const { live } = written()
        const port = yield* serving(Effect.fail(new Shown({ message: text })), { live, middleware })
        const response = yield* get(port)
        expect(response.status).toBe(422)
        expect(response.text).toBe(text)
      })
    )

    it.scopedLive("an error that several requests share is the same after each, and the log is escaped", () =>
      Effect.gen(function* () {
        const { lines, live } = written()
        const shared = new Error(text, { cause: new Error(text) })
        shared.name = text
        const before = contentOf(shared)
        const port = yield* serving(Effect.die(shared), { live, middleware })
        expect((yield* get(port)).status).toBe(500)
        expect((yield* get(port)).status).toBe(500)
        yield* lines.some((line) => line.includes("\\u001b[1mbold"))
        for (const line of lines.all) expect(line).not.toMatch(/[\u001b\u202e]/)
        expect(contentOf(shared)).toStrictEqual(before)
      })
    )
  })
}

it.scopedLive("an error that the application has logged itself is not logged again, although it is escaped", () =>
  Effect.gen(function* () {
    const { lines, live } = written()
    const failing = Effect.suspend(() => {
      const error = new Error(text)
      return Effect.zipRight(Effect.logError("own entry", error), Effect.die(error))
    })
    const port = yield* serving(failing, { live })
    yield* get(port)
    yield* lines.some((line) => line.includes("An application failed"))
    expect(lines.all.filter((line) => line.includes("level=ERROR"))).toHaveLength(1)
  })
)

it.scopedLive("a defect of a handler is the same after it was logged", () =>
  Effect.gen(function* () {
    const { lines, live } = written()
    const shared = Object.freeze(new Error(text))
    const handler: Handler = (request) =>
      request.path === "/" ? Effect.die(shared) : respond(request, 200, shared.message)
    const { server } = yield* make()
    const { port } = yield* server.listen({ port: 0 })
    yield* Effect.provide(Effect.forkScoped(server.serve(handler)), live)
    expect((yield* get(port)).status).toBe(500)
    const line = yield* lines.some((line) => line.includes("a handler failed"))
    expect(line).not.toMatch(/[\u001b\u202e]/)
    expect(shared.message).toBe(text)
  })
)
