/** Servers with a small body budget, and clients that send bodies piece by piece. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { expect } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import type * as BodyBudget from "../../src/BodyBudget.js"
import { toHandler } from "../../src/HttpServer.js"
import type { Request } from "../../src/Request.js"
import { type Handler, respond } from "../../src/Response.js"
import type * as Server from "../../src/Server.js"
import { type MemoryConnection, servingInMemory } from "../server/memory.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { requestText } from "../wire/rawConnection.js"

export const maxHeldBytes = 1000

/** Bytes that arrive in one read, and that each body may hold without a reservation. */
export const pieceBytes = 50

export const limits = { maxBufferedBodies: maxHeldBytes, maxReadAhead: pieceBytes } as const

export const lengthOf = (request: Request) => Effect.map(request.bytes, (bytes) => String(bytes.length))

/** Responds with the length of the body. */
export const respondLength: Handler = (request) =>
  Effect.flatMap(lengthOf(request), (length) => respond(request, 200, length))

export const application = toHandler(
  Effect.gen(function* () {
    const request = yield* HttpServerRequest
    switch (request.url) {
      case "/json":
        return HttpServerResponse.text(JSON.stringify(yield* request.json))
      case "/form":
        return HttpServerResponse.text((yield* request.urlParamsBody).map(([name]) => name).join())
      case "/buffer":
        return HttpServerResponse.text(String((yield* request.arrayBuffer).byteLength))
      default:
        return HttpServerResponse.text(String((yield* request.text).length))
    }
  })
)

/** A head that announces a body by its length, or as chunked. */
export const headOf = (length: number | "chunked", path = "/"): string =>
  requestText(`POST ${path}`, [length === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`])

export const chunk = (length: number): string => `${length.toString(16)}\r\n${"x".repeat(length)}\r\n`

/** Sends a body of that many bytes, one piece a turn, chunked or not. */
export const sendBody = (connection: MemoryConnection, length: number, isChunked = false): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let sent = 0; sent < length; sent += pieceBytes) {
      const next = Math.min(pieceBytes, length - sent)
      connection.send(isChunked ? chunk(next) : "x".repeat(next))
      yield* eventLoopTurns(1)
    }
    if (isChunked) connection.send("0\r\n\r\n")
  })

export interface Seen {
  most: number
}

/** Samples the held bytes once per event-loop turn, until the scope closes. */
export const sampleHeldBytes = (budget: BodyBudget.Budget): Effect.Effect<Seen, never, import("effect/Scope").Scope> =>
  Effect.gen(function* () {
    const seen: Seen = { most: 0 }
    const look = Effect.map(Ref.get(budget.held), (held) => {
      seen.most = Math.max(seen.most, held)
    })
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(look, eventLoopTurns(1))))
    return seen
  })

export const untilReleased = (budget: BodyBudget.Budget): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* eventually(Ref.get(budget.held), (held) => held === 0, "nothing held")
    expect(budget.unsafeWaiting()).toBe(0)
  })

export const untilWaiting = (budget: BodyBudget.Budget, count: number): Effect.Effect<void> =>
  Effect.asVoid(eventually(Effect.sync(budget.unsafeWaiting), (waiting) => waiting === count, `${count} waiting`))

/** A handler that reads the body, and then holds it until a latch is opened. */
export const holdingHandler = Effect.gen(function* () {
  const mayEnd = yield* Deferred.make<void>()
  const handler: Handler = (request) =>
    Effect.flatMap(lengthOf(request), (length) =>
      Effect.zipRight(Deferred.await(mayEnd), respond(request, 200, length))
    )
  return { handler, open: Deferred.succeed(mayEnd, undefined) }
})

/** A server with an exhausted budget: three bodies of 500 bytes are held by their handlers. */
export const exhaustedServer = (handler: Handler = respondLength, options: Server.Options["limits"] = {}) =>
  Effect.gen(function* () {
    const { handler: held, open } = yield* holdingHandler
    const made = yield* servingInMemory((request) => (request.path === "/held" ? held(request) : handler(request)), {
      limits: { ...limits, ...options }
    })
    const budget = made.server.bodyBudget
    const holders = yield* Effect.all([made.connect, made.connect, made.connect])
    for (const connection of holders) {
      connection.send(headOf(500, "/held"))
      yield* sendBody(connection, 500)
    }
    // The third does not wait: one body may continue beyond the maximum.
    yield* eventually(Ref.get(budget.held), (held) => held === 1500, "1500 held")
    return { ...made, budget, open }
  })
