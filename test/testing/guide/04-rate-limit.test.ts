/**
 * Rate limit with Retry-After
 *
 * The client waits for the whole `Retry-After`, not a second less.
 */
import { Headers, HttpClient } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

const ask: Effect.Effect<string, unknown, HttpClient.HttpClient> = Effect.flatMap(HttpClient.get("/"), (response) => {
  const seconds = Option.getOrElse(Headers.get(response.headers, "retry-after"), () => "1")
  return response.status === 429 ? Effect.zipRight(Effect.sleep(Duration.seconds(Number(seconds))), ask) : response.text
})

const replies = Reply.sequence(
  Reply.status(429, { headers: { "Retry-After": "60" } }),
  Reply.text("Hello"),
  Reply.unmatched("two requests")
)

it.scoped("retries after Retry-After", () =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(ask)
    yield* TestServer.advance("59 seconds")
    expect(yield* fiber.poll).toStrictEqual(Option.none())
    yield* TestServer.advance("1 second")
    expect(yield* Fiber.join(fiber)).toBe("Hello")
  }).pipe(TestServer.supervise, Effect.provide(TestServer.layerMemory(replies)))
)
