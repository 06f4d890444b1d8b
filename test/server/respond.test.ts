/** `respond`: status, headers and content of a response that is sent whole, and a request that gets two responses. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as HttpHeaders from "../../src/HttpHeaders.js"
import { type Responded, respond, respondStream, sendHeaders, sendInformational, upgrade } from "../../src/Response.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { ask, connect, get, requestText } from "../wire/rawConnection.js"
import { refusal, serving, servingReported } from "./harness.js"

const encoded = (...texts: ReadonlyArray<string>) =>
  Stream.encodeText(Stream.fromIterable(texts).pipe(Stream.rechunk(1)))

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

  it.scopedLive(
    "leaves out the content of the server's error responses to HEAD too, whatever is malformed after the method",
    () =>
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

  it.scopedLive("a header with CR, LF, NUL or a bad name is rejected, and the handler may respond again", () =>
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

  it.scopedLive("a handler that fails with a second response has sent its first, and is reported", () =>
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

  it.scopedLive("is sent whole from within a race", () =>
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
      const mayRespond = yield* Deferred.make<void>()
      let kept: Responded | undefined
      const { port, reports } = yield* servingReported((request) =>
        Effect.gen(function* () {
          if (kept !== undefined) return kept
          kept = yield* respond(request, 200, "first")
          yield* Deferred.await(mayRespond)
          return kept
        })
      )
      const one = yield* connect(port)
      yield* one.send(requestText("GET /"))
      expect((yield* one.readResponse()).text).toBe("first")
      expect((yield* get(port)).status).toBe(500)
      const { cause } = yield* reports.first
      expect(Cause.isDie(cause)).toBe(true)
      yield* Deferred.succeed(mayRespond, undefined)
      yield* one.send(requestText("GET /"))
      expect((yield* one.readResponse()).status).toBe(500)
      expect(reports.all).toHaveLength(2)
    })
  )
})
