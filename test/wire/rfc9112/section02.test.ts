/** RFC 9112 §2: messages, how they are parsed, and their version. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { respond } from "../../../src/Response.js"
import { reads, refuses } from "../../fixtures/messages/message.js"
import { refusal, serving } from "../../server/harness.js"
import { connect, requestText } from "../../support/rawClient.js"
import { replying, toldBy } from "../subjects.js"
import { tryInjections } from "./injection.js"
import { otherRows, proves, provesByRows, provesOfEach, rowsById } from "./proofs.js"

provesByRows("9112/2.2/octets", [
  reads(
    "utf-8-bytes",
    "two bytes that UTF-8 would make one character are two",
    "GET / HTTP/1.1\r\nHost: example.org\r\nX: \xc3\xbc\r\n\r\n",
    { fields: ["Host", "example.org", "X", "\xc3\xbc"] }
  ),
  reads(
    "utf-8-half-character",
    "half of a character does not take the line end with it",
    "GET / HTTP/1.1\r\nHost: example.org\r\nX: \xe2\x82\r\nY: \xf0\r\n\r\n",
    { fields: ["Host", "example.org", "X", "\xe2\x82", "Y", "\xf0"] }
  ),
  refuses("byte-order-mark", "a byte order mark is no method", "\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n", [
    "RequestLine",
    400
  ]),
  refuses("utf-16", "UTF-16 is no method", "G\x00E\x00T\x00 \x00/\x00", ["RequestLine", 400])
])

for (const [id, text] of [
  ["9112/2.2/bare-cr-sent", "a\rb"],
  ["9112/2.2/space-sent", "a\r\n b"]
] as const) {
  provesOfEach(id, "a response whose field has one is a defect: 500, and nothing of it is sent", (subject) =>
    Effect.gen(function* () {
      const sent = yield* toldBy(
        subject,
        replying(200, "content", { "X-A": text }),
        requestText("GET /", ["Connection: close"])
      )
      expect(sent).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\nDate: /)
      expect(sent).toMatch(/^([ -~]+\r\n)+\r\n(500 Internal Server Error\n)?$/)
      expect(sent).not.toMatch(/X-A|content$/i)
    })
  )
}
proves(
  "9112/2.2/bare-cr-sent",
  "no API takes one",
  Effect.gen(function* () {
    for (const text of ["a\rb", "a\r", "\r"]) yield* tryInjections(text)
  })
)
provesByRows(
  "9112/2.2/bare-cr",
  rowsById(
    "empty-line-bare-cr",
    "request-line-ends-in-bare-cr",
    "request-line-ends-in-two-cr",
    "cr-in-target",
    "bare-cr-in-value",
    "bare-cr-before-line-end",
    "section-ends-in-bare-cr",
    "size-ends-in-bare-cr",
    "size-ends-in-two-cr",
    "bare-cr-in-extension",
    "data-ends-in-bare-cr",
    "bare-cr-in-trailer",
    "body-ends-in-bare-cr"
  )
)
provesByRows(
  "9112/2.2/empty-line",
  rowsById(
    "empty-line-before-request-line",
    "two-empty-lines-before-request-line",
    "third-empty-line-before-request-line",
    "empty-line-bare-lf",
    "empty-line-bare-cr"
  )
)
proves(
  "9112/2.2/space-sent",
  "the first line after the status line is a field, and no name begins with whitespace",
  Effect.gen(function* () {
    for (const text of [" a\r\n b", "\n b"]) {
      expect((yield* tryInjections(text)).split("\r\n").every((line) => !/^[ \t]/.test(line))).toBe(true)
    }
    const { port } = yield* serving((request) =>
      Effect.zipRight(refusal(respond(request, 200, "", [[" X-A", "b"]])), respond(request, 204, "", { "X-A": "b" }))
    )
    const client = yield* connect(port)
    yield* client.send(requestText("GET /", ["Connection: close"]))
    expect((yield* client.readToEnd).toString("latin1")).toMatch(/^HTTP\/1\.1 204 No Content\r\nDate: /)
  })
)
provesByRows("9112/2.2/space-before-fields", rowsById("whitespace-before-first-field", "tab-before-first-field"))
provesByRows(
  "9112/2.2/grammar",
  rowsById(
    "empty-line-before-request-line",
    "two-empty-lines-before-request-line",
    "third-empty-line-before-request-line",
    "empty-line-bare-lf",
    "empty-line-bare-cr",
    "whitespace-before-request-line",
    "request-line-ends-in-bare-lf",
    "request-line-ends-in-bare-cr",
    "request-line-ends-in-two-cr",
    "tls-greeting",
    "whitespace-before-first-field",
    "tab-before-first-field",
    "field-line-ends-in-bare-lf",
    "section-ends-in-bare-lf",
    "section-ends-in-bare-cr"
  )
)
provesOfEach("9112/2.3/downgrade", "every response is HTTP/1.1, whatever was asked", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(replying(200))
    for (const line of ["GET / HTTP/1.1", "GET / HTTP/1.0", "GET / HTTP/1.7", "GET / HTTP/2.0", "nonsense"]) {
      const client = yield* connect(port)
      yield* client.send(`${line}\r\nHost: a\r\nConnection: close\r\n\r\n`)
      expect((yield* client.readResponse()).version).toBe("HTTP/1.1")
    }
  })
)
otherRows("RFC 9112 §2.3: versions", [
  "http-2-prior-knowledge",
  "http-0-9-version",
  "http-9-9",
  "no-version",
  "no-version-after-space",
  "name-in-lower-case",
  "another-protocol",
  "two-digits-minor-version",
  "two-digits-major-version",
  "comma-in-version",
  "no-minor-version",
  "http-3",
  "version-not-digit"
])
otherRows("whole messages, and limits at their bound", [
  "small-get-query",
  "get-fields-browser",
  "similar-names",
  "post-json-length",
  "post-in-chunks-extensions-trailers",
  "request-line-maximum",
  "request-line-maximum-after-empty-lines",
  "field-line-maximum",
  "header-section-maximum",
  "headers-maximum",
  "body-maximum-by-length",
  "body-maximum-in-chunks",
  "body-maximum-zero",
  "chunk-extensions-maximum",
  "trailer-section-maximum",
  "trailers-maximum-with-dropped",
  "trailers-maximum-zero"
])
