/**
 * Server-sent events
 *
 * Each event arrives at its time, and the next one has not yet arrived.
 */
import { HttpClient } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, Stream } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

const prices = HttpClient.get("/prices").pipe(
  Effect.map((response) => Stream.splitLines(Stream.decodeText(response.stream))),
  Stream.unwrap,
  Stream.filter((line) => line.startsWith("data: ")),
  Stream.map((line) => Number(line.slice("data: ".length)))
)

const everyMinute = Stream.schedule(Stream.make("101", "99", "103"), Schedule.spaced("1 minute"))

it.scoped("receives each price when it changes", () =>
  Effect.gen(function* () {
    const seen: Array<number> = []
    const fiber = yield* Effect.fork(Stream.runForEach(prices, (price) => Effect.sync(() => seen.push(price))))
    yield* TestServer.advance("1 minute")
    expect(seen).toStrictEqual([101])
    yield* TestServer.advance("1 minute")
    expect(seen).toStrictEqual([101, 99])
    yield* TestServer.advance("1 minute")
    yield* Fiber.join(fiber)
    expect(seen).toStrictEqual([101, 99, 103])
  }).pipe(Effect.provide(TestServer.layerMemory(Reply.events(everyMinute))))
)
