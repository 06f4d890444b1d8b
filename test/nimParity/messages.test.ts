/** Requests and responses of Nim's asynchttpserver and its httpcore, each entry under its name there. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { KeyError } from "../../src/Errors.js"
import * as HttpCode from "../../src/HttpCode.js"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import * as HttpMethod from "../../src/HttpMethod.js"
import * as HttpVersion from "../../src/HttpVersion.js"
import type { Request } from "../../src/Request.js"
import { type Handler, respond, sendHeaders } from "../../src/Response.js"
import { serving } from "../server/harness.js"
import { ask, connect, get, requestText, withBody } from "../wire/rawConnection.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")

describe("respond(request, code, content, headers)", () => {
  it.scopedLive("writes the status line, the headers, the length and the content, and keeps the connection", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respond(request, HttpCode.Http201, "Hällo", { "Content-Type": "text/plain; charset=utf-8", "X-Own": "1" })
      )
      const client = yield* connect(port)
      for (let i = 0; i < 2; i++) {
        yield* client.send(requestText("GET /"))
        const response = yield* client.readResponse()
        expect([response.version, response.status, response.reason]).toStrictEqual(["HTTP/1.1", 201, "Created"])
        expect(response.header("Content-Type")).toBe("text/plain; charset=utf-8")
        expect(response.header("X-Own")).toBe("1")
        expect(response.header("Content-Length")).toBe("6")
        expect(response.text).toBe("Hällo")
      }
    })
  )

  it.scopedLive("leaves out no header that the handler gives, and keeps their order", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respond(request, 200, "", [
          ["Set-Cookie", "a=1"],
          ["x-b", "2"],
          ["Set-Cookie", "c=3"]
        ])
      )
      const { fields } = yield* get(port)
      expect(fields.filter(([name]) => name === "Set-Cookie" || name === "x-b")).toStrictEqual([
        ["Set-Cookie", "a=1"],
        ["x-b", "2"],
        ["Set-Cookie", "c=3"]
      ])
    })
  )
})

describe("sendHeaders(request, headers)", () => {
  it.scopedLive("lets a handler write its response by hand, in chunks", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200, { "Content-Type": "text/plain" })
          yield* body.write("first, ")
          yield* body.write(Buffer.from("second"))
          return yield* body.end()
        })
      )
      const response = yield* get(port)
      expect(response.header("Content-Type")).toBe("text/plain")
      expect(response.text).toBe("first, second")
      expect(response.chunks).toStrictEqual([7, 6])
    })
  )

  it.scopedLive("lets a handler write its response by hand, with its Content-Length", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200, { "Content-Length": "4" })
          yield* body.write("ab")
          yield* body.write("cd")
          return yield* body.end()
        })
      )
      const response = yield* get(port)
      expect(response.header("Content-Length")).toBe("4")
      expect(response.text).toBe("abcd")
    })
  )
})

describe("Request", () => {
  it.scopedLive("has the client, the method, the headers, the protocol, the url, the peer's address and the body", () =>
    Effect.gen(function* () {
      const seen = yield* Deferred.make<{ readonly request: Request; readonly body: string }>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Deferred.succeed(seen, { request, body: yield* request.text })
          return yield* respond(request, 200)
        })
      )
      const client = yield* connect(port)
      yield* client.send(withBody("PUT /path/x?q=1&r=%20", "the body", ["X-Own: yes"]))
      yield* client.readResponse()
      const { body, request } = yield* Deferred.await(seen)
      expect(request.method).toBe("PUT")
      expect(Array.from(request.headers)).toStrictEqual([
        ["Host", "test"],
        ["Content-Length", "8"],
        ["X-Own", "yes"]
      ])
      expect(request.version).toStrictEqual({ original: "HTTP/1.1", major: 1, minor: 1 })
      expect(request.url).toBe("/path/x?q=1&r=%20")
      expect([request.path, request.query]).toStrictEqual(["/path/x", "q=1&r=%20"])
      expect(request.remoteAddress).toStrictEqual(Option.some("127.0.0.1"))
      expect(Option.getOrThrow(request.client.remote)).toMatchObject({ port: client.localPort })
      expect(Option.getOrThrow(request.client.local)).toMatchObject({ port })
      expect(body).toBe("the body")
    })
  )
})

describe("AsyncHttpServer.maxBody", () => {
  it.scopedLive("is the largest body that is read, with a length or without", () =>
    Effect.gen(function* () {
      const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))
      const { port } = yield* serving(echo, { maxBody: 10 })
      expect((yield* ask(port, withBody("POST /", "0123456789"))).text).toBe("0123456789")
      expect((yield* ask(port, withBody("POST /", "0123456789a"))).status).toBe(413)
      const chunked = (body: string) => requestText("POST /", ["Transfer-Encoding: chunked"], body)
      expect((yield* ask(port, chunked("a\r\n0123456789\r\n0\r\n\r\n"))).text).toBe("0123456789")
      expect((yield* ask(port, chunked("5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n"))).status).toBe(413)
    })
  )

  it.scopedLive("wins over limits.maxBody, which is the same", () =>
    Effect.gen(function* () {
      const one = yield* serving(hello, { limits: { maxBody: 3 } })
      expect((yield* ask(one.port, withBody("POST /", "0123"))).status).toBe(413)
      const other = yield* serving(hello, { maxBody: 4, limits: { maxBody: 3 } })
      expect((yield* ask(other.port, withBody("POST /", "0123"))).status).toBe(200)
    })
  )
})

describe("httpcore", () => {
  it.scopedLive("HttpMethod: every method but CONNECT, which is rejected, reaches the handler", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200, "", { "X-Method": request.method }))
      expect(HttpMethod.all).toHaveLength(9)
      for (const method of HttpMethod.all.filter((method) => method !== "CONNECT")) {
        const response = yield* ask(port, requestText(`${method} /`), method)
        expect([response.status, response.header("X-Method")]).toStrictEqual([200, method])
      }
      expect((yield* ask(port, requestText("CONNECT test:80"))).status).toBe(501)
    })
  )

  it.scopedLive("HttpCode: every final code with a name leaves with its text", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, Number(request.query)))
      const client = yield* connect(port)
      for (const code of HttpCode.all.filter((code) => !HttpCode.is1xx(code))) {
        yield* client.send(requestText(`GET /?${code}`))
        const { reason, status } = yield* client.readResponse()
        expect(`${status} ${reason}`).toBe(HttpCode.toString(code))
      }
      yield* client.send(requestText("GET /?299"))
      expect(yield* client.readResponse()).toMatchObject({ status: 299, reason: "" })
    })
  )

  it.scopedLive("HttpVersion: 1.1 and 1.0 are distinguished", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respond(
          request,
          200,
          `${request.version.original} ${HttpVersion.equals(request.version, HttpVersion.HttpVer10)}`
        )
      )
      expect((yield* ask(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).text).toBe("HTTP/1.1 false")
      expect((yield* ask(port, "GET / HTTP/1.0\r\n\r\n")).text).toBe("HTTP/1.0 true")
    })
  )

  it.scopedLive("HttpHeaders: any case, many values, the first when one is asked for, and KeyError for none", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const { headers } = request
          const missing = Either.merge(HttpHeaders.get(headers, "x-none"))
          const condition = [
            yield* HttpHeaders.get(headers, "X-MANY"),
            HttpHeaders.getAll(headers, "x-many"),
            HttpHeaders.has(headers, "x-Many"),
            HttpHeaders.getOrElse(headers, "x-none", () => "instead"),
            headers.size,
            missing instanceof KeyError ? missing.status : missing
          ]
          return yield* respond(request, 200, JSON.stringify(condition))
        })
      )
      const response = yield* ask(port, requestText("GET /", ["X-Many: a", "x-many: b"]))
      expect(JSON.parse(response.text)).toStrictEqual(["a", ["a", "b"], true, "instead", 3, 400])
    })
  )

  it.scopedLive("HttpHeaders: a handler that fails with the KeyError of a request's header gets 400", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.flatMap(HttpHeaders.get(request.headers, "authorization"), (value) => respond(request, 200, value))
      )
      const response = yield* get(port)
      expect(response.status).toBe(400)
      expect(response.text).toContain("authorization")
      expect((yield* ask(port, requestText("GET /", ["Authorization: me"]))).text).toBe("me")
    })
  )
})
