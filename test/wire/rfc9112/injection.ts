import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ValueError } from "../../../src/Errors.js"
import { respond, respondStream, sendHeaders, sendInformational, tunnel, upgrade } from "../../../src/Response.js"
import { refusal, serving } from "../../server/harness.js"
import { parseResponses } from "../../support/parsedResponse.js"
import { connect, requestText } from "../../support/rawClient.js"

/**
 * Every way in which a handler could write a line of its own, with a text that is no part of one: each is rejected for
 * it, and then nothing stands in the way of the one response that holds none of it.
 */
export const tryInjections = (text: string) =>
  Effect.gen(function* () {
    const fields = [["X-A", text] as const, [`X-A${text}`, "b"] as const]
    const reasons: Array<string> = []
    const { port } = yield* serving((request) =>
      Effect.gen(function* () {
        const tries = (attempt: (field: readonly [string, string]) => Effect.Effect<unknown, ValueError>) =>
          Effect.forEach(fields, (field) => Effect.map(refusal(attempt(field)), ({ reason }) => reasons.push(reason)))
        yield* tries((field) => respond(request, 200, "", [field]))
        yield* tries((field) => sendHeaders(request, 200, [field]))
        yield* tries((field) => respondStream(request, 200, Stream.empty, [field]))
        yield* tries((field) => sendInformational(request, 103, [field]))
        yield* tries((field) => upgrade(request, [["Upgrade", "echo"], field], () => Effect.void))
        yield* tries((field) => tunnel(request, [field], () => Effect.void))
        const body = yield* sendHeaders(request, 200)
        yield* tries((field) => body.end([field]))
        return yield* body.end({ "X-A": "b" })
      })
    )
    const client = yield* connect(port)
    yield* client.send(requestText("GET /", ["Connection: close, upgrade", "Upgrade: echo"]))
    const bytes = yield* client.readToEnd
    expect(parseResponses(bytes).map(({ status, text, trailers }) => ({ status, text, trailers }))).toStrictEqual([
      { status: 200, text: "", trailers: [["X-A", "b"]] }
    ])
    expect(reasons).toStrictEqual(Array.from({ length: 7 }, () => ["HeaderValue", "HeaderName"]).flat())
    const sent = bytes.toString("latin1")
    expect(sent).toMatch(/^([ -~]|\r\n)*$/)
    return sent
  })
