/** RFC 9110 §2 to §4: conformance, connections, and URIs. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { respond } from "../../../src/Response.js"
import { refusal } from "../../server/harness.js"
import { ask, connect, requestText, withBody } from "../../support/rawClient.js"
import { tryInjections } from "../rfc9112/injection.js"
import { otherRows, proves, provesByRows, provesOfEach, rowsById } from "../rfc9112/proofs.js"
import { expectBodyRefusal, expectRefusal, finalsOf, looking, seenIn } from "../rfc9112/rows.js"
import { type App, replying, toldBy } from "../subjects.js"
import { chunks, closing, conversation } from "./conversation.js"

proves(
  "9110/2.2/grammar",
  "names, values, codes and trailers of a handler are checked",
  Effect.gen(function* () {
    for (const text of ["\x00", "a\x07", "\x7f", "\u20ac", "a\r\nSet-Cookie: b"]) yield* tryInjections(text)
    const names = ["", "a b", "a:", "(", "ü", "a\r\n"]
    const codes = [0, 99, 100, 199, 600, 1000, 200.5, Number.NaN, -200]
    const reasons: Array<string> = []
    const sent = yield* conversation(
      (request) =>
        Effect.gen(function* () {
          for (const name of names) reasons.push((yield* refusal(respond(request, 200, "", [[name, "b"]]))).reason)
          for (const code of codes) reasons.push((yield* refusal(respond(request, code))).reason)
          return yield* respond(request, 200, "last")
        }),
      closing("GET /")
    )
    expect(reasons).toStrictEqual([...names.map(() => "HeaderName"), ...codes.map(() => "StatusCode")])
    expect(finalsOf(Buffer.from(sent)).map(({ text }) => text)).toStrictEqual(["last"])
  })
)
provesOfEach(
  "9110/2.2/grammar",
  "a status that is none, a name that is no token: 500, and nothing of either is sent",
  (subject) =>
    Effect.gen(function* () {
      const wrong = [
        ...["", "a b", "a:", "(", "\u00fc", "a\r\n"].map((name) => replying(200, "", { [name]: "b" })),
        ...["\x00", "a\x07", "\x7f", "\u20ac", "a\r\nSet-Cookie: b"].map((value) =>
          replying(200, "", { "X-A": value })
        ),
        ...[0, 99, 100, 199, 600, 1000].map((status) => replying(status))
      ]
      for (const app of wrong) {
        const sent = yield* toldBy(subject, app, closing("GET /"))
        expect(sent).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/)
        expect(sent).toMatch(/^([ -~]|\r\n|\n$)*$/)
        expect(sent).not.toMatch(/X-A|Set-Cookie/i)
      }
    })
)
provesOfEach("9110/2.2/other-roles", "what the server writes of its own accord is a response's", (subject) =>
  Effect.gen(function* () {
    const own = ["date", "connection", "content-length", "content-type", "transfer-encoding"]
    const app: App = ({ body, path }) => {
      switch (path) {
        case "/stream":
          return Effect.succeed({ status: 200, content: chunks })
        case "/none":
          return Effect.succeed({ status: 204 })
        case "/die":
          return Effect.die("mine")
        default:
          return Effect.as(body, { status: 200, content: "whole" })
      }
    }
    for (const text of [
      closing("GET /"),
      closing("GET /stream"),
      closing("GET /none"),
      closing("GET /die"),
      closing("POST /", ["Expect: 100-continue", "Content-Length: 1"], "a"),
      "GET /stream HTTP/1.0\r\n\r\n",
      "nonsense\r\n"
    ]) {
      const [response] = finalsOf(Buffer.from(yield* toldBy(subject, app, text)))
      expect(response?.fields.map(([name]) => name.toLowerCase()).filter((name) => !own.includes(name))).toStrictEqual(
        []
      )
    }
  })
)
for (const [what, start, status] of [
  ["a method", "", 501],
  ["a target", "GET /", 414],
  ["a name", "GET / HTTP/1.1\r\n", 431],
  ["a value", "GET / HTTP/1.1\r\nA: ", 431],
  ["fields", `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(2000)}`, 431],
  ["a chunk size", requestText("POST /", ["Transfer-Encoding: chunked"]), 400],
  ["an extension", requestText("POST /", ["Transfer-Encoding: chunked"], "1;"), 400],
  ["a trailer", requestText("POST /", ["Transfer-Encoding: chunked"], "0\r\nA: "), 431]
] as const) {
  provesOfEach("9110/2.3/defensive", `${what} without end`, (subject) =>
    Effect.gen(function* () {
      const port = yield* subject.serve(looking)
      const response = yield* ask(port, start + "a".repeat(100_000))
      if (start.startsWith("POST")) expectBodyRefusal(response, status, subject)
      else expectRefusal(response, status)
    })
  )
}
provesOfEach("9110/3.3/same-client", "nothing that one request contains is in the next", (subject) =>
  Effect.gen(function* () {
    const client = yield* connect(yield* subject.serve(looking))
    yield* client.send(
      requestText("GET http://a/1", ["Authorization: Basic YTpi", "Cookie: a=b"]) +
        withBody("POST /2", "body", ["TE: trailers"]) +
        requestText("POST /3", ["Transfer-Encoding: chunked"], "0\r\nX-Sum: 1\r\n\r\n") +
        requestText("GET /4", ["Connection: close"])
    )
    const last = finalsOf(yield* client.readToEnd)[3]
    expect(last && seenIn(last)).toMatchObject({
      url: "/4",
      authority: "test",
      host: "test",
      fields: subject.fieldsOf(["Host", "test", "Connection", "close"]),
      body: "",
      trailers: []
    })
  })
)
provesOfEach("9110/4.1/uris-of-8000", "in origin-form and in absolute-form", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(looking)
    for (const start of ["/", "http://a/"]) {
      const target = start.padEnd(8000, "a")
      expect(seenIn(yield* ask(port, requestText(`OPTIONS ${target}`))).target).toBe(target)
    }
  })
)
provesByRows("9110/4.2.1/empty-host", rowsById("empty-authority", "empty-host-port"))
provesByRows("9110/4.2.2/empty-host", rowsById("https-empty-authority", "https-empty-host-port"))
provesByRows("9110/4.2.4/user-info", rowsById("user-info", "empty-user-info"))
otherRows("RFC 9110 §4 and RFC 3986: other targets", ["backslash-in-authority", "port-not-number"])
