/** RFC 9110 §5: fields. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as HttpHeaders from "../../../src/HttpHeaders.js"
import { type Handler, respond, sendHeaders, sendInformational } from "../../../src/Response.js"
import { group, reads } from "../../fixtures/messages/message.js"
import { refusal, serving } from "../../server/harness.js"
import { eventLoopTurns } from "../../support/eventually.js"
import { ask, connect, requestText } from "../../support/rawClient.js"
import { otherRows, proves, provesByRows, provesOfEach, rowsById } from "../rfc9112/proofs.js"
import { expectRefusal, finalsOf } from "../rfc9112/rows.js"
import { replying, toldBy } from "../subjects.js"
import { closing, conversation } from "./conversation.js"

provesByRows("9110/5.1/unrecognized", [
  ...rowsById("similar-names"),
  reads(
    "unknown-trailer",
    "an unknown trailer",
    "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Unknown: 1\r\n\r\n",
    { method: "POST", fields: ["Host", "example.org", "Transfer-Encoding", "chunked"], trailers: ["X-Unknown", "1"] }
  )
])
provesOfEach("9110/5.3/repeated", "those that the server has too are sent once", (subject) =>
  Effect.gen(function* () {
    const fields = { Date: "Thu, 01 Jan 1970 00:00:00 GMT", Connection: "x", "Content-Length": "3", "X-A": "1" }
    const sent = yield* toldBy(subject, replying(200, "abc", fields), closing("GET /"))
    const names = finalsOf(Buffer.from(sent))[0]?.fields.map(([name]) => name.toLowerCase())
    expect(names?.sort()).toStrictEqual(["connection", "content-length", "date", "x-a"])
  })
)
proves(
  "9110/5.3/repeated",
  "the server's own are sent once, and a second Content-Length is rejected; the known deviation: others are sent as given",
  Effect.gen(function* () {
    const sent = yield* conversation(
      (request) =>
        Effect.gen(function* () {
          const twice = [["Content-Length", "3"] as const, ["content-length", "3"] as const]
          expect((yield* refusal(respond(request, 200, "abc", twice))).reason).toBe("HeaderValue")
          return yield* respond(request, 200, "abc", [
            ["Date", "Thu, 01 Jan 1970 00:00:00 GMT"],
            ["Connection", "x"],
            ["connection", "y"],
            ["X-A", "1"],
            ["X-A", "2"]
          ])
        }),
      closing("GET /")
    )
    expect(finalsOf(Buffer.from(sent))[0]?.fields).toStrictEqual([
      ["Connection", "close, x, y"],
      ["Date", "Thu, 01 Jan 1970 00:00:00 GMT"],
      ["X-A", "1"],
      ["X-A", "2"],
      ["Content-Length", "3"]
    ])
  })
)
provesOfEach(
  "9110/5.3/head-first",
  "the handler runs at the last byte of the section, not before, and not when a later field is wrong",
  (subject) =>
    Effect.gen(function* () {
      let asked = 0
      const port = yield* subject.serve(() => {
        asked++
        return Effect.succeed({ status: 200 })
      })
      const text = requestText("DELETE /", ["A: b", "C: d"])
      const client = yield* connect(port)
      for (const byte of text.slice(0, -1)) yield* client.send(byte)
      yield* eventLoopTurns(5)
      expect(asked).toBe(0)
      yield* client.send("\n")
      expect((yield* client.readResponse()).status).toBe(200)
      expectRefusal(yield* ask(port, requestText("DELETE /", ["A: b", "C : d"])), 400)
      expect(asked).toBe(1)
    })
)
provesByRows(
  "9110/5.4/too-large",
  rowsById(
    "field-line-one-over",
    "name-never-ends",
    "whitespace-never-ends",
    "header-section-one-over",
    "header-section-one-line-over",
    "headers-one-over"
  )
)
provesByRows("9110/5.5/opaque", rowsById("obs-text-in-value"))
provesByRows(
  "9110/5.5/control",
  rowsById("nul-in-value", "bare-cr-in-value", "bare-cr-before-line-end", "bare-lf-in-value")
)
provesByRows("9110/5.5/space", rowsById("whitespace-around-values"))
provesOfEach("9110/5.6.1.1/empty-members", "those of a handler's Connection are left out", (subject) =>
  Effect.gen(function* () {
    const app = replying(200, "", { Connection: ", x,, ,\tclose ,y, " })
    const sent = yield* toldBy(subject, app, requestText("GET /"))
    expect(finalsOf(Buffer.from(sent))[0]?.header("Connection")).toBe("close, x, y")
  })
)
provesByRows(
  "9110/5.6.1.2/empty-members",
  rowsById(
    "close-beside-empty-members",
    "100-continue-twice",
    "empty-expect-expects-nothing",
    "codings-trailing-comma",
    "codings-leading-comma",
    "codings-empty-member"
  )
)
for (const id of ["9110/5.6.3/optional", "9110/5.6.3/bad-sent"] as const) {
  provesOfEach(id, "of heads, and of chunks", (subject) =>
    Effect.gen(function* () {
      const content = Stream.make("one").pipe(Stream.encodeText)
      const sent = yield* toldBy(subject, replying(200, content, { Connection: "x ,\ty" }), closing("GET /"))
      const lines = sent.split("\r\n")
      for (const line of lines) expect(line).toMatch(/^([!-~]+( [!-~]+)*)?$/)
      expect(lines).toContain("Connection: close, x, y")
      expect(sent).toMatch(/\r\n\r\n3\r\none\r\n0\r\n\r\n$/)
    })
  )
  proves(
    id,
    "of interim responses, and of trailers",
    Effect.gen(function* () {
      const handler: Handler = (request) =>
        Effect.gen(function* () {
          yield* sendInformational(request, 103, { Link: "</a>" })
          const body = yield* sendHeaders(request, 200, { Connection: "x ,\ty" })
          yield* body.write("one")
          return yield* body.end({ "X-Sum": "1" })
        })
      const sent = yield* conversation(handler, closing("GET /"))
      const lines = sent.split("\r\n")
      for (const line of lines) expect(line).toMatch(/^([!-~]+( [!-~]+)*)?$/)
      expect(lines).toContain("Connection: close, x, y")
      expect(sent).toMatch(/\r\n\r\n3\r\none\r\n0\r\nX-Sum: 1\r\n\r\n$/)
    })
  )
}
provesByRows("9110/5.6.3/bad", [
  ...group("bad-whitespace", ["1 ;a", "1\t ;\t a", "1;a = b", '1 ; a\t=\t"b" ; c'], (id, line) =>
    reads(
      id,
      `bad whitespace in a chunk extension: ${JSON.stringify(line)}`,
      `POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n${line}\r\nx\r\n0\r\n\r\n`,
      { method: "POST", fields: ["Host", "example.org", "Transfer-Encoding", "chunked"], body: "x" }
    )
  ),
  ...rowsById("coding-parameters-before-chunked")
])
proves(
  "9110/5.6.4/quoted-pair",
  "a quote after it does not end the string, nor does a comma in the string end the member",
  Effect.gen(function* () {
    const { port } = yield* serving((request) =>
      respond(request, 200, HttpHeaders.values(request.headers, "X-List").join(" | "))
    )
    const response = yield* ask(port, requestText("GET /", ['X-List: "a\\", b", "c\\\\", d']))
    expect(response.text).toBe('"a\\", b" | "c\\\\" | d')
  })
)
for (const id of ["9110/5.6.7/date", "9110/5.6.7/white-space"] as const) {
  provesOfEach(id, "in the one form that is sent", (subject) =>
    Effect.gen(function* () {
      const port = yield* subject.serve(replying(200))
      const date = (yield* ask(port, requestText("GET /"))).header("Date") ?? ""
      expect(date).toMatch(
        /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/
      )
    })
  )
}
otherRows("RFC 9110 §5: other fields", [
  "every-character-token",
  "repeated-fields-in-their-order",
  "name-with-parenthesis",
  "obs-text-in-name",
  "nul-in-name",
  "esc-in-value",
  "del-in-value",
  "last-control-character-in-value"
])
