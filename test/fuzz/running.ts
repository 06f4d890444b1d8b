/**
 * Our server, running over connections in memory: bytes in segments, then FIN, and what became of it. Nothing waits for
 * time: whatever the bytes are, the server ends the connection, since its client has.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import { type Handler, respond } from "../../src/Response.js"
import { MemoryConnection, makeInMemory } from "../server/memoryConnection.js"
import type { Seen } from "./view.js"

/** What the server did: what its handler was given, and the statuses of its final responses. */
export interface Served {
  readonly requests: ReadonlyArray<Seen>
  readonly statuses: ReadonlyArray<number>
  /** Whether the last response states that the request was not whole; a response to HEAD has no content for it. */
  readonly isIncomplete: boolean | undefined
}

/** Notes a request before it reads the body, and again when it has it; a body that is malformed fails the handler. */
const handler =
  (seenBy: ReadonlyMap<number, Array<Seen>>): Handler =>
  (request) => {
    const requests = seenBy.get(request.client.id) ?? []
    const seen: Seen = {
      method: request.method,
      target: request.originalUrl,
      version: request.version.original,
      fields: Array.from(request.headers).flat(),
      body: "",
      trailers: [],
      ended: false
    }
    requests.push(seen)
    return Effect.flatMap(Effect.zip(request.bytes, request.trailers), ([bytes, trailers]) => {
      requests.pop()
      const body = Buffer.from(bytes).toString("latin1")
      requests.push({ ...seen, body, trailers: Array.from(trailers).flat(), ended: true })
      return respond(request, 200)
    })
  }

const servedOf = (requests: ReadonlyArray<Seen>, written: string): Served => ({
  requests,
  statuses: Array.from(written.matchAll(/^HTTP\/1\.1 ([2-5][0-9]{2}) /gm), ([, status]) => Number(status)),
  isIncomplete: /Content-Length: [1-9][0-9]*\r\n\r\n$/.test(written)
    ? undefined
    : written.endsWith("the connection ended before the request was complete\n")
})

/** Gives a connection its bytes, and FIN after them; never, when the server does not end it. */
export type Serve = (segments: ReadonlyArray<Buffer>) => Promise<Served>

/** A server without sockets, until the scope ends. */
export const running: Effect.Effect<Serve, never, Scope.Scope> = Effect.gen(function* () {
  const seenBy = new Map<number, Array<Seen>>()
  const { arrive, server } = yield* makeInMemory()
  yield* Effect.provide(Effect.forkScoped(server.serve(handler(seenBy))), Logger.remove(Logger.defaultLogger))
  return (segments) =>
    new Promise((resolve) => {
      const requests: Array<Seen> = []
      const connection: MemoryConnection = new MemoryConnection({
        arrival: "piecemeal",
        onGone: () => {
          seenBy.delete(connection.id)
          resolve(servedOf(requests, connection.written))
        }
      })
      seenBy.set(connection.id, requests)
      for (const segment of segments) connection.send(segment)
      connection.halfClose()
      arrive(connection)
    })
})
