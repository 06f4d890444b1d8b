/** One large request or a WebSocket does not delay the requests of other connections. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { toHandler } from "../../src/HttpServer.js"
import type { Request } from "../../src/Request.js"
import { type Handler, respond, respondStream, sendHeaders, upgrade } from "../../src/Response.js"
import { serving } from "../server/harness.js"
import { servingInMemory, settled } from "../server/memory.js"
import { eventLoopTurns } from "../support/eventually.js"
import { connect, requestText } from "../wire/rawConnection.js"
import {
  besideWork,
  lone,
  ok,
  oneByte,
  oneByteChunks,
  recordOrder,
  requests,
  sendLater,
  untilEquals
} from "./loneRequest.js"

describe("a lone GET beside one large request", () => {
  it.scoped("is not served after a body in chunks of one byte that is read whole", () =>
    Effect.gen(function* () {
      for (const toHandled of [
        (request: Request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, String(bytes.length))),
        toHandler(
          Effect.flatMap(HttpServerRequest, (request) =>
            Effect.map(Effect.orDie(request.text), (text) => HttpServerResponse.text(String(text.length)))
          )
        )
      ]) {
        const order: Array<string> = []
        const { connect } = yield* servingInMemory((request) =>
          Effect.tap(request.path === "/lone" ? ok(request) : toHandled(request), () => {
            order.push(request.path)
          })
        )
        const [one, other] = [yield* connect, yield* connect]
        yield* settled
        one.send(oneByteChunks("body"))
        other.send(lone)
        expect((yield* one.response()).text).toBe("10000")
        expect(order).toStrictEqual(["/lone", "/body"])
      }
    })
  )

  it.scoped("is not served after a body in chunks of one byte that is read as a stream", () =>
    Effect.gen(function* () {
      const { handler, seen } = besideWork((progress, request) =>
        Effect.zipRight(
          Stream.runForEachChunk(request.stream, (chunks) => Effect.sync(() => chunks.length > 0 && progress())),
          ok(request)
        )
      )
      const { connect } = yield* servingInMemory(handler)
      const [one, other] = [yield* connect, yield* connect]
      yield* settled
      one.send(oneByteChunks("body"))
      yield* eventLoopTurns(2)
      other.send(lone)
      yield* other.response()
      expect(seen.isOver).toBe(false)
      expect((yield* one.response()).status).toBe(200)
    })
  )

  it.scoped("is not served after an unread body in chunks of one byte", () =>
    Effect.gen(function* () {
      const { handler, order } = recordOrder(ok)
      const { connect } = yield* servingInMemory(handler)
      const [one, other] = [yield* connect, yield* connect]
      yield* settled
      one.send(oneByteChunks("left") + requests("next", 1))
      other.send(lone)
      yield* one.response()
      yield* one.response()
      expect(order).toStrictEqual(["left", "lone", "next"])
    })
  )

  it.scoped("is not served after a stream of small pieces that are there at once", () =>
    Effect.gen(function* () {
      const many = 20_000
      const counted = (progress: () => void) =>
        Stream.map(Stream.range(0, many - 1), () => {
          progress()
          return oneByte
        })
      const ways: ReadonlyArray<(progress: () => void, request: Request) => ReturnType<Handler>> = [
        (progress, request) => respondStream(request, 200, counted(progress)),
        (progress, request) => respondStream(request, 200, Stream.rechunk(counted(progress), 1)),
        (progress, request) =>
          respondStream(
            request,
            200,
            Stream.map(counted(progress), () => new Uint8Array(0))
          ),
        (progress, request) =>
          toHandler(Effect.succeed(HttpServerResponse.stream(Stream.rechunk(counted(progress), 1))))(request),
        (progress, request) =>
          Effect.gen(function* () {
            const body = yield* sendHeaders(request, 200)
            for (let i = 0; i < many; i++) {
              progress()
              yield* body.write(oneByte)
            }
            return yield* body.end()
          })
      ]
      for (const work of ways) {
        const { handler, seen } = besideWork(work)
        const { connect } = yield* servingInMemory(handler)
        const [one, other] = [yield* connect, yield* connect]
        yield* settled
        sendLater(other)
        one.send(requests("busy", 1))
        yield* other.response()
        expect(seen.atLone).toBeLessThan(many)
        yield* untilEquals(() => seen.progress, many)
        expect((yield* one.response()).status).toBe(200)
      }
    })
  )

  it.scoped("is not served after all that a connection sends which has been handed over", () =>
    Effect.gen(function* () {
      let received = 0
      let atLone = -1
      const { connect } = yield* servingInMemory((request) => {
        if (request.path === "/lone") {
          atLone = received
          return ok(request)
        }
        return upgrade(request, { Upgrade: "bytes" }, ({ stream, write }) =>
          Stream.runForEach(stream, () => {
            received++
            return Effect.repeatN(write("x"), 9)
          })
        )
      })
      const [one, other] = [yield* connect, yield* connect]
      one.send(requestText("GET /upgrade", ["Connection: Upgrade", "Upgrade: bytes"]))
      yield* settled
      const chunks = 100
      // Each is a separate read, and too large to be joined with others.
      sendLater(other)
      for (let i = 0; i < chunks; i++) one.send("x".repeat(600))
      yield* other.response()
      expect(atLone).toBeLessThan(chunks)
      one.halfClose()
      yield* untilEquals(() => received, chunks)
    })
  )
})

/** Frames of a client, masked by zeros: a text of one byte each. */
const frames = (count: number): Buffer => Buffer.alloc(7 * count, Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x78]))

describe("a lone GET beside a WebSocket", () => {
  it.scopedLive("is not served after thousands of its messages", () =>
    Effect.gen(function* () {
      let received = 0
      let atLone = -1
      const many = 8000
      const app = Effect.gen(function* () {
        const { upgrade, url } = yield* HttpServerRequest
        if (url === "/lone") {
          atLone = received
          return HttpServerResponse.text("ok")
        }
        const socket = yield* upgrade
        yield* socket.runRaw(() => {
          received++
        })
        return HttpServerResponse.empty()
      })
      const { port } = yield* serving(toHandler(Effect.orDie(app)))
      const [one, other] = [yield* connect(port), yield* connect(port)]
      yield* one.send(
        requestText("GET /socket", [
          "Connection: Upgrade",
          "Upgrade: websocket",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
          "Sec-WebSocket-Version: 13"
        ])
      )
      expect((yield* one.readResponse()).status).toBe(101)
      yield* one.send(frames(1))
      yield* untilEquals(() => received, 1)
      yield* one.send(frames(many))
      yield* other.send(lone)
      yield* untilEquals(() => Math.min(atLone, 0), 0)
      expect(atLone).toBeLessThan(many / 2)
      yield* untilEquals(() => received, many + 1)
    })
  )
})
