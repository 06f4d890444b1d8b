/** RFC 9110 §10: expectations. */
import { expect } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { type Handler, respond } from "../../../src/Response.js"
import { refuses } from "../../fixtures/messages/message.js"
import { serving } from "../../server/harness.js"
import { expectOpen, servingInMemory, settled } from "../../server/memory.js"
import { connect, requestText } from "../raw.js"
import { proves, provesByRows, rowsAbout } from "../rfc9112/proofs.js"
import { expectRefusal, finalsOf } from "../rfc9112/rows.js"

const patient = (line: string, body: string): string =>
  requestText(line, ["Expect: 100-continue", `Content-Length: ${body.length}`])
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

provesByRows("9110/10.1.1/of-1.0", rowsAbout(/an expectation in HTTP\/1\.0/))
for (const id of ["9110/10.1.1/answered", "9110/10.1.1/not-awaited", "9110/10.1.1/final"] as const) {
  proves(
    id,
    "100 before a byte of content has come, and the answer behind it",
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const wire = yield* connect(port)
      for (let i = 0; i < 2; i++) {
        yield* wire.send(patient("PUT /", "content"))
        expect(yield* wire.readAnswer()).toMatchObject({ status: 100, fields: [] })
        yield* wire.send("content")
        expect(yield* wire.readAnswer()).toMatchObject({ status: 200, text: "content" })
      }
    })
  )
}
for (const id of ["9110/10.1.1/answered", "9110/10.1.1/close"] as const) {
  proves(
    id,
    "a final status at once, with close, when nobody asks for the content",
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 403))
      const wire = yield* connect(port)
      yield* wire.send(patient("PUT /", "content"))
      const [answer, ...rest] = finalsOf(yield* wire.readToEnd)
      expect([answer?.status, answer?.header("Connection"), rest]).toStrictEqual([403, "close", []])
    })
  )
}
proves(
  "9110/10.1.1/answered",
  "the known deviation: 100 waits for the handler to ask",
  Effect.gen(function* () {
    const mayAsk = yield* Deferred.make<void>()
    const { connect } = yield* servingInMemory((request) => Effect.zipRight(Deferred.await(mayAsk), echo(request)))
    const connection = yield* connect
    connection.send(patient("PUT /", "content"))
    yield* settled
    expectOpen(connection)
    yield* Deferred.succeed(mayAsk, undefined)
    expect((yield* connection.answer()).status).toBe(100)
    connection.send("content")
    expect((yield* connection.answer()).text).toBe("content")
  })
)
proves(
  "9110/10.1.1/final",
  "of a body that cannot be read too",
  Effect.gen(function* () {
    const { port } = yield* serving(echo)
    const wire = yield* connect(port)
    yield* wire.send(requestText("PUT /", ["Expect: 100-continue", "Transfer-Encoding: chunked"]))
    expect((yield* wire.readAnswer()).status).toBe(100)
    yield* wire.send("nonsense\r\n")
    expectRefusal(yield* wire.readAnswer(), 400)
  })
)
provesByRows("9110/10.1.1/answered", [
  ...rowsAbout(/§10\.1\.1/),
  refuses("another expectation behind an empty member", requestText("GET /", ["Expect: , more"]), ["Expectation", 417])
])
