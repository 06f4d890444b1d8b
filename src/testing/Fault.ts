/**
 * What goes wrong between a server and its client: connections that end early, answers that are none, time that passes.
 *
 * A fault is a handler, or something around one, and is served by a `TestServer` like any other; those that end or wait
 * work on the bytes that the server would have sent, over loopback as in memory. Faults may stand around each other: the
 * outermost is next to the client. What is counted in bytes is the final response, head and all; interim responses pass.
 *
 * A fault is no failure of its handler, and fails no test: the recorded request says what became of it (`Faulted`). What a
 * handler fails with is the server's to answer, and passes untouched. Time is `Clock`'s, so `TestServer.advance` moves it;
 * whatever waits ends with its client, and with its server at once.
 *
 * A server that refuses connections is one that is `down`, and `up` again on the same port: see `TestServer`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { isUint8Array } from "../internal/host/realm.js"
import { type Handler, respond } from "../Response.js"
import { aroundResponse, type FaultedExchange, replaceResponse } from "./internal/faults/faultHandler.js"
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
 * Something around a handler: what it needs and how it fails stays as it is.
 *
 * @since 0.1.0
 * @category models
 */
export type Decorator = <E, R>(handler: Handler<E, R>) => Handler<E, R>

const countOf = (name: string, count: number, least: number): number => {
  if ((Number.isInteger(count) || count === Number.POSITIVE_INFINITY) && count >= least) return count
  throw new RangeError(`${name}: ${count} is no number of bytes or times from ${least} on`)
}

/**
 * Ends the next connections as they come, before a byte of them is looked at: each gets a FIN.
 *
 * So many as `times` says, one if it says nothing; another call, or one for resets, takes the place of what is left of it.
 *
 * @since 0.1.0
 * @category connections
 */
export const closeAtAccept = (times = 1): Effect.Effect<void, never, TestServer> =>
  Effect.flatMap(TestServer, (server) => server.endAtAccept("close", times))

/**
 * Resets the next connections as they come.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { Fault, TestServer } from "effect-asynchttpserver/testing"
 *
 * // A client that tries three times, and a server that is there the third time.
 * const test = Effect.gen(function*() {
 *   yield* Fault.resetAtAccept(2)
 *   const response = yield* Effect.retry(HttpClient.get("/"), { times: 2 })
 *   return yield* response.text
 * })
 * const live = TestServer.layerMemory((request) => Response.respond(request, 200, "there"))
 * console.log(await Effect.runPromise(Effect.provide(test, live)))
 * // there
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
 * Reads the request, and closes the connection without a word: a FIN, and never a reset, whatever the client still sends.
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
 * Closes the connection when so many bytes of the answer have left, or the whole of a shorter one: behind `Infinity` it
 * is the end of a connection that was promised to be kept.
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
 *   const seen = yield* client.readToEnd
 *   const { outcome } = yield* server.takeRequest
 *   return [seen.toString(), yield* client.ending, yield* outcome]
 * })
 * console.log(...(await Effect.runPromise(Effect.scoped(test))))
 * // HTTP/1.1 200 FIN { _tag: 'Faulted', by: 'close', sent: 12 }
 * ```
 *
 * @since 0.1.0
 * @category connections
 */
export const closeAfterBytes = (count: number): Decorator => {
  const program = endAfter("close", countOf("closeAfterBytes", count, 0))
  return (handler) => aroundResponse(handler, program)
}

/**
 * Resets the connection when so many bytes of the answer have left, or the whole of a shorter one.
 *
 * @since 0.1.0
 * @category connections
 */
export const resetAfterBytes = (count: number): Decorator => {
  const program = endAfter("reset", countOf("resetAfterBytes", count, 0))
  return (handler) => aroundResponse(handler, program)
}

/**
 * Sends FIN behind the answer, and leaves the connection to the client: it is open as long as he has not ended too.
 *
 * @since 0.1.0
 * @category connections
 */
export const halfClose: Decorator = (handler) => aroundResponse(handler, halfClosed)

/**
 * Lets so much time pass between the answer and the end of the connection, which comes whatever the answer has said of it.
 *
 * @since 0.1.0
 * @category connections
 */
export const slowClose = (duration: Duration.DurationInput): Decorator => {
  const program = slowlyClosed(duration)
  return (handler) => aroundResponse(handler, program)
}

/**
 * Leaves out so many bytes at the end of the content, and closes the connection: it is shorter than its length. An empty
 * content cannot be.
 *
 * @since 0.1.0
 * @category framing
 */
export const truncate = (missing: number): Decorator => {
  const program = truncated(countOf("truncate", missing, 1))
  return (handler) => aroundResponse(handler, program)
}

const noChunk = chunkedUpTo("this is no chunk size\r\n")

/**
 * Sends the answer in chunks, and in the place of the last one something that is none.
 *
 * @since 0.1.0
 * @category framing
 */
export const badChunk: Decorator = (handler) => aroundResponse(handler, noChunk)

const noLastChunk = chunkedUpTo("")

/**
 * Sends the answer in chunks, and closes the connection in the place of the last one.
 *
 * @since 0.1.0
 * @category framing
 */
export const missingLastChunk: Decorator = (handler) => aroundResponse(handler, noLastChunk)

/**
 * What becomes of the connection behind bytes of one's own.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawOptions {
  /** It is closed, if this says nothing; or reset; or it goes on to the next request, as behind any answer. */
  readonly ending?: "close" | "reset" | "none" | undefined
}

const sendRaw = <E, R>(
  exchange: FaultedExchange,
  bytes: Stream.Stream<Uint8Array, E, R>,
  ending: "close" | "reset" | "none"
) =>
  Stream.runForEach(bytes, (piece) => exchange.sink.send(piece)).pipe(
    // The test's own mistake; a client shall not wait for the rest.
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
 * Answers by these bytes, whatever they are, and then closes the connection; text is latin1.
 *
 * A stream that fails is a handler that does, and resets the connection.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Fault, TestServer } from "effect-asynchttpserver/testing"
 *
 * // Two lengths: one of them is wrong.
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
  // The server has to have an answer to go on from; the client never sees it.
  return aroundResponse(
    (request) => Effect.orDie(respond(request, 200)),
    (exchange) => sendRaw(exchange, stream, ending)
  )
}

/** No text, no HTTP of any version, and no line end. */
const noise = Uint8Array.from({ length: 64 }, (_, index) => 0x80 + ((index * 37) % 0x80))

/**
 * Answers by bytes that are no HTTP, and closes the connection.
 *
 * @since 0.1.0
 * @category framing
 */
export const garbage: Handler<never, never> = raw(noise)

/**
 * Sends the answer twice, one behind the other.
 *
 * @since 0.1.0
 * @category framing
 */
export const duplicate: Decorator = (handler) => aroundResponse(handler, duplicated)

const interimResponses = {
  102: "HTTP/1.1 102 Processing\r\n\r\n",
  103: "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"
}

/**
 * Sends so many interim responses before the answer: `103 Early Hints`, or `102 Processing`.
 *
 * @since 0.1.0
 * @category framing
 */
export const informational = (count: number, code: 102 | 103 = 103): Decorator => {
  const program = withInterim(interimResponses[code], countOf("informational", count, 0))
  return (handler) => aroundResponse(handler, program)
}

/**
 * Never answers; the connection stays open.
 *
 * @since 0.1.0
 * @category time
 */
export const never: Handler<never, never> = replaceResponse((exchange) => exchange.stall)

/**
 * Sends so many bytes of the answer, or the whole of a shorter one, and then nothing more; the connection stays open.
 *
 * @since 0.1.0
 * @category time
 */
export const stallAfterBytes = (count: number): Decorator => {
  const program = stallAfter(countOf("stallAfterBytes", count, 0))
  return (handler) => aroundResponse(handler, program)
}

/**
 * Reads nothing of the request but its head and what came with it, and never answers: a client that sends more than the
 * system keeps for it waits.
 *
 * @since 0.1.0
 * @category time
 */
export const stopReading: Handler<never, never> = replaceResponse((exchange) => {
  exchange.connection.stopReading()
  return exchange.stall
})

/**
 * How long answers are late.
 *
 * @since 0.1.0
 * @category models
 */
export interface LatencyOptions {
  readonly mean: Duration.DurationInput
  /** The most that a delay is longer or shorter than `mean`, each length as likely as another; nothing by default. */
  readonly jitter?: Duration.DurationInput | undefined
  /** What the delays are drawn by: of the same seed they are the same for each server, in the order of its requests. */
  readonly seed?: number | undefined
}

/**
 * Lets time pass before the handler is asked.
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
 * const answer = await Effect.runPromise(test.pipe(Effect.provide(live), Effect.provide(TestContext.TestContext)))
 * console.log(Option.isNone(answer))
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
    const drawing = perServer(() => Random.make(options.seed ?? 0))
    const delay = Effect.map(
      Effect.flatMap(drawing, (random) => random.next),
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
 * Sends the head of the answer byte by byte, so that its last one comes when so much time has passed.
 *
 * @since 0.1.0
 * @category time
 */
export const slowHeaders = (duration: Duration.DurationInput): Decorator => {
  const program = slowlyHeaded(Duration.toMillis(duration))
  return (handler) => aroundResponse(handler, program)
}

/**
 * How fast an answer comes.
 *
 * @since 0.1.0
 * @category models
 */
export interface ThrottleOptions {
  /** The most bytes that leave in one interval, at its beginning. */
  readonly bytes: number
  readonly every: Duration.DurationInput
}

/**
 * Sends the answer slowly: so many bytes at once, and the next behind an interval.
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
 *   return yield* client.readUntil((seen) => seen.length === 12)
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
export const throttle = (options: ThrottleOptions): Decorator => {
  const program = throttled(countOf("throttle", options.bytes, 1), Duration.toMillis(options.every))
  return (handler) => aroundResponse(handler, program)
}
