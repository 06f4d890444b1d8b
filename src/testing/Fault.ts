/**
 * Injected faults between a server and its client: connections that end early, malformed responses, delays.
 *
 * A fault is a handler or a decorator of one, served by a `TestServer` like any other handler. Faults that end or delay
 * operate on the bytes that the server would have sent, over loopback as in memory. Faults compose: the outermost is next
 * to the client. Byte counts are those of the final response, including its head; interim responses pass through.
 *
 * A fault is not a failure of its handler, and fails no test: the outcome of the recorded request is `Faulted`. A failure
 * of the handler passes through to the server. Time is that of `Clock`, so `TestServer.advance` moves it; a suspended
 * handler ends with its client, and at once with its server.
 *
 * To refuse connections, use `down` and `up` of `TestServer`, which keep the port.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { isUint8Array } from "../internal/host/realm.js"
import { type Handler, respond } from "../Response.js"
import {
  aroundResponse,
  type FaultedExchange,
  type FaultProgram,
  replaceResponse
} from "./internal/faults/faultHandler.js"
import {
  chunkedUpTo,
  discard,
  duplicated,
  endAfter,
  halfClosed,
  slowClose as slowlyClosed,
  slowHeaders as slowlyHeaded,
  stallAfter,
  throttled,
  truncated,
  withInterim
} from "./internal/faults/faults.js"
import { perServer } from "./internal/server/perServer.js"
import { TestServer } from "./TestServer.js"

/**
 * Wraps a handler; its context and its errors stay the same.
 *
 * @since 0.1.0
 * @category models
 */
export type Decorator = <E, R>(handler: Handler<E, R>) => Handler<E, R>

const decorate =
  (program: FaultProgram): Decorator =>
  (handler) =>
    aroundResponse(handler, program)

const countOf = (name: string, count: number, least: number): number => {
  if ((Number.isInteger(count) || count === Number.POSITIVE_INFINITY) && count >= least) return count
  throw new RangeError(`The argument of ${name} must be Infinity or an integer >= ${least}. Received ${count}`)
}

/**
 * Closes the next `times` connections with FIN when they are accepted, before a byte of them is read.
 *
 * Another call, also of `resetAtAccept`, replaces the remaining count.
 *
 * @since 0.1.0
 * @category connections
 */
export const closeAtAccept = (times = 1): Effect.Effect<void, never, TestServer> =>
  Effect.flatMap(TestServer, (server) => server.endAtAccept("close", times))

/**
 * Resets the next `times` connections when they are accepted.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { Fault, TestServer } from "effect-asynchttpserver/testing"
 *
 * // The client tries three times, and the third connection is served.
 * const test = Effect.gen(function*() {
 *   yield* Fault.resetAtAccept(2)
 *   const response = yield* Effect.retry(HttpClient.get("/"), { times: 2 })
 *   return yield* response.text
 * })
 * const live = TestServer.layerMemory((request) => Response.respond(request, 200, "Hello"))
 * console.log(await Effect.runPromise(Effect.provide(test, live)))
 * // Hello
 * ```
 *
 * @since 0.1.0
 * @category connections
 */
export const resetAtAccept = (times = 1): Effect.Effect<void, never, TestServer> =>
  Effect.flatMap(TestServer, (server) => server.endAtAccept("reset", times))

const afterRequest = (how: "close" | "reset"): Handler<never, never> =>
  replaceResponse((exchange, request) => Effect.zipRight(Effect.ignore(request.bytes), exchange.end(how)))

/**
 * Reads the request, and closes the connection without a response: with FIN, never a reset, whatever the client still
 * sends.
 *
 * @since 0.1.0
 * @category connections
 */
export const closeAfterRequest: Handler<never, never> = afterRequest("close")

/**
 * Reads the request, and resets the connection.
 *
 * @since 0.1.0
 * @category connections
 */
export const resetAfterRequest: Handler<never, never> = afterRequest("reset")

/**
 * Closes the connection after `count` bytes of the response, or after a shorter response: `Infinity` closes a keep-alive
 * connection after a complete response.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { Fault, TestServer } from "effect-asynchttpserver/testing"
 *
 * const hello: Response.Handler = (request) => Response.respond(request, 200, "Hello")
 * const test = Effect.gen(function*() {
 *   const server = yield* TestServer.makeMemory(Fault.closeAfterBytes(12)(hello))
 *   const client = yield* server.connect
 *   yield* client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
 *   const received = yield* client.readToEnd
 *   const { outcome } = yield* server.takeRequest
 *   return [received.toString(), yield* client.closedWith, yield* outcome]
 * })
 * console.log(...(await Effect.runPromise(Effect.scoped(test))))
 * // HTTP/1.1 200 FIN { _tag: 'Faulted', fault: 'close', sent: 12 }
 * ```
 *
 * @since 0.1.0
 * @category connections
 */
export const closeAfterBytes = (count: number): Decorator =>
  decorate(endAfter("close", countOf("closeAfterBytes", count, 0)))

/**
 * Resets the connection after `count` bytes of the response, or after a shorter response.
 *
 * @since 0.1.0
 * @category connections
 */
export const resetAfterBytes = (count: number): Decorator =>
  decorate(endAfter("reset", countOf("resetAfterBytes", count, 0)))

/**
 * Sends FIN after the response; the connection stays open until the client ends it too.
 *
 * @since 0.1.0
 * @category connections
 */
export const halfClose: Decorator = decorate(halfClosed)

/**
 * Closes the connection a duration after the response, whatever its `Connection` field is.
 *
 * @since 0.1.0
 * @category connections
 */
export const slowClose = (duration: Duration.DurationInput): Decorator => decorate(slowlyClosed(duration))

/**
 * Omits the last `missing` bytes of the content, and closes the connection: the content is shorter than its declared
 * length. Empty content cannot be shortened.
 *
 * @since 0.1.0
 * @category framing
 */
export const truncate = (missing: number): Decorator => decorate(truncated(countOf("truncate", missing, 1)))

/**
 * Sends the response in chunks, with an invalid chunk instead of the last one.
 *
 * @since 0.1.0
 * @category framing
 */
export const badChunk: Decorator = decorate(chunkedUpTo("this is no chunk size\r\n"))

/**
 * Sends the response in chunks, and closes the connection instead of sending the last chunk.
 *
 * @since 0.1.0
 * @category framing
 */
export const missingLastChunk: Decorator = decorate(chunkedUpTo(""))

/**
 * Options of `raw`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawOptions {
  /** `"close"` (default) and `"reset"` end the connection after the bytes; `"none"` continues with the next request. */
  readonly ending?: "close" | "reset" | "none" | undefined
}

const sendRaw = <E, R>(
  exchange: FaultedExchange,
  bytes: Stream.Stream<Uint8Array, E, R>,
  ending: "close" | "reset" | "none"
) =>
  Stream.runForEach(bytes, (piece) => exchange.sink.send(piece)).pipe(
    // The test's own error; the client must not wait for the rest.
    Effect.tapErrorCause(() => exchange.end("reset")),
    Effect.zipRight(
      Effect.suspend(() => {
        if (ending !== "none") return exchange.end(ending)
        exchange.recordFault("raw")
        return Effect.as(discard(exchange.sink), "Continue" as const)
      })
    )
  )

/**
 * Sends arbitrary bytes as the response, and then closes the connection; text is latin1.
 *
 * A stream that fails is a failure of the handler, and resets the connection.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Fault, TestServer } from "effect-asynchttpserver/testing"
 *
 * // Two different lengths are invalid (RFC 9112 §6.3).
 * const handler = Fault.raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")
 * const test = Effect.gen(function*() {
 *   const server = yield* TestServer.make(handler)
 *   return yield* Effect.tryPromise(() => fetch(server.url))
 * })
 * const error = await Effect.runPromise(Effect.flip(Effect.scoped(test)))
 * console.log(String(error.cause))
 * // TypeError: fetch failed
 * ```
 *
 * @since 0.1.0
 * @category framing
 */
export const raw = <E = never, R = never>(
  bytes: string | Uint8Array | Stream.Stream<Uint8Array, E, R>,
  options: RawOptions = {}
): Handler<E, R> => {
  const { ending = "close" } = options
  const stream: Stream.Stream<Uint8Array, E, R> =
    typeof bytes === "string"
      ? Stream.make(Buffer.from(bytes, "latin1"))
      : isUint8Array(bytes)
        ? Stream.make(bytes)
        : bytes
  // The server needs a response to continue; the client never receives it.
  return aroundResponse(
    (request) => Effect.orDie(respond(request, 200)),
    (exchange) => sendRaw(exchange, stream, ending)
  )
}

/** Bytes that are not text, not HTTP of any version, and no line end. */
const noise = Uint8Array.from({ length: 64 }, (_, index) => 0x80 + ((index * 37) % 0x80))

/**
 * Sends bytes that are not HTTP, and closes the connection.
 *
 * @since 0.1.0
 * @category framing
 */
export const garbage: Handler<never, never> = raw(noise)

/**
 * Sends the response twice in a row.
 *
 * @since 0.1.0
 * @category framing
 */
export const duplicate: Decorator = decorate(duplicated)

const interimResponses = {
  102: "HTTP/1.1 102 Processing\r\n\r\n",
  103: "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"
}

/**
 * Sends `count` interim responses before the final one: `103 Early Hints`, or `102 Processing`.
 *
 * @since 0.1.0
 * @category framing
 */
export const informational = (count: number, code: 102 | 103 = 103): Decorator =>
  decorate(withInterim(interimResponses[code], countOf("informational", count, 0)))

/**
 * Never responds; the connection stays open.
 *
 * @since 0.1.0
 * @category time
 */
export const never: Handler<never, never> = replaceResponse((exchange) => exchange.stall)

/**
 * Sends `count` bytes of the response, or a shorter response, and then nothing more; the connection stays open.
 *
 * @since 0.1.0
 * @category time
 */
export const stallAfterBytes = (count: number): Decorator => decorate(stallAfter(countOf("stallAfterBytes", count, 0)))

/**
 * Reads only the head of the request and the bytes received with it, and never responds: a client that sends more than the
 * system buffers experiences backpressure.
 *
 * @since 0.1.0
 * @category time
 */
export const stopReading: Handler<never, never> = replaceResponse((exchange) => {
  exchange.connection.stopReading()
  return exchange.stall
})

/**
 * Options of `latency`.
 *
 * @since 0.1.0
 * @category models
 */
export interface LatencyOptions {
  readonly mean: Duration.DurationInput
  /** Maximum deviation from `mean`, uniformly distributed; 0 by default. */
  readonly jitter?: Duration.DurationInput | undefined
  /** Seed of the random delays: the same seed yields the same delays on each server, in the order of its requests. */
  readonly seed?: number | undefined
}

/**
 * Delays the call of the handler.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect, Fiber, Option, TestContext } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { Fault, TestServer } from "effect-asynchttpserver/testing"
 *
 * const late = Fault.latency({ mean: "30 seconds" })((request) => Response.respond(request, 200, "late"))
 * const test = Effect.gen(function*() {
 *   const fiber = yield* Effect.fork(Effect.timeoutOption(HttpClient.get("/"), "10 seconds"))
 *   yield* TestServer.advance("10 seconds")
 *   return yield* Fiber.join(fiber)
 * })
 * const live = TestServer.layerMemory(late)
 * const response = await Effect.runPromise(test.pipe(Effect.provide(live), Effect.provide(TestContext.TestContext)))
 * console.log(Option.isNone(response))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category time
 */
export const latency = (options: LatencyOptions): Decorator => {
  const mean = Duration.toMillis(options.mean)
  const jitter = Duration.toMillis(options.jitter ?? 0)
  return (handler) => {
    const perServerRandom = perServer(() => Random.make(options.seed ?? 0))
    const delay = Effect.map(
      Effect.flatMap(perServerRandom, (random) => random.next),
      (drawn) => Duration.millis(Math.max(0, Math.round(mean + jitter * (2 * drawn - 1))))
    )
    return (request) =>
      Effect.zipRight(
        Effect.flatMap(delay, (late) => Effect.sleep(late)),
        Effect.suspend(() => handler(request))
      )
  }
}

/**
 * Sends the head of the response byte by byte, evenly over a duration.
 *
 * @since 0.1.0
 * @category time
 */
export const slowHeaders = (duration: Duration.DurationInput): Decorator =>
  decorate(slowlyHeaded(Duration.toMillis(duration)))

/**
 * Options of `throttle`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ThrottleOptions {
  /** Maximum number of bytes per interval, sent at its beginning. */
  readonly bytes: number
  readonly every: Duration.DurationInput
}

/**
 * Limits the rate of the response: at most `bytes` bytes every interval.
 *
 * @example
 * ```ts
 * import { Effect, TestContext } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { Fault, TestServer } from "effect-asynchttpserver/testing"
 *
 * const slowly = Fault.throttle({ bytes: 4, every: "1 second" })
 * const test = Effect.gen(function*() {
 *   const client = yield* (yield* TestServer.TestServer).connect
 *   yield* client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
 *   yield* TestServer.advance("2 seconds")
 *   return yield* client.readUntil((received) => received.length === 12)
 * })
 * const live = TestServer.layerMemory(slowly((request) => Response.respond(request, 200, "Hello")))
 * const scoped = Effect.scoped(test).pipe(Effect.provide(live), Effect.provide(TestContext.TestContext))
 * console.log(await Effect.runPromise(scoped))
 * // HTTP/1.1 200
 * ```
 *
 * @since 0.1.0
 * @category time
 */
export const throttle = (options: ThrottleOptions): Decorator =>
  decorate(throttled(countOf("throttle", options.bytes, 1), Duration.toMillis(options.every)))
