/** Services of enqueued replies, failures of accept, and fibers of a supervised test. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Scope } from "effect"
import { Response } from "effect-asynchttpserver"
import { TestServer } from "effect-asynchttpserver/testing"
import { OSError } from "../../src/Errors.js"
import { makeTestServer } from "../../src/testing/internal/server/makeTestServer.js"
import { inMemory } from "../../src/testing/internal/server/transport.js"

class Name extends Context.Tag("test/Name")<Name, string>() {}

const named: Response.Handler<never, Name> = (request) =>
  Effect.flatMap(Name, (name) => Effect.orDie(Response.respond(request, 200, name)))

describe("a reply that is enqueued", () => {
  it.scoped("has the services of the effect that enqueues it, rather than those of the server", () =>
    Effect.gen(function* () {
      const server = yield* Effect.provideService(TestServer.makeMemory(named), Name, "of the server")
      yield* Effect.provideService(server.enqueue(named), Name, "of the enqueuer")
      const text = Effect.flatMap(server.client.get("/"), (response) => response.text)
      expect(yield* text).toBe("of the enqueuer")
      expect(yield* text).toBe("of the server")
    })
  )

  it.scoped("has the scope of its request", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory(() => Effect.die("not enqueued"))
      let isClosed = false
      yield* server.enqueue((request) =>
        Effect.zipRight(
          Effect.addFinalizer(() =>
            Effect.sync(() => {
              isClosed = true
            })
          ),
          Response.respond(request, 200)
        )
      )
      yield* server.client.get("/")
      yield* server.settle
      expect(isClosed).toBe(true)
    })
  )
})

describe("a listener that fails", () => {
  const failing = (error: OSError) => () => {
    const transport = inMemory()
    return {
      ...transport,
      listener: {
        listen: (options: Parameters<typeof transport.listener.listen>[0]) =>
          Effect.map(transport.listener.listen(options), (bound) => ({
            ...bound,
            acceptWhile: () => Effect.fail(error)
          }))
      }
    }
  }
  const error = new OSError({ code: "EBADF", syscall: "accept" })

  for (const [name, options] of Object.entries({ queue: {}, reject: { onFull: "reject" } as const })) {
    it.live(`fails the test that it serves, with onFull ${name}`, () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const server = yield* Scope.extend(
          makeTestServer(() => Effect.die("no request"), options, failing(error)),
          scope
        )
        const exit = yield* Effect.exit(server.supervise(Effect.never))
        expect(Exit.isFailure(exit) ? [...Cause.defects(exit.cause)] : []).toStrictEqual([error])
        expect(Exit.isSuccess(yield* Effect.exit(Scope.close(scope, Exit.void)))).toBe(true)
      })
    )

    it.live(`fails the test when the server closes, if it was not supervised, with onFull ${name}`, () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const server = yield* Scope.extend(
          makeTestServer(() => Effect.die("no request"), options, failing(error)),
          scope
        )
        yield* server.settle
        const exit = yield* Effect.exit(Scope.close(scope, Exit.void))
        expect(Exit.isFailure(exit) ? [...Cause.defects(exit.cause)] : []).toStrictEqual([error])
      })
    )
  }

  it.scoped("is no failure of a server that is taken down, and up again", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory((request) => Response.respond(request, 200, "up"))
      yield* server.down
      yield* server.up
      const response = yield* server.supervise(server.client.get("/"))
      expect(yield* response.text).toBe("up")
    })
  )
})

describe("a supervised test", () => {
  it.scoped("may return a fiber that it has forked, which belongs to its caller", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory((request) => Response.respond(request, 200, "Hello"))
      const fiber = yield* server.supervise(Effect.fork(Effect.zipRight(Effect.yieldNow(), server.client.get("/"))))
      expect((yield* Fiber.join(fiber)).status).toBe(200)
    })
  )
})
