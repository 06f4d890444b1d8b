/** RFC 9110 §8 and §9: lengths, and methods. */
import { expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { type Handler, respond, respondStream, sendInformational, tunnel } from "../../../src/Response.js"
import { refusal, serving, servingReported } from "../../server/harness.js"
import { ask, connect, requestText } from "../raw.js"
import { otherRows, proves, provesByRows, rowsAbout } from "../rfc9112/proofs.js"
import { finalsOf } from "../rfc9112/rows.js"
import { closing, conversation, offer, pieces, upgrading } from "./conversation.js"

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
        { onConnect: "handle" }
      )
      const wire = yield* connect(port)
      yield* wire.send("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n")
      expect((yield* wire.readToEnd).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\nDate: [^\r\n]+\r\nX-A: b\r\n\r\n$/)
    })
  )
}

const representations: Handler = (request) => {
  switch (request.path) {
    case "/whole":
      return respond(request, 200, "eleven byte", { ETag: '"a"' })
    case "/known":
      return respondStream(request, 200, pieces, { "Content-Length": "8" })
    case "/304":
      return respond(request, 304, "eleven byte")
    case "/304-own":
      return respond(request, 304, "", { "Content-Length": "11" })
    default:
      return respondStream(request, 200, pieces)
  }
}

for (const [id, how] of [
  ["9110/8.6/length-of-head", "the same as GET"],
  ["9110/9.1/get-and-head", "by a handler that looks at no method"],
  ["9110/9.3.2/head", "the next answer follows the head"],
  ["9110/9.3.2/fields-of-head", "the same as GET, but Transfer-Encoding"]
] as const) {
  for (const path of ["/whole", "/known", "/stream"]) {
    proves(
      id,
      `${how}: ${path}`,
      Effect.gen(function* () {
        const { port } = yield* serving(representations)
        const wire = yield* connect(port)
        yield* wire.send(requestText(`HEAD ${path}`) + requestText(`GET ${path}`))
        const head = yield* wire.readAnswer("HEAD")
        const got = yield* wire.readAnswer("GET")
        expect(head.header("Content-Length")).toBe(got.header("Content-Length"))
        const fields = got.fields.filter(([name]) => name !== "Transfer-Encoding" && name !== "Date")
        expect(head.fields.filter(([name]) => name !== "Date")).toStrictEqual(fields)
        expect(got.text).toBe(path === "/whole" ? "eleven byte" : "one, two")
      })
    )
  }
}
proves(
  "9110/8.6/length-of-304",
  "what the handler says, and otherwise none",
  Effect.gen(function* () {
    const { port } = yield* serving(representations)
    expect((yield* ask(port, requestText("GET /304"))).header("Content-Length")).toBe(undefined)
    expect((yield* ask(port, requestText("GET /304-own"))).header("Content-Length")).toBe("11")
  })
)
provesByRows("9110/8.6/overflow", rowsAbout(/§8\.6: a length (beyond|that is 5|of 400)|zeros in front of the length/))
proves(
  "9110/8.6/length-known",
  "of what is whole, and of a stream whose length the handler knows",
  Effect.gen(function* () {
    const { port } = yield* serving(representations)
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
    "of a whole answer: the handler is told, and nothing has left",
    Effect.gen(function* () {
      const told: Array<readonly [string, string]> = []
      const sent = yield* conversation(
        (request) =>
          Effect.gen(function* () {
            for (const [own] of refusals) {
              const error = yield* refusal(respond(request, 200, "abc", { "Content-Length": own }))
              told.push([own, error.reason])
            }
            return yield* respond(request, 200, "last", { "Content-Length": "4" })
          }),
        closing("GET /")
      )
      expect(finalsOf(Buffer.from(sent)).map((answer) => answer.text)).toStrictEqual(["last"])
      expect(told).toStrictEqual(refusals)
    })
  )
}
for (const [own, reason, content] of [
  ["4", "ContentTooLong", ""],
  ["12", "ContentTooShort", "one, two"]
] as const) {
  proves(
    "9110/8.6/wrong-length",
    `of a stream that has 8 bytes and says ${own}: the connection breaks behind what fits`,
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) =>
        respondStream(request, 200, pieces, { "Content-Length": own })
      )
      const wire = yield* connect(port)
      yield* wire.send(requestText("GET /") + requestText("GET /"))
      const text = (yield* wire.readToEnd).toString()
      expect(content.startsWith(text.slice(text.indexOf("\r\n\r\n") + 4))).toBe(true)
      const { cause } = yield* reports.first
      expect(Cause.failureOption(cause)).toMatchObject({ value: { _tag: "ValueError", reason } })
    })
  )
}
provesByRows("9110/9.1/unknown-method", rowsAbout(/RFC 9110 §9: (an unknown|methods are|a method that)/))
provesByRows("9110/9.3.6/port", rowsAbout(/CONNECT .*(port|host)/))
otherRows("RFC 9110 §8 and §9: other lengths and methods", /^RFC 9110 §[89]/)
