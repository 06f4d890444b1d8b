/** Many requests on one connection: their order, their end, their writes, and how they are closed after the last response. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Handler, respond, respondStream } from "../../src/Response.js"
import { eventLoopTurns } from "../support/eventually.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { connect, get, requestText, withBody } from "../wire/rawConnection.js"
import { serving, untilDescriptorsHeld } from "./harness.js"
import { advance, servingInMemory, settled } from "./memory.js"

const path: Handler = (request) => respond(request, 200, request.url)
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

const gets = (count: number): string => Array.from({ length: count }, (_, i) => requestText(`GET /${i}`)).join("")

describe("the order of responses", () => {
  it.scopedLive("is the requests', however slow their handlers are", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.zipRight(eventLoopTurns(10 - Number(request.url.slice(1))), path(request))
      )
      const client = yield* connect(port)
      yield* client.send(gets(10))
      for (let i = 0; i < 10; i++) expect((yield* client.readResponse()).text).toBe(`/${i}`)
    })
  )

  it.scopedLive("one request is handled at a time", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const { port } = yield* serving((request) =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            most = Math.max(most, ++running)
          }),
          () => Effect.zipRight(eventLoopTurns(2), path(request)),
          () => Effect.sync(() => running--)
        )
      )
      const client = yield* connect(port)
      yield* client.send(gets(10))
      for (let i = 0; i < 10; i++) yield* client.readResponse()
      expect(most).toBe(1)
    })
  )

  it.scopedLive("holds for every kind of response and body, however the bytes are cut", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => {
        if (request.url === "/stream") return respondStream(request, 200, request.stream)
        return request.method === "POST" ? echo(request) : path(request)
      })
      const chunked = ["Transfer-Encoding: chunked"]
      const text = [
        requestText("GET /1"),
        withBody("POST /", "two"),
        requestText("POST /", chunked, "3\r\nthr\r\n2\r\nee\r\n0\r\n\r\n"),
        requestText("POST /stream", chunked, "4\r\nfour\r\n0\r\nX-A: 1\r\n\r\n"),
        requestText("HEAD /"),
        withBody("POST /stream", "six"),
        requestText("GET /7", ["Connection: close"])
      ].join("")
      for (const size of [1, 7, 50, text.length]) {
        const client = yield* connect(port)
        for (let at = 0; at < text.length; at += size) {
          yield* client.send(text.slice(at, at + size))
          if (size > 1) yield* eventLoopTurns(1)
        }
        for (const expected of ["/1", "two", "three", "four"])
          expect((yield* client.readResponse()).text).toBe(expected)
        expect((yield* client.readResponse("HEAD")).status).toBe(200)
        for (const expected of ["six", "/7"]) expect((yield* client.readResponse()).text).toBe(expected)
        expect(yield* client.readToEnd).toHaveLength(0)
      }
    })
  )

  it.scopedLive("a thousand requests in one write get a thousand responses", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(path)
      const client = yield* connect(port)
      yield* client.send(gets(1000) + requestText("GET /last", ["Connection: close"]))
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses).toHaveLength(1001)
      expect(responses.every(({ text }, i) => text === (i === 1000 ? "/last" : `/${i}`))).toBe(true)
    })
  )
})

describe("close in the middle", () => {
  it.scopedLive("sent by the client: that request gets its response, and none after it is handled", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      const { port } = yield* serving((request) => {
        handled.push(request.url)
        return path(request)
      })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2", ["Connection: close"]) + requestText("GET /3"))
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map(({ text }) => text)).toStrictEqual(["/1", "/2"])
      expect(responses.map((response) => response.header("Connection"))).toStrictEqual(["keep-alive", "close"])
      expect(handled).toStrictEqual(["/1", "/2"])
    })
  )

  it.scopedLive("sent by the handler: the same", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      const { port } = yield* serving((request) => {
        handled.push(request.url)
        return respond(request, 200, request.url, request.url === "/2" ? { Connection: "close" } : {})
      })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2") + requestText("GET /3"))
      expect(parseResponses(yield* client.readToEnd).map(({ text }) => text)).toStrictEqual(["/1", "/2"])
      expect(handled).toStrictEqual(["/1", "/2"])
    })
  )

  it.scopedLive("after maxRequestsPerConnection: the last response sends it", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(path, { limits: { maxRequestsPerConnection: 3 } })
      const client = yield* connect(port)
      yield* client.send(gets(5))
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map((response) => response.header("Connection"))).toStrictEqual([
        "keep-alive",
        "keep-alive",
        "close"
      ])
    })
  )

  it.scopedLive("after an error: earlier responses are sent first, then one error response", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => Effect.zipRight(eventLoopTurns(3), path(request)))
      const client = yield* connect(port)
      yield* client.send(`${requestText("GET /1")}${requestText("GET /2")}nonsense\r\n\r\n${requestText("GET /3")}`)
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map(({ status }) => status)).toStrictEqual([200, 200, 400])
      expect(responses[2]?.header("Connection")).toBe("close")
    })
  )

  it.scopedLive("after the client's FIN: all earlier requests get their responses", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => Effect.zipRight(eventLoopTurns(3), path(request)))
      const client = yield* connect(port)
      yield* client.send(gets(5))
      yield* client.halfClose
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map(({ text }) => text)).toStrictEqual(["/0", "/1", "/2", "/3", "/4"])
    })
  )
})

describe("writes", () => {
  it.scoped("the responses to a batch leave in one write", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(path)
      const connection = yield* connect
      connection.send(gets(16))
      for (let i = 0; i < 16; i++) expect((yield* connection.response()).text).toBe(`/${i}`)
      expect(connection.writes).toHaveLength(1)
      connection.send(gets(2))
      for (let i = 0; i < 2; i++) yield* connection.response()
      expect(connection.writes).toHaveLength(2)
    })
  )

  it.scoped("the response to a batch is not held back by a handler that waits", () =>
    Effect.gen(function* () {
      const mayRespond = yield* Deferred.make<void>()
      const { connect } = yield* servingInMemory((request) =>
        request.url === "/2" ? Effect.zipRight(Deferred.await(mayRespond), path(request)) : path(request)
      )
      const connection = yield* connect
      connection.send(gets(4))
      expect((yield* connection.response()).text).toBe("/0")
      expect((yield* connection.response()).text).toBe("/1")
      yield* Deferred.succeed(mayRespond, undefined)
      expect((yield* connection.response()).text).toBe("/2")
      expect((yield* connection.response()).text).toBe("/3")
      expect(connection.writes).toHaveLength(2)
    })
  )

  it.scoped("head and content of a small response are one write, and so are those of a large one", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory((request) =>
        respond(request, 200, Buffer.alloc(Number(request.query)))
      )
      const connection = yield* connect
      for (const [i, size] of [0, 1, 10_000, 1_048_576].entries()) {
        connection.send(requestText(`GET /?${size}`))
        expect((yield* connection.response()).body).toHaveLength(size)
        yield* settled
        expect(connection.writes).toHaveLength(i + 1)
      }
    })
  )

  it.scoped("the last response and the end are not held back", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(path)
      const connection = yield* connect
      connection.send(requestText("GET /1") + requestText("GET /2", ["Connection: close"]))
      expect(yield* connection.ended).toBe("close")
      expect(connection.writes).toHaveLength(1)
      expect(parseResponses(Buffer.from(connection.written)).map(({ text }) => text)).toStrictEqual(["/1", "/2"])
    })
  )

  it.scoped("a client that does not read is not handled further", () =>
    Effect.gen(function* () {
      let handled = 0
      const { connect } = yield* servingInMemory((request) => {
        handled++
        return path(request)
      })
      const connection = yield* connect
      connection.send(requestText("GET /1"))
      yield* connection.response()
      connection.setFull(true)
      connection.send(gets(3))
      yield* settled
      expect(handled).toBe(1)
      connection.setFull(false)
      for (let i = 0; i < 3; i++) yield* connection.response()
      expect(handled).toBe(4)
    })
  )
})

describe("a writeTimeout without end", () => {
  it.scopedLive("lets a client read hundreds of large responses, one after the other", () =>
    Effect.gen(function* () {
      const content = Buffer.alloc(20_000, "x")
      const { port } = yield* serving((request) => respond(request, 200, content), {
        limits: { writeTimeout: Number.POSITIVE_INFINITY }
      })
      const client = yield* connect(port)
      yield* client.stopReading
      yield* client.send(gets(400))
      yield* eventLoopTurns(20)
      yield* client.resumeReading
      for (let i = 0; i < 400; i++) expect((yield* client.readResponse()).body.length).toBe(content.length)
    })
  )
})

describe("Date", () => {
  it.scoped("is the time of the response, however long its client took to read the one before", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(path)
      const connection = yield* connect
      connection.send(requestText("GET /1"))
      expect((yield* connection.response()).header("Date")).toBe("Thu, 01 Jan 1970 00:00:00 GMT")
      connection.setFull(true)
      connection.send(requestText("GET /2"))
      yield* advance(20_000)
      connection.setFull(false)
      expect((yield* connection.response()).header("Date")).toBe("Thu, 01 Jan 1970 00:00:20 GMT")
    })
  )
})

describe("the close after the last response", () => {
  it.scopedLive("the response to a large unread body arrives whole, and without a reset", () =>
    Effect.gen(function* () {
      const made = yield* serving((request) => respond(request, 200, "ignored"))
      for (const size of [100_000, 2_000_000, 8_000_000]) {
        const client = yield* connect(made.port)
        yield* client.send(requestText("POST /ignore", [`Content-Length: ${size}`]))
        yield* client.send(Buffer.alloc(size, "x"))
        const response = yield* client.readResponse()
        expect(response.text).toBe("ignored")
        expect(response.header("Connection")).toBe(size > 256 * 1024 ? "close" : "keep-alive")
        yield* client.halfClose
        expect(yield* client.closedWith).toBe("FIN")
      }
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("a 413 for a body that is too large arrives whole, while the client still sends", () =>
    Effect.gen(function* () {
      const made = yield* serving(echo, { maxBody: 1000 })
      for (const framing of ["Content-Length: 3000000", "Transfer-Encoding: chunked"]) {
        const client = yield* connect(made.port)
        yield* client.send(requestText("POST /", [framing]))
        yield* client.send("2dc6c0\r\n")
        yield* client.send(Buffer.alloc(3_000_000, "x"))
        const response = yield* client.readResponse()
        expect([response.status, response.header("Connection")]).toStrictEqual([413, "close"])
        yield* client.halfClose
        expect(yield* client.closedWith).toBe("FIN")
      }
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("a body of up to maxDiscardedBody is read and thrown away, and the connection continues", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(path)
      const client = yield* connect(port)
      for (let i = 0; i < 3; i++) {
        yield* client.send(requestText(`POST /${i}`, ["Content-Length: 200000"]))
        yield* client.send(Buffer.alloc(200_000, "x"))
        expect((yield* client.readResponse()).text).toBe(`/${i}`)
      }
    })
  )

  it.scopedLive("a chunked body without an end is not thrown away for ever", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(path)
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Transfer-Encoding: chunked"]))
      yield* client.send(`10000\r\n${"x".repeat(65_536)}\r\n`.repeat(8))
      expect((yield* client.readResponse()).text).toBe("/")
      yield* client.halfClose
      expect(yield* client.readToEnd).toHaveLength(0)
      expect((yield* get(port)).status).toBe(200)
    })
  )

  it.scopedLive("a client that never ends is cut off after lingerTimeout", () =>
    Effect.gen(function* () {
      const made = yield* serving(path, { limits: { lingerTimeout: "1 millis" } })
      const client = yield* connect(made.port)
      // What it still sends would keep an ordinary close waiting.
      yield* client.send(requestText("POST /", ["Content-Length: 8000000"]))
      expect((yield* client.readResponse()).text).toBe("/")
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("a response of 4 MiB before the end arrives whole", () =>
    Effect.gen(function* () {
      const content = Buffer.alloc(4 * 1024 * 1024, "x")
      const { port } = yield* serving((request) => respond(request, 200, content))
      const client = yield* connect(port)
      yield* client.stopReading
      yield* client.send(requestText("GET /", ["Connection: close"]))
      yield* eventLoopTurns(50)
      yield* client.resumeReading
      expect((yield* client.readResponse()).body.equals(content)).toBe(true)
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  it.scopedLive("a stream to the end of the connection arrives whole", () =>
    Effect.gen(function* () {
      const chunk = Buffer.alloc(100_000, "x")
      const chunks = Stream.repeatEffect(Effect.succeed(chunk)).pipe(Stream.take(20))
      const { port } = yield* serving((request) => respondStream(request, 200, chunks))
      const client = yield* connect(port)
      yield* client.send("GET / HTTP/1.0\r\n\r\n")
      const response = yield* client.readResponse()
      expect(response.body).toHaveLength(2_000_000)
      expect(response.header("Connection")).toBe("close")
    })
  )
})
