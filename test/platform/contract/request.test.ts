/** `HttpServerRequest`: what an application sees of a request, except its body. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as Headers from "@effect/platform/Headers"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FiberRefs from "effect/FiberRefs"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { toRequest } from "../../../src/HttpServer.js"
import { ask, requestText, withBody } from "../../support/rawClient.js"
import { serving } from "../harness.js"

type Request = HttpServerRequest.HttpServerRequest

/** Serves what an application sees, as JSON. */
const seeing = (look: (request: Request) => unknown) =>
  serving(Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => HttpServerResponse.json(look(request))))

const seen = (port: number, text: string) => Effect.map(ask(port, text), ({ text }): unknown => JSON.parse(text))

const raw = (target: string, method = "GET", fields: ReadonlyArray<string> = []) =>
  `${method} ${target} HTTP/1.1\r\nHost: test\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`

describe("method, url and originalUrl", () => {
  for (const [method, target, url] of [
    ["GET", "/a/b?c=%20d&e", "/a/b?c=%20d&e"],
    ["PATCH", "/", "/"],
    ["OPTIONS", "*", "*"],
    // A proxy's form: it is routed by its path (RFC 9112 §3.2.2), and `originalUrl` is what was sent.
    ["GET", "http://test/x?y", "/x?y"],
    ["GET", "//twice//", "//twice//"]
  ] as const) {
    it.scopedLive(`are those of ${method} ${target}`, () =>
      Effect.gen(function* () {
        const port = yield* seeing(({ method, originalUrl, url }) => [method, url, originalUrl])
        expect(yield* seen(port, raw(target, method))).toStrictEqual([method, url, target])
      })
    )
  }

  it.scopedLive("lose and keep the prefix of a router that is mounted", () =>
    Effect.gen(function* () {
      const inner = HttpRouter.empty.pipe(
        HttpRouter.get(
          "/in",
          Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ originalUrl, url }) =>
            HttpServerResponse.json([url, originalUrl])
          )
        )
      )
      const port = yield* serving(HttpRouter.empty.pipe(HttpRouter.mount("/out", inner)))
      expect(yield* seen(port, requestText("GET /out/in?q"))).toStrictEqual(["/in?q", "/out/in?q"])
    })
  )

  it.scopedLive("make a URL of the Host", () =>
    Effect.gen(function* () {
      const port = yield* seeing((request) => Option.map(HttpServerRequest.toURL(request), String))
      expect(yield* seen(port, raw("/p?q"))).toMatchObject({ value: "http://test/p?q" })
      expect(yield* seen(port, raw("http://test/p?q"))).toMatchObject({ value: "http://test/p?q" })
    })
  )
})

/** What `node:http` makes of the same bytes. */
const ofNode = (text: string): Effect.Effect<unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.async<ReturnType<typeof createServer>>((resume) => {
          const made = createServer((request, response) => response.end(JSON.stringify(request.headers)))
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (server) => Effect.sync(() => server.closeAllConnections())
      )
      // It listens over TCP.
      const { port } = server.address() as AddressInfo
      const headers = yield* seen(port, text)
      server.close()
      return headers
    })
  )

describe("headers", () => {
  const fields = [
    "X-One: 1",
    "x-one: 2",
    "X-ONE:3",
    "Cookie: a=1",
    "cookie: b=2",
    "User-Agent: first",
    "User-Agent: second",
    "Authorization: Basic x",
    "Authorization: Basic y",
    "Accept: text/html",
    "Accept: text/plain;q=0.5",
    "Referer: one",
    "Referer: two",
    "X-Empty:",
    "X-Latin: caf\xe9",
    "constructor: c",
    "toString: t",
    "If-Modified-Since: a",
    "If-Modified-Since: b",
    "Max-Forwards: 1",
    "Max-Forwards: 2",
    "Origin: one",
    "Origin: two"
  ]

  it.scopedLive("are joined as node:http joins them", () =>
    Effect.gen(function* () {
      const text = requestText("GET /", fields)
      const port = yield* seeing(({ headers }) => headers)
      const ours = yield* ask(port, text)
      expect(JSON.parse(ours.text)).toStrictEqual(yield* ofNode(text))
    })
  )

  it.scopedLive("are Headers of the platform: lower case, and redacted when they are shown", () =>
    Effect.gen(function* () {
      const port = yield* seeing(({ headers }) => [
        Headers.isHeaders(headers),
        Headers.get(headers, "X-One"),
        Headers.has(headers, "absent"),
        Inspectable.withRedactableContext(FiberRefs.empty(), () => Inspectable.redact(headers)),
        Headers.set(headers, "x-two", "2")["x-two"]
      ])
      const [isHeaders, one, absent, shown, two] = (yield* seen(
        port,
        requestText("GET /", ["X-One: 1", "Authorization: secret"])
      )) as ReadonlyArray<unknown>
      expect([isHeaders, one, absent, two]).toStrictEqual([
        true,
        { _id: "Option", _tag: "Some", value: "1" },
        false,
        "2"
      ])
      expect(JSON.stringify(shown)).not.toContain("secret")
    })
  )

  it.scopedLive("give the cookies", () =>
    Effect.gen(function* () {
      const port = yield* seeing(({ cookies }) => cookies)
      expect(yield* seen(port, requestText("GET /", ["Cookie: a=1; b=%20x", "Cookie: c=3"]))).toStrictEqual({
        a: "1",
        b: " x",
        c: "3"
      })
      expect(yield* seen(port, requestText("GET /"))).toStrictEqual({})
    })
  )
})

describe("remoteAddress", () => {
  it.scopedLive("is the client's", () =>
    Effect.gen(function* () {
      const port = yield* seeing(({ remoteAddress }) => remoteAddress)
      expect(yield* seen(port, requestText("GET /"))).toMatchObject({ _tag: "Some", value: "127.0.0.1" })
    })
  )
})

describe("modify", () => {
  it.scopedLive("changes what is given, and nothing else", () =>
    Effect.gen(function* () {
      const port = yield* seeing((request) => {
        const changed = request.modify({ url: "/changed" })
        const again = changed.modify({
          headers: Headers.set(changed.headers, "cookie", "b=2"),
          remoteAddress: "10.0.0.1"
        })
        return [request, changed, again].map(({ cookies, headers, method, originalUrl, remoteAddress, url }) => [
          method,
          url,
          originalUrl,
          headers.cookie,
          cookies,
          Option.getOrUndefined(remoteAddress)
        ])
      })
      expect(yield* seen(port, requestText("GET /as-sent", ["Cookie: a=1"]))).toStrictEqual([
        ["GET", "/as-sent", "/as-sent", "a=1", { a: "1" }, "127.0.0.1"],
        ["GET", "/changed", "/as-sent", "a=1", { a: "1" }, "127.0.0.1"],
        ["GET", "/changed", "/as-sent", "b=2", { b: "2" }, "10.0.0.1"]
      ])
    })
  )
})

describe("the request object", () => {
  it.scopedLive("has both TypeIds, and takes properties of others", () =>
    Effect.gen(function* () {
      const own = Symbol("own")
      const port = yield* seeing((request) => {
        Object.assign(request, { [own]: "kept" })
        return [
          HttpServerRequest.TypeId in request,
          Symbol.for("@effect/platform/HttpIncomingMessage") in request,
          Object.isExtensible(request),
          Reflect.get(request, own),
          String(request)
        ]
      })
      expect(yield* seen(port, requestText("GET /x"))).toStrictEqual([
        true,
        true,
        true,
        "kept",
        "ServerRequest(GET /x)"
      ])
    })
  )

  it.scopedLive("gives its request of this package", () =>
    Effect.gen(function* () {
      const port = yield* seeing((request) =>
        Option.map(toRequest(request.modify({ url: "/other" })), ({ url, version }) => [url, version.original])
      )
      expect(yield* seen(port, requestText("GET /x"))).toMatchObject({ value: ["/x", "HTTP/1.1"] })
      expect(Option.isNone(toRequest(HttpServerRequest.fromWeb(new Request("http://test/"))))).toBe(true)
    })
  )

  it.scopedLive("is a web Request where one is needed", () =>
    Effect.gen(function* () {
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        Effect.flatMap(HttpServerRequest.toWeb(request), (web) =>
          Effect.promise(async () =>
            HttpServerResponse.text([web.method, web.url, web.headers.get("x-one"), await web.text()].join(" "))
          )
        )
      )
      const port = yield* serving(app)
      const { text } = yield* ask(port, withBody("POST /x?y", "content", ["X-One: 1"]))
      expect(text).toBe("POST http://test/x?y 1 content")
    })
  )

  const shown = (request: Request): string =>
    Inspectable.withRedactableContext(FiberRefs.empty(), () => JSON.stringify(request) + Inspectable.format(request))

  it.scopedLive("is shown without its body until that is read, and does not read it", () =>
    Effect.gen(function* () {
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const before = shown(request)
        return Effect.flatMap(request.text, (text) => HttpServerResponse.json([before, text]))
      })
      const port = yield* serving(app)
      const text = withBody("POST /x", '{"a":1}', ["Content-Type: application/json", "Authorization: secret"])
      const [before, body] = (yield* seen(port, text)) as ReadonlyArray<string>
      expect(body).toBe('{"a":1}')
      expect(before).toContain('"_id":"@effect/platform/HttpServerRequest","method":"POST","url":"/x"')
      expect(before).not.toContain('"body"')
      expect(before).not.toContain("secret")
    })
  )

  for (const [type, body, expected] of [
    ["application/json", '{"a":1}', { a: 1 }],
    ["application/json", "{not", undefined],
    ["text/plain", "plain", "plain"],
    ["application/x-www-form-urlencoded", "a=1", "a=1"],
    ["application/octet-stream", "bytes", undefined]
  ] as const) {
    it.scopedLive(`is shown with a ${type} body ${body} that was read`, () =>
      Effect.gen(function* () {
        const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
          Effect.flatMap(request.text, () => HttpServerResponse.json(request.modify({}).toJSON()))
        )
        const shown = yield* seen(yield* serving(app), withBody("POST /x", body, [`Content-Type: ${type}`]))
        expect(Object.hasOwn(shown as object, "body")).toBe(expected !== undefined)
        expect(shown).toMatchObject(expected === undefined ? {} : { body: expected })
      })
    )
  }
})
