/** The span of a request: its name, its parent and its attributes; compared with `HttpMiddleware.tracer`. */

import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { toHandler } from "../../../src/HttpServer.js"
import { serving as servingHandler } from "../../server/harness.js"
import { ask, connect, get, requestText } from "../../support/rawClient.js"
import { quiet, type Recorded, serving, Tracing } from "../harness.js"

const text = HttpServerResponse.text

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

const spanOf = Effect.map(Effect.option(Effect.currentSpan), Option.getOrUndefined)

/** What was recorded of one request; served by ours, and beside it by upstream's middleware on the same request. */
const traced = (
  app: HttpApp.Default<unknown>,
  sent: string,
  around: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = (effect) => effect
) =>
  Effect.gen(function* () {
    const ours = new Tracing()
    const theirs = new Tracing()
    const upstream: HttpApp.Default<unknown> = Effect.flatMap(HttpServerRequest, (request) =>
      HttpApp.toHandled(app, () => Effect.void).pipe(
        Effect.provideService(HttpServerRequest, request.modify({})),
        Effect.mapInputContext((context: Context.Context<never>) => Context.omit(Tracer.ParentSpan)(context)),
        Effect.withTracer(theirs.tracer),
        Effect.zipRight(Effect.withTracer(app, ours.tracer))
      )
    )
    // A span of ours begins before the application, which then asks upstream for another.
    const port = yield* around(serving(upstream, { live: quiet }).pipe(Effect.withTracer(ours.tracer)))
    yield* Effect.either(ask(port, sent))
    return { ours: yield* ours.server, theirs: yield* theirs.server }
  })

const said = ({ attributes, name, parent }: Recorded) => ({
  name,
  parent: Option.map(parent, ({ spanId, traceId }) => `${traceId}/${spanId}`),
  attributes: Object.fromEntries(attributes)
})

describe("a tracer", () => {
  const fields = ["User-Agent: tester", "Authorization: secret", "X-One: 1", "X-Forwarded-Proto: https"]

  const cases: ReadonlyArray<readonly [what: string, app: HttpApp.Default<unknown>, sent: string]> = [
    [
      "a response",
      Effect.succeed(text("x", { headers: { "set-cookie": "secret", "x-two": "2" } })),
      requestText("GET /a?b=c", fields)
    ],
    ["a target without a query", Effect.succeed(text("x")), requestText("GET /a?", [])],
    ["a URL with a password", Effect.succeed(text("x")), "GET / HTTP/1.1\r\nHost: test\r\n\r\n"],
    ["a failure", Effect.fail("mine"), requestText("GET /")],
    ["a failure with a response", Effect.fail(text("x", { status: 409 })), requestText("GET /")],
    [
      "a defect that is a response",
      Effect.die(text("x", { status: 202 })),
      requestText("POST /", ["Content-Length: 0"])
    ],
    ["a route", HttpRouter.empty.pipe(HttpRouter.get("/a/:id", text("x"))), requestText("GET /a/1")],
    ["no route", HttpRouter.empty, requestText("GET /nowhere")],
    ["what the client has begun", Effect.succeed(text("x")), requestText("GET /", [`traceparent: ${traceparent}`])],
    [
      "b3",
      Effect.succeed(text("x")),
      requestText("GET /", ["b3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"])
    ],
    [
      "b3 in several fields",
      Effect.succeed(text("x")),
      requestText("GET /", [
        "X-B3-TraceId: 0af7651916cd43dd8448eb211c80319c",
        "X-B3-SpanId: b7ad6b7169203331",
        "X-B3-Sampled: 1"
      ])
    ],
    [
      "an attribute of the application's",
      Effect.as(Effect.annotateCurrentSpan("mine", 1), text("x")),
      requestText("GET /")
    ]
  ]

  for (const [what, app, sent] of cases) {
    it.scopedLive(`gets the attributes of upstream's middleware: ${what}`, () =>
      Effect.gen(function* () {
        const { ours, theirs } = yield* traced(app, sent)
        expect(said(ours)).toStrictEqual(said(theirs))
        expect([ours.kind, ours.links, ours.exit?._tag]).toStrictEqual([theirs.kind, theirs.links, theirs.exit?._tag])
        expect(JSON.stringify(said(ours))).not.toContain("secret")
        // Both have been made in the same fiber, which the server's own annotations must not have reached.
        expect([ours.attributes.has("connection"), ours.attributes.has("peer")]).toStrictEqual([false, false])
      })
    )
  }

  it.scopedLive(
    "gets the annotations of the server's fiber, and names of a generator, as with upstream's middleware",
    () =>
      Effect.gen(function* () {
        const { ours, theirs } = yield* traced(Effect.succeed(text("x")), requestText("GET /named"), (effect) =>
          Effect.annotateSpans(effect, "served", "by").pipe(
            Effect.provideService(HttpMiddleware.SpanNameGenerator, ({ method, url }) => `${method} of ${url}`)
          )
        )
        expect(said(ours)).toStrictEqual(said(theirs))
        expect(ours.name).toBe("GET of /named")
      })
  )

  it.scopedLive("finds a client that has left as 499", () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      const running = yield* Deferred.make<void>()
      const app: HttpApp.Default = Effect.zipRight(Deferred.succeed(running, undefined), Effect.never)
      const client = yield* connect(yield* Effect.withTracer(serving(app), tracing.tracer))
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(running)
      yield* client.reset
      const span = yield* tracing.server
      expect(span.attributes.get("http.response.status_code")).toBe(499)
      expect(span.exit !== undefined && Exit.isInterrupted(span.exit)).toBe(true)
    })
  )

  it.scopedLive("is the application's too: its spans are children of the request's", () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      const app = Effect.withSpan(Effect.succeed(text("x")), "inner")
      yield* get(yield* Effect.withTracer(serving(app), tracing.tracer))
      const inner = yield* tracing.ended.some(({ name }) => name === "inner")
      expect(Option.map(inner.parent, ({ spanId }) => spanId)).toStrictEqual(Option.some("span of http.server GET"))
    })
  )
})

describe("without a tracer", () => {
  it.scopedLive(
    "there is a span all the same, named, a child of the client's, and of one trace with its own children",
    () =>
      Effect.gen(function* () {
        const app = Effect.gen(function* () {
          const span = yield* Effect.orDie(Effect.currentSpan)
          yield* Effect.annotateCurrentSpan("mine", 1)
          const inner = yield* Effect.withSpan(Effect.orDie(Effect.currentSpan), "inner")
          return yield* HttpServerResponse.json([
            span.name,
            span.kind,
            span.traceId,
            Option.map(span.parent, ({ spanId }) => spanId),
            span.attributes.get("mine"),
            inner.traceId === span.traceId,
            Option.exists(inner.parent, ({ spanId }) => spanId === span.spanId),
            span.spanId.length
          ])
        })
        const response = yield* ask(yield* serving(app), requestText("GET /", [`traceparent: ${traceparent}`]))
        expect(JSON.parse(response.text)).toStrictEqual([
          "http.server GET",
          "server",
          "0af7651916cd43dd8448eb211c80319c",
          { _id: "Option", _tag: "Some", value: "b7ad6b7169203331" },
          1,
          true,
          true,
          16
        ])
      })
  )

  it.scopedLive("each request has a span of its own", () =>
    Effect.gen(function* () {
      const port = yield* serving(
        Effect.map(Effect.orDie(Effect.currentSpan), ({ spanId, traceId }) => text(`${traceId} ${spanId}`))
      )
      const [one, two] = yield* Effect.all([get(port), get(port)])
      expect(one.text).not.toBe(two.text)
      expect(one.text).toMatch(/^[0-9a-f]{32} [0-9a-f]{16}$/)
    })
  )
})

describe("tracing that is switched off", () => {
  const named = Effect.map(spanOf, (span) => text(span?.name ?? "none"))

  it.scopedLive("for some requests, by a layer", () =>
    Effect.gen(function* () {
      const live = HttpMiddleware.withTracerDisabledForUrls(quiet, ["/quiet"])
      const port = yield* HttpMiddleware.withTracerDisabledWhenEffect(
        serving(named, { live: Layer.empty }),
        ({ url }) => url === "/quiet"
      )
      expect(Layer.isLayer(live)).toBe(true)
      expect((yield* get(port, "/quiet")).text).toBe("none")
      expect((yield* get(port, "/told")).text).toBe("http.server GET")
    })
  )

  it.scopedLive("altogether, by withTracerEnabled(false): nothing is recorded", () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      const app = Effect.withSpan(named, "inner")
      const port = yield* serving(app).pipe(Effect.withTracer(tracing.tracer), Effect.withTracerEnabled(false))
      expect((yield* get(port)).status).toBe(200)
      expect(tracing.ended.all).toStrictEqual([])
    })
  )

  it.scopedLive("leaves the span that the server was started in", () =>
    Effect.gen(function* () {
      const port = yield* HttpMiddleware.withTracerDisabledWhenEffect(serving(named), () => true).pipe(
        Effect.withSpan("around")
      )
      expect((yield* get(port)).text).toBe("around")
    })
  )
})

describe("a generator of names, or a predicate, that throws", () => {
  const thrown = (): never => {
    throw new Error("thrown")
  }

  it.scopedLive("is the request's failure, and no more", () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      for (const serve of [
        Effect.provideService(
          Effect.withTracer(serving(text("x")), tracing.tracer),
          HttpMiddleware.SpanNameGenerator,
          thrown
        ),
        HttpMiddleware.withTracerDisabledWhenEffect(serving(text("x")), thrown)
      ]) {
        const client = yield* connect(yield* serve)
        yield* client.send(requestText("GET /") + requestText("GET /"))
        expect((yield* client.readResponse()).status).toBe(500)
        expect((yield* client.readResponse()).status).toBe(500)
      }
    })
  )
})

describe("an application inside of a handler", () => {
  it.scopedLive("is traced only as a child of its client", () =>
    Effect.gen(function* () {
      const app = toHandler(Effect.map(spanOf, (span) => text(span?.name ?? "none")))
      const { port } = yield* servingHandler((request) => Effect.withSpan(app(request), "outer"))
      expect((yield* get(port)).text).toBe("http.server GET")
    })
  )
})

const unusedRef = FiberRef.unsafeMake(0)

describe("FiberRefs", () => {
  it.scopedLive("that an application sets are seen by its middleware, and not by the next request", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const port = yield* serving(
        Effect.as(
          FiberRef.update(unusedRef, (n) => n + 1),
          text("x")
        ),
        {
          middleware: (app) =>
            Effect.zipLeft(
              app,
              Effect.map(FiberRef.get(unusedRef), (n) => seen.push(n))
            )
        }
      )
      const client = yield* connect(port)
      for (let i = 0; i < 2; i++) {
        yield* client.send(requestText("GET /"))
        yield* client.readResponse()
      }
      yield* client.halfClose
      yield* client.closedWith
      expect(seen).toStrictEqual([1, 1])
    })
  )
})
