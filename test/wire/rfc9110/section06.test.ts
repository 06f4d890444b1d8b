/** RFC 9110 §6: versions, trailers, and dates. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { sendHeaders } from "../../../src/Response.js"
import { refusal } from "../../server/harness.js"
import { advance } from "../../server/memory.js"
import { connect, requestText } from "../../support/rawClient.js"
import { proves, provesByRows, provesOfEach, provesOfEachInTestTime, rowsById } from "../rfc9112/proofs.js"
import { expectRefusal, finalsOf } from "../rfc9112/rows.js"
import { replying, toldBy } from "../subjects.js"
import { closing, conversation } from "./conversation.js"

for (const id of ["9110/6.2/highest", "9110/6.2/own-version"] as const) {
  provesOfEach(id, "to every version that is asked in", (subject) =>
    Effect.gen(function* () {
      for (const version of ["1.0", "1.1", "1.9", "0.9", "2.0", "3.0"]) {
        const text = `GET / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`
        expect(yield* toldBy(subject, replying(200), text)).toMatch(/^HTTP\/1\.1 /)
      }
    })
  )
}
provesByRows("9110/6.2/minor", rowsById("http-1-9-read-1-1", "http-1-2-goes-default-1-1"))
provesByRows("9110/6.5.1/merged", rowsById("trailers-in-their-order-repeated", "dropped-trailers"))
proves(
  "9110/6.5.1/sent",
  "those that a handler gives are rejected",
  Effect.gen(function* () {
    const sent = yield* conversation(
      (request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200)
          for (const name of [
            "Content-Length",
            "transfer-encoding",
            "Host",
            "Set-Cookie",
            "Authorization",
            "Trailer"
          ]) {
            expect((yield* refusal(body.end({ [name]: "1" }))).reason).toBe("HeaderForbidden")
          }
          return yield* body.end({ "X-Sum": "1" })
        }),
      closing("GET /")
    )
    expect(finalsOf(Buffer.from(sent))[0]?.trailers).toStrictEqual([["X-Sum", "1"]])
  })
)
provesOfEachInTestTime("9110/6.6.1/now", "cut to its second, whenever it is asked", (subject) =>
  Effect.gen(function* () {
    const { connect } = yield* subject.serveInMemory(replying(200))
    const connection = yield* connect
    for (const [milliseconds, date] of [
      [0, "Thu, 01 Jan 1970 00:00:00 GMT"],
      [999, "Thu, 01 Jan 1970 00:00:00 GMT"],
      [1, "Thu, 01 Jan 1970 00:00:01 GMT"],
      [30_000, "Thu, 01 Jan 1970 00:00:31 GMT"]
    ] as const) {
      yield* advance(milliseconds)
      connection.send(requestText("GET /"))
      expect((yield* connection.response()).header("Date")).toBe(date)
    }
  })
)
provesOfEach("9110/6.6.1/date", "of handlers, of errors, of refusals", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(({ path }) => {
      const status = Number(path.slice(1))
      return status === 500 ? Effect.die("mine") : Effect.succeed({ status, content: Stream.empty })
    })
    const client = yield* connect(port)
    for (const code of [200, 204, 205, 301, 304, 404, 418, 500, 503]) {
      yield* client.send(requestText(`GET /${code}`))
      const response = yield* client.readResponse()
      expect(response).toMatchObject({ status: code })
      expect(response.header("Date")).toMatch(/ GMT$/)
    }
    yield* client.send("nonsense\r\n")
    expectRefusal(yield* client.readResponse(), 400)
  })
)
