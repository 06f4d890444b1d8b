/** The scope of a request: when it ends, how, and how it can be ejected; and applications inside handlers. */

import * as HttpApp from "@effect/platform/HttpApp"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { toHandler } from "../../../src/HttpServer.js"
import { respond } from "../../../src/Response.js"
import { serving as servingHandler } from "../../server/harness.js"
import { connect, get, requestText } from "../../support/rawClient.js"
import { EventLog, serving } from "../harness.js"

const text = HttpServerResponse.text

const named = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.match(exit, {
    onSuccess: () => "Success",
    onFailure: (cause) => (Cause.isInterruptedOnly(cause) ? "Interrupt" : "Failure")
  })

const finalized = (log: EventLog<string>, name = "scope") =>
  Effect.addFinalizer((exit) => log.told(`${name} ${named(exit)}`))

describe("the scope of a request", () => {
  for (const [what, app, expected] of [
    ["succeeds", Effect.succeed(text("x")), "Success"],
    ["fails", Effect.fail("mine"), "Failure"],
    ["dies", Effect.die("mine"), "Failure"],
    ["dies by a response", Effect.die(text("x")), "Success"]
  ] as const) {
    it.scopedLive(`passes its finalizers the exit of an application that ${what}`, () =>
      Effect.gen(function* () {
        const log = new EventLog<string>()
        const port = yield* serving(Effect.zipRight(finalized(log), app))
        yield* get(port)
        expect(yield* log.upTo(1)).toStrictEqual([`scope ${expected}`])
      })
    )

    it.scopedLive(`passes them success where a middleware got it: ${what}`, () =>
      Effect.gen(function* () {
        const log = new EventLog<string>()
        const port = yield* serving(Effect.zipRight(finalized(log), app), {
          middleware: (app) => Effect.onExit(app, (exit) => log.told(named(exit)))
        })
        yield* get(port)
        expect(yield* log.upTo(2)).toStrictEqual([expected, "scope Success"])
      })
    )
  }

  it.scopedLive("passes them an interruption", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const app: HttpApp.Default<never, Scope.Scope> = Effect.zipRight(
        finalized(log),
        Effect.zipRight(log.told("running"), Effect.never)
      )
      const client = yield* connect(yield* serving(app))
      yield* client.send(requestText("GET /"))
      yield* log.upTo(1)
      yield* client.reset
      expect((yield* log.upTo(2))[1]).toMatch(/^scope (Interrupt|Failure)$/)
    })
  )

  it.scopedLive("ends after the whole of a stream, the last finalizer first", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const body = Stream.fromEffect(log.told("body")).pipe(Stream.map(() => new Uint8Array(1)))
      const app = finalized(log, "one").pipe(
        Effect.zipRight(finalized(log, "two")),
        Effect.as(HttpServerResponse.stream(body))
      )
      yield* get(yield* serving(app))
      expect(yield* log.upTo(3)).toStrictEqual(["body", "two Success", "one Success"])
    })
  )

  it.scopedLive("is ended before the next request of its connection", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const app = Effect.flatMap(HttpServerRequest, ({ url }) =>
        Effect.zipRight(finalized(log, url), Effect.as(log.told(`run ${url}`), text("x")))
      )
      const client = yield* connect(yield* serving(app))
      yield* client.send(requestText("GET /1") + requestText("GET /2"))
      yield* client.readResponse()
      yield* client.readResponse()
      expect((yield* log.upTo(4)).map((line) => line.slice(0, 6))).toStrictEqual([
        "run /1",
        "/1 Suc",
        "run /2",
        "/2 Suc"
      ])
    })
  )

  it.scopedLive("may be ejected", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      let own: Scope.CloseableScope | undefined
      const app = Effect.zipRight(
        finalized(log),
        Effect.map(Effect.scope, (scope) => {
          HttpApp.ejectDefaultScopeClose(scope)
          // An ejected scope is closed by its new owner.
          own = scope as Scope.CloseableScope
          return text("x")
        })
      )
      const client = yield* connect(yield* serving(app))
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      yield* client.halfClose
      yield* client.closedWith
      expect(log.all).toStrictEqual([])
      yield* Scope.close(own!, Exit.void)
      expect(log.all).toStrictEqual(["scope Success"])
    })
  )

  it.scopedLive("may be left to a stream", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const body = HttpServerResponse.stream(Stream.make(new TextEncoder().encode("streamed")))
      const app = Effect.zipRight(
        finalized(log),
        Effect.sync(() => HttpApp.unsafeEjectStreamScope(body))
      )
      expect((yield* get(yield* serving(app))).text).toBe("streamed")
      expect(yield* log.upTo(1)).toStrictEqual(["scope Success"])
    })
  )

  it.scopedLive("is closed though one of its finalizers dies, and the response stands", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const app = finalized(log).pipe(
        Effect.zipRight(Effect.addFinalizer(() => Effect.die("broken"))),
        Effect.as(text("stands"))
      )
      const client = yield* connect(yield* serving(app))
      yield* client.send(requestText("GET /") + requestText("GET /"))
      expect((yield* client.readResponse()).text).toBe("stands")
      expect((yield* client.readResponse()).text).toBe("stands")
      expect(yield* log.upTo(2)).toStrictEqual(["scope Success", "scope Success"])
    })
  )

  it.scopedLive("is there for what the application forks", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const forked = Effect.forkScoped(
        Effect.onInterrupt(Effect.zipRight(log.told("forked"), Effect.never), () => log.told("interrupted"))
      )
      const app = Effect.zipRight(
        forked,
        Effect.as(
          log.some((line) => line === "forked"),
          text("x")
        )
      )
      yield* get(yield* serving(app))
      expect(yield* log.upTo(2)).toStrictEqual(["forked", "interrupted"])
    })
  )
})

describe("toHandler", () => {
  it.scopedLive("is a handler beside others, and in others", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const app = toHandler(
        Effect.flatMap(HttpServerRequest, ({ url }) => Effect.as(finalized(log), text(`app ${url}`)))
      )
      const { port } = yield* servingHandler((request) => {
        if (request.path === "/native") return respond(request, 200, "native")
        if (request.path === "/plain") return app(request)
        return finalized(log, "outer").pipe(
          Effect.zipRight(app(request)),
          Effect.zipLeft(log.told("after the application"))
        )
      })
      expect((yield* get(port, "/native")).text).toBe("native")
      expect((yield* get(port, "/plain")).text).toBe("app /plain")
      expect(yield* log.upTo(1)).toStrictEqual(["scope Success"])
      expect((yield* get(port, "/wrapped")).text).toBe("app /wrapped")
      expect((yield* log.upTo(4)).slice(1)).toStrictEqual(["scope Success", "after the application", "outer Success"])
    })
  )

  it.scopedLive("responds by itself what fails, and gives the evidence", () =>
    Effect.gen(function* () {
      const log = new EventLog<number>()
      const app = toHandler(Effect.fail("mine"))
      const { port } = yield* servingHandler((request) => Effect.tap(app(request), ({ status }) => log.told(status)))
      expect((yield* get(port)).status).toBe(500)
      expect(yield* log.upTo(1)).toStrictEqual([500])
    })
  )

  it.scopedLive("leaves no service to what comes after it", () =>
    Effect.gen(function* () {
      const app = toHandler(text("x"))
      const log = new EventLog<unknown>()
      const { port } = yield* servingHandler((request) =>
        Effect.zipLeft(
          app(request),
          Effect.flatMap(Effect.context<never>(), ({ unsafeMap }) => log.told(unsafeMap.has(HttpServerRequest.key)))
        )
      )
      yield* get(port)
      expect(yield* log.upTo(1)).toStrictEqual([false])
    })
  )

  it.scopedLive("ends with a timeout around it, and the client gets a response", () =>
    Effect.gen(function* () {
      const log = new EventLog<string>()
      const app = toHandler(Effect.onInterrupt(Effect.never, () => log.told("interrupted")))
      const { port } = yield* servingHandler((request) =>
        Effect.timeoutTo(app(request), {
          duration: "20 millis",
          onSuccess: (responded) => Effect.succeed(responded),
          onTimeout: () => respond(request, 504, "too late")
        }).pipe(Effect.flatten)
      )
      expect([503, 504]).toContain((yield* get(port)).status)
      expect(log.all).toStrictEqual(["interrupted"])
    })
  )

  it.scopedLive("has a middleware", () =>
    Effect.gen(function* () {
      const ref = FiberRef.unsafeMake("outside")
      const app = toHandler(
        Effect.map(FiberRef.get(ref), (inside) => text(inside)),
        (app) => Effect.locally(app, ref, "inside")
      )
      const { port } = yield* servingHandler(app)
      expect((yield* get(port)).text).toBe("inside")
    })
  )
})
