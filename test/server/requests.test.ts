/** A request in its handler: the head, and the body when the handler reads it. */
import { inspect } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import { type Handler, respond, respondStream } from "../../src/Response.js"
import { eventLoopTurns } from "../support/eventually.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { ask, connect, get, requestText, withBody } from "../wire/rawConnection.js"
import { refusal, serving } from "./harness.js"
import { servingInMemory, settled } from "./memory.js"

const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

/** A body in chunks of that many bytes. */
const chunksOf = (body: Buffer, size: number): Buffer => {
  const parts: Array<Buffer> = []
  for (let at = 0; at < body.length; at += size) {
    const chunk = body.subarray(at, at + size)
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"))
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")])
}

const large = Buffer.from(Uint8Array.from({ length: 1_048_576 }, (_, i) => (i * 7 + (i >> 8)) % 256))

describe("bytes, text and json", () => {
  it.scopedLive("share one body, and may be asked for again", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const json = yield* request.json
          const text = yield* request.text
          const bytes = yield* request.bytes
          const again = yield* request.bytes
          return yield* respond(request, 200, JSON.stringify([json, text, bytes.length, again.length]))
        })
      )
      const response = yield* ask(port, withBody("POST /", '{"a":1}'))
      expect(JSON.parse(response.text)).toStrictEqual([{ a: 1 }, '{"a":1}', 7, 7])
    })
  )

  it.scopedLive("are empty without a body", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const { length } = yield* request.bytes
          const chunks = yield* Stream.runCount(Stream.catchAll(request.stream, () => Stream.empty))
          return yield* respond(request, 200, JSON.stringify([length, yield* request.text, chunks]))
        })
      )
      for (const fields of [[], ["Content-Length: 0"]]) {
        expect((yield* ask(port, requestText("POST /", fields))).text).toBe('[0,"",0]')
      }
    })
  )

  it.scopedLive("text is UTF-8", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.flatMap(request.text, (text) => respond(request, 200, JSON.stringify([text, text.length])))
      )
      const body = Buffer.from("Grüße, 世界").toString("latin1")
      expect(JSON.parse((yield* ask(port, withBody("POST /", body))).text)).toStrictEqual(["Grüße, 世界", 9])
    })
  )

  it.scopedLive("json that is none is 400, and the connection continues", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.flatMap(request.json, (json) => respond(request, 200, JSON.stringify(json)))
      )
      const client = yield* connect(port)
      yield* client.send(withBody("POST /", "{not json"))
      const response = yield* client.readResponse()
      expect(response.status).toBe(400)
      expect(response.text).not.toContain("{not")
      yield* client.send(withBody("POST /", "[1]"))
      expect((yield* client.readResponse()).text).toBe("[1]")
    })
  )

  it.scopedLive("may be read by two fibers of a handler at once", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const both = yield* Effect.all([request.text, request.text], { concurrency: "unbounded" })
          return yield* respond(request, 200, both.join(","))
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Content-Length: 4"], "bo"))
      yield* eventLoopTurns(5)
      yield* client.send("dy")
      expect((yield* client.readResponse()).text).toBe("body,body")
    })
  )
})

describe("stream", () => {
  it.scopedLive("gives the pieces as they arrive", () =>
    Effect.gen(function* () {
      const isFirst = yield* Deferred.make<string>()
      const { port } = yield* serving((request) =>
        request.stream.pipe(
          Stream.decodeText(),
          Stream.tap((text) => Deferred.succeed(isFirst, text)),
          Stream.runCollect,
          Effect.flatMap((texts) => respond(request, 200, Chunk.join(texts, "|")))
        )
      )
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Content-Length: 6"], "one"))
      expect(yield* Deferred.await(isFirst)).toBe("one")
      yield* client.send("two")
      expect((yield* client.readResponse()).text).toBe("one|two")
    })
  )

  it.scopedLive("is for one use, and does not mix with bytes", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const bytesFirst = request.url === "/bytes"
          yield* bytesFirst ? Effect.asVoid(request.bytes) : Stream.runDrain(request.stream)
          const stream = yield* refusal(Stream.runDrain(request.stream))
          const reasons = [stream.reason, ...(bytesFirst ? [] : [(yield* refusal(request.bytes)).reason])]
          return yield* respond(request, 200, reasons.join())
        })
      )
      expect((yield* ask(port, withBody("POST /stream", "body"))).text).toBe("BodyConsumed,BodyConsumed")
      expect((yield* ask(port, withBody("POST /bytes", "body"))).text).toBe("BodyConsumed")
    })
  )

  it.scopedLive("a second use that is not caught is 500", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Stream.runDrain(request.stream).pipe(
          Effect.zipRight(request.bytes),
          Effect.flatMap((bytes) => respond(request, 200, bytes))
        )
      )
      expect((yield* ask(port, withBody("POST /", "body"))).status).toBe(500)
    })
  )

  it.scopedLive("what a handler leaves of it is thrown away, and the next request is read", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Stream.runHead(request.stream).pipe(Effect.flatMap((first) => respond(request, 200, `${Option.isSome(first)}`)))
      )
      const client = yield* connect(port)
      for (let i = 0; i < 3; i++) {
        yield* client.send(requestText("POST /", ["Transfer-Encoding: chunked"], "3\r\nabc\r\n"))
        expect((yield* client.readResponse()).text).toBe("true")
        yield* client.send("3\r\nabc\r\n0\r\n\r\n")
      }
    })
  )

  it.scoped("a handler that is slow to ask pauses the socket, and resumes it", () =>
    Effect.gen(function* () {
      const mayRead = yield* Deferred.make<void>()
      const isAsked = yield* Deferred.make<void>()
      const { connect } = yield* servingInMemory(
        (request) =>
          Effect.gen(function* () {
            yield* Deferred.succeed(isAsked, undefined)
            yield* Deferred.await(mayRead)
            const sizes = yield* Stream.runFold(request.stream, 0, (sum, bytes) => sum + bytes.length)
            return yield* respond(request, 200, String(sizes))
          }),
        { limits: { maxReadAhead: 1000 } }
      )
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 5000"]))
      yield* Deferred.await(isAsked)
      for (let i = 0; i < 5; i++) {
        connection.send("x".repeat(500))
        yield* settled
      }
      expect([connection.pauses, connection.resumes]).toStrictEqual([1, 0])
      for (let i = 0; i < 5; i++) connection.send("x".repeat(500))
      yield* Deferred.succeed(mayRead, undefined)
      expect((yield* connection.response()).text).toBe("5000")
      expect(connection.resumes).toBe(connection.pauses)
    })
  )

  it.scopedLive("a slow handler holds back a fast client", () =>
    Effect.gen(function* () {
      const mayRead = yield* Deferred.make<void>()
      const { port } = yield* serving(
        (request) =>
          Effect.gen(function* () {
            yield* Deferred.await(mayRead)
            const size = yield* Stream.runFold(request.stream, 0, (sum, bytes) => sum + bytes.length)
            return yield* respond(request, 200, String(size))
          }),
        { maxBody: 64 * 1024 * 1024 }
      )
      const size = 32 * 1024 * 1024
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", [`Content-Length: ${size}`]))
      yield* client.send(Buffer.alloc(size, "x"))
      yield* eventLoopTurns(200)
      // The system's own buffers take some; the rest has not left the client.
      expect(yield* client.unsent).toBeGreaterThan(size / 2)
      yield* Deferred.succeed(mayRead, undefined)
      expect((yield* client.readResponse()).text).toBe(String(size))
    })
  )
})

describe("bodies of 1 MiB", () => {
  it.scopedLive("come back byte for byte, by length and in chunks, whole and as a stream", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        request.url === "/stream" ? respondStream(request, 200, request.stream) : echo(request)
      )
      for (const path of ["/whole", "/stream"]) {
        const client = yield* connect(port)
        yield* client.send(requestText(`POST ${path}`, [`Content-Length: ${large.length}`]))
        yield* client.send(large)
        expect((yield* client.readResponse()).body.equals(large)).toBe(true)
        for (const size of [1000, 65_536, large.length]) {
          yield* client.send(requestText(`POST ${path}`, ["Transfer-Encoding: chunked"]))
          yield* client.send(chunksOf(large, size))
          expect((yield* client.readResponse()).body.equals(large)).toBe(true)
        }
      }
    })
  )
})

describe("trailers", () => {
  it.scopedLive("are there after the body, read it if it is unread, and never join the headers", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          if (request.url === "/after") yield* request.bytes
          if (request.url === "/stream") yield* Stream.runDrain(request.stream)
          const trailers = yield* request.trailers
          const condition = [Array.from(trailers), HttpHeaders.has(request.headers, "X-Sum")]
          return yield* respond(request, 200, JSON.stringify(condition))
        })
      )
      for (const path of ["/after", "/before", "/stream"]) {
        const body = "3\r\nabc\r\n0\r\nX-Sum: 42\r\nContent-Length: 7\r\n\r\n"
        const response = yield* ask(port, requestText(`POST ${path}`, ["Transfer-Encoding: chunked"], body))
        expect(JSON.parse(response.text)).toStrictEqual([[["X-Sum", "42"]], false])
      }
    })
  )

  it.scopedLive("are none for a body with a length, and for no body", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.flatMap(request.trailers, (trailers) => respond(request, 200, String(trailers.size)))
      )
      expect((yield* ask(port, withBody("POST /", "body"))).text).toBe("0")
      expect((yield* get(port)).text).toBe("0")
    })
  )
})

describe("url, path, query, originalUrl and host", () => {
  const parts: Handler = (request) =>
    respond(
      request,
      200,
      JSON.stringify([request.url, request.path, request.query, request.originalUrl, request.host]),
      { "Content-Type": "application/json" }
    )

  for (const [line, expected] of [
    ["GET /a%2Fb/c?d=e&f?g", ["/a%2Fb/c?d=e&f?g", "/a%2Fb/c", "d=e&f?g", "/a%2Fb/c?d=e&f?g", "test"]],
    ["GET /", ["/", "/", "", "/", "test"]],
    ["GET /?", ["/?", "/", "", "/?", "test"]],
    ["GET //x", ["//x", "//x", "", "//x", "test"]],
    ["GET http://Other:81/p?q", ["/p?q", "/p", "q", "http://Other:81/p?q", "Other:81"]],
    ["GET HTTP://other", ["/", "/", "", "HTTP://other", "other"]],
    ["GET http://other?q", ["/?q", "/", "q", "http://other?q", "other"]],
    ["OPTIONS *", ["*", "*", "", "*", "test"]]
  ] as const) {
    it.scopedLive(`of ${line}`, () =>
      Effect.gen(function* () {
        const { port } = yield* serving(parts)
        expect(JSON.parse((yield* ask(port, requestText(line))).text)).toStrictEqual(expected)
      })
    )
  }
})

describe("client and remoteAddress", () => {
  it.scopedLive("are the same for all requests of a connection, and others for another", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respond(
          request,
          200,
          JSON.stringify([
            request.client.id,
            Option.getOrNull(request.remoteAddress),
            Option.getOrNull(request.client.remote),
            Option.getOrNull(request.client.local)
          ])
        )
      )
      const ids: Array<unknown> = []
      for (let i = 0; i < 2; i++) {
        const client = yield* connect(port)
        for (let j = 0; j < 2; j++) {
          yield* client.send(requestText("GET /"))
          const [id, address, remote, local] = JSON.parse((yield* client.readResponse()).text)
          ids.push(id)
          expect(address).toBe("127.0.0.1")
          expect(remote).toStrictEqual({
            _tag: "TcpAddress",
            hostname: "127.0.0.1",
            port: client.localPort,
            family: "IPv4"
          })
          expect(local).toStrictEqual({ _tag: "TcpAddress", hostname: "127.0.0.1", port, family: "IPv4" })
        }
      }
      expect(ids[0]).toBe(ids[1])
      expect(ids[2]).toBe(ids[3])
      expect(ids[2]).not.toBe(ids[0])
    })
  )
})

describe("printing a request", () => {
  it.scopedLive("shows its head, and touches neither its body nor 100-continue", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => {
        const shown = [String(request), JSON.stringify(request), inspect(request, { depth: 5 })]
        return respond(request, 200, shown.join("\n"))
      })
      const client = yield* connect(port)
      yield* client.send(requestText("POST /shown?x", ["X-Own: 1", "Content-Length: 4", "Expect: 100-continue"]))
      const response = yield* client.readResponse()
      expect(response.status).toBe(200)
      expect(response.text.match(/\/shown\?x/g)).toHaveLength(3)
      expect(response.text.match(/X-Own/g)).toHaveLength(3)
    })
  )

  it.scopedLive("leaves the body to be read", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => {
        inspect(request, { depth: 10, getters: true })
        return echo(request)
      })
      expect((yield* ask(port, withBody("POST /", "body"))).text).toBe("body")
    })
  )
})

describe("Expect: 100-continue", () => {
  const expecting = (path: string) => requestText(`POST ${path}`, ["Content-Length: 4", "Expect: 100-continue"])

  it.scopedLive("100 leaves once, when the body is first asked for, in whatever way", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          if (request.url === "/trailers") yield* request.trailers
          if (request.url === "/stream") yield* Stream.runDrain(request.stream)
          else yield* Effect.zip(request.text, request.bytes)
          return yield* respond(request, 200)
        })
      )
      for (const path of ["/text", "/stream", "/trailers"]) {
        const client = yield* connect(port)
        yield* client.send(expecting(path))
        expect((yield* client.readResponse()).status).toBe(100)
        yield* client.send("body")
        expect((yield* client.readResponse()).status).toBe(200)
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).status).toBe(200)
      }
    })
  )

  it.scopedLive("a handler that does not ask gives a final status first, and the connection closes", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 403, "refused"))
      const client = yield* connect(port)
      yield* client.send(expecting("/"))
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map(({ status }) => status)).toStrictEqual([403])
      expect(responses[0]?.header("Connection")).toBe("close")
    })
  )

  it.scopedLive("a handler that asks after its response gets no 100 sent after it", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.tap(respond(request, 200, "early"), () => Effect.ignore(Effect.fork(request.bytes)))
      )
      const client = yield* connect(port)
      yield* client.send(expecting("/"))
      expect(parseResponses(yield* client.readToEnd).map(({ status }) => status)).toStrictEqual([200])
    })
  )

  it.scopedLive("is ignored on HTTP/1.0, and without a body", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const old = "POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody"
      expect(yield* ask(port, old)).toMatchObject({ status: 200, text: "body" })
      expect((yield* ask(port, requestText("POST /", ["Expect: 100-continue"]))).status).toBe(200)
    })
  )
})

describe("a body that cannot be read", () => {
  it.scopedLive("gets the status of its error, and the connection closes", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Transfer-Encoding: chunked"], "zz\r\n") + requestText("GET /"))
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map(({ status }) => status)).toStrictEqual([400])
      expect(responses[0]?.header("Connection")).toBe("close")
    })
  )

  it.scopedLive("gets another response from a handler that catches the error", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(
        (request) =>
          Effect.catchTag(echo(request), "ValueError", ({ reason, status }) =>
            respond(request, 422, `${reason} ${status}`)
          ),
        { maxBody: 3 }
      )
      const text = requestText("POST /", ["Transfer-Encoding: chunked"], "4\r\nbody\r\n0\r\n\r\n")
      const response = yield* ask(port, text)
      expect([response.status, response.text]).toStrictEqual([422, "BodyTooLarge 413"])
      expect(response.header("Connection")).toBe("close")
    })
  )

  it.scopedLive("found after the response closes the connection without a second response", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200, "early"))
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Transfer-Encoding: chunked"]))
      expect((yield* client.readResponse()).text).toBe("early")
      yield* client.send("zz\r\n")
      expect(yield* client.readToEnd).toHaveLength(0)
    })
  )
})
