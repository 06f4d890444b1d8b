/** Responses of the server itself: fields of 503, and the loggers of a released body. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { serving as servingApp } from "../platform/harness.js"
import { serving } from "../server/harness.js"
import { Lines } from "../server/logged.js"
import { connect, requestText } from "../wire/rawConnection.js"

it.scopedLive("the 503 of a request that a shutdown interrupts has Retry-After, as any other 503", () =>
  Effect.gen(function* () {
    const entered = yield* Deferred.make<void>()
    const { port, server } = yield* serving(() => Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never))
    const client = yield* connect(port)
    yield* client.send(requestText("GET /"))
    yield* Deferred.await(entered)
    const closing = yield* Effect.fork(server.close)
    const { header, status } = yield* client.readResponse()
    yield* Fiber.join(closing)
    expect(status).toBe(503)
    expect(header("Retry-After")).toBe("1")
    expect(header("Connection")).toBe("close")
  })
)

it.scopedLive("a stream that is opened to be released logs with the loggers of its application", () =>
  Effect.gen(function* () {
    const lines = new Lines()
    const body = Stream.unwrapScoped(
      Effect.as(
        Effect.acquireRelease(Effect.void, () => Effect.logInfo("the source was released")),
        Stream.never
      )
    )
    const port = yield* servingApp(Effect.succeed(HttpServerResponse.stream(body)), { live: lines.layer })
    const client = yield* connect(port)
    yield* client.send(requestText("HEAD /"))
    yield* lines.some(({ message }) => message === "the source was released")
  })
)
