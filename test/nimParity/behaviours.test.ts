/**
 * Undocumented behaviours of Nim's asynchttpserver, found in its source: each `describe` names one, and its tests state the
 * behaviour of this server instead.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { ValueError } from "../../src/Errors.js"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import { type Handler, respond, respondStream, upgrade } from "../../src/Response.js"
import { refusal, serving, servingReported } from "../server/harness.js"
import { advance, servingInMemory, settled, sleepsUntil } from "../server/memory.js"
import { eventLoopTurn } from "../support/eventually.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { ask, connect, get, requestText, withBody } from "../wire/rawConnection.js"

const hello: Handler = (request) => respond(request, 200, "hello")
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

const endless = Stream.repeatEffect(Effect.as(eventLoopTurn, Buffer.from("more")))

/** Sends bytes with a request after them, and expects one response, `close`, and the end. */
const expectRejected = (port: number, text: string, status: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* connect(port)
      yield* client.send(text + requestText("GET /smuggled"))
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map((response) => response.status)).toStrictEqual([status])
      expect(responses[0]?.header("Connection")).toBe("close")
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

describe("request line and header lines at most 8 KiB, else 413 and close", () => {
  it.scopedLive("a request target that is too long is 414, and the length is an option", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello)
      const line = (length: number) => `GET /${"a".repeat(length - "GET / HTTP/1.1".length)}`
      expect((yield* ask(port, requestText(line(8192)))).status).toBe(200)
      yield* expectRejected(port, requestText(line(8193)), 414)
      const small = yield* serving(hello, { limits: { maxRequestLine: 20 } })
      expect((yield* get(small.port, "/123456")).status).toBe(200)
      yield* expectRejected(small.port, requestText("GET /1234567"), 414)
    })
  )

  it.scopedLive("a header line or section that is too long is 431, and the lengths are options", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello)
      yield* expectRejected(port, requestText("GET /", [`X: ${"a".repeat(17_000)}`]), 431)
      yield* expectRejected(port, requestText("GET /", Array(3).fill(`X: ${"a".repeat(12_000)}`)), 431)
      const large = yield* serving(hello, { limits: { maxHeaderLine: 100_000, maxHeaderSection: 100_000 } })
      expect((yield* ask(large.port, requestText("GET /", [`X: ${"a".repeat(90_000)}`]))).status).toBe(200)
    })
  )
})

describe("at most 10,000 header names, else 400 and close", () => {
  it.scopedLive("more fields than maxHeaders are 431", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello, { limits: { maxHeaders: 5 } })
      expect((yield* ask(port, requestText("GET /", Array(4).fill("X: 1")))).status).toBe(200)
      yield* expectRejected(port, requestText("GET /", Array(5).fill("X: 1")), 431)
    })
  )
})

describe("skips one empty line before the request line", () => {
  it.scopedLive("is the same here: one empty line before each request is skipped", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello)
      const client = yield* connect(port)
      yield* client.send(`\r\n${requestText("GET /")}\r\n${requestText("GET /")}`)
      expect((yield* client.readResponse()).status).toBe(200)
      expect((yield* client.readResponse()).status).toBe(200)
    })
  )
})

describe("unknown method, bad target, bad protocol: 400, and continues to read the stream", () => {
  for (const [what, line, status] of [
    ["an unknown method", "BREW / HTTP/1.1", 501],
    ["a method in lower case", "get / HTTP/1.1", 501],
    ["a bad target", "GET pot HTTP/1.1", 400],
    ["a bad protocol", "GET / HTCPCP/1.0", 400],
    ["another major version", "GET / HTTP/2.0", 505]
  ] as const) {
    it.scopedLive(`${what} is ${status}, and nothing after it is read`, () =>
      Effect.gen(function* () {
        const { port } = yield* serving(hello)
        yield* expectRejected(port, `${line}\r\nHost: a\r\n\r\n`, status)
        expect((yield* get(port)).status).toBe(200)
      })
    )
  }
})

describe("a header line without a colon is accepted", () => {
  it.scopedLive("is 400 and close", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello)
      yield* expectRejected(port, requestText("GET /", ["no colon"]), 400)
    })
  )
})

describe("list headers are split on commas", () => {
  it.scopedLive("values are kept as sent, and a handler splits them if it needs to", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respond(
          request,
          200,
          JSON.stringify([HttpHeaders.getAll(request.headers, "accept"), HttpHeaders.values(request.headers, "accept")])
        )
      )
      const response = yield* ask(port, requestText("GET /", ["Accept: a, b", "Accept: c"]))
      expect(JSON.parse(response.text)).toStrictEqual([
        ["a, b", "c"],
        ["a", "b", "c"]
      ])
    })
  )
})

describe("Expect: 100-continue for POST only, anything else 417", () => {
  for (const method of ["POST", "PUT", "PATCH", "GET"]) {
    it.scopedLive(`100 is sent when the handler of a ${method} asks for the body`, () =>
      Effect.gen(function* () {
        const { port } = yield* serving(echo)
        const client = yield* connect(port)
        yield* client.send(requestText(`${method} /`, ["Content-Length: 4", "Expect: 100-continue"]))
        expect(yield* client.readResponse()).toMatchObject({ status: 100, reason: "Continue", fields: [] })
        yield* client.send("body")
        expect((yield* client.readResponse()).text).toBe("body")
      })
    )
  }

  it.scopedLive("an unknown expectation is 417", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      yield* expectRejected(port, withBody("POST /", "body", ["Expect: a miracle"]), 417)
    })
  )
})

describe("the body is read whole before the callback", () => {
  it.scopedLive("the handler runs before its body arrives, and responds without it if it does not read it", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello)
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Content-Length: 4"]))
      expect((yield* client.readResponse()).text).toBe("hello")
      yield* client.send(`body${requestText("GET /")}`)
      expect((yield* client.readResponse()).text).toBe("hello")
    })
  )

  it.scopedLive("a Content-Length over maxBody is 413, one that is not a number 400", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo, { maxBody: 10 })
      yield* expectRejected(port, withBody("POST /", "0123456789a"), 413)
      yield* expectRejected(port, requestText("POST /", ["Content-Length: ten"]), 400)
    })
  )

  it.scopedLive("a body that ends too early is 400", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Content-Length: 10"], "short"))
      yield* client.halfClose
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map((response) => response.status)).toStrictEqual([400])
    })
  )

  it.scopedLive("it is there whole, and piece by piece", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        request.url === "/stream"
          ? respondStream(request, 200, request.stream)
          : Effect.flatMap(request.text, (text) => respond(request, 200, text))
      )
      expect((yield* ask(port, withBody("POST /", "whole"))).text).toBe("whole")
      expect((yield* ask(port, withBody("POST /stream", "pieces"))).text).toBe("pieces")
    })
  )
})

describe("chunked for POST only, without a limit, without trailers, Content-Length wins", () => {
  it.scopedLive("chunked is read for every method, in any case", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      for (const method of ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"]) {
        const text = requestText(`${method} /`, ["transfer-encoding: Chunked"], "3\r\nabc\r\n0\r\n\r\n")
        expect((yield* ask(port, text, method)).text).toBe("abc")
      }
    })
  )

  it.scopedLive("maxBody is enforced while it comes", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo, { maxBody: 10 })
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Transfer-Encoding: chunked"], "8\r\n01234567\r\n3\r\n"))
      const response = yield* client.readResponse()
      expect([response.status, response.header("Connection")]).toStrictEqual([413, "close"])
      yield* client.closedWith
    })
  )

  it.scopedLive("trailers are read", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const trailers = yield* request.trailers
          return yield* respond(request, 200, yield* HttpHeaders.get(trailers, "X-Sum"))
        })
      )
      const text = requestText("POST /", ["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\nx-sum: 42\r\n\r\n")
      expect((yield* ask(port, text)).text).toBe("42")
    })
  )

  it.scopedLive("Content-Length and Transfer-Encoding together are 400 and close", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const both = ["Content-Length: 5", "Transfer-Encoding: chunked"]
      yield* expectRejected(port, requestText("POST /", both, "0\r\n\r\n"), 400)
    })
  )
})

describe("POST without a length is 411", () => {
  it.scopedLive("has no body", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.flatMap(request.bytes, (bytes) => respond(request, 200, String(bytes.length)))
      )
      expect((yield* ask(port, requestText("POST /"))).text).toBe("0")
    })
  )
})

describe("HTTP/1.1 keeps alive unless close, HTTP/1.0 closes unless keep-alive", () => {
  for (const [version, connection, kept, sent] of [
    ["1.1", undefined, true, "keep-alive"],
    ["1.1", "keep-alive", true, "keep-alive"],
    ["1.1", "x, CLOSE ,y", false, "close"],
    ["1.1", "closed", true, "keep-alive"],
    ["1.0", undefined, false, "close"],
    ["1.0", "a,\tKeep-Alive", true, "keep-alive"],
    ["1.0", "keep-alive, close", false, "close"]
  ] as const) {
    const title = `HTTP/${version} with ${connection === undefined ? "no Connection" : JSON.stringify(connection)}`
    it.scopedLive(`${title} is ${kept ? "kept" : "closed"}`, () =>
      Effect.gen(function* () {
        const { port } = yield* serving(hello)
        const client = yield* connect(port)
        const field = connection === undefined ? "" : `Connection: ${connection}\r\n`
        const text = `GET / HTTP/${version}\r\nHost: a\r\n${field}\r\n`
        yield* client.send(text)
        const response = yield* client.readResponse()
        expect([response.text, response.header("Connection")]).toStrictEqual(["hello", sent])
        if (kept) {
          yield* client.send(text)
          expect((yield* client.readResponse()).status).toBe(200)
        } else {
          expect(yield* client.readToEnd).toHaveLength(0)
        }
      })
    )
  }
})

describe("Connection: upgrade leaves the socket with the callback", () => {
  const offer = requestText("GET /", ["Connection: Upgrade", "Upgrade: echo"])

  it.scopedLive("an offer that is not accepted is a plain request, and the connection continues", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello)
      const client = yield* connect(port)
      yield* client.send(offer)
      expect((yield* client.readResponse()).status).toBe(200)
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(200)
    })
  )

  it.scopedLive("upgrade hands the connection over, and gives it back to be closed", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        upgrade(request, { Upgrade: "echo" }, (duplex) => Stream.runForEach(duplex.stream, duplex.write))
      )
      const client = yield* connect(port)
      yield* client.send(offer)
      expect((yield* client.readResponse()).status).toBe(101)
      yield* client.send("anything")
      expect(yield* client.readUntil((seen) => seen.length === 8)).toBe("anything")
      yield* client.halfClose
      expect(yield* client.closedWith).toBe("FIN")
    })
  )
})

describe("HEAD has a body if the callback gives one, no Date", () => {
  it.scopedLive("HEAD, 204 and 304 have none, and Date is sent", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, Number(request.query), "a body"))
      const client = yield* connect(port)
      yield* client.send(requestText("HEAD /?200") + requestText("GET /?204") + requestText("GET /?304"))
      const head = yield* client.readResponse("HEAD")
      expect([head.status, head.header("Content-Length")]).toStrictEqual([200, "6"])
      const none = yield* client.readResponse()
      expect([none.status, none.header("Content-Length")]).toStrictEqual([204, undefined])
      const same = yield* client.readResponse()
      expect(same.status).toBe(304)
      for (const response of [head, none, same]) {
        expect(response.header("Date")).toMatch(/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/)
      }
      // What followed would not be a response, had a body been sent.
      yield* client.send(requestText("GET /?200"))
      expect((yield* client.readResponse()).text).toBe("a body")
    })
  )
})

describe("a callback that fails takes the whole process down", () => {
  class HandlerError extends Data.TaggedError("HandlerError")<{ readonly secret: string }> {}

  it.scopedLive("its error becomes a response and is reported, and no other connection is affected", () =>
    Effect.gen(function* () {
      const handler: Handler<HandlerError | ValueError> = (request) =>
        request.url === "/fails" ? new HandlerError({ secret: "secret-detail" }) : respond(request, 200, "fine")
      const { port, reports } = yield* servingReported(handler)
      const other = yield* connect(port)
      const client = yield* connect(port)
      yield* client.send(requestText("GET /fails") + requestText("GET /"))
      const response = yield* client.readResponse()
      expect(response.status).toBe(500)
      expect(response.text).not.toContain("secret")
      const { cause, request } = yield* reports.first
      expect(request.url).toBe("/fails")
      expect(cause).toMatchObject({ _tag: "Fail", error: { _tag: "HandlerError", secret: "secret-detail" } })
      expect((yield* client.readResponse()).text).toBe("fine")
      yield* other.send(requestText("GET /"))
      expect((yield* other.readResponse()).text).toBe("fine")
      expect(reports.all).toHaveLength(1)
    })
  )
})

describe("no timeouts of any kind", () => {
  it.scoped("an idle connection is closed silently after keepAliveTimeout", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      yield* sleepsUntil(75_000)
      yield* advance(74_999)
      expect(connection.ending).toBe(undefined)
      yield* advance(1)
      expect(yield* connection.ended).toBe("end")
      expect(connection.written).toBe("")
    })
  )

  it.scoped("a header section that is too slow is 408 after headerTimeout", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      connection.send("GET / HTTP/1.1\r\nHo")
      yield* sleepsUntil(10_000)
      yield* advance(10_000)
      expect(yield* connection.response()).toMatchObject({ status: 408 })
      expect(yield* connection.ended).toBe("end")
    })
  )

  it.scoped("a body that does not come is 408 after bodyTimeout", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(echo)
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 10"], "half"))
      yield* sleepsUntil(30_000)
      yield* advance(30_000)
      const response = yield* connection.response()
      expect([response.status, response.header("Connection")]).toStrictEqual([408, "close"])
      expect(yield* connection.ended).toBe("end")
    })
  )

  it.scoped("a client that reads nothing is cut off after writeTimeout, and its handler interrupted", () =>
    Effect.gen(function* () {
      const exit = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const { connect } = yield* servingInMemory((request) =>
        Effect.onExit(respondStream(request, 200, endless), (each) => Deferred.succeed(exit, each))
      )
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* connection.writing
      connection.setFull(true)
      yield* sleepsUntil(30_000)
      yield* advance(30_000)
      expect(yield* connection.ended).toBe("destroy")
      expect(Exit.isInterrupted(yield* Deferred.await(exit))).toBe(true)
    })
  )

  it.scoped("closing the server takes drainTimeout at most, even if the clock does not advance", () =>
    Effect.gen(function* () {
      const isAsked = yield* Deferred.make<void>()
      const { connect, server } = yield* servingInMemory(
        () => Effect.zipRight(Deferred.succeed(isAsked, undefined), Effect.never),
        { drainTimeout: 1 }
      )
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* Deferred.await(isAsked)
      expect(yield* server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 1, timedOut: 0 })
      expect(connection.ending).toBe("destroy")
    })
  )
})

describe("header values are written without a check", () => {
  it.scopedLive("CR or LF is a ValueError, and nothing has been written", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const error = yield* refusal(respond(request, 200, "split", { "X-A": "a\r\nX-Injected: 1" }))
          return yield* respond(request, 200, error.reason)
        })
      )
      const response = yield* get(port)
      expect([response.status, response.text]).toStrictEqual([200, "HeaderValue"])
      expect(response.header("X-Injected")).toBe(undefined)
    })
  )

  it.scopedLive("a handler that does not catch it gets 500, without the value", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) => respond(request, 200, "", { "X-A": "a\nsecret" }))
      const response = yield* get(port)
      expect(response.status).toBe(500)
      expect(response.body.includes("secret")).toBe(false)
      expect((yield* reports.first).cause).toMatchObject({ _tag: "Fail", error: { reason: "HeaderValue" } })
    })
  )
})

describe("a request that has its response", () => {
  it.scoped("sends nothing more", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* connection.response()
      const { written } = connection
      yield* settled
      expect(connection.written).toBe(written)
    })
  )
})
