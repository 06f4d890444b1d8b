/** The span of a request that no tracer records: what an application reads of it, beside what it reads with `NodeHttpServer`. */
import { createServer } from "node:http"
import * as Headers from "@effect/platform/Headers"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import type * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { listening, portOf, quiet } from "../platform/harness.js"
import { eventLoopTurns } from "../support/eventually.js"
import { ask, requestText } from "../wire/rawConnection.js"

const text = HttpServerResponse.text

const upstream = Effect.orDie(NodeHttpServer.make(() => createServer(), { port: 0, host: "127.0.0.1" }))

type Looked = Readonly<Record<string, unknown>>

/** What differs between any two requests, or by the port. */
const isOwn = (name: string): boolean => name === "url.full" || name === "http.request.header.host"

/** Events are kept by the native spans, and are no part of what every span has. */
type Native = Tracer.Span & { readonly events: ReadonlyArray<readonly [string, bigint, unknown]> }

const shapeOf = (span: Tracer.Span): Looked => ({
  name: span.name,
  kind: span.kind,
  links: span.links.map(({ attributes }) => attributes),
  events: (span as Native).events.map(([name, , attributes]) => [name, attributes]),
  status: span.status._tag,
  parent: Option.map(span.parent, ({ spanId }) => spanId),
  attributes: Object.fromEntries([...span.attributes].filter(([name]) => !isOwn(name)))
})

/** Serves an application, and gives its span as it was when it looked, and as it is after the response. */
const looking = (
  made: Effect.Effect<HttpServer.HttpServer, never, Scope.Scope>,
  app: HttpApp.Default<unknown>,
  sent: string,
  around: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const server = yield* made
    const found = yield* Deferred.make<Tracer.Span>()
    const during: Array<Looked> = []
    const looked = Effect.tap(Effect.orDie(Effect.currentSpan), (span) => {
      during.push(shapeOf(span))
      return Deferred.succeed(found, span)
    })
    yield* around(server.serve(Effect.zipRight(looked, app)) as Effect.Effect<void, never, Scope.Scope>)
    yield* ask(portOf(server), sent)
    const span = yield* Deferred.await(found)
    yield* Effect.repeat(eventLoopTurns(1), { until: () => span.status._tag === "Ended" })
    return { during: during[0], after: shapeOf(span) }
  }).pipe(Effect.provide(quiet))

/** The span is not read before the response: its attributes are made after it. */
const lateOnly = (
  made: Effect.Effect<HttpServer.HttpServer, never, Scope.Scope>,
  app: HttpApp.Default<unknown>,
  sent: string
) =>
  Effect.gen(function* () {
    const server = yield* made
    const found = yield* Deferred.make<Tracer.Span>()
    const kept = Effect.tap(Effect.orDie(Effect.currentSpan), (span) => Deferred.succeed(found, span))
    yield* server.serve(Effect.zipRight(kept, app)) as Effect.Effect<void, never, Scope.Scope>
    yield* ask(portOf(server), sent)
    const span = yield* Deferred.await(found)
    yield* Effect.repeat(eventLoopTurns(1), { until: () => span.status._tag === "Ended" })
    return shapeOf(span)
  }).pipe(Effect.provide(quiet))

describe("Effect.currentSpan without a tracer", () => {
  const fields = ["User-Agent: tester", "Authorization: secret", "X-One: 1", "X-Forwarded-Proto: https"]
  const link: Tracer.SpanLink = {
    _tag: "SpanLink",
    span: Tracer.externalSpan({ spanId: "b7ad6b7169203331", traceId: "0af7651916cd43dd8448eb211c80319c" }),
    attributes: { linked: true }
  }

  const cases: Readonly<Record<string, readonly [app: HttpApp.Default<unknown>, sent: string]>> = {
    "a response": [
      Effect.succeed(text("x", { headers: { "set-cookie": "secret", "x-two": "2" } })),
      requestText("GET /a?b=c", fields)
    ],
    "a route": [HttpRouter.empty.pipe(HttpRouter.get("/a/:id", text("x"))), requestText("GET /a/1")],
    "no route": [HttpRouter.empty, requestText("GET /nowhere")],
    "a failure": [Effect.fail("own"), requestText("GET /")],
    "attributes, events and links of the application's": [
      Effect.annotateCurrentSpan("http.request.method", "own").pipe(
        Effect.zipRight(Effect.tap(Effect.orDie(Effect.currentSpan), (span) => span.event("seen", 0n, { at: 1 }))),
        Effect.zipRight(Effect.linkSpanCurrent(link.span, { linked: true })),
        Effect.as(text("x"))
      ),
      requestText("GET /")
    ],
    "names of headers that the application redacts too late": [
      Effect.as(FiberRef.set(Headers.currentRedactedNames, ["x-one"]), text("x", { headers: { "x-one": "1" } })),
      requestText("GET /", ["X-One: 1"])
    ]
  }

  for (const [what, [app, sent]] of Object.entries(cases)) {
    it.scopedLive(`has the attributes that it has with NodeHttpServer: ${what}`, () =>
      Effect.gen(function* () {
        const identity = <A>(a: A): A => a
        const theirs = yield* looking(upstream, app, sent, identity)
        const ours = yield* looking(listening(), app, sent, identity)
        expect(ours).toStrictEqual(theirs)
        expect(ours.after.attributes).toMatchObject({ "url.scheme": sent.includes("https") ? "https" : "http" })
        expect(JSON.stringify(ours)).not.toContain("secret")
      })
    )

    it.scopedLive(`has them for a first read after the response: ${what}`, () =>
      Effect.gen(function* () {
        expect(yield* lateOnly(listening(), app, sent)).toStrictEqual(yield* lateOnly(upstream, app, sent))
      })
    )
  }

  it.scopedLive("has what the server's context adds: annotations, links, names and redacted headers", () =>
    Effect.gen(function* () {
      const around = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
        effect.pipe(
          Effect.annotateSpans("served", "by"),
          Effect.linkSpans(link.span, { linked: true }),
          Effect.locally(Headers.currentRedactedNames, ["x-one"]),
          Effect.provideService(HttpMiddleware.SpanNameGenerator, ({ method, url }) => `${method} of ${url}`)
        )
      const sent = requestText("GET /named", ["X-One: private"])
      const theirs = yield* looking(upstream, Effect.succeed(text("x")), sent, around)
      const ours = yield* looking(listening(), Effect.succeed(text("x")), sent, around)
      expect(ours).toStrictEqual(theirs)
      expect(ours.during?.name).toBe("GET of /named")
      expect(JSON.stringify(ours)).not.toContain("private")
    })
  )

  it.scopedLive("names its request once, though the name is read again and again", () =>
    Effect.gen(function* () {
      let names = 0
      const app = Effect.map(Effect.orDie(Effect.currentSpan), (span) => text(`${span.name} ${span.name}`))
      const server = yield* listening()
      yield* server.serve(app).pipe(Effect.provideService(HttpMiddleware.SpanNameGenerator, () => `name ${++names}`))
      expect((yield* ask(portOf(server), requestText("GET /"))).text).toBe("name 1 name 1")
    })
  )
})
