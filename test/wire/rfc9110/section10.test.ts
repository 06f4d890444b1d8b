/** RFC 9110 §10: expectations. */
import { expect } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { refuses } from "../../fixtures/messages/message.js"
import { expectOpen, settled } from "../../server/memory.js"
import { connect, requestText } from "../../support/rawClient.js"
import { provesByRows, provesOfEach, rowsById } from "../rfc9112/proofs.js"
import { expectBodyRefusal, finalsOf } from "../rfc9112/rows.js"
import { echoing, replying } from "../subjects.js"

const patient = (line: string, body: string): string =>
  requestText(line, ["Expect: 100-continue", `Content-Length: ${body.length}`])

provesByRows("9110/10.1.1/of-1.0", rowsById("expectation-http-1-0"))
for (const id of ["9110/10.1.1/immediate", "9110/10.1.1/not-awaited", "9110/10.1.1/final"] as const) {
  provesOfEach(id, "100 before a byte of content has come, and the response after it", (subject) =>
    Effect.gen(function* () {
      const client = yield* connect(yield* subject.serve(echoing))
      for (let i = 0; i < 2; i++) {
        yield* client.send(patient("PUT /", "content"))
        expect(yield* client.readResponse()).toMatchObject({ status: 100, fields: [] })
        yield* client.send("content")
        expect(yield* client.readResponse()).toMatchObject({ status: 200, text: "content" })
      }
    })
  )
}
for (const id of ["9110/10.1.1/immediate", "9110/10.1.1/close"] as const) {
  provesOfEach(id, "a final status at once, with close, when no one asks for the content", (subject) =>
    Effect.gen(function* () {
      const client = yield* connect(yield* subject.serve(replying(403)))
      yield* client.send(patient("PUT /", "content"))
      const [response, ...rest] = finalsOf(yield* client.readToEnd)
      expect([response?.status, response?.header("Connection"), rest]).toStrictEqual([403, "close", []])
    })
  )
}
provesOfEach("9110/10.1.1/immediate", "the known deviation: 100 waits for the handler to ask", (subject) =>
  Effect.gen(function* () {
    const mayAsk = yield* Deferred.make<void>()
    const { connect } = yield* subject.serveInMemory((asked) => Effect.zipRight(Deferred.await(mayAsk), echoing(asked)))
    const connection = yield* connect
    connection.send(patient("PUT /", "content"))
    yield* settled
    expectOpen(connection)
    yield* Deferred.succeed(mayAsk, undefined)
    expect((yield* connection.response()).status).toBe(100)
    connection.send("content")
    expect((yield* connection.response()).text).toBe("content")
  })
)
provesOfEach("9110/10.1.1/final", "of a body that cannot be read too", (subject) =>
  Effect.gen(function* () {
    const client = yield* connect(yield* subject.serve(echoing))
    yield* client.send(requestText("PUT /", ["Expect: 100-continue", "Transfer-Encoding: chunked"]))
    expect((yield* client.readResponse()).status).toBe(100)
    yield* client.send("nonsense\r\n")
    expectBodyRefusal(yield* client.readResponse(), 400, subject)
  })
)
provesByRows("9110/10.1.1/immediate", [
  ...rowsById(
    "100-continue-case-blind",
    "expectation-http-1-0",
    "another-expectation",
    "another-beside-100-continue",
    "another-after-100-continue",
    "100-continue-parameter"
  ),
  refuses(
    "another-expectation-after-empty-member",
    "another expectation after an empty member",
    requestText("GET /", ["Expect: , more"]),
    ["Expectation", 417]
  )
])
