/** RFC 9110 §15: status codes. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Handler, respond, sendInformational } from "../../../src/Response.js"
import { refusal, serving } from "../../server/harness.js"
import { ask, requestText } from "../../support/rawClient.js"
import { otherRows, proves, provesOfEach } from "../rfc9112/proofs.js"
import { expectRefusal, looking } from "../rfc9112/rows.js"
import { echoing, replying, toldBy } from "../subjects.js"
import { chunks, closing, conversation, upgrading } from "./conversation.js"

provesOfEach("9110/15.2/of-1.0", "no 100 when the body is read", (subject) =>
  Effect.gen(function* () {
    const text = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"
    expect(yield* toldBy(subject, echoing, text)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })
)
proves(
  "9110/15.2/of-1.0",
  "neither 100, nor 101, nor what a handler sends",
  Effect.gen(function* () {
    const handler: Handler = (request) =>
      Effect.gen(function* () {
        yield* sendInformational(request, 103, { Link: "</a>" })
        yield* request.bytes
        yield* refusal(upgrading(request))
        return yield* respond(request, 200)
      })
    const fields = "Expect: 100-continue\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi"
    expect(yield* conversation(handler, `POST / HTTP/1.0\r\n${fields}`)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })
)
provesOfEach("9110/15.3.6/content", "whole and streamed", (subject) =>
  Effect.gen(function* () {
    for (const content of ["abc", chunks]) {
      expect(yield* toldBy(subject, replying(205, content), closing("GET /"))).toMatch(/\r\nContent-Length: 0\r\n\r\n$/)
    }
  })
)
const mistakes = [
  [400, "nonsense\r\n", "the request line is not `method SP target SP HTTP-version`"],
  [413, closing("POST /", ["Content-Length: 99999999"]), "the body is larger than this server accepts"],
  [417, closing("GET /", ["Expect: more"]), "the expectation cannot be met"],
  [431, closing("GET /", [`A: ${"a".repeat(40_000)}`]), "the header section is larger than this server accepts"]
] as const
const failures = [
  [501, closing("BREW /"), "the method is not implemented"],
  [505, "GET / HTTP/2.0\r\n\r\n", "the major version of HTTP is not supported; HTTP/1.1 is"]
] as const

for (const [id, errors] of [
  ["9110/8.3/type", [...mistakes, ...failures]],
  ["9110/15.5/explained", mistakes],
  ["9110/15.6/explained", failures],
  ["9110/15.6.6/why", failures.slice(-1)]
] as const) {
  for (const [status, text, why] of errors) {
    provesOfEach(id, `${status}: ${why}`, (subject) =>
      Effect.gen(function* () {
        const port = yield* subject.serve(looking)
        const response = yield* ask(port, text)
        expectRefusal(response, status)
        expect(response.text).toBe(`${status} ${response.reason}: ${why}\n`)
      })
    )
  }
}
for (const id of ["9110/8.3/type", "9110/15.6/explained"] as const) {
  proves(
    id,
    "500, silently of what the handler knows",
    Effect.gen(function* () {
      const { port } = yield* serving(() => Effect.die("secret"))
      const response = yield* ask(port, requestText("GET /"))
      expect([response.status, response.header("Content-Type"), response.text]).toStrictEqual([
        500,
        "text/plain; charset=utf-8",
        "500 Internal Server Error\n"
      ])
    })
  )
}
otherRows("RFC 9110 §15: other refusals", ["body-chunks-one-over"])
