/** The timeouts of a connection: header section, body, keep-alive. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { type Handler, respond } from "../../src/Response.js"
import { requestText } from "../wire/rawConnection.js"
import { advance, expectOpen, servingInMemory, servingInMemoryReported, settled, sleepsUntil } from "./memory.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

describe("timeouts", () => {
  it.scoped("headerTimeout bounds the header section in total, and trickled bytes do not extend it", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      connection.send("GET / HTTP/1.1\r\nX-A: ")
      yield* sleepsUntil(10_000)
      for (let i = 0; i < 9; i++) {
        yield* advance(1000)
        connection.send("a")
        yield* settled
        expectOpen(connection)
      }
      yield* advance(999)
      expectOpen(connection)
      yield* advance(1)
      const response = yield* connection.response()
      expect([response.status, response.header("Connection")]).toStrictEqual([408, "close"])
      expect(yield* connection.ended).toBe("end")
    })
  )

  it.scoped("headerTimeout begins with the first byte, not with the connection", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      yield* sleepsUntil(75_000)
      yield* advance(50_000)
      connection.send("G")
      yield* sleepsUntil(60_000)
      yield* advance(9999)
      expectOpen(connection)
      yield* advance(1)
      expect((yield* connection.response()).status).toBe(408)
    })
  )

  it.scoped("headerTimeout begins anew for each request", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      for (let i = 0; i < 3; i++) {
        connection.send("GET / HTTP/1.1\r\n")
        yield* settled
        yield* advance(9000)
        connection.send("Host: a\r\n\r\n")
        expect((yield* connection.response()).status).toBe(200)
      }
      expect(connection.ending).toBe(undefined)
    })
  )

  it.scoped("bodyTimeout bounds the time between two pieces of a body", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(echo)
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 5"]))
      yield* sleepsUntil(30_000)
      for (const byte of ["a", "b", "c", "d"]) {
        yield* advance(29_000)
        connection.send(byte)
        yield* settled
        expectOpen(connection)
      }
      yield* advance(29_999)
      expectOpen(connection)
      yield* advance(1)
      const response = yield* connection.response()
      expect([response.status, response.header("Connection")]).toStrictEqual([408, "close"])
      expect(yield* connection.ended).toBe("end")
    })
  )

  it.scoped("bodyTotalTimeout bounds a body in total, and trickled bytes do not extend it", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(echo, { limits: { bodyTotalTimeout: "60 seconds" } })
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 10"]))
      yield* sleepsUntil(30_000)
      for (const byte of ["a", "b", "c"]) {
        yield* advance(19_000)
        connection.send(byte)
        yield* settled
        expectOpen(connection)
      }
      yield* advance(2999)
      expectOpen(connection)
      yield* advance(1)
      expect((yield* connection.response()).status).toBe(408)
      expect(yield* connection.ended).toBe("end")
    })
  )

  it.scoped(
    "with a keepAliveTimeout of 0 a connection has headerTimeout for its first request, and ends with the response",
    () =>
      Effect.gen(function* () {
        const { connect } = yield* servingInMemory(hello, { limits: { keepAliveTimeout: 0 } })
        const silent = yield* connect
        const connection = yield* connect
        yield* sleepsUntil(10_000)
        yield* advance(9_999)
        expectOpen(silent)
        connection.send(requestText("GET /"))
        const response = yield* connection.response()
        expect([response.status, response.header("Connection")]).toStrictEqual([200, "close"])
        expect(yield* connection.ended).toBe("end")
        yield* advance(1)
        expect(yield* silent.ended).toBe("end")
        expect(silent.written).toBe("")
      })
  )

  it.scoped("do not apply to a slow handler", () =>
    Effect.gen(function* () {
      const mayRespond = yield* Deferred.make<void>()
      const { connect } = yield* servingInMemory((request) =>
        Effect.zipRight(Deferred.await(mayRespond), hello(request))
      )
      const connection = yield* connect
      connection.send(requestText("GET /"))
      yield* advance(24 * 60 * 60 * 1000)
      expectOpen(connection)
      yield* Deferred.succeed(mayRespond, undefined)
      expect((yield* connection.response()).status).toBe(200)
    })
  )

  it.scoped("bodyTimeout bounds in total a body that the handler did not read, and then the connection ends", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello, { limits: { bodyTimeout: "5 seconds" } })
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 100"]))
      expect((yield* connection.response()).status).toBe(200)
      const { written } = connection
      for (let i = 0; i < 4; i++) {
        yield* advance(1000)
        connection.send("a")
        yield* settled
      }
      expectOpen(connection, written)
      yield* advance(1000)
      expect(yield* connection.ended).toBe("end")
      expect(connection.written).toBe(written)
    })
  )

  it.scoped("bodyTimeout also ends the read of a handler that catches the error, which may still respond", () =>
    Effect.gen(function* () {
      const { connect, reports } = yield* servingInMemoryReported((request) =>
        Effect.catchTag(echo(request), "ValueError", ({ reason }) => respond(request, 200, reason))
      )
      const connection = yield* connect
      connection.send(requestText("POST /", ["Content-Length: 5"]))
      yield* sleepsUntil(30_000)
      yield* advance(30_000)
      const response = yield* connection.response()
      expect([response.text, response.header("Connection")]).toStrictEqual(["Timeout", "close"])
      expect(reports.all).toHaveLength(0)
    })
  )
})
