import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { respond, respondStream, sendHeaders, sendInformational } from "../../../src/Response.js"
import { refusal, serving } from "../../server/harness.js"
import { connect, requestText } from "../raw.js"

/** Every way in which a handler could write a line of its own. */
export const sneaking = (text: string) =>
  Effect.gen(function* () {
    const { port } = yield* serving((request) =>
      Effect.gen(function* () {
        yield* refusal(respond(request, 200, "", { "X-A": text }))
        yield* refusal(respond(request, 200, "", [[`X-A${text}`, "b"]]))
        yield* refusal(sendHeaders(request, 200, { "X-A": text }))
        yield* refusal(respondStream(request, 200, Stream.empty, { "X-A": text }))
        yield* refusal(sendInformational(request, 103, { Link: text }))
        const body = yield* sendHeaders(request, 200)
        yield* refusal(body.end({ "X-A": text }))
        return yield* body.end({ "X-A": "b" })
      })
    )
    const wire = yield* connect(port)
    yield* wire.send(requestText("GET /", ["Connection: close"]))
    const sent = (yield* wire.readToEnd).toString("latin1")
    expect(sent.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/)
    return sent
  })
