/** Answers: whole, streamed, by hand, interim, upgraded, refused, and those that never come. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { KeyError, type RespondableError, ValueError } from "../../src/Errors.js"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import {
  type Handler,
  type Responded,
  respond,
  respondStream,
  sendHeaders,
  sendInformational,
  tunnel,
  upgrade
} from "../../src/Response.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { ask, connect, get, requestText, withBody } from "../wire/rawConnection.js"
import { make, refusal, serving, servingReported, untilDescriptorsHeld } from "./harness.js"
import {
  advance,
  type MemoryConnection,
  makeInMemory,
  servingInMemory,
  servingInMemoryReported,
  settled,
  sleepsUntil
} from "./memory.js"

const encoded = (...texts: ReadonlyArray<string>) =>
  Stream.encodeText(Stream.fromIterable(texts).pipe(Stream.rechunk(1)))

class Mine extends Data.TaggedError("Mine")<{ readonly detail: string }> {}

describe("respond", () => {
  it.scopedLive("has its status and how many bytes of content were sent", () =>
    Effect.gen(function* () {
      const given: Array<readonly [number, number]> = []
      const { port } = yield* serving((request) =>
        Effect.tap(respond(request, Number(request.query), "Grüße"), ({ bodyBytes, status }) =>
          Effect.sync(() => given.push([status, bodyBytes]))
        )
      )
      yield* get(port, "/?200")
      yield* get(port, "/?204")
      yield* ask(port, requestText("HEAD /?200"), "HEAD")
      expect(given).toStrictEqual([
        [200, 7],
        [204, 0],
        [200, 0]
      ])
    })
  )

  it.scopedLive("takes codes from 200 to 599 alone", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.catchTag(respond(request, Number(request.query)), "ValueError", ({ reason }) =>
          respond(request, 200, reason)
        )
      )
      for (const code of ["100", "101", "199", "600", "0", "-1", "200.5", "NaN"]) {
        expect((yield* get(port, `/?${code}`)).text).toBe("StatusCode")
      }
      expect((yield* get(port, "/?599")).status).toBe(599)
    })
  )

  it.scopedLive("leaves out the content of HEAD, 204 and 304, and nothing follows on the wire", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, Number(request.query), "content", { ETag: '"x"' }))
      const client = yield* connect(port)
      yield* client.send(
        ["HEAD /?200", "HEAD /?404", "GET /?204", "GET /?304"].map((line) => requestText(line)).join("")
      )
      for (const [method, status, length] of [
        ["HEAD", 200, "7"],
        ["HEAD", 404, "7"],
        ["GET", 204, undefined],
        ["GET", 304, undefined]
      ] as const) {
        const response = yield* client.readResponse(method)
        expect([response.status, response.header("Content-Length"), response.header("ETag")]).toStrictEqual([
          status,
          length,
          '"x"'
        ])
      }
      yield* client.send(requestText("GET /?200"))
      expect((yield* client.readResponse()).text).toBe("content")
    })
  )

  it.scopedLive("leaves out the content of its own refusals of a HEAD too, whatever is wrong after the method", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200, "content"))
      for (const [line, fields, status] of [
        ["HEAD /a b", [], 400],
        ["HEAD /", ["X y: z"], 400],
        ["HEAD /", ["Content-Length: x"], 400],
        ["HEAD /", [`X: ${"y".repeat(20_000)}`], 431]
      ] as const) {
        const client = yield* connect(port)
        yield* client.send(requestText(line, fields))
        const sent = (yield* client.readToEnd).toString("latin1")
        expect(sent).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*\\r\\nContent-Length: [1-9][^]*\\r\\n\\r\\n$`))
      }
    })
  )

  it.scopedLive("sends 1 MiB of bytes as they are", () =>
    Effect.gen(function* () {
      const content = Uint8Array.from({ length: 1_048_576 }, (_, i) => (i * 31) % 256)
      const { port } = yield* serving((request) => respond(request, 200, content))
      const client = yield* connect(port)
      for (let i = 0; i < 3; i++) {
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).body.equals(content)).toBe(true)
      }
    })
  )

  it.scopedLive("a header with CR, LF, NUL or a bad name is rejected, and the handler may answer again", () =>
    Effect.gen(function* () {
      const bad: ReadonlyArray<HttpHeaders.Input> = [
        { "X-A": "a\r\nX-Injected: 1" },
        { "X-A": "a\nb" },
        { "X-A": "a\rb" },
        { "X-A": "a\0b" },
        { "X-A\r\nX-Injected": "1" },
        { "X A": "1" },
        { "": "1" },
        { "Transfer-Encoding": "chunked" },
        { "Content-Length": "1, 2" },
        [
          ["Content-Length", "0"],
          ["content-length", "0"]
        ]
      ]
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const reasons: Array<string> = []
          for (const headers of bad) {
            reasons.push((yield* refusal(respond(request, 200, "", headers))).reason)
            reasons.push((yield* refusal(sendHeaders(request, 200, headers))).reason)
          }
          return yield* respond(request, 200, JSON.stringify(reasons))
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      const reasons = [
        ...Array(8).fill("HeaderValue"),
        ...Array(6).fill("HeaderName"),
        ...Array(2).fill("HeaderForbidden"),
        ...Array(4).fill("HeaderValue")
      ]
      expect(JSON.parse((yield* client.readResponse()).text)).toStrictEqual(reasons)
    })
  )

  it.scopedLive("a second response is a ValueError, and nothing of it reaches the wire", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const evidence = yield* respond(request, 200, "first")
          for (const second of [
            Effect.asVoid(respond(request, 200, "second")),
            Effect.asVoid(sendHeaders(request, 200)),
            Effect.asVoid(respondStream(request, 200, encoded("second"))),
            sendInformational(request, 103),
            Effect.asVoid(upgrade(request, { Upgrade: "x" }, () => Effect.void))
          ]) {
            expect((yield* refusal(second)).reason).toBe("AlreadyResponded")
          }
          return evidence
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /") + requestText("GET /", ["Connection: close"]))
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map(({ text }) => text)).toStrictEqual(["first", "first"])
    })
  )

  it.scopedLive("a handler that fails with a second response stands by its first, and is reported", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) =>
        Effect.zipRight(respond(request, 200, "first"), respond(request, 200, "second"))
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /") + requestText("GET /", ["Connection: close"]))
      const responses = parseResponses(yield* client.readToEnd)
      expect(responses.map(({ text }) => text)).toStrictEqual(["first", "first"])
      expect((yield* reports.first).cause).toMatchObject({ _tag: "Fail", error: { reason: "AlreadyResponded" } })
      expect(reports.all).toHaveLength(2)
    })
  )

  it.scopedLive("cannot be torn by a race around it", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.race(respond(request, 200, "first"), Effect.zipRight(Effect.never, respond(request, 200, "never")))
      )
      const client = yield* connect(port)
      for (let i = 0; i < 20; i++) {
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).text).toBe("first")
      }
    })
  )
})

describe("evidence", () => {
  it.scopedLive("of another request is a defect: 500, and the others are served", () =>
    Effect.gen(function* () {
      const mayAnswer = yield* Deferred.make<void>()
      let kept: Responded | undefined
      const { port, reports } = yield* servingReported((request) =>
        Effect.gen(function* () {
          if (kept !== undefined) return kept
          kept = yield* respond(request, 200, "mine")
          yield* Deferred.await(mayAnswer)
          return kept
        })
      )
      const one = yield* connect(port)
      yield* one.send(requestText("GET /"))
      expect((yield* one.readResponse()).text).toBe("mine")
      expect((yield* get(port)).status).toBe(500)
      const { cause } = yield* reports.first
      expect(Cause.isDie(cause)).toBe(true)
      yield* Deferred.succeed(mayAnswer, undefined)
      yield* one.send(requestText("GET /"))
      expect((yield* one.readResponse()).status).toBe(500)
      expect(reports.all).toHaveLength(2)
    })
  )
})

describe("respondStream", () => {
  it.scopedLive("of unknown length is chunked, and flows piece by piece", () =>
    Effect.gen(function* () {
      const mayGoOn = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        respondStream(
          request,
          200,
          Stream.concat(encoded("one"), Stream.fromEffect(Effect.as(Deferred.await(mayGoOn), Buffer.from("two"))))
        )
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      // The first piece is there while the second does not exist yet.
      const seen = yield* client.readUntil((seen) => seen.endsWith("one\r\n"))
      expect(seen).toContain("Transfer-Encoding: chunked")
      yield* Deferred.succeed(mayGoOn, undefined)
      expect(yield* client.readUntil((seen) => seen.endsWith("0\r\n\r\n"))).toBe("3\r\ntwo\r\n0\r\n\r\n")
      yield* client.send(requestText("GET /"))
      const response = yield* client.readResponse()
      expect([response.text, response.chunks]).toStrictEqual(["onetwo", [3, 3]])
    })
  )

  it.scopedLive("of a length the handler knows is sent with it", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respondStream(request, 200, encoded("one", "", "two"), { "Content-Length": "6" })
      )
      const client = yield* connect(port)
      for (let i = 0; i < 2; i++) {
        yield* client.send(requestText("GET /"))
        const response = yield* client.readResponse()
        expect([response.header("Content-Length"), response.text, response.chunks]).toStrictEqual(["6", "onetwo", []])
      }
    })
  )

  it.scopedLive("empty, and with empty pieces, ends where it should", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respondStream(request, 200, request.url === "/none" ? Stream.empty : encoded("", "a", ""))
      )
      expect((yield* get(port, "/none")).text).toBe("")
      const response = yield* get(port)
      expect([response.text, response.chunks]).toStrictEqual(["a", [1]])
    })
  )

  it.scopedLive("to HTTP/1.0 is ended by the connection's end", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respondStream(request, 200, encoded("one", "two")))
      const client = yield* connect(port)
      yield* client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      const response = yield* client.readResponse()
      expect([response.text, response.header("Transfer-Encoding"), response.header("Connection")]).toStrictEqual([
        "onetwo",
        undefined,
        "close"
      ])
    })
  )

  it.scopedLive("to HTTP/1.0 that fails midway ends in a reset, since its end would be taken for the content's", () =>
    Effect.gen(function* () {
      const isRead = yield* Deferred.make<void>()
      const broken = Stream.fromEffect(Effect.zipRight(Deferred.await(isRead), Effect.die("broken")))
      const { port, reports } = yield* servingReported((request) =>
        respondStream(request, 200, Stream.concat(encoded("one"), broken))
      )
      const client = yield* connect(port)
      yield* client.send("GET / HTTP/1.0\r\n\r\n")
      // libuv takes a reset that comes with the last bytes for a FIN.
      yield* client.readUntil((seen) => seen.endsWith("one"))
      yield* Deferred.succeed(isRead, undefined)
      expect(yield* client.closedWith).toBe("RST")
      expect((yield* reports.first).request.url).toBe("/")
    })
  )

  it.scopedLive("to HTTP/1.0 that a closing server cuts off ends in a reset for the same reason", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving((request) =>
        respondStream(request, 200, Stream.concat(encoded("one"), Stream.never))
      )
      const client = yield* connect(port)
      yield* client.send("GET / HTTP/1.0\r\n\r\n")
      yield* client.readUntil((seen) => seen.endsWith("one"))
      yield* server.close
      expect(yield* client.closedWith).toBe("RST")
    })
  )

  it.scoped("to HTTP/1.0 that its client reads too slowly does too", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory((request) =>
        respondStream(request, 200, Stream.repeatEffect(Effect.succeed(Buffer.from("piece"))))
      )
      const connection = yield* connect
      connection.send("GET / HTTP/1.0\r\n\r\n")
      yield* connection.writing
      connection.setFull(true)
      yield* sleepsUntil(30_000)
      yield* advance(30_000)
      expect(yield* connection.ended).toBe("abort")
    })
  )

  it.scoped("to HTTP/1.0 whose last bytes its client never reads does too", () =>
    Effect.gen(function* () {
      const aborted = yield* Deferred.make<void>()
      const { connect } = yield* servingInMemory((request) => respondStream(request, 200, encoded("one")), {
        limits: { writeTimeout: 1 }
      })
      const connection = yield* connect
      connection.endsToo = false
      connection.unsent = () => 1
      connection.abort = () => {
        Effect.runSync(Deferred.succeed(aborted, undefined))
        connection.destroy()
      }
      connection.send("GET / HTTP/1.0\r\n\r\n")
      expect(yield* connection.ended).toBe("end")
      yield* Deferred.await(aborted)
    })
  )

  it.scopedLive("is not run for HEAD, 204 and 304", () =>
    Effect.gen(function* () {
      let runs = 0
      const counted = Stream.suspend(() => {
        runs++
        return encoded("content")
      })
      const { port } = yield* serving((request) => respondStream(request, Number(request.query), counted))
      const client = yield* connect(port)
      yield* client.send(requestText("HEAD /?200") + requestText("GET /?204") + requestText("GET /?304"))
      expect((yield* client.readResponse("HEAD")).status).toBe(200)
      expect((yield* client.readResponse()).status).toBe(204)
      expect((yield* client.readResponse()).status).toBe(304)
      expect(runs).toBe(0)
      yield* client.send(requestText("GET /?200"))
      expect((yield* client.readResponse()).text).toBe("content")
    })
  )

  it.scopedLive("that fails after its head breaks the connection, without a last chunk, and is reported", () =>
    Effect.gen(function* () {
      const made = yield* servingReported((request) =>
        request.url === "/fails"
          ? respondStream(
              request,
              200,
              Stream.concat(encoded("partial"), Stream.fail(new Mine({ detail: "secret-detail" })))
            )
          : respondStream(request, 200, encoded("fine"))
      )
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /fails") + requestText("GET /"))
      const seen = (yield* client.readToEnd).toString("latin1")
      expect(seen.split("\r\n\r\n")[1]).toBe("7\r\npartial\r\n")
      expect(seen).not.toContain("secret")
      const { cause, request } = yield* made.reports.first
      expect(request.url).toBe("/fails")
      expect(cause).toMatchObject({ _tag: "Fail", error: { _tag: "Mine" } })
      yield* untilDescriptorsHeld(made, 1)
      expect((yield* get(made.port)).text).toBe("fine")
      expect(made.reports.all).toHaveLength(1)
    })
  )

  it.scopedLive("of the wrong length breaks the connection, and leaves no byte too many", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) =>
        respondStream(request, 200, encoded("one", "two"), { "Content-Length": request.query })
      )
      for (const [length, body] of [
        ["7", "onetwo"],
        ["5", "one"]
      ] as const) {
        const client = yield* connect(port)
        yield* client.send(requestText(`GET /?${length}`))
        const seen = (yield* client.readToEnd).toString("latin1")
        expect(seen.split("\r\n\r\n")[1]).toBe(body)
      }
      expect(reports.all.map(({ cause }) => Cause.squash(cause))).toStrictEqual([
        expect.objectContaining({ reason: "ContentTooShort" }),
        expect.objectContaining({ reason: "ContentTooLong" })
      ])
    })
  )

  it.scopedLive("stops while the client does not read, and continues when it does", () =>
    Effect.gen(function* () {
      const chunk = Buffer.alloc(64 * 1024, "x")
      const count = 512
      let pulled = 0
      const { port } = yield* serving((request) =>
        respondStream(
          request,
          200,
          Stream.repeatEffect(
            Effect.sync(() => {
              pulled++
              return chunk
            })
          ).pipe(Stream.take(count)),
          { "Content-Length": String(count * chunk.length) }
        )
      )
      const client = yield* connect(port)
      yield* client.stopReading
      yield* client.send(requestText("GET /"))
      // It stands still when as many turns as it takes to send all of it bring nothing more.
      let last = -1
      yield* eventually(
        Effect.zipRight(
          eventLoopTurns(100),
          Effect.sync(() => {
            const stands = pulled > 0 && pulled === last
            last = pulled
            return stands
          })
        ),
        (stands) => stands,
        "standing still"
      )
      expect(pulled).toBeLessThan(count)
      yield* client.resumeReading
      yield* eventually(
        Effect.sync(() => pulled),
        (now) => now === count,
        "all of it sent"
      )
    })
  )

  it.scoped("waits for the client between two pieces", () =>
    Effect.gen(function* () {
      let pulled = 0
      const counted = Stream.repeatEffect(Effect.sync(() => Buffer.from(String(++pulled)))).pipe(Stream.take(5))
      const connections: Array<MemoryConnection> = []
      const { connect } = yield* servingInMemory((request) =>
        Effect.zipRight(
          Effect.sync(() => connections[0]?.setFull(true)),
          respondStream(request, 200, counted)
        )
      )
      const connection = yield* connect
      connections.push(connection)
      connection.send(requestText("GET /"))
      yield* settled
      expect(pulled).toBe(1)
      connection.setFull(false)
      expect((yield* connection.response()).text).toBe("12345")
    })
  )
})

describe("sendHeaders", () => {
  it.scopedLive("the writer refuses more and less than was announced, and a handler may correct it", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200, { "Content-Length": "6" })
          expect((yield* refusal(body.write("seven!!"))).reason).toBe("ContentTooLong")
          yield* body.write("one")
          expect((yield* refusal(body.end())).reason).toBe("ContentTooShort")
          expect((yield* refusal(body.write("four"))).reason).toBe("ContentTooLong")
          yield* body.write("two")
          const evidence = yield* body.end()
          expect([evidence.status, evidence.bodyBytes]).toStrictEqual([200, 6])
          expect((yield* refusal(body.write("x"))).reason).toBe("AlreadyResponded")
          expect((yield* refusal(body.end())).reason).toBe("AlreadyResponded")
          return evidence
        })
      )
      const client = yield* connect(port)
      for (let i = 0; i < 2; i++) {
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).text).toBe("onetwo")
      }
    })
  )

  it.scopedLive("ends with trailers when it is chunked, and refuses those that may not be trailers", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200)
          yield* body.write("abc")
          expect((yield* refusal(body.end({ "Content-Length": "3" }))).reason).toBe("HeaderForbidden")
          expect((yield* refusal(body.end({ "X-A": "a\r\nb" }))).reason).toBe("HeaderValue")
          return yield* body.end({ "X-Sum": "42" })
        })
      )
      const response = yield* get(port)
      expect([response.text, response.trailers]).toStrictEqual(["abc", [["X-Sum", "42"]]])
    })
  )

  it.scopedLive("a handler that gives up after the head breaks the connection", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) =>
        Effect.zipRight(sendHeaders(request, 200), Effect.fail(new Mine({ detail: "secret-detail" })))
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      const seen = (yield* client.readToEnd).toString("latin1")
      expect(seen.endsWith("Transfer-Encoding: chunked\r\n\r\n")).toBe(true)
      expect((yield* reports.first).cause).toMatchObject({ _tag: "Fail", error: { _tag: "Mine" } })
    })
  )

  it.scopedLive("the head leaves before the content exists", () =>
    Effect.gen(function* () {
      const mayGoOn = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200)
          yield* Deferred.await(mayGoOn)
          return yield* body.end()
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readUntil((seen) => seen.endsWith("\r\n\r\n"))
      yield* Deferred.succeed(mayGoOn, undefined)
      expect(yield* client.readUntil((seen) => seen.length === 5)).toBe("0\r\n\r\n")
    })
  )
})

describe("sendInformational", () => {
  it.scopedLive("sends 102 and 103 before the response, at once", () =>
    Effect.gen(function* () {
      const mayAnswer = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* sendInformational(request, 103, { Link: "</a.css>; rel=preload" })
          yield* sendInformational(request, 102)
          yield* Deferred.await(mayAnswer)
          return yield* respond(request, 200, "final")
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      expect(yield* client.readResponse()).toMatchObject({ status: 103, fields: [["Link", "</a.css>; rel=preload"]] })
      expect(yield* client.readResponse()).toMatchObject({ status: 102, fields: [] })
      yield* Deferred.succeed(mayAnswer, undefined)
      expect((yield* client.readResponse()).text).toBe("final")
    })
  )

  it.scopedLive("sends nothing to HTTP/1.0, and refuses bad headers", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* sendInformational(request, 103, { Link: "<a>" })
          const reasons = [
            (yield* refusal(sendInformational(request, 103, { Link: "a\r\nb" }))).reason,
            (yield* refusal(sendInformational(request, 103, { "Content-Length": "1" }))).reason
          ]
          return yield* respond(request, 200, reasons.join())
        })
      )
      expect((yield* ask(port, "GET / HTTP/1.0\r\n\r\n")).text).toBe("HeaderValue,HeaderForbidden")
    })
  )
})

describe("tunnel", () => {
  const asked = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
  const dig: Handler = (request) =>
    request.url === "a.example:443"
      ? tunnel(request, {}, (duplex) => Stream.runForEach(duplex.stream, duplex.write))
      : respond(request, 403, "not there")

  it.scopedLive("answers CONNECT without a framing, and echoes what follows", () =>
    Effect.gen(function* () {
      const made = yield* serving(dig, { connectMethod: "handle" })
      const client = yield* connect(made.port)
      yield* client.send(`${asked}GET / HTTP/1.1\r\n\r\n`)
      const head = yield* client.readUntil((seen) => seen.includes("\r\n\r\n"))
      expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\nDate: [^\r]+ GMT\r\n\r\n/)
      yield* client.halfClose
      expect(head + (yield* client.readToEnd).toString("latin1")).toMatch(/\r\n\r\nGET \/ HTTP\/1\.1\r\n\r\n$/)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("is rejected by 501 unless an option lets it through, and closes either way", () =>
    Effect.gen(function* () {
      const refusing = yield* serving(dig)
      const refused = yield* ask(refusing.port, asked)
      expect([refused.status, refused.header("Connection")]).toStrictEqual([501, "close"])
      const handling = yield* serving(dig, { connectMethod: "handle" })
      const other = yield* ask(handling.port, asked.replaceAll("a.example", "b.example"))
      expect([other.status, other.header("Connection"), other.text]).toStrictEqual([403, "close", "not there"])
    })
  )

  it.scopedLive("is what a successful answer to CONNECT must be, and nothing else may be", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(
        (request) =>
          Effect.gen(function* () {
            const { reason } = yield* refusal(
              request.method === "CONNECT" ? respond(request, 200) : tunnel(request, {}, () => Effect.void)
            )
            return yield* respond(request, 400, reason)
          }),
        { connectMethod: "handle" }
      )
      expect((yield* ask(port, asked)).text).toBe("StatusCode")
      expect((yield* get(port)).text).toBe("NotOffered")
    })
  )
})

describe("upgrade", () => {
  const offer = requestText("GET /", ["Connection: keep-alive, Upgrade", "Upgrade: echo"])
  const echo: Handler = (request) =>
    upgrade(request, { Upgrade: "echo" }, (duplex) => Stream.runForEach(duplex.stream, duplex.write))

  it.scopedLive("echoes over the duplex, the bytes that came after the request first", () =>
    Effect.gen(function* () {
      const made = yield* serving(echo)
      const client = yield* connect(made.port)
      yield* client.send(`${offer}early, GET / HTTP/1.1\r\n\r\n`)
      const head = yield* client.readResponse()
      expect([head.status, head.header("Connection"), head.header("Upgrade")]).toStrictEqual([101, "Upgrade", "echo"])
      expect(yield* client.readUntil((seen) => seen.length === 25)).toBe("early, GET / HTTP/1.1\r\n\r\n")
      yield* client.send(Buffer.from([0, 255, 128]))
      expect(yield* client.readUntil((seen) => seen.length === 3)).toBe("\x00\xff\x80")
      yield* client.halfClose
      expect(yield* client.readToEnd).toHaveLength(0)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("1 MiB goes through it in both directions", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const client = yield* connect(port)
      yield* client.send(offer)
      yield* client.readResponse()
      const large = Buffer.from(Uint8Array.from({ length: 1_048_576 }, (_, i) => (i * 31) % 256))
      yield* client.send(large)
      const seen = yield* client.readUntil((seen) => seen.length === large.length)
      expect(Buffer.from(seen, "latin1").equals(large)).toBe(true)
    })
  )

  it.scopedLive("is NotOffered without an offer, and NotUpgradable with a body that has not been read", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const take = upgrade(request, { Upgrade: "echo" }, () => Effect.void)
          const { reason } = yield* refusal(take)
          yield* request.bytes
          return yield* Effect.catchAll(take, () => respond(request, 200, reason))
        })
      )
      expect((yield* get(port)).text).toBe("NotOffered")
      expect((yield* ask(port, requestText("GET /", ["Upgrade: echo"]))).text).toBe("NotOffered")
      expect((yield* ask(port, requestText("GET /", ["Connection: Upgrade"]))).text).toBe("NotOffered")
      const withOffer = withBody("POST /", "body", ["Connection: Upgrade", "Upgrade: echo"])
      expect((yield* ask(port, withOffer)).status).toBe(101)
    })
  )

  it.scopedLive("a refused one leaves the request to be answered", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.catchTag(
          upgrade(request, { Upgrade: "a\r\nb" }, () => Effect.void),
          "ValueError",
          ({ reason }) => respond(request, 400, reason)
        )
      )
      expect(yield* ask(port, offer)).toMatchObject({ status: 400, text: "HeaderValue" })
    })
  )

  it.scopedLive("notifies a daemon that outlives its request when the connection ends", () =>
    Effect.gen(function* () {
      const isRunning = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        upgrade(request, { Upgrade: "echo" }, ({ stream }) => {
          const reading = Stream.runForEach(stream, () => Deferred.succeed(isRunning, undefined))
          const daemon = Effect.zipRight(reading, Deferred.succeed(ended, undefined))
          return Effect.zipRight(Effect.forkDaemon(daemon), Deferred.await(isRunning))
        })
      )
      const client = yield* connect(port)
      yield* client.send(`${offer}hello`)
      yield* client.halfClose
      yield* client.closedWith
      yield* Deferred.await(ended)
    })
  )

  it.scopedLive("has a scope that ends with it, and a failure breaks the connection", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      const { port, reports } = yield* servingReported((request) =>
        upgrade(request, { Upgrade: "echo" }, () =>
          Effect.zipRight(
            Effect.addFinalizer(() => Deferred.succeed(released, undefined)),
            Effect.fail(new Mine({ detail: "secret-detail" }))
          )
        )
      )
      const client = yield* connect(port)
      yield* client.send(offer)
      yield* client.readResponse()
      expect((yield* client.readToEnd).toString()).not.toContain("secret")
      yield* Deferred.await(released)
      expect((yield* reports.first).cause).toMatchObject({ _tag: "Fail", error: { _tag: "Mine" } })
    })
  )
})

describe("a handler that fails", () => {
  it.scopedLive("with a ValueError is answered with its status, and keeps the connection", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) =>
        request.url === "/" ? respond(request, 200) : new ValueError({ reason: "Json", actual: "secret-input" })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /fails"))
      const response = yield* client.readResponse()
      expect([response.status, response.header("Content-Type")]).toStrictEqual([400, "text/plain; charset=utf-8"])
      expect(response.text).not.toContain("secret")
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(200)
      // The client's mistakes are not the operator's.
      expect(reports.all).toHaveLength(0)
    })
  )

  it.scopedLive("with a KeyError of a request is 400, of the handler's own headers 500", () =>
    Effect.gen(function* () {
      const handler: Handler<ValueError | KeyError> = (request) =>
        Effect.gen(function* () {
          const headers = request.url === "/own" ? HttpHeaders.empty : request.headers
          return yield* respond(request, 200, yield* HttpHeaders.get(headers, "X-Key"))
        })
      const { port, reports } = yield* servingReported(handler)
      expect((yield* get(port, "/request")).status).toBe(400)
      expect(reports.all).toHaveLength(0)
      expect((yield* get(port, "/own")).status).toBe(500)
      expect(Cause.squash((yield* reports.first).cause)).toBeInstanceOf(KeyError)
    })
  )

  const failures: ReadonlyArray<readonly [string, () => ReturnType<Handler<Mine>>]> = [
    [
      "throws",
      () => {
        throw new Error("secret-detail")
      }
    ],
    ["dies", () => Effect.die(new Error("secret-detail"))],
    ["fails", () => new Mine({ detail: "secret-detail" })],
    ["interrupts itself", () => Effect.interrupt],
    // Code without types can forget to return.
    ["returns nothing", () => undefined as never],
    ["dies with a ValueError", () => Effect.die(new ValueError({ reason: "Json", actual: "secret-detail" }))]
  ]
  for (const [what, failing] of failures) {
    it.scopedLive(`and ${what} gets 500 without its text, is reported once, and the others are served`, () =>
      Effect.gen(function* () {
        const { port, reports } = yield* servingReported<Mine | RespondableError, Scope.Scope>((request) =>
          request.url === "/fails" ? failing() : respond(request, 200, "fine")
        )
        const client = yield* connect(port)
        yield* client.send(requestText("GET /fails", ["X-Mark: 1"]))
        const response = yield* client.readResponse()
        expect([response.status, response.text]).toStrictEqual([500, "500 Internal Server Error\n"])
        expect(JSON.stringify(response.fields)).not.toContain("secret")
        const { request } = yield* reports.first
        expect(request.url).toBe("/fails")
        expect(HttpHeaders.has(request.headers, "x-mark")).toBe(true)
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).text).toBe("fine")
        expect((yield* get(port)).text).toBe("fine")
        expect(reports.all).toHaveLength(1)
      })
    )
  }

  it.scopedLive("gives onFailure the whole cause", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported(() =>
        Effect.ensuring(Effect.fail(new Mine({ detail: "first" })), Effect.die("second"))
      )
      yield* get(port)
      const { cause } = yield* reports.first
      expect(Array.from(Cause.failures(cause))).toMatchObject([{ _tag: "Mine", detail: "first" }])
      expect(Array.from(Cause.defects(cause))).toStrictEqual(["second"])
    })
  )

  it.scopedLive("HEAD of it has no body either", () =>
    Effect.gen(function* () {
      const { port } = yield* servingReported(() => Effect.die("boom"))
      const client = yield* connect(port)
      yield* client.send(requestText("HEAD /") + requestText("GET /"))
      expect((yield* client.readResponse("HEAD")).status).toBe(500)
      expect((yield* client.readResponse()).status).toBe(500)
    })
  )

  it.scoped("and whose onFailure dies too is answered all the same", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* makeInMemory()
      const fails = server.serve(() => Effect.fail(new Mine({ detail: "" })), { onFailure: () => Effect.die("again") })
      yield* Effect.forkScoped(fails)
      const connection = yield* connect
      for (let i = 0; i < 2; i++) {
        connection.send(requestText("GET /"))
        expect((yield* connection.response()).status).toBe(500)
      }
    })
  )

  it.scopedLive("and whose onFailure gives up what it has begun is served on", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen()
      const givesUp = Effect.ignore(Effect.timeout(Effect.never, 1))
      const fails = server.serve((request) => new Mine({ detail: request.url }), { onFailure: () => givesUp })
      yield* Effect.forkScoped(fails)
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2"))
      expect((yield* client.readResponse()).status).toBe(500)
      expect((yield* client.readResponse()).status).toBe(500)
    })
  )

  it.scopedLive("and whose onFailure closes the server waits for itself no longer than a handler would", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      const { budget, server } = yield* make()
      const { port } = yield* server.listen()
      const fails = server.serve(
        (request) =>
          Effect.zipRight(
            Effect.addFinalizer(() => Deferred.succeed(released, undefined)),
            new Mine({ detail: request.url })
          ),
        { onFailure: () => server.close }
      )
      yield* Effect.forkScoped(Effect.ignore(fails))
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(500)
      yield* client.closedWith
      yield* server.close
      expect(yield* budget.held).toBe(0)
      expect(yield* Deferred.isDone(released)).toBe(true)
    })
  )

  it.scoped("without onFailure is logged with its request", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ annotations, cause, message }) => {
        lines.push(`${message} ${JSON.stringify(Array.from(annotations))} ${Cause.pretty(cause)}`)
      })
      const { connect, server } = yield* makeInMemory()
      const fails = server.serve(() => Effect.die(new Error("secret-detail")))
      yield* Effect.forkScoped(fails).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      const connection = yield* connect
      connection.send(requestText("GET /logged"))
      expect((yield* connection.response()).status).toBe(500)
      yield* settled
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatch(/a handler failed .*"url","\/logged".*"method","GET".*secret-detail/s)
    })
  )

  it.scoped("is reported with the request that failed, not with one after it", () =>
    Effect.gen(function* () {
      const { connect, reports } = yield* servingInMemoryReported((request) =>
        request.query === "fail" ? Effect.die(request.path) : respond(request, 200)
      )
      const connection = yield* connect
      connection.send(["/1", "/2?fail", "/3", "/4?fail", "/5"].map((url) => requestText(`GET ${url}`)).join(""))
      for (const status of [200, 500, 200, 500, 200]) expect((yield* connection.response()).status).toBe(status)
      expect(reports.all.map(({ cause, request }) => [request.path, Cause.squash(cause)])).toStrictEqual([
        ["/2", "/2"],
        ["/4", "/4"]
      ])
    })
  )
})
