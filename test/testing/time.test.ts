/** Time under `TestClock`: sleeping fibers wake in order and exactly on time, whatever happens between. */
import { readFile } from "node:fs/promises"
import { HttpBody, HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, type Fiber, Option, Schedule, Stream, TestClock } from "effect"
import { Response } from "effect-asynchttpserver"
import { TestServer } from "effect-asynchttpserver/testing"
import { yieldToEventLoop } from "../../src/internal/runtime/effectInterop.js"
import { overBoth } from "./both.js"

const get = (path = "/") => Effect.flatMap(HttpClient.get(path), (response) => response.text)

/** The result of a fiber, if it has ended. */
const ended = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.map(fiber.poll, Option.map(Exit.getOrElse((cause) => cause)))

/** Seconds of the clock. */
const now = Effect.map(Clock.currentTimeMillis, (millis) => millis / 1000)

const late =
  (duration: Duration.DurationInput): Response.Handler =>
  (request) =>
    Effect.zipRight(
      Effect.sleep(duration),
      Effect.flatMap(now, (at) => Response.respond(request, 200, `at ${at}`))
    )

overBoth(({ layer, make }) => {
  it.scoped("a handler that sleeps responds on time, and not before", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(get())
      yield* TestServer.advance("29999 millis")
      expect(yield* ended(fiber)).toStrictEqual(Option.none())
      yield* TestServer.advance("1 millis")
      expect(yield* ended(fiber)).toStrictEqual(Option.some("at 30"))
    }).pipe(Effect.provide(layer(late("30 seconds"))))
  )

  it.scoped("a handler's second sleep counts from the end of its work after the first", () => {
    const handler: Response.Handler = (request) =>
      Effect.gen(function* () {
        yield* Effect.sleep("30 seconds")
        const text = yield* request.text
        yield* Effect.repeatN(yieldToEventLoop, 40)
        yield* Effect.promise(() => readFile(import.meta.filename))
        const first = yield* now
        yield* Effect.sleep("20 seconds")
        return yield* Response.respond(request, 200, `${text} ${first} ${yield* now}`)
      })
    return Effect.gen(function* () {
      const fiber = yield* Effect.fork(
        Effect.flatMap(HttpClient.post("/", { body: HttpBody.text("hi") }), (response) => response.text)
      )
      yield* TestServer.advance("1 minute")
      expect(yield* ended(fiber)).toStrictEqual(Option.some("hi 30 50"))
      expect(yield* now).toBe(60)
    }).pipe(Effect.provide(layer(handler)))
  })

  it.scoped("asynchronous steps before a sleep are waited for", () => {
    const handler: Response.Handler = (request) =>
      Effect.zipRight(Effect.repeatN(yieldToEventLoop, 100), late("5 seconds")(request))
    return Effect.gen(function* () {
      const fiber = yield* Effect.fork(Effect.zipRight(Effect.repeatN(yieldToEventLoop, 2), get()))
      yield* TestServer.advance("5 seconds")
      expect(yield* ended(fiber)).toStrictEqual(Option.some("at 5"))
    }).pipe(Effect.provide(layer(handler)))
  })

  it.scoped(
    "long work of a client before it asks is waited for: in many turns, and under supervision in many steps",
    () => {
      const work = Effect.sync(() => {
        const since = performance.now()
        while (performance.now() - since < 3);
      })
      const busy = [
        Effect.repeatN(Effect.zipRight(work, yieldToEventLoop), 10),
        Effect.repeatN(Effect.yieldNow(), 50_000)
      ]
      return Effect.forEach(busy, (before) =>
        Effect.gen(function* () {
          const at = yield* now
          const fiber = yield* Effect.fork(Effect.zipRight(before, get()))
          yield* TestServer.advance("5 seconds")
          expect(yield* ended(fiber)).toStrictEqual(Option.some(`at ${at + 5}`))
        })
      ).pipe(TestServer.supervise, Effect.provide(layer(late("5 seconds"))))
    }
  )

  it.scoped("a client that retries backs off on the same clock", () => {
    const times: Array<number> = []
    const handler: Response.Handler = (request) =>
      Effect.flatMap(now, (at) => Response.respond(request, times.push(at) < 5 ? 503 : 200, `at ${at}`))
    return Effect.gen(function* () {
      const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
      const fiber = yield* Effect.fork(
        client.get("/").pipe(
          Effect.flatMap((response) => response.text),
          Effect.retry(Schedule.exponential("1 second"))
        )
      )
      yield* TestServer.advance("1 hour")
      expect(yield* ended(fiber)).toStrictEqual(Option.some("at 15"))
      expect(times).toStrictEqual([0, 1, 3, 7, 15])
    }).pipe(Effect.provide(layer(handler)))
  })

  it.scoped("a stream arrives piece by piece", () => {
    const ticks = Stream.tick("1 second").pipe(
      Stream.take(4),
      Stream.mapEffect(() => Effect.map(now, (at) => `at ${at};`)),
      Stream.encodeText
    )
    return Effect.gen(function* () {
      const seen: Array<string> = []
      const fiber = yield* Effect.fork(
        Effect.flatMap(HttpClient.get("/"), (response) =>
          Stream.runForEach(Stream.decodeText(response.stream), (text) => Effect.sync(() => seen.push(text)))
        )
      )
      yield* TestServer.advance("1 second")
      expect(seen).toStrictEqual(["at 0;", "at 1;"])
      yield* TestServer.advance("2 seconds")
      expect(seen).toStrictEqual(["at 0;", "at 1;", "at 2;", "at 3;"])
      expect(Option.isSome(yield* ended(fiber))).toBe(true)
    }).pipe(Effect.provide(layer((request) => Response.respondStream(request, 200, ticks))))
  })

  it.scoped("two servers of one test settle together", () =>
    Effect.gen(function* () {
      const back = yield* make(late("10 seconds"))
      const front = yield* make((request) =>
        Effect.gen(function* () {
          yield* Effect.sleep("10 seconds")
          const received = yield* Effect.flatMap(back.client.get("/"), (response) => response.text)
          yield* Effect.sleep("10 seconds")
          return yield* Response.respond(request, 200, `${received}, ${yield* now}`)
        })
      )
      const fiber = yield* Effect.fork(Effect.flatMap(front.client.get("/"), (response) => response.text))
      yield* Effect.provideService(TestServer.advance("1 minute"), TestServer.TestServer, front)
      expect(yield* ended(fiber)).toStrictEqual(Option.some("at 20, 30"))
    })
  )

  it.scoped("a large body is delivered before the clock advances", () => {
    return Effect.gen(function* () {
      const body = HttpBody.uint8Array(new Uint8Array(4 << 20))
      const fiber = yield* Effect.fork(
        Effect.flatMap(HttpClient.post("/", { body }), (response) => response.arrayBuffer)
      )
      yield* TestServer.advance("1 second")
      expect(Option.map(yield* ended(fiber), (bytes) => (bytes as ArrayBuffer).byteLength)).toStrictEqual(
        Option.some(4 << 20)
      )
    }).pipe(
      Effect.provide(
        layer((request) =>
          Effect.flatMap(request.bytes, (bytes) =>
            Effect.zipRight(Effect.sleep("1 second"), Response.respond(request, 200, bytes))
          )
        )
      )
    )
  })
})

overBoth(({ layer: live }) => {
  it.scoped("a client that times out has disconnected at that time", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const fiber = yield* Effect.fork(Effect.timeoutOption(get(), "5 seconds"))
      yield* TestServer.advance("5 seconds")
      expect(yield* ended(fiber)).toStrictEqual(Option.some(Option.none()))
      const request = yield* server.takeRequest
      expect(yield* request.outcome).toStrictEqual({ _tag: "Aborted" })
    }).pipe(Effect.provide(live(late("30 seconds"))))
  )
})

describe("on loopback", () => {
  it.scoped("other clients are waited for: fetch, and a DNS lookup", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const url = server.url.replace("127.0.0.1", "localhost")
      const fiber = yield* Effect.fork(Effect.promise(() => fetch(url).then((received) => received.text())))
      yield* TestServer.advance("30 seconds")
      expect(yield* ended(fiber)).toStrictEqual(Option.some("at 30"))
    }).pipe(Effect.provide(TestServer.layer(late("30 seconds"))))
  )
})

describe("advance", () => {
  it.scopedLive("is a mistake without a TestClock", () =>
    Effect.gen(function* () {
      const defect = yield* Effect.flip(Effect.sandbox(TestServer.advance("1 second")))
      expect(Cause.pretty(defect)).toContain("it.effect or it.scoped")
    }).pipe(Effect.provide(TestServer.layerMemory(late(0))))
  )

  it.scoped("passes time when no fiber sleeps", () =>
    Effect.gen(function* () {
      yield* TestServer.advance("1 day")
      expect(yield* Clock.currentTimeMillis).toBe(Duration.toMillis("1 day"))
      expect(Array.from(yield* TestClock.sleeps())).toStrictEqual([])
    }).pipe(Effect.provide(TestServer.layerMemory(late(0))))
  )
})
