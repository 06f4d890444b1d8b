/**
 * Retry after a lost connection
 *
 * The first request gets no response, and its connection is closed; the second one succeeds.
 */
import { HttpClient } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

const greeting = HttpClient.get("/greeting").pipe(
  Effect.flatMap((response) => response.text),
  Effect.retry({ times: 1 })
)

it.scoped("retries once", () =>
  Effect.gen(function* () {
    const server = yield* TestServer.TestServer
    const fiber = yield* Effect.fork(greeting)
    const first = yield* server.takeRequest
    yield* server.closeClientConnections
    expect(yield* Fiber.join(fiber)).toBe("Hello")
    expect(yield* first.outcome).toStrictEqual({ _tag: "Aborted" })
  }).pipe(Effect.provide(TestServer.layerMemory(Reply.sequence(() => Effect.never, Reply.text("Hello")))))
)
