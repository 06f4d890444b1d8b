/** A connection that has used its share of an event-loop turn, and continues in a later one. */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { respondStream } from "../../src/Response.js"
import { advance, servingInMemory, settled } from "../server/memory.js"
import { eventLoopTurns } from "../support/eventually.js"
import { requestText } from "../wire/rawConnection.js"
import {
  besideWork,
  busy,
  busyRequests,
  ok,
  oneByte,
  oneByteChunks,
  recordOrder,
  requests,
  requestsPerTurn,
  responseCount,
  untilEquals
} from "./loneRequest.js"

describe("a connection that continues in a later turn", () => {
  it.scoped("is aborted when its client resets it, and nothing more of it is handled", () =>
    Effect.gen(function* () {
      const { handler, order } = recordOrder(ok)
      const { connect, server } = yield* servingInMemory(handler)
      const one = yield* connect
      yield* settled
      one.send(busy)
      one.reset()
      yield* eventLoopTurns(20)
      expect(order.length).toBeLessThanOrEqual(requestsPerTurn)
      expect(yield* server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 0, timedOut: 0 })
    })
  )

  it.scoped("gets all responses to requests before its FIN", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(ok)
      const one = yield* connect
      one.send(requests("busy", 10 * requestsPerTurn))
      one.halfClose()
      expect(yield* one.ended).toBe("close")
      expect(responseCount(one)).toBe(10 * requestsPerTurn)
    })
  )

  it.scoped("is aborted by a FIN with onClientEnd: 'interrupt'", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(ok, { onClientEnd: "interrupt" })
      const one = yield* connect
      yield* settled
      one.send(requests("busy", 10 * requestsPerTurn))
      one.halfClose()
      yield* one.ended
      expect(responseCount(one)).toBeLessThanOrEqual(requestsPerTurn)
    })
  )

  it.scoped("is busy when the server closes: its next response is the last", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* servingInMemory(ok, { drainTimeout: "10 seconds" })
      const one = yield* connect
      yield* settled
      one.send(busy)
      yield* Effect.promise(() => Promise.resolve())
      const report = yield* server.close
      expect(report).toStrictEqual({ idle: 0, drained: 1, interrupted: 0, timedOut: 0 })
      const responses = one.written.split("HTTP/1.1 ").slice(1)
      expect(responses.length).toBeLessThan(busyRequests)
      expect(responses.map((response) => response.includes("Connection: close")).indexOf(true)).toBe(
        responses.length - 1
      )
    })
  )

  it.scoped("ends with a server that does not wait by the next response, which is its last", () =>
    Effect.gen(function* () {
      const { handler, order } = recordOrder(ok)
      const { connect, server } = yield* servingInMemory(handler, { drainTimeout: 0 })
      const one = yield* connect
      yield* settled
      one.send(busy)
      yield* Effect.promise(() => Promise.resolve())
      yield* server.close
      const { length } = order
      expect(length).toBeLessThan(busyRequests)
      yield* eventLoopTurns(20)
      expect(order).toHaveLength(length)
      expect(one.written.lastIndexOf("Connection: close")).toBeGreaterThan(one.written.lastIndexOf("HTTP/1.1 "))
      expect(one.ending).toBe("end")
    })
  )

  it.scoped("interrupts a stream and a body that wait for their share", () =>
    Effect.gen(function* () {
      const { handler, seen } = besideWork((progress, request) =>
        request.path === "/body"
          ? Effect.flatMap(request.bytes, () => ok(request))
          : respondStream(
              request,
              200,
              Stream.repeatEffectChunk(
                Effect.sync(() => {
                  progress()
                  return Chunk.of(oneByte)
                })
              )
            )
      )
      const { connect, server } = yield* servingInMemory(handler, { interruptTimeout: "10 seconds" })
      for (const text of [requests("stream", 1), oneByteChunks("body")]) {
        const one = yield* connect
        one.send(text)
        yield* eventLoopTurns(3)
      }
      const { timedOut } = yield* server.close
      expect(timedOut).toBe(0)
      const { progress } = seen
      yield* eventLoopTurns(20)
      expect(seen.progress).toBe(progress)
    })
  )

  it.scoped("waits for its next request as long as any other, after all responses", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(ok)
      const one = yield* connect
      yield* settled
      one.send(requests("busy", 10 * requestsPerTurn) + requestText("GET /half").slice(0, 20))
      yield* untilEquals(() => responseCount(one), 10 * requestsPerTurn)
      yield* advance(10_000)
      expect(one.written).toContain("HTTP/1.1 408")
    })
  )
})
