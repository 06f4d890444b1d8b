/**
 * Two services in one test
 *
 * Each server has its own client and its own requests; both share the clock.
 */
import type { HttpClient } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

const basket = (users: HttpClient.HttpClient, prices: HttpClient.HttpClient) =>
  Effect.zipWith(
    Effect.flatMap(users.get("/users/1"), (response) => response.text),
    Effect.flatMap(prices.get("/prices/tea"), (response) => response.text),
    (user, price) => `${user} pays ${price}`,
    { concurrent: true }
  )

it.scoped("are requested concurrently", () =>
  Effect.gen(function* () {
    const users = yield* TestServer.makeMemory((request) => Effect.delay(Reply.text("Ann")(request), "2 seconds"))
    const prices = yield* TestServer.makeMemory((request) => Effect.delay(Reply.text("3")(request), "3 seconds"))
    const fiber = yield* Effect.fork(basket(users.client, prices.client))
    yield* users.advance("3 seconds")
    expect(yield* Fiber.join(fiber)).toBe("Ann pays 3")
    expect((yield* users.takeRequest).path).toBe("/users/1")
    expect((yield* prices.takeRequest).path).toBe("/prices/tea")
  })
)
