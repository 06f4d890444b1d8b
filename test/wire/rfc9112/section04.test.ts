/** RFC 9112 §4: the status line. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { respond, respondStream } from "../../../src/Response.js"
import { serving } from "../../server/harness.js"
import { connect, requestText } from "../raw.js"
import { proves } from "./proofs.js"

proves(
  "9112/4/space-behind-status",
  "for every code without a phrase, whole and streamed",
  Effect.gen(function* () {
    const { port } = yield* serving((request) =>
      request.path === "/whole" ? respond(request, 299) : respondStream(request, 599, Stream.empty)
    )
    const wire = yield* connect(port)
    yield* wire.send(requestText("GET /whole"))
    expect(yield* wire.readUntil((seen) => seen.endsWith("\r\n\r\n"))).toMatch(/^HTTP\/1\.1 299 \r\n/)
    yield* wire.send(requestText("GET /streamed"))
    expect(yield* wire.readUntil((seen) => seen.endsWith("0\r\n\r\n"))).toMatch(/^HTTP\/1\.1 599 \r\n/)
  })
)
