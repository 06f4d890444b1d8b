/** A report: WebDAV's PROPFIND, QUERY, PURGE and methods of our own got 501 before any handler. */
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { HttpMethod as PlatformMethod } from "@effect/platform/HttpMethod"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpMethod from "../../src/HttpMethod.js"
import { type Handler, respond } from "../../src/Response.js"
import * as Reply from "../../src/testing/Reply.js"
import * as TestServer from "../../src/testing/TestServer.js"
import { serving as servingApplication } from "../platform/harness.js"
import { serving } from "../server/harness.js"
import { servingInMemory } from "../server/memory.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { ask, connect, requestText, withBody } from "../wire/rawConnection.js"
import { expectRefusal } from "../wire/rfc9112/rows.js"

/** Any token is a method (RFC 9110 §9.1), registered or not. */
const methods = ["PROPFIND", "QUERY", "PURGE", "M-SEARCH", "get", "GETS", "!#$%&'*+-.^_`|~09aZ"].map(
  (method) => [method, method] as const
)
const long = ["4,000 characters", "M".repeat(4000)] as const

const echo = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
  Effect.map(request.text, (text) => HttpServerResponse.text(`${request.method} ${request.url} ${text}`))
)

const servers = [
  [
    'the native server with `unknownMethods: "handle"`',
    Effect.map(
      serving(
        (request) =>
          Effect.flatMap(request.text, (text) => respond(request, 200, `${request.method} ${request.url} ${text}`)),
        { unknownMethods: "handle" }
      ),
      ({ port }) => port
    )
  ],
  ["the drop-in", servingApplication(echo)],
  [
    "the test kit",
    Effect.map(
      TestServer.make((request) =>
        Effect.flatMap(request.text, (text) => respond(request, 200, `${request.method} ${request.url} ${text}`))
      ),
      ({ address }) => address.port
    )
  ]
] as const

describe.each(servers)("methods beyond the nine, %s", (_, serve) => {
  it.scopedLive.each([...methods, long])("reaches the handler: %s", ([, method]) =>
    Effect.gen(function* () {
      const response = yield* ask(yield* serve, requestText(`${method} /a?b`))
      expect([response.status, response.text]).toStrictEqual([200, `${method} /a?b `])
    })
  )

  it.scopedLive("frames their content as that of any other: by length, by chunks, or none", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serve)
      yield* client.send(
        withBody("REPORT /1", "by length") +
          requestText("SEARCH /2", ["Transfer-Encoding: chunked"], "9\r\nin chunks\r\n0\r\n\r\n") +
          requestText("PURGE /3", ["Connection: close"])
      )
      expect(parseResponses(yield* client.readToEnd).map(({ status, text }) => [status, text])).toStrictEqual([
        [200, "REPORT /1 by length"],
        [200, "SEARCH /2 in chunks"],
        [200, "PURGE /3 "]
      ])
    })
  )

  it.scopedLive("bounds a method by the request line alone: 414 beyond it", () =>
    Effect.gen(function* () {
      expectRefusal(yield* ask(yield* serve, "M".repeat(100_000)), 414)
    })
  )

  it.scopedLive.each(["PROPFIND *", "PROPFIND a:80", "PR(PFIND /"])("still get 400: %s", (line) =>
    Effect.gen(function* () {
      expectRefusal(yield* ask(yield* serve, requestText(line)), 400)
    })
  )

  it.scopedLive("still get 505: the preface of HTTP/2", () =>
    Effect.gen(function* () {
      expectRefusal(yield* ask(yield* serve, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505)
    })
  )

  it.scopedLive("still get 501: CONNECT, which asks for a tunnel", () =>
    Effect.gen(function* () {
      expectRefusal(yield* ask(yield* serve, requestText("CONNECT a:80")), 501)
    })
  )
})

describe("methods beyond the nine", () => {
  it.scopedLive.each([{}, { unknownMethods: "reject" as const }])("get 501 by a native server with %j", (options) =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200), options)
      for (const method of ["PROPFIND", "get", "M".repeat(33)]) {
        expectRefusal(yield* ask(port, requestText(`${method} /`)), 501)
      }
    })
  )

  it.scoped("are cut anywhere without a difference", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory((request) => respond(request, 200, request.method), {
        unknownMethods: "handle"
      })
      const text = requestText("PROPFIND /", ["Connection: close"])
      for (let at = 0; at < text.length; at++) {
        const connection = yield* connect
        connection.send(text.slice(0, at))
        connection.send(text.slice(at))
        yield* connection.ended
        expect(parseResponses(Buffer.from(connection.written)).map(({ text }) => text)).toStrictEqual(["PROPFIND"])
      }
    })
  )

  it.scopedLive("are routed by HttpRouter, and not found where no route has them", () =>
    Effect.gen(function* () {
      // The types of the platform name the methods that it has constructors for.
      const propfind = HttpRouter.route("PROPFIND" as PlatformMethod)
      const port = yield* servingApplication(
        HttpRouter.empty.pipe(
          propfind(
            "/folder/:name",
            Effect.map(HttpRouter.params, ({ name }) => HttpServerResponse.text(`found ${name}`))
          ),
          HttpRouter.all("/any", echo)
        )
      )
      const of = (line: string) => Effect.map(ask(port, requestText(line)), ({ status, text }) => [status, text])
      expect(yield* of("PROPFIND /folder/a")).toStrictEqual([200, "found a"])
      expect(yield* of("GET /folder/a")).toStrictEqual([404, ""])
      expect(yield* of("PURGE /any")).toStrictEqual([200, "PURGE /any "])
      expect(yield* of("BREW /folder/a")).toStrictEqual([404, ""])
    })
  )

  it.scopedLive("are sent by the kit's client, taken by its routes, recorded, expected, and named by Allow", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory(
        Reply.routes(
          { "PROPFIND /a/:name": (request, { name }) => respond(request, 207, name), "GET /a/b": Reply.text("got") },
          { unmatched: "reject" }
        )
      )
      yield* server.expect({ method: "PROPFIND", path: "/a/b" })
      const asked = (method: string) =>
        Effect.flatMap(server.client.execute(HttpClientRequest.make(method as PlatformMethod)("/a/b")), (response) =>
          Effect.map(response.text, (text) => [response.status, text, response.headers.allow])
        )
      expect(yield* asked("PROPFIND")).toStrictEqual([207, "b", undefined])
      expect((yield* server.takeRequest).method).toBe("PROPFIND")
      expect(yield* asked("PURGE")).toStrictEqual([405, "", "HEAD, GET, PROPFIND"])
    })
  )

  it.scopedLive("are taken by a route of the kit with a method that no type names", () =>
    Effect.gen(function* () {
      // Types name the methods that are registered, so that a slip of the pen is an error.
      const routes = { "BREW /pot": Reply.text("coffee") } as unknown as { readonly "GET /pot": Handler }
      const server = yield* TestServer.makeMemory(Reply.routes(routes))
      const brew = HttpClientRequest.make("BREW" as PlatformMethod)("/pot")
      const response = yield* HttpClient.execute(brew).pipe(Effect.provideService(HttpClient.HttpClient, server.client))
      expect(yield* response.text).toBe("coffee")
    })
  )

  it("promise nothing that is not known of them", () => {
    const method: HttpMethod.HttpMethod = "BREW"
    expect([HttpMethod.isHttpMethod(method), HttpMethod.isSafe(method), HttpMethod.isIdempotent(method)]).toStrictEqual(
      [false, false, false]
    )
  })
})
