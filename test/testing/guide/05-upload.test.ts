/**
 * Upload
 *
 * The expectation is declared first, and checked when the test ends; the body is recorded even if no handler reads it.
 */
import { HttpClientRequest } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

const lines = Stream.range(1, 1000).pipe(
  Stream.map((n) => `line ${n}\n`),
  Stream.encodeText
)

const upload = HttpClientRequest.put("/files/lines.txt").pipe(
  HttpClientRequest.bodyStream(lines, { contentType: "text/plain" })
)

it.scoped("sends all lines, chunked", () =>
  Effect.gen(function* () {
    const server = yield* TestServer.make(Reply.routes({ "PUT /files/:name": Reply.status(201) }))
    yield* server.expect({
      method: "PUT",
      path: "/files/lines.txt",
      headers: { "content-type": "text/plain", "transfer-encoding": "chunked" },
      text: /^line 1\n[\s\S]*\nline 1000\n$/
    })
    const response = yield* server.client.execute(upload)
    expect(response.status).toBe(201)
    const { text } = yield* server.takeRequest
    expect((yield* text).split("\n")).toHaveLength(1001)
  })
)
