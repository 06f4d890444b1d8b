/** Isolation of requests: bodies, scopes, failures and waits of one handler do not affect another request. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ValueError } from "../../src/Errors.js"
import { Signal } from "../../src/internal/runtime/effectInterop.js"
import type { Request } from "../../src/Request.js"
import { respond, respondStream } from "../../src/Response.js"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import { eventually } from "../support/eventually.js"
import { connect, get, requestText, withBody } from "../wire/rawConnection.js"
import { make, quiet, refusal, serving, servingReported, untilDescriptorsHeld } from "./harness.js"
import { Lines } from "./logged.js"

describe("a request that was kept", () => {
  it.scopedLive("gives a daemon nothing of the next request of its connection", () =>
    Effect.gen(function* () {
      const mayRead = yield* Deferred.make<void>()
      const read = yield* Deferred.make<ValueError>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          if (request.url !== "/kept") return yield* Effect.flatMap(request.text, (text) => respond(request, 200, text))
          const later = Effect.zipRight(Deferred.await(mayRead), refusal(request.text))
          yield* Effect.forkDaemon(Effect.flatMap(later, (error) => Deferred.succeed(read, error)))
          return yield* respond(request, 202, "accepted")
        })
      )
      const client = yield* connect(port)
      yield* client.send(withBody("POST /kept", "hello"))
      expect((yield* client.readResponse()).status).toBe(202)
      yield* client.send(requestText("POST /", ["Content-Length: 6"]))
      yield* Deferred.succeed(mayRead, undefined)
      expect((yield* Deferred.await(read)).reason).toBe("BodyConsumed")
      yield* client.send("secret")
      expect((yield* client.readResponse()).text).toBe("secret")
    })
  )

  it.scopedLive("resumes a daemon that waits for its body when the request has ended", () =>
    Effect.gen(function* () {
      const waiting = yield* Deferred.make<Fiber.RuntimeFiber<ValueError>>()
      const made = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Deferred.succeed(waiting, yield* Effect.forkDaemon(refusal(request.text)))
          yield* Effect.yieldNow()
          return yield* respond(request, 200, "early")
        })
      )
      const client = yield* connect(made.port)
      yield* client.send(requestText("POST /", ["Content-Length: 5"]))
      expect((yield* client.readResponse()).text).toBe("early")
      expect((yield* Fiber.join(yield* Deferred.await(waiting))).reason).toBe("BodyConsumed")
      yield* client.reset
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("sends its client no 100 after its response, when a daemon asks for the body again", () =>
    Effect.gen(function* () {
      const mayRead = yield* Deferred.make<void>()
      const read = yield* Deferred.make<string>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          if (request.url !== "/kept") {
            yield* Deferred.succeed(mayRead, undefined)
            return yield* respond(request, 200, yield* Deferred.await(read))
          }
          const later = Effect.zipRight(Deferred.await(mayRead), refusal(request.text))
          yield* Effect.forkDaemon(Effect.flatMap(later, ({ reason }) => Deferred.succeed(read, reason)))
          return yield* respond(request, 202, yield* request.text)
        })
      )
      const client = yield* connect(port)
      yield* client.send(withBody("POST /kept", "hello", ["Expect: 100-continue"]))
      expect((yield* client.readResponse()).status).toBe(100)
      expect((yield* client.readResponse()).text).toBe("hello")
      yield* client.send(requestText("GET /"))
      expect(yield* client.readResponse()).toMatchObject({ status: 200, text: "BodyConsumed" })
    })
  )

  it.scopedLive("sends no second response", () =>
    Effect.gen(function* () {
      const kept = yield* Deferred.make<Request>()
      const { port } = yield* serving((request) =>
        Effect.zipRight(Deferred.succeed(kept, request), respond(request, 200, "once"))
      )
      expect((yield* get(port)).text).toBe("once")
      const request = yield* Deferred.await(kept)
      expect((yield* refusal(respond(request, 200, "twice"))).reason).toBe("AlreadyResponded")
    })
  )
})

describe("the scope of a request", () => {
  it.scopedLive("is closed for a runtime that was captured in it, and the next one's is another", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      let captured: Runtime.Runtime<Scope.Scope> | undefined
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          if (captured === undefined) {
            captured = yield* Effect.runtime<Scope.Scope>()
            return yield* respond(request, 200)
          }
          yield* Effect.addFinalizer(() => Effect.sync(() => order.push("the second request ends")))
          Runtime.runSync(captured)(Effect.addFinalizer(() => Effect.sync(() => order.push("late"))))
          order.push("the second request continues")
          return yield* respond(request, 200)
        })
      )
      const client = yield* connect(port)
      for (const _ of [1, 2]) {
        yield* client.send(requestText("GET /"))
        yield* client.readResponse()
      }
      yield* eventually(
        Effect.sync(() => order.length),
        (length) => length === 3,
        "three events"
      )
      expect(order).toStrictEqual(["late", "the second request continues", "the second request ends"])
    })
  )

  it.scopedLive("that fails to close is reported, and the response is sent", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) => {
        const finalizer = Effect.addFinalizer(() => Effect.die("a finalizer that dies"))
        return request.url === "/" ? Effect.zipRight(finalizer, respond(request, 200, "whole")) : respond(request, 200)
      })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).text).toBe("whole")
      yield* client.send(requestText("GET /next"))
      expect((yield* client.readResponse()).status).toBe(200)
      const { cause, request } = yield* reports.first
      expect([Cause.squash(cause), request.url]).toStrictEqual(["a finalizer that dies", "/"])
    })
  )
})

describe("finalizers", () => {
  it.scopedLive("all run, although the client disconnects meanwhile", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const mayEnd = yield* Deferred.make<void>()
      const released = yield* Deferred.make<void>()
      const made = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Deferred.succeed(released, undefined))
          yield* Effect.addFinalizer(() => Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(mayEnd)))
          return yield* respond(request, 200)
        })
      )
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(begun)
      yield* client.reset
      yield* untilDescriptorsHeld(made, 1)
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Deferred.await(released)
      expect(yield* Deferred.isDone(released)).toBe(true)
    })
  )
})

describe("two serves that begin together", () => {
  it.scopedLive("share one listener", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const serve = server.serve((request) => respond(request, 200, "ok"))
      const both = yield* Effect.forkScoped(Effect.all([serve, serve], { concurrency: 2 }))
      const port = yield* eventually(Effect.option(server.port), Option.isSome, "it listens")
      expect((yield* get(Option.getOrThrow(port))).text).toBe("ok")
      expect(both.unsafePoll()).toBe(null)
    })
  )
})

describe("a response that throws while it is made", () => {
  it.scopedLive("is a defect like any other: 500, and the connection continues", () =>
    Effect.gen(function* () {
      const headers = {
        [Symbol.iterator]: (): Iterator<readonly [string, string]> => {
          throw new Error("secret-detail")
        }
      }
      const { port } = yield* serving((request) =>
        request.url === "/" ? respond(request, 200, "", headers) : respond(request, 200, "next")
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      const response = yield* client.readResponse()
      expect([response.status, response.text.includes("secret-detail")]).toStrictEqual([500, false])
      yield* client.send(requestText("GET /next"))
      expect((yield* client.readResponse()).text).toBe("next")
    })
  )
})

describe("a writer that throws", () => {
  const throwing = Layer.succeed(ResponseWriter.ResponseWriter, {
    make: () => ({
      ...ResponseWriter.make(),
      head: () => {
        throw new Error("a writer")
      }
    })
  })

  for (const [what, before] of [
    ["at once", Effect.void],
    ["later", Effect.yieldNow()]
  ] as const) {
    it.scopedLive(`breaks only the connection of the handler that sends ${what}`, () =>
      Effect.gen(function* () {
        const { budget, server } = yield* make({}, {}, throwing)
        const { port } = yield* server.listen({ port: 0 })
        const serve = server.serve((request) => Effect.zipRight(before, respond(request, 200)))
        yield* Effect.provide(Effect.forkScoped(serve), quiet)
        for (let i = 0; i < 2; i++) {
          const client = yield* connect(port)
          yield* client.send(requestText("GET /"))
          expect((yield* client.readToEnd).length).toBe(0)
        }
        yield* server.close
        expect(yield* budget.held).toBe(0)
      })
    )
  }

  it.scopedLive("is logged with the connection and the address of its client", () =>
    Effect.gen(function* () {
      const { server } = yield* make({}, {}, throwing)
      const { port } = yield* server.listen({ port: 0 })
      const lines = new Lines()
      const serve = server.serve((request) => respond(request, 200))
      yield* Effect.provide(Effect.forkScoped(serve), lines.layer)
      for (const [sent, message] of [
        [requestText("GET /"), "failed to write an error response"],
        ["malformed\r\n\r\n", "a connection failed"]
      ] as const) {
        const client = yield* connect(port)
        yield* client.send(sent)
        const line = yield* lines.some((each) => each.message.includes(message))
        expect(line.annotations).toStrictEqual({
          connection: expect.any(Number),
          peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/)
        })
      }
    })
  )
})

describe("a stream", () => {
  it.scopedLive("that fails before its first bytes leaves the handler free to send another response", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respondStream(request, 200, Stream.fail("not there" as const)).pipe(
          Effect.catchAll((error) => respond(request, 404, String(error)))
        )
      )
      const response = yield* get(port)
      expect([response.status, response.text]).toStrictEqual([404, "not there"])
    })
  )

  it.scopedLive("that is read as fast as it is produced does not starve other connections", () =>
    Effect.gen(function* () {
      const chunk = Buffer.alloc(64 * 1024, "x")
      const { port } = yield* serving((request) =>
        request.url === "/endless"
          ? respondStream(request, 200, Stream.repeatValue(chunk))
          : respond(request, 200, "ok")
      )
      const greedy = yield* connect(port)
      yield* greedy.send(requestText("GET /endless"))
      yield* greedy.readUntil((seen) => seen.length > 100_000)
      expect((yield* get(port)).text).toBe("ok")
      yield* greedy.reset
    })
  )
})

describe("a wait that was interrupted", () => {
  it.effect("is removed, and the next waiter is resumed", () =>
    Effect.gen(function* () {
      const signal = new Signal()
      for (let i = 0; i < 100; i++) {
        const waiting = yield* Effect.fork(Effect.suspend(() => signal.waitOrLeave()))
        yield* Effect.yieldNow()
        expect(signal.waiting).toBe(1)
        yield* Fiber.interrupt(waiting)
        expect(signal.waiting).toBe(0)
      }
      const woken = yield* Effect.fork(Effect.suspend(() => signal.waitOrLeave()))
      yield* Effect.yieldNow()
      signal.wake()
      yield* Fiber.join(woken)
    })
  )
})
