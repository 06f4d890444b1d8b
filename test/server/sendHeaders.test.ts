/** `sendHeaders` and `sendInformational`: the parts of a response that a handler writes itself. */
import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { respond, sendHeaders, sendInformational } from "../../src/Response.js"
import { ask, connect, get, requestText } from "../wire/rawConnection.js"
import { refusal, serving, servingReported } from "./harness.js"

class HandlerError extends Data.TaggedError("HandlerError")<{ readonly detail: string }> {}

describe("sendHeaders", () => {
  it.scopedLive("the writer rejects more and less content than was announced, and a handler may correct it", () =>
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

  it.scopedLive("ends with trailers when it is chunked, and rejects fields that may not be trailers", () =>
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

  it.scopedLive("a handler that fails after the head breaks the connection", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) =>
        Effect.zipRight(sendHeaders(request, 200), Effect.fail(new HandlerError({ detail: "secret-detail" })))
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      const seen = (yield* client.readToEnd).toString("latin1")
      expect(seen.endsWith("Transfer-Encoding: chunked\r\n\r\n")).toBe(true)
      expect((yield* reports.first).cause).toMatchObject({ _tag: "Fail", error: { _tag: "HandlerError" } })
    })
  )

  it.scopedLive("the head leaves before the content exists", () =>
    Effect.gen(function* () {
      const mayContinue = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200)
          yield* Deferred.await(mayContinue)
          return yield* body.end()
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readUntil((seen) => seen.endsWith("\r\n\r\n"))
      yield* Deferred.succeed(mayContinue, undefined)
      expect(yield* client.readUntil((seen) => seen.length === 5)).toBe("0\r\n\r\n")
    })
  )
})

describe("sendInformational", () => {
  it.scopedLive("sends 102 and 103 before the response, at once", () =>
    Effect.gen(function* () {
      const mayRespond = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* sendInformational(request, 103, { Link: "</a.css>; rel=preload" })
          yield* sendInformational(request, 102)
          yield* Deferred.await(mayRespond)
          return yield* respond(request, 200, "final")
        })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      expect(yield* client.readResponse()).toMatchObject({ status: 103, fields: [["Link", "</a.css>; rel=preload"]] })
      expect(yield* client.readResponse()).toMatchObject({ status: 102, fields: [] })
      yield* Deferred.succeed(mayRespond, undefined)
      expect((yield* client.readResponse()).text).toBe("final")
    })
  )

  it.scopedLive("sends nothing to HTTP/1.0, and rejects invalid headers", () =>
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
