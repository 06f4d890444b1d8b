/** `respondStream`: framing, order, failures and backpressure of a response that is sent as a stream. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { respondStream } from "../../src/Response.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { connect, get, requestText } from "../wire/rawConnection.js"
import { serving, servingReported, untilDescriptorsHeld } from "./harness.js"
import { advance, type MemoryConnection, servingInMemory, settled, sleepsUntil } from "./memory.js"

const encoded = (...texts: ReadonlyArray<string>) =>
  Stream.encodeText(Stream.fromIterable(texts).pipe(Stream.rechunk(1)))

class HandlerError extends Data.TaggedError("HandlerError")<{ readonly detail: string }> {}

describe("respondStream", () => {
  it.scopedLive("of unknown length is chunked, and flows piece by piece", () =>
    Effect.gen(function* () {
      const mayContinue = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        respondStream(
          request,
          200,
          Stream.concat(encoded("one"), Stream.fromEffect(Effect.as(Deferred.await(mayContinue), Buffer.from("two"))))
        )
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      // The first piece is there while the second does not exist yet.
      const seen = yield* client.readUntil((seen) => seen.endsWith("one\r\n"))
      expect(seen).toContain("Transfer-Encoding: chunked")
      yield* Deferred.succeed(mayContinue, undefined)
      expect(yield* client.readUntil((seen) => seen.endsWith("0\r\n\r\n"))).toBe("3\r\ntwo\r\n0\r\n\r\n")
      yield* client.send(requestText("GET /"))
      const response = yield* client.readResponse()
      expect([response.text, response.chunks]).toStrictEqual(["onetwo", [3, 3]])
    })
  )

  it.scopedLive("of a length the handler knows is sent with it", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respondStream(request, 200, encoded("one", "", "two"), { "Content-Length": "6" })
      )
      const client = yield* connect(port)
      for (let i = 0; i < 2; i++) {
        yield* client.send(requestText("GET /"))
        const response = yield* client.readResponse()
        expect([response.header("Content-Length"), response.text, response.chunks]).toStrictEqual(["6", "onetwo", []])
      }
    })
  )

  it.scopedLive("empty, and with empty pieces, ends where it should", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respondStream(request, 200, request.url === "/none" ? Stream.empty : encoded("", "a", ""))
      )
      expect((yield* get(port, "/none")).text).toBe("")
      const response = yield* get(port)
      expect([response.text, response.chunks]).toStrictEqual(["a", [1]])
    })
  )

  it.scopedLive("to HTTP/1.0 is ended by the connection's end", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respondStream(request, 200, encoded("one", "two")))
      const client = yield* connect(port)
      yield* client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      const response = yield* client.readResponse()
      expect([response.text, response.header("Transfer-Encoding"), response.header("Connection")]).toStrictEqual([
        "onetwo",
        undefined,
        "close"
      ])
    })
  )

  it.scopedLive("to HTTP/1.0 that fails midway ends in a reset, since a FIN would mark the content as complete", () =>
    Effect.gen(function* () {
      const isRead = yield* Deferred.make<void>()
      const broken = Stream.fromEffect(Effect.zipRight(Deferred.await(isRead), Effect.die("broken")))
      const { port, reports } = yield* servingReported((request) =>
        respondStream(request, 200, Stream.concat(encoded("one"), broken))
      )
      const client = yield* connect(port)
      yield* client.send("GET / HTTP/1.0\r\n\r\n")
      // libuv takes a reset that comes with the last bytes for a FIN.
      yield* client.readUntil((seen) => seen.endsWith("one"))
      yield* Deferred.succeed(isRead, undefined)
      expect(yield* client.closedWith).toBe("RST")
      expect((yield* reports.first).request.url).toBe("/")
    })
  )

  it.scopedLive("to HTTP/1.0 that a closing server cuts off ends in a reset for the same reason", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving((request) =>
        respondStream(request, 200, Stream.concat(encoded("one"), Stream.never))
      )
      const client = yield* connect(port)
      yield* client.send("GET / HTTP/1.0\r\n\r\n")
      yield* client.readUntil((seen) => seen.endsWith("one"))
      yield* server.close
      expect(yield* client.closedWith).toBe("RST")
    })
  )

  it.scoped("to an HTTP/1.0 client that reads too slowly ends in a reset too", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory((request) =>
        respondStream(request, 200, Stream.repeatEffect(Effect.succeed(Buffer.from("piece"))))
      )
      const connection = yield* connect
      connection.send("GET / HTTP/1.0\r\n\r\n")
      yield* connection.writing
      connection.setFull(true)
      yield* sleepsUntil(30_000)
      yield* advance(30_000)
      expect(yield* connection.ended).toBe("abort")
    })
  )

  it.scoped("to an HTTP/1.0 client that never reads the last bytes ends in a reset too", () =>
    Effect.gen(function* () {
      const aborted = yield* Deferred.make<void>()
      const { connect } = yield* servingInMemory((request) => respondStream(request, 200, encoded("one")), {
        limits: { writeTimeout: 1 }
      })
      const connection = yield* connect
      connection.endsToo = false
      connection.unsent = () => 1
      connection.abort = () => {
        Effect.runSync(Deferred.succeed(aborted, undefined))
        connection.destroy()
      }
      connection.send("GET / HTTP/1.0\r\n\r\n")
      expect(yield* connection.ended).toBe("end")
      yield* Deferred.await(aborted)
    })
  )

  it.scopedLive("is not run for HEAD, 204 and 304", () =>
    Effect.gen(function* () {
      let runs = 0
      const counted = Stream.suspend(() => {
        runs++
        return encoded("content")
      })
      const { port } = yield* serving((request) => respondStream(request, Number(request.query), counted))
      const client = yield* connect(port)
      yield* client.send(requestText("HEAD /?200") + requestText("GET /?204") + requestText("GET /?304"))
      expect((yield* client.readResponse("HEAD")).status).toBe(200)
      expect((yield* client.readResponse()).status).toBe(204)
      expect((yield* client.readResponse()).status).toBe(304)
      expect(runs).toBe(0)
      yield* client.send(requestText("GET /?200"))
      expect((yield* client.readResponse()).text).toBe("content")
    })
  )

  it.scopedLive("that fails after its head breaks the connection, without a last chunk, and is reported", () =>
    Effect.gen(function* () {
      const made = yield* servingReported((request) =>
        request.url === "/fails"
          ? respondStream(
              request,
              200,
              Stream.concat(encoded("partial"), Stream.fail(new HandlerError({ detail: "secret-detail" })))
            )
          : respondStream(request, 200, encoded("fine"))
      )
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /fails") + requestText("GET /"))
      const seen = (yield* client.readToEnd).toString("latin1")
      expect(seen.split("\r\n\r\n")[1]).toBe("7\r\npartial\r\n")
      expect(seen).not.toContain("secret")
      const { cause, request } = yield* made.reports.first
      expect(request.url).toBe("/fails")
      expect(cause).toMatchObject({ _tag: "Fail", error: { _tag: "HandlerError" } })
      yield* untilDescriptorsHeld(made, 1)
      expect((yield* get(made.port)).text).toBe("fine")
      expect(made.reports.all).toHaveLength(1)
    })
  )

  it.scopedLive("of the wrong length breaks the connection, and leaves no byte too many", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) =>
        respondStream(request, 200, encoded("one", "two"), { "Content-Length": request.query })
      )
      for (const [length, body] of [
        ["7", "onetwo"],
        ["5", "one"]
      ] as const) {
        const client = yield* connect(port)
        yield* client.send(requestText(`GET /?${length}`))
        const seen = (yield* client.readToEnd).toString("latin1")
        expect(seen.split("\r\n\r\n")[1]).toBe(body)
      }
      expect(reports.all.map(({ cause }) => Cause.squash(cause))).toStrictEqual([
        expect.objectContaining({ reason: "ContentTooShort" }),
        expect.objectContaining({ reason: "ContentTooLong" })
      ])
    })
  )

  it.scopedLive("stops while the client does not read, and continues when it does", () =>
    Effect.gen(function* () {
      const chunk = Buffer.alloc(64 * 1024, "x")
      const count = 512
      let pulled = 0
      const { port } = yield* serving((request) =>
        respondStream(
          request,
          200,
          Stream.repeatEffect(
            Effect.sync(() => {
              pulled++
              return chunk
            })
          ).pipe(Stream.take(count)),
          { "Content-Length": String(count * chunk.length) }
        )
      )
      const client = yield* connect(port)
      yield* client.stopReading
      yield* client.send(requestText("GET /"))
      // It stands still when as many turns as it takes to send all of it bring nothing more.
      let last = -1
      yield* eventually(
        Effect.zipRight(
          eventLoopTurns(100),
          Effect.sync(() => {
            const stands = pulled > 0 && pulled === last
            last = pulled
            return stands
          })
        ),
        (stands) => stands,
        "standing still"
      )
      expect(pulled).toBeLessThan(count)
      yield* client.resumeReading
      yield* eventually(
        Effect.sync(() => pulled),
        (now) => now === count,
        "all of it sent"
      )
    })
  )

  it.scoped("waits for the client between two pieces", () =>
    Effect.gen(function* () {
      let pulled = 0
      const counted = Stream.repeatEffect(Effect.sync(() => Buffer.from(String(++pulled)))).pipe(Stream.take(5))
      const connections: Array<MemoryConnection> = []
      const { connect } = yield* servingInMemory((request) =>
        Effect.zipRight(
          Effect.sync(() => connections[0]?.setFull(true)),
          respondStream(request, 200, counted)
        )
      )
      const connection = yield* connect
      connections.push(connection)
      connection.send(requestText("GET /"))
      yield* settled
      expect(pulled).toBe(1)
      connection.setFull(false)
      expect((yield* connection.response()).text).toBe("12345")
    })
  )
})
