/** RFC 9110 §8 and §9: lengths, and methods. */
import { expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Handler, respond, respondStream, sendInformational, tunnel } from "../../../src/Response.js"
import { refusal, serving, servingReported } from "../../server/harness.js"
import { ask, connect, requestText } from "../../support/rawClient.js"
import { otherRows, proves, provesByRows, provesOfEach, rowsById } from "../rfc9112/proofs.js"
import { finalsOf } from "../rfc9112/rows.js"
import { type App, allOf, replying, toldBy } from "../subjects.js"
import { chunks, closing, conversation, offer, upgrading } from "./conversation.js"

provesOfEach(
  "9110/8.6/length-where-none-may-be",
  "in a 204, whole and streamed, with one of the handler's own",
  (subject) =>
    Effect.gen(function* () {
      for (const content of ["abc", chunks]) {
        for (const fields of [{}, { "Content-Length": "3" }]) {
          const sent = yield* toldBy(subject, replying(204, content, fields), closing("GET /"))
          expect(sent).toMatch(/^HTTP\/1\.1 204 /)
          expect(sent).not.toMatch(/Content-Length/i)
        }
      }
    })
)
for (const own of ["+3", "-3", "3.0", "3, 3", "3;", "", "0x3", "three", "3 3"]) {
  provesOfEach("9110/8.6/no-number", `${JSON.stringify(own)} of a stream is not sent`, (subject) =>
    Effect.gen(function* () {
      const content = Stream.make("abc").pipe(Stream.encodeText)
      const sent = yield* toldBy(subject, replying(200, content, { "Content-Length": own }), closing("GET /"))
      expect(sent).toMatch(/^HTTP\/1\.1 500 /)
      expect(sent.match(/^content-length: (.*)$/gim)?.every((line) => /: \d+$/.test(line))).toBe(true)
    })
  )
}
for (const [own, content] of [
  ["4", ""],
  ["12", "one, two"]
] as const) {
  provesOfEach(
    "9110/8.6/wrong-length",
    `of a stream that has 8 bytes and declares ${own}: no more than ${own} bytes, and no next response`,
    (subject) =>
      Effect.gen(function* () {
        const port = yield* subject.serve(replying(200, chunks, { "Content-Length": own }))
        const text = yield* allOf(port, requestText("GET /") + requestText("GET /"))
        expect(content.startsWith(text.slice(text.indexOf("\r\n\r\n") + 4))).toBe(true)
      })
  )
}
proves(
  "9110/8.6/length-where-none-may-be",
  "nor of the handler's own",
  Effect.gen(function* () {
    const handler: Handler = (request) => {
      const own = request.path === "/own" ? { "Content-Length": "3" } : {}
      return Effect.gen(function* () {
        expect(yield* refusal(sendInformational(request, 103, { "Content-Length": "3" }))).toMatchObject({
          reason: "HeaderForbidden"
        })
        yield* sendInformational(request, 103, { Link: "</a>" })
        return yield* respond(request, 204, "abc", own)
      })
    }
    for (const path of ["/", "/own"]) {
      expect(yield* conversation(handler, closing(`GET ${path}`))).not.toMatch(/Content-Length/i)
    }
    expect(yield* conversation(upgrading, requestText("GET /", offer))).not.toMatch(/Content-Length/i)
  })
)

for (const id of ["9110/8.6/length-of-connect", "9110/9.3.6/framing"] as const) {
  proves(
    id,
    "the head of a tunnel has Date, and the handler's fields",
    Effect.gen(function* () {
      const { port } = yield* serving(
        (request) =>
          Effect.gen(function* () {
            for (const name of ["Transfer-Encoding", "content-length"]) {
              const error = yield* refusal(tunnel(request, { [name]: "1" }, () => Effect.void))
              expect(error).toMatchObject({ _tag: "ValueError", reason: "HeaderForbidden" })
            }
            return yield* tunnel(request, { "X-A": "b" }, () => Effect.void)
          }),
        { connectMethod: "handle" }
      )
      const client = yield* connect(port)
      yield* client.send("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n")
      expect((yield* client.readToEnd).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\nDate: [^\r\n]+\r\nX-A: b\r\n\r\n$/)
    })
  )
}

const representations: App = ({ path }) => {
  switch (path) {
    case "/whole":
      return Effect.succeed({ status: 200, content: "eleven byte", fields: { ETag: '"a"' } })
    case "/known":
      return Effect.succeed({ status: 200, content: chunks, fields: { "Content-Length": "8" } })
    case "/304":
      return Effect.succeed({ status: 304 })
    case "/304-own":
      return Effect.succeed({ status: 304, fields: { "Content-Length": "11" } })
    default:
      return Effect.succeed({ status: 200, content: chunks })
  }
}

for (const [id, how] of [
  ["9110/8.6/length-of-head", "the same as GET"],
  ["9110/9.1/get-and-head", "by a handler that looks at no method"],
  ["9110/9.3.2/head", "the next response follows the head"],
  ["9110/9.3.2/fields-of-head", "the same as GET, but Transfer-Encoding"]
] as const) {
  for (const path of ["/whole", "/known", "/stream"]) {
    provesOfEach(id, `${how}: ${path}`, (subject) =>
      Effect.gen(function* () {
        const client = yield* connect(yield* subject.serve(representations))
        yield* client.send(requestText(`HEAD ${path}`) + requestText(`GET ${path}`))
        const head = yield* client.readResponse("HEAD")
        const got = yield* client.readResponse("GET")
        expect(head.header("Content-Length")).toBe(got.header("Content-Length"))
        const fields = got.fields.filter(([name]) => name !== "Transfer-Encoding" && name !== "Date")
        expect(head.fields.filter(([name]) => name !== "Date")).toStrictEqual(fields)
        expect(got.text).toBe(path === "/whole" ? "eleven byte" : "one, two")
      })
    )
  }
}
provesOfEach("9110/8.6/length-of-304", "what the handler sets, and otherwise none", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(representations)
    expect((yield* ask(port, requestText("GET /304"))).header("Content-Length")).toBe(undefined)
    expect((yield* ask(port, requestText("GET /304-own"))).header("Content-Length")).toBe("11")
  })
)
provesByRows(
  "9110/8.6/overflow",
  rowsById(
    "zeros-in-front-length",
    "length-beyond-default-bound",
    "length-beyond-safe-integers",
    "length-5-64-bits",
    "length-400-digits",
    "length-beyond-safe-integers-without-limit"
  )
)
provesOfEach("9110/8.6/length-known", "of what is whole, and of a stream whose length the handler knows", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(representations)
    expect((yield* ask(port, requestText("GET /whole"))).header("Content-Length")).toBe("11")
    expect((yield* ask(port, requestText("GET /known"))).header("Content-Length")).toBe("8")
    expect((yield* ask(port, requestText("GET /stream"))).header("Content-Length")).toBe(undefined)
  })
)
for (const [id, refusals] of [
  [
    "9110/8.6/wrong-length",
    [
      ["2", "ContentTooLong"],
      ["4", "ContentTooShort"],
      ["0", "ContentTooLong"]
    ]
  ],
  [
    "9110/8.6/no-number",
    ["+3", "-3", "3.0", "3, 3", "3;", "", "0x3", "three", "3 3"].map((own) => [own, "HeaderValue"] as const)
  ]
] as const) {
  proves(
    id,
    "of a whole response: the handler fails, and nothing is sent",
    Effect.gen(function* () {
      const reasons: Array<readonly [string, string]> = []
      const sent = yield* conversation(
        (request) =>
          Effect.gen(function* () {
            for (const [own] of refusals) {
              const error = yield* refusal(respond(request, 200, "abc", { "Content-Length": own }))
              reasons.push([own, error.reason])
            }
            return yield* respond(request, 200, "last", { "Content-Length": "4" })
          }),
        closing("GET /")
      )
      expect(finalsOf(Buffer.from(sent)).map((response) => response.text)).toStrictEqual(["last"])
      expect(reasons).toStrictEqual(refusals)
    })
  )
}
for (const [own, reason, content] of [
  ["4", "ContentTooLong", ""],
  ["12", "ContentTooShort", "one, two"]
] as const) {
  proves(
    "9110/8.6/wrong-length",
    `of a stream that has 8 bytes and declares ${own}: the connection breaks after what fits`,
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) =>
        respondStream(request, 200, chunks, { "Content-Length": own })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /") + requestText("GET /"))
      const text = (yield* client.readToEnd).toString()
      expect(content.startsWith(text.slice(text.indexOf("\r\n\r\n") + 4))).toBe(true)
      const { cause } = yield* reports.first
      expect(Cause.failureOption(cause)).toMatchObject({ value: { _tag: "ValueError", reason } })
    })
  )
}
provesByRows("9110/9.1/unknown-method", rowsById("unknown-method", "methods-case-sensitive", "method-known-begins"))
provesByRows(
  "9110/9.3.6/port",
  rowsById(
    "connect-to-port-0",
    "connect-to-port-000",
    "connect-without-port",
    "connect-empty-port",
    "connect-to-address-without-port",
    "connect-to-port-65536",
    "connect-to-port-65536-address",
    "connect-to-port-many-digits",
    "connect-port-not-number",
    "connect-to-port-sign",
    "connect-without-host"
  )
)
otherRows("RFC 9110 §8 and §9: other lengths and methods", [
  "get-without-body",
  "head-without-body",
  "post-without-body",
  "put-without-body",
  "delete-without-body",
  "options-without-body",
  "trace-without-body",
  "patch-without-body",
  "method-32-characters",
  "method-32-characters-read-to-end-line",
  "method-33-characters",
  "body-length-one-over"
])
