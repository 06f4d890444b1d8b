/** RFC 9112 §4: the status line. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { connect, requestText } from "../../support/rawClient.js"
import { provesOfEach } from "./proofs.js"

provesOfEach("9112/4/space-after-status", "for every code without a phrase, whole and streamed", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(({ path }) =>
      Effect.succeed(path === "/whole" ? { status: 299 } : { status: 599, content: Stream.empty })
    )
    const client = yield* connect(port)
    yield* client.send(requestText("GET /whole"))
    expect(yield* client.readUntil((seen) => seen.endsWith("\r\n\r\n"))).toMatch(/^HTTP\/1\.1 299 \r\n/)
    yield* client.send(requestText("GET /streamed"))
    expect(yield* client.readUntil((seen) => seen.endsWith("0\r\n\r\n"))).toMatch(/^HTTP\/1\.1 599 \r\n/)
  })
)
