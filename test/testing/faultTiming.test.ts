import { expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option, Stream } from "effect"
import { Response } from "effect-asynchttpserver"
import { Fault, TestServer } from "effect-asynchttpserver/testing"
import { overBoth } from "./both.js"
import {
  ask,
  exceptWell,
  expectServerStillWorks,
  faulted,
  get,
  head,
  hello,
  outcome,
  seenBy,
  wholeResponse
} from "./faultParts.js"

overBoth((transport) => {
  const { layer, make } = transport

  it.scoped("never responds, and the server closes the connection without a response", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("1 hour")
      expect(yield* seenBy(client)).toBe("")
      expect(yield* outcome).toStrictEqual(faulted("stall", 0))
      yield* expectServerStillWorks
      const server = yield* TestServer.TestServer
      yield* server.closeClientConnections
      expect(String(yield* client.readToEnd)).toBe("")
    }).pipe(Effect.provide(layer(exceptWell(Fault.never))))
  )

  it.scoped("sends nothing when the server goes down, and serves again after up", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const clients = [yield* ask, yield* ask]
      yield* TestServer.settle
      yield* server.down
      for (const client of clients) expect(String(yield* client.readToEnd)).toBe("")
      yield* server.up
      yield* expectServerStillWorks
    }).pipe(Effect.provide(layer(exceptWell(Fault.never))))
  )

  it.scoped("stalls after bytes", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("1 hour")
      expect(yield* seenBy(client)).toBe(wholeResponse.slice(0, 30))
      expect(yield* outcome).toStrictEqual(faulted("stall", 30))
      yield* expectServerStillWorks
      yield* client.reset
      yield* TestServer.settle
      const server = yield* TestServer.TestServer
      expect((yield* server.connections).map(({ index }) => index)).not.toContain(0)
    }).pipe(Effect.provide(layer(exceptWell(Fault.stallAfterBytes(30)(hello)))))
  )

  it.scoped("a stall suspends a handler with an endless stream, which ends with its client", () => {
    let given = 0
    const endless = Stream.repeatEffect(
      Effect.sync(() => {
        given++
        return new Uint8Array(8 * 1024)
      })
    )
    const handler = Fault.stallAfterBytes(100)((request) => Response.respondStream(request, 200, endless))
    return Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("1 hour")
      expect(yield* seenBy(client)).toHaveLength(100)
      expect(given).toBeLessThan(64)
      yield* client.reset
      yield* TestServer.settle
      yield* TestServer.assertNoLeaks
    }).pipe(Effect.provide(layer(handler)))
  })

  it.scoped("sends the head byte by byte", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance(head.length * 100 - 1)
      expect(yield* seenBy(client)).toBe(head.slice(0, -1))
      yield* TestServer.advance(1)
      expect(yield* seenBy(client)).toBe(`${head.slice(-1)}Hello World`)
      expect(yield* outcome).toStrictEqual({ _tag: "Responded", status: 200 })
    }).pipe(Effect.provide(layer(Fault.slowHeaders(head.length * 100)(hello))))
  )

  it.scoped("throttles", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.settle
      expect(yield* seenBy(client)).toBe(wholeResponse.slice(0, 10))
      yield* TestServer.advance("999 millis")
      expect(yield* seenBy(client)).toBe("")
      yield* TestServer.advance("1 millis")
      expect(yield* seenBy(client)).toBe(wholeResponse.slice(10, 20))
      yield* TestServer.advance("1 minute")
      expect(yield* seenBy(client)).toBe(wholeResponse.slice(20))
      yield* client.send(get)
      yield* TestServer.advance("1 minute")
      expect(yield* seenBy(client)).toBe(wholeResponse)
    }).pipe(Effect.provide(layer(Fault.throttle({ bytes: 10, every: "1 second" })(hello))))
  )

  it.scoped("latency follows its seed, reproducibly", () => {
    const delayed = (seed: number) => Fault.latency({ mean: "1 second", jitter: "200 millis", seed })(hello)
    const delays = (handler: Response.Handler, count: number) =>
      Effect.gen(function* () {
        const server = yield* make(handler)
        const found: Array<number> = []
        for (let each = 0; each < count; each++) {
          const fiber = yield* Effect.fork(Effect.timed(server.client.get("/")))
          yield* Effect.provideService(TestServer.advance("2 seconds"), TestServer.TestServer, server)
          found.push(Duration.toMillis((yield* Fiber.join(fiber))[0]))
        }
        return found
      })
    return Effect.gen(function* () {
      const handler = delayed(1)
      const first = yield* delays(handler, 5)
      expect(yield* delays(delayed(1), 5)).toStrictEqual(first)
      expect(yield* delays(delayed(2), 5)).not.toStrictEqual(first)
      // A handler is a value: another server starts with the same state.
      expect(yield* delays(handler, 5)).toStrictEqual(first)
      expect(new Set(first).size).toBeGreaterThan(1)
      for (const each of first) {
        expect(each).toBeGreaterThanOrEqual(800)
        expect(each).toBeLessThanOrEqual(1200)
      }
    })
  })

  it.scoped("latency is exact to the millisecond", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("29999 millis")
      expect(yield* seenBy(client)).toBe("")
      yield* TestServer.advance("1 millis")
      expect(yield* seenBy(client)).toBe(wholeResponse)
    }).pipe(Effect.provide(layer(Fault.latency({ mean: "30 seconds" })(hello))))
  )

  it.scoped("closes slowly", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("9999 millis")
      expect(yield* seenBy(client)).toBe(wholeResponse)
      expect(yield* Effect.fork(client.closedWith).pipe(Effect.flatMap((fiber) => fiber.poll))).toStrictEqual(
        Option.none()
      )
      yield* TestServer.advance("1 millis")
      expect(yield* client.closedWith).toBe("FIN")
      expect(yield* outcome).toStrictEqual({ _tag: "Responded", status: 200 })
      yield* expectServerStillWorks
    }).pipe(Effect.provide(layer(exceptWell(Fault.slowClose("10 seconds")(hello)))))
  )

  it.scoped("stops reading, and the client experiences backpressure", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const client = yield* server.connect
      yield* client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 50000000\r\n\r\n")
      const request = yield* server.takeRequest
      const fiber = yield* Effect.fork(request.bytes)
      yield* client.send(new Uint8Array(50_000_000))
      yield* TestServer.advance("1 minute")
      expect(yield* fiber.poll).toStrictEqual(Option.none())
      expect(yield* request.outcome).toStrictEqual(faulted("stall", 0))
      yield* expectServerStillWorks
    }).pipe(Effect.provide(layer(exceptWell(Fault.stopReading), { maxBody: 100_000_000 })))
  )

  it.scoped("closing the server ends suspended handlers", () =>
    Effect.gen(function* () {
      const waiting = [
        Fault.never,
        Fault.stopReading,
        Fault.stallAfterBytes(3)(hello),
        Fault.slowHeaders("1 hour")(hello),
        Fault.slowClose("1 hour")(hello),
        Fault.throttle({ bytes: 1, every: "1 hour" })(hello),
        Fault.latency({ mean: "1 hour" })(hello),
        Fault.halfClose(hello)
      ]
      const began = performance.now()
      for (const handler of waiting) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* make(handler)
            const client = yield* server.connect
            yield* client.send(get)
            yield* server.takeRequest
            yield* server.settle
          })
        )
      }
      expect(performance.now() - began).toBeLessThan(1000)
    })
  )
})
