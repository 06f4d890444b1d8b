import { PassThrough, Readable } from "node:stream"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { connect, get, requestText } from "../../support/rawClient.js"
import { endless, serving } from "../harness.js"
import { chunks } from "./responseParts.js"

describe("a stream that stands still", () => {
  for (const [what, body] of [
    ["of Node's", () => new PassThrough()],
    ["of the web", () => new ReadableStream<Uint8Array>()],
    ["of Effect's", () => undefined]
  ] as const) {
    it.scopedLive(`ends with its client: ${what}`, () =>
      Effect.gen(function* () {
        const { end, running, app } = yield* endless
        const given = body()
        const stream = given === undefined ? HttpServerResponse.stream(Stream.never) : HttpServerResponse.raw(given)
        // The exit of the request's scope shows how it ended.
        const port = yield* serving(Effect.as(Effect.forkScoped(app), stream))
        const client = yield* connect(port)
        yield* client.send(requestText("GET /"))
        yield* running
        yield* client.reset
        expect((yield* end)._tag).toBe("Failure")
        if (given instanceof PassThrough) expect(given.destroyed).toBe(true)
      })
    )
  }
})

describe("a stream that fails", () => {
  const broken = Stream.fail("broken")

  it.scopedLive("before its first byte gets 500", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serving(HttpServerResponse.stream(broken)))
      yield* client.send(requestText("GET /") + requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(500)
      expect((yield* client.readResponse()).status).toBe(500)
    })
  )

  const failing = (): Readable =>
    new Readable({
      read() {
        this.destroy(new Error("broken"))
      }
    })

  it.scopedLive("before its first byte gets 500, of Node's too", () =>
    Effect.gen(function* () {
      expect((yield* get(yield* serving(Effect.sync(() => HttpServerResponse.raw(failing()))))).status).toBe(500)
    })
  )

  for (const [what, response] of [
    ["a stream", () => HttpServerResponse.stream(Stream.concat(chunks, broken))],
    [
      "a stream of Node's",
      () => HttpServerResponse.raw(Readable.from(Stream.toAsyncIterable(Stream.concat(chunks, broken))))
    ],
    ["a stream that is too short", () => HttpServerResponse.stream(chunks, { contentLength: 100 })]
  ] as const) {
    it.scopedLive(`after the head breaks the connection, so that it is not taken for complete: ${what}`, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* serving(Effect.sync(response)))
        yield* client.send(requestText("GET /"))
        const all = (yield* client.readToEnd).toString()
        expect(all).toMatch(/^HTTP\/1\.1 200 OK/)
        expect(all).toContain("pieces")
        expect(all.endsWith("0\r\n\r\n")).toBe(false)
      })
    )
  }

  it.scopedLive("by giving more than it has announced breaks the connection too", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serving(HttpServerResponse.stream(chunks, { contentLength: 3 })))
      yield* client.send(requestText("GET /"))
      expect((yield* client.readToEnd).toString()).not.toContain("pieces")
    })
  )
})

describe("server-sent events", () => {
  it.scopedLive("begin at once: the head leaves before the first event", () =>
    Effect.gen(function* () {
      const events = HttpServerResponse.stream(Stream.never, { contentType: "text/event-stream" })
      const client = yield* connect(yield* serving(events))
      yield* client.send(requestText("GET /"))
      expect(yield* client.readUntil((seen) => seen.endsWith("\r\n\r\n"))).toMatch(/^HTTP\/1\.1 200 OK/)
    })
  )
})
