/** RFC 9112 §6: what frames a body. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import {
  type Handler,
  respond,
  respondStream,
  sendHeaders,
  sendInformational,
  tunnel,
  upgrade
} from "../../../src/Response.js"
import { refuses } from "../../fixtures/messages/message.js"
import { refusal, serving } from "../../server/harness.js"
import { advance, settled } from "../../server/memory.js"
import { connect, requestText } from "../../support/rawClient.js"
import { type App, allOf, echoing, replying, toldBy } from "../subjects.js"
import { otherRows, proves, provesByRows, provesOfEach, provesOfEachInTestTime, rowsById } from "./proofs.js"
import { expectBodyRefusal, finalsOf, looking } from "./rows.js"

const chunks = Stream.make("one, ", "two").pipe(Stream.encodeText)

/** Responds in the way that the path names. */
const responding: App = (asked) => {
  switch (asked.path) {
    case "/whole":
      return Effect.succeed({ status: 200, content: "one, two" })
    case "/stream":
      return Effect.succeed({ status: 200, content: chunks })
    case "/known":
      return Effect.succeed({ status: 200, content: chunks, fields: { "Content-Length": "8" } })
    case "/none":
      return Effect.succeed({ status: 204, content: chunks })
    case "/empty":
      return Effect.succeed({ status: 204, content: "one, two", fields: { "Content-Length": "8" } })
    default:
      return echoing(asked)
  }
}

/** What no application of the platform can send: interim responses, and an upgrade to any protocol. */
const informing: Handler = (request) =>
  request.path === "/upgrade"
    ? upgrade(request, { Upgrade: "echo" }, () => Effect.void)
    : Effect.zipRight(sendInformational(request, 103, { Link: "</a>" }), respond(request, 200))

const closing = (line: string, fields: ReadonlyArray<string> = [], body = ""): string =>
  requestText(line, ["Connection: close", ...fields], body)

provesByRows("9112/6.1/chunked", rowsById("coding-mixed-case", "body-without-any-chunk", "data-like-framing"))
provesOfEach(
  "9112/6.1/chunked-twice",
  "a coding that an application names is not sent beside the server's own",
  (subject) =>
    Effect.gen(function* () {
      const app = replying(200, chunks, { "Transfer-Encoding": "chunked" })
      const sent = yield* toldBy(subject, app, closing("GET /"))
      // The drop-in leaves it out: a response that was fetched elsewhere brings its own.
      if (subject.name.startsWith("the native server")) expect(sent).toMatch(/^HTTP\/1\.1 500 /)
      else expect(sent).toMatch(/\r\nTransfer-Encoding: chunked\r\n\r\n5\r\none, \r\n3\r\ntwo\r\n0\r\n\r\n$/)
      expect(sent.match(/transfer-encoding/gi) ?? []).toHaveLength(subject.name.startsWith("the native server") ? 0 : 1)
    })
)
proves(
  "9112/6.1/chunked-twice",
  "a handler cannot name a coding, in whatever way it responds",
  Effect.gen(function* () {
    const { port } = yield* serving((request) =>
      Effect.gen(function* () {
        for (const value of ["chunked", "gzip", "identity", ""]) {
          const headers = { "transfer-encoding": value }
          expect((yield* refusal(respond(request, 200, "a", headers))).reason).toBe("HeaderForbidden")
          expect(yield* refusal(respondStream(request, 200, chunks, headers))).toMatchObject({
            reason: "HeaderForbidden"
          })
          expect((yield* refusal(sendHeaders(request, 200, headers))).reason).toBe("HeaderForbidden")
        }
        return yield* respondStream(request, 200, chunks)
      })
    )
    const client = yield* connect(port)
    yield* client.send(requestText("GET /"))
    expect(yield* client.readResponse()).toMatchObject({ text: "one, two", chunks: [5, 3] })
  })
)
provesOfEach(
  "9112/6.1/coding-of-responses",
  "chunked, which is the last and only one, for HTTP/1.1; the connection's end for HTTP/1.0",
  (subject) =>
    Effect.gen(function* () {
      expect(yield* toldBy(subject, responding, closing("GET /stream"))).toMatch(
        /\r\nTransfer-Encoding: chunked\r\n\r\n5\r\none, \r\n3\r\ntwo\r\n0\r\n\r\n$/
      )
      expect(yield* toldBy(subject, responding, "GET /stream HTTP/1.0\r\n\r\n")).toMatch(
        /\r\nConnection: close\r\n(content-type: [^\r]+\r\n)?\r\none, two$/
      )
    })
)
provesOfEach("9112/6.1/coding-where-none-may-be", "a stream for 204 is left out, and 100 has no framing", (subject) =>
  Effect.gen(function* () {
    for (const text of [closing("GET /none"), closing("POST /", ["Expect: 100-continue", "Content-Length: 0"])]) {
      expect(yield* toldBy(subject, responding, text)).not.toMatch(/Transfer-Encoding/i)
    }
    const expecting = closing("POST /", ["Expect: 100-continue", "Content-Length: 2"], "hi")
    expect(yield* toldBy(subject, responding, expecting)).toMatch(
      /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/
    )
  })
)
proves(
  "9112/6.1/coding-where-none-may-be",
  "101 and 103 have no framing",
  Effect.gen(function* () {
    const { port } = yield* serving(informing)
    for (const text of [closing("GET /"), requestText("GET /upgrade", ["Connection: upgrade", "Upgrade: echo"])]) {
      expect(yield* allOf(port, text)).not.toMatch(/Transfer-Encoding/i)
    }
  })
)
proves(
  "9112/6.1/coding-of-connect",
  "nor Content-Length: a tunnel begins after the head, and there is no other way to respond 2xx",
  Effect.gen(function* () {
    const { port } = yield* serving(
      (request) =>
        Effect.gen(function* () {
          for (const code of [200, 204, 299]) {
            expect((yield* refusal(respond(request, code))).reason).toBe("StatusCode")
            expect(yield* refusal(respondStream(request, code, chunks))).toMatchObject({ reason: "StatusCode" })
          }
          for (const name of ["Transfer-Encoding", "content-length"]) {
            expect((yield* refusal(tunnel(request, { [name]: "1" }, () => Effect.void))).reason).toBe("HeaderForbidden")
          }
          return yield* tunnel(request, {}, (duplex) => Stream.runForEach(duplex.stream, duplex.write))
        }),
      { connectMethod: "handle" }
    )
    const client = yield* connect(port)
    yield* client.send("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\nhello")
    yield* client.halfClose
    expect((yield* client.readToEnd).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\nDate: [^\r\n]+\r\n\r\nhello$/)
  })
)
provesOfEach("9112/6.1/coding-to-old-clients", "whatever the form of the response", (subject) =>
  Effect.gen(function* () {
    for (const path of ["/whole", "/stream", "/known", "/none", "/"]) {
      for (const field of ["", "Connection: keep-alive\r\n", "TE: chunked\r\n"]) {
        const client = yield* connect(yield* subject.serve(responding))
        yield* client.send(`GET ${path} HTTP/1.0\r\n${field}\r\n`)
        yield* client.halfClose
        expect((yield* client.readToEnd).toString()).not.toMatch(/Transfer-Encoding/i)
      }
    }
  })
)
proves(
  "9112/6.1/coding-to-old-clients",
  "after an interim response that is not sent",
  Effect.gen(function* () {
    const { port } = yield* serving(informing)
    expect(yield* allOf(port, "GET /hint HTTP/1.0\r\n\r\n")).not.toMatch(/Transfer-Encoding/i)
  })
)
provesByRows(
  "9112/6.1/unknown-coding",
  rowsById(
    "gzip-before-chunked",
    "gzip-before-chunked-in-two-fields",
    "identity-before-chunked",
    "coding-chunked-begins-before-chunked",
    "coding-parameters-before-chunked"
  )
)
provesByRows(
  "9112/6.1/length-beside-coding",
  rowsById("content-length-beside-chunked", "chunked-beside-content-length", "empty-coding-beside-content-length")
)
provesByRows("9112/6.1/coding-in-1.0", [
  ...rowsById("chunked-in-http-1-0"),
  refuses(
    "chunked-length-http-1-0",
    "chunked and a length in HTTP/1.0 that would be kept",
    "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ["TransferEncoding", 400]
  ),
  refuses("gzip-in-http-1-0", "gzip in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", [
    "TransferEncoding",
    400
  ])
])
provesOfEach("9112/6.2/length-beside-coding-sent", "a stream is sent with its length or in chunks", (subject) =>
  Effect.gen(function* () {
    expect(yield* toldBy(subject, responding, closing("GET /stream"))).not.toMatch(/Content-Length/i)
    const known = yield* toldBy(subject, responding, closing("GET /known"))
    expect(known).toMatch(/\r\nContent-Length: 8\r\n\r\none, two$/)
    expect(known).not.toMatch(/Transfer-Encoding/)
  })
)
provesByRows(
  "9112/6.3/not-chunked-last",
  rowsById(
    "chunked-beside-content-length",
    "chunked-in-http-1-0",
    "codings-empty",
    "codings-only-comma",
    "codings-identity",
    "codings-gzip",
    "codings-chunked-gzip",
    "codings-chunked-identity",
    "codings-chunked-twice",
    "codings-parameter-chunked",
    "codings-parameter",
    "codings-parameter-empty",
    "codings-trailing-comma",
    "codings-leading-comma",
    "codings-empty-member",
    "codings-double-quoted",
    "codings-single-quoted",
    "codings-xchunked",
    "codings-chunkedx",
    "codings-chunked-hyphen",
    "codings-space-after",
    "codings-space-before",
    "codings-nbsp-before",
    "codings-nbsp-after",
    "codings-open-quote",
    "codings-not-token",
    "chunked-twice-in-two-fields",
    "chunked-before-empty-field",
    "chunked-after-empty-field",
    "chunked-then-identity-in-two-fields"
  )
)
provesByRows("9112/6.3/unrecoverable", rowsById("two-lengths", "two-lengths-equal"))
provesByRows("9112/6.3/invalid-length", rowsById("rejected-lengths", "bad-length-in-http-1-0"))
provesOfEach(
  "9112/6.3/incomplete",
  "by the client's end: the handler fails, and the connection closes, whatever is after",
  (subject) =>
    Effect.gen(function* () {
      const port = yield* subject.serve(looking)
      for (const body of ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"]) {
        const client = yield* connect(port)
        yield* client.send(`POST / HTTP/1.1\r\nHost: a\r\n${body}`)
        yield* client.halfClose
        const [response, ...rest] = finalsOf(yield* client.readToEnd)
        expectBodyRefusal(response, 400, subject)
        expect(rest).toStrictEqual([])
      }
    })
)
provesOfEachInTestTime("9112/6.3/incomplete", "by its time: 408, and what comes later is not read", (subject) =>
  Effect.gen(function* () {
    const { connect } = yield* subject.serveInMemory(looking)
    const connection = yield* connect
    connection.endsToo = false
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
    yield* advance(30_000)
    expect(yield* connection.ended).toBe("end")
    connection.send(`hello${requestText("GET /")}`)
    yield* settled
    const [response, ...rest] = finalsOf(Buffer.from(connection.written, "latin1"))
    expectBodyRefusal(response, 408, subject)
    expect(rest).toStrictEqual([])
  })
)
provesOfEach(
  "9112/6.3/delimited",
  "by length when it is known, by chunks when it is not, by the end for HTTP/1.0 alone",
  (subject) =>
    Effect.gen(function* () {
      expect(yield* toldBy(subject, responding, closing("GET /whole"))).toMatch(
        /\r\nContent-Length: 8\r\n\r\none, two$/
      )
      expect(yield* toldBy(subject, responding, closing("GET /known"))).toMatch(
        /\r\nContent-Length: 8\r\n\r\none, two$/
      )
      expect(yield* toldBy(subject, responding, closing("GET /stream"))).toMatch(/\r\n0\r\n\r\n$/)
      expect(yield* toldBy(subject, responding, "GET /whole HTTP/1.0\r\n\r\n")).toMatch(
        /\r\nContent-Length: 8\r\n\r\none, two$/
      )
      expect(yield* toldBy(subject, responding, closing("GET /empty"))).toMatch(/\r\n\r\n$/)
    })
)
otherRows("RFC 9112 §6: other framing", [
  "length-zero",
  "length-many-zeros",
  "whitespace-around-length",
  "zeros-in-front-length",
  "body-looks-like-request",
  "get-may-have-body",
  "length-in-http-1-0",
  "compression-coding-parameter-before-chunked"
])
