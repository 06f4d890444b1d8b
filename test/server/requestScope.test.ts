/** The scope and the fiber of a request: finalizers, child fibers, daemons and FiberRefs. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { respond } from "../../src/Response.js"
import { eventLoopTurn, eventually } from "../support/eventually.js"
import { connect, requestText } from "../wire/rawConnection.js"
import { serving, servingReported } from "./harness.js"

describe("the scope of a request", () => {
  it.scopedLive("ends with the request, before the next one of the connection is handled", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Effect.acquireRelease(
            Effect.sync(() => log.push(`acquire ${request.url}`)),
            () =>
              Effect.zipRight(
                eventLoopTurn,
                Effect.sync(() => log.push(`release ${request.url}`))
              )
          )
          log.push(`respond ${request.url}`)
          return yield* respond(request, 200)
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2"))
      yield* client.readResponse()
      yield* client.readResponse()
      yield* client.halfClose
      yield* client.closedWith
      expect(log).toStrictEqual(["acquire /1", "respond /1", "release /1", "acquire /2", "respond /2", "release /2"])
    })
  )

  for (const [what, ending, expected] of [
    ["succeeds", Effect.void, "Success"],
    ["fails", Effect.fail("an error"), "Failure"],
    ["dies", Effect.die("a defect"), "Failure"]
  ] as const) {
    it.scopedLive(`passes its finalizers the exit of a handler that ${what}`, () =>
      Effect.gen(function* () {
        const exit = yield* Deferred.make<string>()
        const { port } = yield* servingReported((request) =>
          Effect.gen(function* () {
            yield* Effect.addFinalizer((each) => Deferred.succeed(exit, each._tag))
            yield* ending
            return yield* respond(request, 200)
          })
        )
        const client = yield* connect(port)
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).status).toBe(expected === "Success" ? 200 : 500)
        expect(yield* Deferred.await(exit)).toBe(expected)
      })
    )
  }

  it.scopedLive("runs finalizers in reverse order, and a finalizer that dies stops no other", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("first")))
          if (request.url === "/dies") yield* Effect.addFinalizer(() => Effect.die("a finalizer"))
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("second")))
          return yield* respond(request, 200)
        })
      )
      const bystander = yield* connect(port)
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      yield* client.send(requestText("GET /dies"))
      expect((yield* client.readResponse()).status).toBe(200)
      yield* bystander.send(requestText("GET /"))
      expect((yield* bystander.readResponse()).status).toBe(200)
      yield* eventually(
        Effect.sync(() => log.length),
        (length) => length === 6,
        "six finalizers"
      )
      expect(log).toStrictEqual(["second", "first", "second", "first", "second", "first"])
    })
  )

  it.scopedLive("a child fiber ends with the request", () =>
    Effect.gen(function* () {
      const ends: Array<string> = []
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const isRunning = yield* Deferred.make<void>()
          const child = Effect.zipRight(Deferred.succeed(isRunning, undefined), Effect.never)
          yield* Effect.fork(Effect.onInterrupt(child, () => Effect.sync(() => ends.push(request.url))))
          yield* Deferred.await(isRunning)
          return yield* respond(request, 200, ends.join())
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2") + requestText("GET /3"))
      expect((yield* client.readResponse()).text).toBe("")
      expect((yield* client.readResponse()).text).toBe("/1")
      expect((yield* client.readResponse()).text).toBe("/1,/2")
    })
  )

  it.scopedLive("forkScoped ends with the request, before what was acquired before it", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("released")))
          const isRunning = yield* Deferred.make<void>()
          const child = Effect.zipRight(Deferred.succeed(isRunning, undefined), Effect.never)
          yield* Effect.forkScoped(Effect.onInterrupt(child, () => Effect.sync(() => log.push("interrupted"))))
          yield* Deferred.await(isRunning)
          return yield* respond(request, 200, log.join())
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2"))
      expect((yield* client.readResponse()).text).toBe("")
      expect((yield* client.readResponse()).text).toBe("interrupted,released")
    })
  )

  it.scopedLive("a daemon that outlives its request keeps the request's scope, which is closed", () =>
    Effect.gen(function* () {
      const mayAsk = yield* Deferred.make<void>()
      const log: Array<string> = []
      const daemonEnd = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          if (request.url === "/daemon") {
            yield* Effect.forkDaemon(
              Effect.gen(function* () {
                yield* Deferred.await(mayAsk)
                // Acquired in a closed scope: released at once, and not with the request that is served meanwhile.
                yield* Effect.acquireRelease(
                  Effect.sync(() => log.push("acquired")),
                  () => Effect.sync(() => log.push("released"))
                )
                log.push("went on")
                yield* Deferred.succeed(daemonEnd, undefined)
              })
            )
          } else {
            yield* Effect.addFinalizer(() => Effect.sync(() => log.push("the next request's")))
            yield* Deferred.succeed(mayAsk, undefined)
            yield* Deferred.await(daemonEnd)
          }
          return yield* respond(request, 200)
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /daemon"))
      yield* client.readResponse()
      yield* client.send(requestText("GET /next"))
      yield* client.readResponse()
      yield* client.halfClose
      yield* client.closedWith
      expect(log).toStrictEqual(["acquired", "released", "went on", "the next request's"])
    })
  )

  it.scopedLive("is not the server's: a scope of the application stays open", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.void)
          return yield* respond(request, 200)
        })
      )
      let isReleased = false
      yield* Effect.addFinalizer(() => Effect.sync(() => (isReleased = true)))
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      expect(isReleased).toBe(false)
    })
  )
})

describe("a FiberRef", () => {
  it.scopedLive("that a handler sets is not set for the next request of its connection", () =>
    Effect.gen(function* () {
      const fresh = FiberRef.unsafeMake("initial")
      const known = FiberRef.unsafeMake("initial")
      const { port } = yield* Effect.locally(
        serving((request) =>
          Effect.gen(function* () {
            const seen = `${yield* FiberRef.get(known)} ${yield* FiberRef.get(fresh)}`
            yield* FiberRef.set(known, "changed")
            yield* FiberRef.set(fresh, "changed")
            if (request.url === "/fork") yield* Effect.fork(Effect.never)
            if (request.url === "/fail") yield* Effect.die("a defect")
            return yield* respond(request, 200, seen)
          })
        ),
        known,
        "inherited"
      )
      const client = yield* connect(port)
      for (const path of ["/", "/", "/fork", "/", "/fail", "/", "/"]) {
        yield* client.send(requestText(`GET ${path}`))
        const { status, text } = yield* client.readResponse()
        expect(status === 200 ? text : status).toBe(path === "/fail" ? 500 : "inherited initial")
      }
    })
  )
})
