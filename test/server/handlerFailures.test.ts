/** Handlers that fail: the response to the client, and the report to `onFailure`. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import { KeyError, type RespondableError, ValueError } from "../../src/Errors.js"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import { type Handler, respond } from "../../src/Response.js"
import { connect, get, requestText } from "../wire/rawConnection.js"
import { make, servingReported } from "./harness.js"
import { makeInMemory, servingInMemoryReported, settled } from "./memory.js"

class HandlerError extends Data.TaggedError("HandlerError")<{ readonly detail: string }> {}

describe("a handler that fails", () => {
  it.scopedLive("with a ValueError gets a response with its status, and keeps the connection", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported((request) =>
        request.url === "/" ? respond(request, 200) : new ValueError({ reason: "Json", actual: "secret-input" })
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /fails"))
      const response = yield* client.readResponse()
      expect([response.status, response.header("Content-Type")]).toStrictEqual([400, "text/plain; charset=utf-8"])
      expect(response.text).not.toContain("secret")
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(200)
      // Errors of the client are not reported to the operator.
      expect(reports.all).toHaveLength(0)
    })
  )

  it.scopedLive("with a KeyError of a request is 400, of the handler's own headers 500", () =>
    Effect.gen(function* () {
      const handler: Handler<ValueError | KeyError> = (request) =>
        Effect.gen(function* () {
          const headers = request.url === "/own" ? HttpHeaders.empty : request.headers
          return yield* respond(request, 200, yield* HttpHeaders.get(headers, "X-Key"))
        })
      const { port, reports } = yield* servingReported(handler)
      expect((yield* get(port, "/request")).status).toBe(400)
      expect(reports.all).toHaveLength(0)
      expect((yield* get(port, "/own")).status).toBe(500)
      expect(Cause.squash((yield* reports.first).cause)).toBeInstanceOf(KeyError)
    })
  )

  const failures: ReadonlyArray<readonly [string, () => ReturnType<Handler<HandlerError>>]> = [
    [
      "throws",
      () => {
        throw new Error("secret-detail")
      }
    ],
    ["dies", () => Effect.die(new Error("secret-detail"))],
    ["fails", () => new HandlerError({ detail: "secret-detail" })],
    ["interrupts itself", () => Effect.interrupt],
    // Code without types can forget to return.
    ["returns nothing", () => undefined as never],
    ["dies with a ValueError", () => Effect.die(new ValueError({ reason: "Json", actual: "secret-detail" }))]
  ]
  for (const [what, failing] of failures) {
    it.scopedLive(`and ${what} gets 500 without its text, is reported once, and the others are served`, () =>
      Effect.gen(function* () {
        const { port, reports } = yield* servingReported<HandlerError | RespondableError, Scope.Scope>((request) =>
          request.url === "/fails" ? failing() : respond(request, 200, "fine")
        )
        const client = yield* connect(port)
        yield* client.send(requestText("GET /fails", ["X-Mark: 1"]))
        const response = yield* client.readResponse()
        expect([response.status, response.text]).toStrictEqual([500, "500 Internal Server Error\n"])
        expect(JSON.stringify(response.fields)).not.toContain("secret")
        const { request } = yield* reports.first
        expect(request.url).toBe("/fails")
        expect(HttpHeaders.has(request.headers, "x-mark")).toBe(true)
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).text).toBe("fine")
        expect((yield* get(port)).text).toBe("fine")
        expect(reports.all).toHaveLength(1)
      })
    )
  }

  it.scopedLive("gives onFailure the whole cause", () =>
    Effect.gen(function* () {
      const { port, reports } = yield* servingReported(() =>
        Effect.ensuring(Effect.fail(new HandlerError({ detail: "first" })), Effect.die("second"))
      )
      yield* get(port)
      const { cause } = yield* reports.first
      expect(Array.from(Cause.failures(cause))).toMatchObject([{ _tag: "HandlerError", detail: "first" }])
      expect(Array.from(Cause.defects(cause))).toStrictEqual(["second"])
    })
  )

  it.scopedLive("gets a 500 without content for HEAD", () =>
    Effect.gen(function* () {
      const { port } = yield* servingReported(() => Effect.die("boom"))
      const client = yield* connect(port)
      yield* client.send(requestText("HEAD /") + requestText("GET /"))
      expect((yield* client.readResponse("HEAD")).status).toBe(500)
      expect((yield* client.readResponse()).status).toBe(500)
    })
  )

  it.scoped("gets 500 although its onFailure dies too", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* makeInMemory()
      const fails = server.serve(() => Effect.fail(new HandlerError({ detail: "" })), {
        onFailure: () => Effect.die("again")
      })
      yield* Effect.forkScoped(fails)
      const connection = yield* connect
      for (let i = 0; i < 2; i++) {
        connection.send(requestText("GET /"))
        expect((yield* connection.response()).status).toBe(500)
      }
    })
  )

  it.scopedLive("keeps its connection although its onFailure times out", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const givesUp = Effect.ignore(Effect.timeout(Effect.never, 1))
      const fails = server.serve((request) => new HandlerError({ detail: request.url }), { onFailure: () => givesUp })
      yield* Effect.forkScoped(fails)
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2"))
      expect((yield* client.readResponse()).status).toBe(500)
      expect((yield* client.readResponse()).status).toBe(500)
    })
  )

  it.scopedLive("may close the server in onFailure, and close waits no longer for it than for any handler", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      const { budget, server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      const fails = server.serve(
        (request) =>
          Effect.zipRight(
            Effect.addFinalizer(() => Deferred.succeed(released, undefined)),
            new HandlerError({ detail: request.url })
          ),
        { onFailure: () => server.close }
      )
      yield* Effect.forkScoped(Effect.ignore(fails))
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(500)
      yield* client.closedWith
      yield* server.close
      expect(yield* budget.held).toBe(0)
      expect(yield* Deferred.isDone(released)).toBe(true)
    })
  )

  it.scoped("without onFailure is logged with its request", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ annotations, cause, message }) => {
        lines.push(`${message} ${JSON.stringify(Array.from(annotations))} ${Cause.pretty(cause)}`)
      })
      const { connect, server } = yield* makeInMemory()
      const fails = server.serve(() => Effect.die(new Error("secret-detail")))
      yield* Effect.forkScoped(fails).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      const connection = yield* connect
      connection.send(requestText("GET /logged"))
      expect((yield* connection.response()).status).toBe(500)
      yield* settled
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatch(/a handler failed .*"url","\/logged".*"method","GET".*secret-detail/s)
    })
  )

  it.scoped("is reported with the request that failed, not with one after it", () =>
    Effect.gen(function* () {
      const { connect, reports } = yield* servingInMemoryReported((request) =>
        request.query === "fail" ? Effect.die(request.path) : respond(request, 200)
      )
      const connection = yield* connect
      connection.send(["/1", "/2?fail", "/3", "/4?fail", "/5"].map((url) => requestText(`GET ${url}`)).join(""))
      for (const status of [200, 500, 200, 500, 200]) expect((yield* connection.response()).status).toBe(status)
      expect(reports.all.map(({ cause, request }) => [request.path, Cause.squash(cause)])).toStrictEqual([
        ["/2", "/2"],
        ["/4", "/4"]
      ])
    })
  )
})
