/** A failing handler fails the test, whatever the client receives; the test's own failure is kept. */
import { describe, expect, it, vi } from "@effect/vitest"
import { Cause, Data, Deferred, Effect, Exit, Fiber, Option } from "effect"
import { Errors, Response } from "effect-asynchttpserver"
import { Failures, Reply, TestServer } from "effect-asynchttpserver/testing"
import { yieldToEventLoop } from "../../src/internal/runtime/effectInterop.js"
import { quiet } from "../server/harness.js"
import { overBoth } from "./both.js"

class Unmapped extends Data.TaggedError("Unmapped")<{ readonly actual: string }> {}

const boom = new Error("boom")

/** The errors that a test runner would show, as they were thrown. */
const defectsOf = <A, E>(exit: Exit.Exit<A, E>): ReadonlyArray<unknown> =>
  Exit.isSuccess(exit) ? [] : Array.from(Cause.defects(exit.cause))

/** The console output while the scope is open. */
const consoleErrors = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => vi.spyOn(console, "error").mockImplementation(() => {})),
    (spy) => Effect.sync(() => spy.mockRestore())
  ),
  ({ mock }) =>
    () =>
      mock.calls.map(([text]) => String(text))
)

overBoth(({ layer, make }) => {
  const asked = (path = "/") =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const response = yield* server.client.get(path)
      return { status: response.status, text: yield* response.text }
    })

  describe("a handler's failure", () => {
    it.scoped("fails the test at its end, though the client receives only a response", () =>
      Effect.gen(function* () {
        let seen: unknown
        const exit = yield* asked("/x?y").pipe(
          Effect.tap((received) => Effect.sync(() => (seen = received))),
          Effect.provide(layer(() => Effect.die(boom))),
          Effect.exit
        )
        expect(defectsOf(exit)).toStrictEqual([boom])
        expect(seen).toMatchObject({
          status: 500,
          text: expect.stringContaining("Handler of GET /x?y failed: Error: boom")
        })
      })
    )

    it.scoped("is an assertion, a throw or an unmapped error", () =>
      Effect.gen(function* () {
        const unmapped = new Unmapped({ actual: "it" })
        const asserts: Response.Handler = () =>
          Effect.zipRight(
            Effect.sync(() => expect(1).toBe(2)),
            Effect.never
          )
        const throws: Response.Handler = () => {
          throw boom
        }
        const fails: Response.Handler<Unmapped> = () => unmapped
        const failure = <E>(handler: Response.Handler<E>) =>
          Effect.map(Effect.exit(Effect.provide(asked(), layer(handler))), (exit) => defectsOf(exit)[0])
        const [assertion, thrown, failed] = [yield* failure(asserts), yield* failure(throws), yield* failure(fails)]
        expect(assertion).toMatchObject({
          name: "AssertionError",
          message: expect.stringContaining("expected 1 to be 2")
        })
        expect(thrown).toBe(boom)
        expect(failed).toBe(unmapped)
      })
    )

    it.scoped("is not an error with a status, which is a response", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        expect((yield* asked()).status).toBe(400)
        const request = yield* server.takeRequest
        expect(yield* request.outcome).toStrictEqual({ _tag: "Responded", status: 400 })
      }).pipe(Effect.provide(layer(() => new Errors.KeyError({ name: "authorization", status: 400 }))))
    )

    it.scoped("after its response counts too", () =>
      Effect.gen(function* () {
        const exit = yield* asked().pipe(
          Effect.provide(
            layer((request) => Effect.zipRight(Response.respond(request, 200, "Hello"), Effect.die(boom)))
          ),
          Effect.exit
        )
        expect(defectsOf(exit)).toStrictEqual([boom])
      })
    )

    it.scoped("in the middle of its response resets the connection, and counts once", () =>
      Effect.gen(function* () {
        const exit = yield* Effect.ignore(asked()).pipe(
          Effect.provide(
            layer((request) =>
              Effect.flatMap(Response.sendHeaders(request, 200), (body) =>
                Effect.zipRight(body.write("half"), Effect.die(boom))
              )
            )
          ),
          Effect.exit
        )
        expect(defectsOf(exit)).toStrictEqual([boom])
      })
    )

    it.scoped("is reported with the request, and may be expected", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        yield* asked("/broken")
        const failure = yield* server.takeFailure
        expect(failure).toBeInstanceOf(Failures.HandlerFailure)
        expect(failure.request.path).toBe("/broken")
        expect(Cause.squash(failure.cause)).toBe(boom)
        expect(failure.message).toMatch(/^Handler of GET \/broken failed: Error: boom/)
        expect((yield* failure.request.outcome)._tag).toBe("Failed")
      }).pipe(Effect.provide(layer(() => Effect.die(boom))))
    )

    it.scoped("is its own interruption, but not one by its client", () =>
      Effect.gen(function* () {
        const own = yield* Effect.exit(
          Effect.provide(
            asked(),
            layer(() => Effect.interrupt)
          )
        )
        expect(Exit.isFailure(own) && Cause.isInterrupted(own.cause)).toBe(true)
        expect(String(defectsOf(own)[0])).toMatch(/^Error: Handler of GET \/ was interrupted, but neither by/)
        const clients = yield* Effect.gen(function* () {
          const server = yield* TestServer.TestServer
          const fiber = yield* Effect.fork(asked())
          yield* server.takeRequest
          yield* Fiber.interrupt(fiber)
        }).pipe(Effect.provide(layer(() => Effect.never)), Effect.exit)
        expect(Exit.isSuccess(clients)).toBe(true)
      })
    )

    it.scoped("has the span and the stack of its handler", () =>
      Effect.gen(function* () {
        const failing = (): Effect.Effect<never> => Effect.die(new Error("inside"))
        const exit = yield* asked().pipe(
          Effect.provide(layer(() => Effect.withSpan(Effect.suspend(failing), "find user"))),
          Effect.exit
        )
        const shown = Exit.isFailure(exit) ? Cause.prettyErrors(exit.cause)[0] : undefined
        expect(shown?.stack).toContain("failures.test.ts:")
        expect(shown?.stack).toContain("find user")
      })
    )
  })

  describe("the test's own failure", () => {
    it.scoped("stays typed, even if a handler fails too", () =>
      Effect.gen(function* () {
        yield* consoleErrors
        const exit = yield* Effect.zipRight(asked(), Effect.fail("mine" as const)).pipe(
          Effect.provide(layer(() => Effect.die(boom))),
          Effect.exit
        )
        expect(exit).toStrictEqual(Exit.fail("mine"))
      })
    )

    it.scoped("is reported with what the server has recorded, on the console, since tests often have no logger", () =>
      Effect.gen(function* () {
        const errors = yield* consoleErrors
        const routes = layer(Reply.routes({ "GET /users/:id": Reply.text("x"), "GET /slow": () => Effect.never }))
        const test = Effect.gen(function* () {
          const server = yield* TestServer.TestServer
          yield* TestServer.expect({ path: "/users/1" })
          yield* Effect.fork(asked("/slow"))
          yield* server.takeRequest
          yield* asked("/user")
          return yield* Effect.fail("mine" as const)
        })
        expect(yield* Effect.exit(Effect.scoped(Effect.provide(test, routes)))).toStrictEqual(Exit.fail("mine"))
        const [server, expectation, ...others] = errors()
        expect(server).toMatch(
          /^The test server also recorded:\nHandler of GET \/user failed: UnmatchedRequestError: Unhandled request: GET \/user, expected:\n {2}GET/
        )
        expect(server).toContain("\nno response to GET /slow (connection 0, exchange 0)")
        expect(expectation).toMatch(
          /^The test server also recorded:\nExpectationError: expected 1 matching request, received 0 \(of/
        )
        expect(others).toStrictEqual([])
      })
    )

    it.scoped("that is an interruption, for example a timeout, is reported with the requests without a response", () =>
      Effect.gen(function* () {
        const errors = yield* consoleErrors
        const fiber = yield* Effect.fork(
          Effect.provide(
            Effect.zipRight(asked("/slow"), Effect.void),
            layer(() => Effect.never)
          )
        )
        yield* Effect.repeatN(yieldToEventLoop, 50)
        yield* Fiber.interrupt(fiber)
        expect(errors()).toStrictEqual([
          "The test server also recorded:\nno response to GET /slow (connection 0, exchange 0)"
        ])
      })
    )
  })

  describe("supervise", () => {
    it.scoped("ends a test that would wait forever, with the handler's failure", () =>
      Effect.gen(function* () {
        const exit = yield* Effect.zipRight(Effect.fork(asked()), Effect.never).pipe(
          TestServer.supervise,
          Effect.provide(layer(() => Effect.die(boom))),
          Effect.exit
        )
        expect(defectsOf(exit)).toStrictEqual([boom])
      })
    )

    it.scoped("reports failures at the end, which the scope does not repeat", () =>
      Effect.gen(function* () {
        const server = yield* make(() => Effect.die(boom))
        const exit = yield* Effect.exit(server.supervise(Effect.uninterruptible(server.client.get("/"))))
        expect(defectsOf(exit)).toStrictEqual([boom])
      })
    )

    it.scoped("ignores a failure that is taken as expected", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const fiber = yield* Effect.fork(server.takeFailure)
        yield* Effect.yieldNow()
        expect((yield* asked()).status).toBe(500)
        expect(Cause.squash((yield* Fiber.join(fiber)).cause)).toBe(boom)
      }).pipe(TestServer.supervise, Effect.provide(layer(() => Effect.die(boom))))
    )

    it.scoped("fails for a failure whose taker was interrupted", () =>
      Effect.gen(function* () {
        const server = yield* make(() => Effect.die(boom))
        const test = Effect.gen(function* () {
          const fiber = yield* Effect.fork(server.takeFailure)
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
          yield* Effect.fork(server.client.get("/"))
          return yield* Effect.never
        })
        expect(defectsOf(yield* Effect.exit(server.supervise(test)))).toStrictEqual([boom])
      })
    )

    it.scoped("ignores earlier failures, which the close of the server reports", () =>
      Effect.gen(function* () {
        let seen = ""
        const exit = yield* Effect.zipRight(asked("/bad"), TestServer.supervise(asked("/good"))).pipe(
          Effect.tap(({ text }) => Effect.sync(() => (seen = text))),
          Effect.provide(
            layer((request) => (request.path === "/bad" ? Effect.die(boom) : Response.respond(request, 200, "good")))
          ),
          Effect.exit
        )
        expect(seen).toBe("good")
        expect(defectsOf(exit)).toStrictEqual([boom])
      })
    )

    it.scoped("returns the result of the effect, and its errors", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        expect((yield* TestServer.supervise(asked())).text).toBe("Hello")
        expect(yield* Effect.flip(server.supervise(Effect.fail("mine")))).toBe("mine")
      }).pipe(Effect.provide(layer((request) => Response.respond(request, 200, "Hello"))))
    )
  })

  describe("a leak", () => {
    it.scopedLive("is a handler that does not end when it is interrupted: with its request", () =>
      Effect.gen(function* () {
        const end = yield* Deferred.make<void>()
        const exit = yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* make(
              () => Effect.zipRight(Effect.uninterruptible(Deferred.await(end)), Effect.never),
              {
                interruptTimeout: 0
              }
            )
            yield* Effect.fork(Effect.ignore(server.client.get("/stuck")))
            yield* server.takeRequest
          })
        ).pipe(Effect.provide(quiet), Effect.exit)
        yield* Deferred.succeed(end, undefined)
        const [leak] = defectsOf(exit)
        expect(leak).toBeInstanceOf(Failures.LeakError)
        expect(String(leak)).toContain("a handler is still running: GET /stuck (connection 0, exchange 0)")
      })
    )

    it.scoped("is a running handler, in the middle of a test", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const fiber = yield* Effect.fork(asked("/slow"))
        yield* server.takeRequest
        const cause = yield* Effect.flip(Effect.sandbox(TestServer.assertNoLeaks))
        expect(Option.getOrThrow(Cause.dieOption(cause))).toMatchObject({
          left: ["a handler is still running: GET /slow (connection 0, exchange 0)"]
        })
        yield* Fiber.interrupt(fiber)
        yield* TestServer.assertNoLeaks
      }).pipe(Effect.provide(layer(() => Effect.never)))
    )
  })
})
