/**
 * A connection with thousands of requests beside one with a lone request, and the order in which they are handled.
 * No time is measured: an order does not depend on the machine.
 */
import * as Effect from "effect/Effect"
import type { Request } from "../../src/Request.js"
import { type Handler, respond } from "../../src/Response.js"
import type { MemoryConnection } from "../server/memory.js"
import { eventually } from "../support/eventually.js"
import { requestText } from "../wire/rawConnection.js"

/** Requests of one connection that may be served in one turn of the event loop. */
export const requestsPerTurn = 32

export const requests = (name: string, count: number): string => requestText(`GET /${name}`).repeat(count)

/** Requests of the connection that keeps the server busy, in bytes that come in one read. */
export const busyRequests = 1500

export const busy = requests("busy", busyRequests)
export const lone = requests("lone", 1)

export const ok = (request: Request) => respond(request, 200, "ok")

/** A handler, and the paths of its requests in order. */
export const recordOrder = (handler: Handler): { readonly handler: Handler; readonly order: Array<string> } => {
  const order: Array<string> = []
  return {
    order,
    handler: (request) => {
      order.push(request.path.slice(1))
      return handler(request)
    }
  }
}

/** Requests of the other connection that were begun before the lone one. */
export const servedFirst = (order: ReadonlyArray<string>): number => order.indexOf("lone")

export const responseCount = (connection: MemoryConnection): number => connection.written.split("HTTP/1.1 ").length - 1

export const untilEquals = (look: () => number, expected: number): Effect.Effect<void> =>
  Effect.asVoid(eventually(Effect.sync(look), (seen) => seen === expected, `${expected}`))

/** A body in chunks of one byte: 6 bytes on the wire for each, 10,000 of them in one read. */
export const oneByteChunks = (path: string, count = 10_000): string =>
  requestText(`POST /${path}`, ["Transfer-Encoding: chunked"], `${"1\r\nx\r\n".repeat(count)}0\r\n\r\n`)

/** The progress of the other connection's work when the lone request begins. */
export const besideWork = (work: (progress: () => void, request: Request) => ReturnType<Handler>) => {
  const seen = { progress: 0, atLone: -1, isOver: false }
  const handler: Handler = (request) => {
    if (request.path === "/lone") {
      seen.atLone = seen.progress
      return ok(request)
    }
    return Effect.tap(
      work(() => {
        seen.progress++
      }, request),
      () => {
        seen.isOver = true
      }
    )
  }
  return { handler, seen }
}

/** Sends the lone request in the next turn of the event loop. */
export const sendLater = (connection: MemoryConnection): void => {
  setImmediate(() => connection.send(lone))
}

export const oneByte = new Uint8Array(1)
