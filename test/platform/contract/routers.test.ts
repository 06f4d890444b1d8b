/** What applications are built with: `HttpLayerRouter`, `HttpApi`, and configuration found in the captured context. */

import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { layer } from "../../../src/HttpServer.js"
import { ask, get, requestText, withBody } from "../../support/rawClient.js"
import { portOf, quiet, serving } from "../harness.js"

const text = HttpServerResponse.text

/** Builds what serves, and gives the port. */
const built = <E>(
  serves: Layer.Layer<never, E, HttpServer.HttpServer | Layer.Layer.Success<ReturnType<typeof layer>>>
) =>
  Layer.build(
    Layer.provide(Layer.provideMerge(serves, layer({ host: "127.0.0.1", port: 0, drainTimeout: 0 })), quiet)
  ).pipe(
    Effect.map((context) => portOf(Context.get(context, HttpServer.HttpServer))),
    Effect.orDie
  )

const json = (method: string, path: string, body: unknown, fields: ReadonlyArray<string> = []): string =>
  withBody(`${method} ${path}`, JSON.stringify(body), ["Content-Type: application/json", ...fields])

describe("HttpRouter", () => {
  it.scopedLive("is configured by the context that is captured", () =>
    Effect.gen(function* () {
      const router = HttpRouter.empty.pipe(
        HttpRouter.get(
          "/a/:id",
          Effect.map(HttpRouter.params, ({ id }) => text(id ?? ""))
        )
      )
      const port = yield* HttpRouter.withRouterConfig(serving(router), { maxParamLength: 3 })
      expect((yield* get(port, "/a/123")).text).toBe("123")
      expect((yield* get(port, "/a/1234")).status).toBe(404)
    })
  )

  it.scopedLive("responds to HEAD by GET's route, and routes what a proxy asks for", () =>
    Effect.gen(function* () {
      const port = yield* serving(HttpRouter.empty.pipe(HttpRouter.get("/a", text("content"))))
      expect((yield* ask(port, requestText("HEAD /a"), "HEAD")).header("Content-Length")).toBe("7")
      expect((yield* get(port, "http://test/a")).text).toBe("content")
    })
  )
})

describe("HttpLayerRouter", () => {
  it.scopedLive("serves its routes, and what is around them", () =>
    Effect.gen(function* () {
      const route = HttpLayerRouter.add("POST", "/a/:id", (request) =>
        Effect.gen(function* () {
          const { id } = yield* HttpLayerRouter.params
          return text(`${id} ${yield* request.text}`)
        })
      )
      const marked = HttpLayerRouter.middleware(
        Effect.succeed((app: HttpApp.Default<unknown, never>) =>
          Effect.map(app, (response) => HttpServerResponse.setHeader(response, "x-mark", "1"))
        ),
        { global: true }
      )
      const port = yield* built(HttpLayerRouter.serve(Layer.merge(route, marked), { disableLogger: true }))
      const received = yield* ask(port, withBody("POST /a/1?q", "body"))
      expect([received.status, received.text, received.header("x-mark")]).toStrictEqual([200, "1 body", "1"])
      expect((yield* get(port, "/b")).status).toBe(404)
    })
  )
})

class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  {},
  HttpApiSchema.annotations({ status: 401 })
) {}

class User extends Context.Tag("test/User")<User, string>() {}

class Authorization extends HttpApiMiddleware.Tag<Authorization>()("test/Authorization", {
  failure: Unauthorized,
  provides: User,
  security: { bearer: HttpApiSecurity.bearer }
}) {}

class Missing extends Schema.TaggedError<Missing>()(
  "Missing",
  { id: Schema.Number },
  HttpApiSchema.annotations({ status: 404 })
) {}

const Item = Schema.Struct({ id: Schema.Number, name: Schema.NonEmptyString })

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("items")
    .add(
      HttpApiEndpoint.get("find", "/items/:id")
        .setPath(Schema.Struct({ id: Schema.NumberFromString }))
        .addSuccess(Item)
        .addError(Missing)
    )
    .add(HttpApiEndpoint.post("make", "/items").setPayload(Item).addSuccess(Item, { status: 201 }))
    .add(HttpApiEndpoint.get("me", "/me").addSuccess(Schema.String).middleware(Authorization))
    .add(
      HttpApiEndpoint.post("upload", "/upload")
        .setPayload(HttpApiSchema.Multipart(Schema.Struct({ field: Schema.String })))
        .addSuccess(Schema.String)
    )
    .add(HttpApiEndpoint.get("stream", "/stream").addSuccess(Schema.String))
)

const items = HttpApiBuilder.group(Api, "items", (handlers) =>
  handlers
    .handle("find", ({ path: { id } }) =>
      id === 1 ? Effect.succeed({ id, name: "one" }) : Effect.fail(new Missing({ id }))
    )
    .handle("make", ({ payload }) => Effect.succeed(payload))
    .handle("me", () => User)
    .handle("upload", ({ payload }) => Effect.succeed(payload.field))
    .handleRaw("stream", () =>
      Effect.succeed(HttpServerResponse.stream(Stream.make(new TextEncoder().encode("streamed"))))
    )
)

const authorization = Layer.succeed(
  Authorization,
  Authorization.of({
    bearer: (token) => (Redacted.value(token) === "token" ? Effect.succeed("known") : Effect.fail(new Unauthorized()))
  })
)

const api = HttpApiBuilder.serve().pipe(
  Layer.provide(HttpApiBuilder.api(Api)),
  Layer.provide(items),
  Layer.provide(authorization)
)

describe("HttpApi", () => {
  for (const [what, sent, status, body] of [
    ["a success", requestText("GET /items/1"), 200, { id: 1, name: "one" }],
    ["an error of its own", requestText("GET /items/2"), 404, { _tag: "Missing", id: 2 }],
    ["a payload", json("POST", "/items", { id: 1, name: "a" }), 201, { id: 1, name: "a" }],
    ["a payload that is wrong", json("POST", "/items", { id: 1, name: "" }), 400, { _tag: "HttpApiDecodeError" }],
    ["a path that is wrong", requestText("GET /items/one"), 400, { _tag: "HttpApiDecodeError" }],
    ["a known user", requestText("GET /me", ["Authorization: Bearer token"]), 200, "known"],
    ["an unknown user", requestText("GET /me"), 401, { _tag: "Unauthorized" }]
  ] as const) {
    it.scopedLive(`responds to ${what}`, () =>
      Effect.gen(function* () {
        const response = yield* ask(yield* built(api), sent)
        expect(response.status).toBe(status)
        const content: unknown = JSON.parse(response.text)
        if (typeof body === "string") expect(content).toBe(body)
        else expect(content).toMatchObject(body)
      })
    )
  }

  it.scopedLive("rejects what is no JSON with 400, a stream, and a form", () =>
    Effect.gen(function* () {
      const port = yield* built(api)
      expect((yield* ask(port, withBody("POST /items", "{", ["Content-Type: application/json"]))).status).toBe(400)
      expect((yield* get(port, "/stream")).text).toBe("streamed")
      const form = '--b\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n--b--\r\n'
      const sent = withBody("POST /upload", form, ["Content-Type: multipart/form-data; boundary=b"])
      expect((yield* ask(port, sent)).text).toBe('"value"')
      expect((yield* get(port, "/nowhere")).status).toBe(404)
    })
  )
})

describe("HttpApp.fromWebHandler", () => {
  it.scopedLive("is given the request, and responds with what it returns", () =>
    Effect.gen(function* () {
      const app = HttpApp.fromWebHandler(async (request) =>
        Response.json({ method: request.method, url: request.url, body: await request.text() }, { status: 201 })
      )
      const response = yield* ask(yield* serving(app), withBody("POST /x?y", "body"))
      expect(response.status).toBe(201)
      expect(JSON.parse(response.text)).toStrictEqual({ method: "POST", url: "http://test/x?y", body: "body" })
    })
  )
})

describe("an application with a service of its own", () => {
  it.scopedLive("finds it beside the request", () =>
    Effect.gen(function* () {
      const app = Effect.map(Effect.all([User, HttpServerRequest]), ([user, { url }]) => text(`${user} ${url}`))
      const port = yield* Effect.provideService(serving(app), User, "known user")
      expect((yield* get(port, "/x")).text).toBe("known user /x")
    })
  )
})
