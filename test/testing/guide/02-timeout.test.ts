/**
 * Timeout
 *
 * Thirty seconds pass in a few milliseconds, exactly.
 */
import { HttpClient } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { TestServer } from "effect-asynchttpserver/testing"

const report = Effect.timeout(HttpClient.get("/report"), "30 seconds")

it.scoped("times out after 30 seconds, and leaks nothing", () =>
  Effect.gen(function* () {
    const server = yield* TestServer.TestServer
    const fiber = yield* Effect.fork(Effect.flip(report))
    yield* TestServer.advance("29 seconds")
    expect(yield* fiber.poll).toStrictEqual(Option.none())
    yield* TestServer.advance("1 second")
    expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "TimeoutException" })
    const request = yield* server.takeRequest
    expect(yield* request.outcome).toStrictEqual({ _tag: "Aborted" })
    yield* TestServer.assertNoLeaks
  }).pipe(Effect.provide(TestServer.layerMemory(() => Effect.never)))
)
