/** A report: with a forward proxy, `headers.host`, `toURL` and routing by host used Host instead of the host of the target. */
import { HttpMultiplex, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import { respond, tunnel } from "../../src/Response.js"
import * as TestServer from "../../src/testing/TestServer.js"
import { serving as servingApplication } from "../platform/harness.js"
import { serving } from "../server/harness.js"
import { ask, connect } from "../wire/rawConnection.js"

/** A head, the host of its target (RFC 9112 §3.2.2, §3.3), and the URL from `toURL`. */
const heads = [
  [
    "an authority that is not Host's",
    "GET http://b.example/x HTTP/1.1\r\nHost: a.example",
    "b.example",
    "http://b.example/x"
  ],
  ["a port", "GET http://b.example:81/x?y HTTP/1.1\r\nHost: a.example", "b.example:81", "http://b.example:81/x?y"],
  ["the default port", "GET http://b.example:80/x HTTP/1.1\r\nHost: a.example", "b.example:80", "http://b.example/x"],
  ["an empty port", "GET http://b.example:/x HTTP/1.1\r\nHost: a.example", "b.example:", "http://b.example/x"],
  ["a Host with a port", "GET http://b.example/x HTTP/1.1\r\nHost: a.example:81", "b.example", "http://b.example/x"],
  ["an IPv6 address", "GET http://[::1]:81/x HTTP/1.1\r\nHost: a.example", "[::1]:81", "http://[::1]:81/x"],
  ["upper case", "GET HTTP://B.Example/X HTTP/1.1\r\nHost: a.example", "B.Example", "http://b.example/X"],
  ["an empty path", "GET http://b.example HTTP/1.1\r\nHost: a.example", "b.example", "http://b.example/"],
  ["a query alone", "GET http://b.example?y HTTP/1.1\r\nHost: a.example", "b.example", "http://b.example/?y"],
  [
    "OPTIONS for the whole server",
    "OPTIONS http://b.example HTTP/1.1\r\nHost: a.example",
    "b.example",
    "http://b.example/*"
  ],
  [
    "a path that begins as an authority does",
    "GET http://b.example//c.example/x HTTP/1.1\r\nHost: a.example",
    "b.example",
    "http://b.example//c.example/x"
  ],
  ["another name of Host", "GET http://b.example/x HTTP/1.1\r\nhOST:  a.example", "b.example", "http://b.example/x"],
  ["an empty Host", "GET http://b.example/x HTTP/1.1\r\nHost:", "b.example", "http://b.example/x"],
  ["HTTP/1.0 without Host", "GET http://b.example/x HTTP/1.0", "b.example", "http://b.example/x"],
  [
    "HTTP/1.0 with another Host",
    "GET http://b.example/x HTTP/1.0\r\nHost: a.example",
    "b.example",
    "http://b.example/x"
  ],
  // Of the other forms it is Host's, which is left as it was sent.
  ["origin-form", "GET /x HTTP/1.1\r\nHost: A.example:81", "A.example:81", "http://a.example:81/x"],
  ["origin-form in HTTP/1.0 without Host", "GET /x HTTP/1.0", undefined, "http://localhost/x"],
  ["asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a.example", "a.example", "http://a.example/*"],
  ["asterisk-form in HTTP/1.0 without Host", "OPTIONS * HTTP/1.0", undefined, "http://localhost/*"]
] as const

const asked = (port: number, head: string) =>
  Effect.map(ask(port, `${head}\r\nX-A: b\r\nConnection: close\r\n\r\n`), ({ text }): unknown => JSON.parse(text))

describe("the host of a request", () => {
  it.scopedLive.each(heads)("to the drop-in, with %s", ([, head, host, url]) =>
    Effect.gen(function* () {
      const port = yield* servingApplication(
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const web = yield* HttpServerRequest.toWeb(request)
          return yield* HttpServerResponse.json({
            host: request.headers.host,
            "x-a": request.headers["x-a"],
            toURL: Option.map(HttpServerRequest.toURL(request), String),
            toWeb: [web.url, web.headers.get("host")]
          })
        })
      )
      expect(yield* asked(port, head)).toStrictEqual({
        ...(host === undefined ? {} : { host }),
        "x-a": "b",
        toURL: { _id: "Option", _tag: "Some", value: url },
        toWeb: [url, host ?? null]
      })
    })
  )

  it.scopedLive.each(heads)("to the native server, with %s", ([, head, host]) =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respond(
          request,
          200,
          JSON.stringify([
            request.host,
            HttpHeaders.getAll(request.headers, "Host"),
            HttpHeaders.getAll(request.headers, "X-A")
          ])
        )
      )
      expect(yield* asked(port, head)).toStrictEqual([host ?? "", host === undefined ? [] : [host], ["b"]])
    })
  )

  it.scopedLive.each(heads)("to the test kit, with %s", ([, head, host]) =>
    Effect.gen(function* () {
      const server = yield* TestServer.makeMemory((request) => respond(request, 200))
      const client = yield* server.connect
      yield* client.send(`${head}\r\n\r\n`)
      const { headers, host: recorded } = yield* server.takeRequest
      expect([recorded, HttpHeaders.getOption(headers, "Host")]).toStrictEqual([host ?? "", Option.fromNullable(host)])
    })
  )

  it.scopedLive("decides which application of HttpMultiplex is asked", () =>
    Effect.gen(function* () {
      const port = yield* servingApplication(
        HttpMultiplex.empty.pipe(
          HttpMultiplex.hostExact("a.example", HttpServerResponse.unsafeJson("the application of a")),
          HttpMultiplex.hostExact("b.example", HttpServerResponse.unsafeJson("the application of b"))
        )
      )
      expect(yield* asked(port, "GET http://b.example/x HTTP/1.1\r\nHost: a.example")).toBe("the application of b")
      expect(yield* asked(port, "GET /x HTTP/1.1\r\nHost: a.example")).toBe("the application of a")
    })
  )

  it.scopedLive("leaves the path to a router, whatever it begins with", () =>
    Effect.gen(function* () {
      const url = Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => HttpServerResponse.unsafeJson(url))
      const port = yield* servingApplication(HttpRouter.empty.pipe(HttpRouter.get("/x", url)))
      expect(yield* asked(port, "GET http://b.example/x?y HTTP/1.1\r\nHost: a.example")).toBe("/x?y")
      expect(yield* asked(port, "GET http://b.example//x HTTP/1.1\r\nHost: a.example")).toBe("http://b.example//x")
      expect(yield* asked(port, "GET //x HTTP/1.1\r\nHost: a.example")).toBe("//x")
    })
  )

  it.scopedLive("is the target of CONNECT", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(
        (request) =>
          tunnel(request, {}, (duplex) =>
            duplex.write(JSON.stringify([request.host, HttpHeaders.getAll(request.headers, "Host")]))
          ),
        { connectMethod: "handle" }
      )
      const wire = yield* connect(port)
      yield* wire.send("CONNECT b.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n")
      expect((yield* wire.readToEnd).toString()).toMatch(/\r\n\r\n\["b.example:443",\["b.example:443"\]\]$/)
    })
  )

  it.scopedLive("is found where Host was, among the other fields as they were sent", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200, JSON.stringify(Array.from(request.headers))))
      const text = "GET http://b/ HTTP/1.1\r\nA: 1\r\nhost: a\r\na: 2\r\nConnection: close\r\n\r\n"
      expect(JSON.parse((yield* ask(port, text)).text)).toStrictEqual([
        ["A", "1"],
        ["host", "b"],
        ["a", "2"],
        ["Connection", "close"]
      ])
    })
  )
})
