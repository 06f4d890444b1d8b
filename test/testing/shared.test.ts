/**
 * A test server that several tests share, and its clock. In a separate file: `layer` of `@effect/vitest` changes the `it` of
 * all tests that are defined after it.
 */
import { HttpClient } from "@effect/platform"
import { expect, layer } from "@effect/vitest"
import { Clock, Effect, Exit, type Fiber, Option } from "effect"
import { Response } from "effect-asynchttpserver"
import { TestServer } from "effect-asynchttpserver/testing"
import { overBoth } from "./both.js"

const get = Effect.flatMap(HttpClient.get("/"), (response) => response.text)

/** Responds with the second of the clock, after 30 seconds. */
const late: Response.Handler = (request) =>
  Effect.gen(function* () {
    yield* Effect.sleep("30 seconds")
    return yield* Response.respond(request, 200, `at ${(yield* Clock.currentTimeMillis) / 1000}`)
  })

/** The result of a fiber, if it has ended. */
const ended = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.map(fiber.poll, Option.map(Exit.getOrElse((cause) => cause)))

overBoth((transport) => {
  layer(transport.layer(late))("shared by tests", (it) => {
    it.effect("time passes for the server as for the test", () =>
      TestServer.supervise(
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(get)
          yield* TestServer.advance("30 seconds")
          expect(yield* ended(fiber)).toStrictEqual(Option.some("at 30"))
        })
      )
    )

    it.effect("time continues in the next test, where an idle connection has its deadline", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        expect((yield* server.connections).map(({ state }) => state)).toStrictEqual(["idle"])
        yield* TestServer.advance("76 seconds")
        expect(yield* server.connections).toStrictEqual([])
        const fiber = yield* Effect.fork(get)
        yield* TestServer.advance("30 seconds")
        expect(yield* ended(fiber)).toStrictEqual(Option.some("at 136"))
      })
    )
  })
})
