/**
 * A server for one test: it records what it is asked, fails the test when a handler fails, and ends with the test.
 *
 * The same over loopback and in memory. A handler that fails, by a defect, by an assertion or by an error that no status
 * answers, fails the test, at once under `supervise` and else when the scope ends; the test's own failure is never
 * replaced: what the server has seen is told besides, by the console. A fiber that a handler forks, and that nobody joins, is
 * no part of it. Closing waits for no client, and reads no clock.
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Address } from "../Address.js"
import type { OSError } from "../Errors.js"
import type { Handler } from "../Response.js"
import type * as Server from "../Server.js"
import type { Matcher, Times } from "./Expectation.js"
import type { HandlerFailure } from "./Failures.js"
import { calledAt, callSite } from "./internal/recording/callSite.js"
import { makeTestServer } from "./internal/server/makeTestServer.js"
import { startServer } from "./internal/server/promiseServer.js"
import { inMemory, loopback } from "./internal/server/transport.js"
import type { RawClient } from "./RawClient.js"
import type { RecordedRequest } from "./RecordedRequest.js"
import type * as Reply from "./Reply.js"

/**
 * What a test server is made with: the server's own options, with other defaults. It listens on 127.0.0.1, on a port of
 * the system's choice; a client that closes its side has left (`onClientEnd` is `"interrupt"`); and it drains nothing
 * when it closes (`drainTimeout` is 0). It keeps every request with its body until its scope ends, so bodies have no bound in
 * sum (`limits.maxBufferedBodies` is `Infinity`): what a test sends is in memory as long as the test.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Server.Options {
  /** The most descriptors it may hold; 1024 by default. */
  readonly descriptors?: number | undefined
}

/**
 * A connection that is open.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionInfo {
  /** Its place among the connections of the server, from 0 in the order in which they came. */
  readonly index: number
  /** It has brought no request yet, a handler is at work for it, or it waits for its next request. */
  readonly state: "new" | "active" | "idle"
  /** Requests that it has brought. */
  readonly requests: number
  readonly remote: Option.Option<Address>
}

/**
 * A test server.
 *
 * @since 0.1.0
 * @category models
 */
export interface TestServer {
  /** `http://127.0.0.1:` and the port, without a slash at its end. In memory only `client` and `connect` reach it. */
  readonly url: string
  readonly address: Address
  /**
   * A client whose relative URLs are the server's. Every connection that it makes is to this server, whatever host a URL
   * has. It keeps connections alive, and ends them with the server.
   */
  readonly client: HttpClient.HttpClient
  /** Every request from the first one on, as it comes; ends when the server is closed. */
  readonly requests: Stream.Stream<RecordedRequest>
  /** The requests that have come by now. */
  readonly received: Effect.Effect<ReadonlyArray<RecordedRequest>>
  /** The next request that nobody has taken, waiting for it; who is interrupted while waiting takes none. */
  readonly takeRequest: Effect.Effect<RecordedRequest>
  /** The same, for the next that is such; the others wait for who wants them. */
  readonly takeRequestWhere: (isSuch: (request: RecordedRequest) => boolean) => Effect.Effect<RecordedRequest>
  /** A connection of bytes; it is destroyed with the scope. `OSError`: what the system says, `ECONNREFUSED` when it is down. */
  readonly connect: Effect.Effect<RawClient, OSError, Scope.Scope>
  /** The connections that are open. */
  readonly connections: Effect.Effect<ReadonlyArray<ConnectionInfo>>
  /** Ends every connection, and goes on listening. */
  readonly closeClientConnections: Effect.Effect<void>
  /** Stops listening, and ends every connection: who connects now is refused. */
  readonly down: Effect.Effect<void>
  /**
   * Completes when the server begins to close, by `down` or since its scope ends; at once while it is down. A handler has
   * `Request.awaitShutdown`.
   */
  readonly awaitShutdown: Effect.Effect<void>
  /** Listens again, on the same port. `OSError` when somebody else has taken it meanwhile; `EADDRINUSE` when it is not down. */
  readonly up: Effect.Effect<void, OSError>
  /**
   * Expects requests that are like this, from now on until the caller's scope ends, once unless told otherwise. When it is not
   * met by then, the test dies with an `ExpectationError`, if it has not failed by itself.
   */
  readonly expect: (matcher: Matcher, times?: Times) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Answers the next requests by these replies, one each, in this order; behind them the server's handler answers again. See
   * `Reply.Queue`.
   */
  readonly enqueue: Reply.Queue["enqueue"]
  /** See `Fault.closeAtAccept` and `Fault.resetAtAccept`. */
  readonly endAtAccept: (how: "close" | "reset", times?: number) => Effect.Effect<void>
  /** See `takeFailure`. */
  readonly takeFailure: Effect.Effect<HandlerFailure>
  /** See `supervise`. */
  readonly supervise: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** See `settle`. */
  readonly settle: Effect.Effect<void>
  /** See `advance`. */
  readonly advance: (duration: Duration.DurationInput) => Effect.Effect<void>
  /** See `assertNoLeaks`. */
  readonly assertNoLeaks: Effect.Effect<void>
}

/**
 * The service.
 *
 * @since 0.1.0
 * @category tags
 */
export const TestServer: Context.Tag<TestServer, TestServer> = Context.GenericTag<TestServer>(
  "effect-asynchttpserver/testing/TestServer"
)

/**
 * Serves on loopback until the scope ends. Options that make no sense are a defect; `OSError` is what the system refuses.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.gen(function*() {
 *   const server = yield* TestServer.make((request) => Response.respond(request, 200, "Hello"))
 *   const answer = yield* Effect.promise(() => fetch(`${server.url}/greeting`))
 *   const { method, path } = yield* server.takeRequest
 *   return `${method} ${path} ${answer.status}`
 * })
 * console.log(await Effect.runPromise(Effect.scoped(test)))
 * // GET /greeting 200
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E, R>(
  handler: Handler<E, R>,
  options: Options = {}
): Effect.Effect<TestServer, OSError, Scope.Scope | Exclude<R, Scope.Scope>> =>
  makeTestServer(handler, options, loopback)

/**
 * Serves in memory until the scope ends: the same bytes through the same parser and writer, without a descriptor.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * // The bytes of a client that HTTP has no words for.
 * const test = Effect.gen(function*() {
 *   const server = yield* TestServer.makeMemory((request) => Response.respond(request, 200, "Hello"))
 *   const client = yield* server.connect
 *   yield* client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
 *   return (yield* client.readToEnd).toString().split("\r\n")[0]
 * })
 * console.log(await Effect.runPromise(Effect.scoped(test)))
 * // HTTP/1.1 400 Bad Request
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory = <E, R>(
  handler: Handler<E, R>,
  options: Options = {}
): Effect.Effect<TestServer, never, Scope.Scope | Exclude<R, Scope.Scope>> =>
  // There is no system to refuse anything.
  Effect.orDie(makeTestServer(handler, options, inMemory))

const withClient = <E, R>(
  made: Effect.Effect<TestServer, E, R>
): Layer.Layer<TestServer | HttpClient.HttpClient, E, Exclude<R, Scope.Scope>> =>
  Layer.scopedContext(
    Effect.map(made, (server) =>
      Context.make(TestServer, server).pipe(Context.add(HttpClient.HttpClient, server.client))
    )
  )

/**
 * A test server on loopback, and the client that is pointed at it.
 *
 * One that several tests share ends with the last of them: `supervise` and `expect` fail the test whose fault it is, as
 * long as one runs after the other.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.flatMap(HttpClient.get("/"), (response) => response.text)
 * const live = TestServer.layer((request) => Response.respond(request, 200, "Hello"))
 * console.log(await Effect.runPromise(Effect.provide(test, live)))
 * // Hello
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  handler: Handler<E, R>,
  options: Options = {}
): Layer.Layer<TestServer | HttpClient.HttpClient, OSError, Exclude<R, Scope.Scope>> =>
  withClient(make(handler, options))

/**
 * A test server in memory, and the client that is pointed at it: `layer`, without a descriptor.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.flatMap(HttpClient.get("/"), (response) => response.text)
 * const live = TestServer.layerMemory((request) => Response.respond(request, 200, "Hello"))
 * console.log(await Effect.runPromise(Effect.provide(test, live)))
 * // Hello
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory = <E, R>(
  handler: Handler<E, R>,
  options: Options = {}
): Layer.Layer<TestServer | HttpClient.HttpClient, never, Exclude<R, Scope.Scope>> =>
  withClient(makeMemory(handler, options))

/**
 * A test server for whoever has no Effect: the same, with promises.
 *
 * @since 0.1.0
 * @category models
 */
export interface StartedServer extends AsyncDisposable {
  /** `http://127.0.0.1:` and the port, without a slash at its end. */
  readonly url: string
  readonly address: Address
  /** The requests that have come by now. */
  readonly requests: () => ReadonlyArray<StartedRequest>
  /** The next request that nobody has taken, once it has come; when the server is closed before, the promise is rejected. */
  readonly takeRequest: () => Promise<StartedRequest>
  /**
   * Ends the server. Rejected with what a handler has failed with, as it was thrown, or with a `LeakError`; the second time
   * it does nothing. To dispose of the server is the same; but when the block of an `await using` fails as well, JavaScript
   * throws a `SuppressedError` with both, of which few test runners show any: `afterEach(() => server.close())` does not.
   */
  readonly close: () => Promise<void>
}

/**
 * A request that came, with promises for what is still to come of it.
 *
 * @since 0.1.0
 * @category models
 */
export type StartedRequest = {
  readonly [K in keyof Omit<RecordedRequest, keyof Inspectable.Inspectable>]: RecordedRequest[K] extends Effect.Effect<
    infer A,
    infer _
  >
    ? () => Promise<A>
    : RecordedRequest[K]
}

/**
 * Serves on loopback until `close`, or until what it was disposed of by has ended: for tests that are not Effects.
 *
 * A handler needs nothing but the `Scope` of its request. Rejected with an `OSError` when the system refuses.
 *
 * @example
 * ```ts
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * const server = await TestServer.start((request) => Response.respond(request, 200, "Hello"))
 * const answer = await fetch(`${server.url}/greeting`)
 * const request = await server.takeRequest()
 * console.log(request.method, request.path, await answer.text())
 * // GET /greeting Hello
 * await server.close()
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = <E>(handler: Handler<E, Scope.Scope>, options: Options = {}): Promise<StartedServer> =>
  startServer(make(handler, options))

/**
 * Every request from the first one on, as it comes; ends when the server is closed.
 *
 * @since 0.1.0
 * @category requests
 */
export const requests: Stream.Stream<RecordedRequest, never, TestServer> = Stream.unwrap(
  Effect.map(TestServer, (server) => server.requests)
)

/**
 * The requests that have come by now.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.gen(function*() {
 *   yield* TestServer.enqueue(Reply.status(503))
 *   yield* Effect.retry(HttpClient.filterStatusOk(yield* HttpClient.HttpClient).get("/"), { times: 1 })
 *   return (yield* TestServer.received).map(({ method, path }) => `${method} ${path}`)
 * })
 * console.log(await Effect.runPromise(Effect.provide(test, TestServer.layerMemory(Reply.text("Hello")))))
 * // [ 'GET /', 'GET /' ]
 * ```
 *
 * @since 0.1.0
 * @category requests
 */
export const received: Effect.Effect<ReadonlyArray<RecordedRequest>, never, TestServer> = Effect.flatMap(
  TestServer,
  (server) => server.received
)

/**
 * The next request that nobody has taken, waiting for it; who is interrupted while waiting takes none.
 *
 * @since 0.1.0
 * @category requests
 */
export const takeRequest: Effect.Effect<RecordedRequest, never, TestServer> = Effect.flatMap(
  TestServer,
  (server) => server.takeRequest
)

/**
 * The next request that nobody has taken and that is such; the others wait for who wants them.
 *
 * @since 0.1.0
 * @category requests
 */
export const takeRequestWhere = (
  isSuch: (request: RecordedRequest) => boolean
): Effect.Effect<RecordedRequest, never, TestServer> =>
  Effect.flatMap(TestServer, (server) => server.takeRequestWhere(isSuch))

/**
 * Takes the next failure of a handler, waiting for it: it is expected, and fails no test. Under `supervise` somebody has to
 * wait for it before it comes, or else it fails the test at once.
 *
 * @since 0.1.0
 * @category requests
 */
export const takeFailure: Effect.Effect<HandlerFailure, never, TestServer> = Effect.flatMap(
  TestServer,
  (server) => server.takeFailure
)

/**
 * Answers the next requests by these replies, one each, in this order; behind them the server's handler answers again. See
 * `Reply.Queue`.
 *
 * @since 0.1.0
 * @category replies
 */
export const enqueue = <const Replies extends ReadonlyArray<Handler<unknown, unknown>>>(
  ...replies: Replies
): Effect.Effect<void, never, TestServer | Exclude<Reply.ContextOf<Replies[number]>, Scope.Scope>> =>
  Effect.flatMap(TestServer, (server) => server.enqueue(...replies))

/**
 * A connection of bytes; it is destroyed with the scope.
 *
 * @since 0.1.0
 * @category connections
 */
export const connect: Effect.Effect<RawClient, OSError, TestServer | Scope.Scope> = Effect.flatMap(
  TestServer,
  (server) => server.connect
)

/**
 * The connections that are open.
 *
 * @since 0.1.0
 * @category connections
 */
export const connections: Effect.Effect<ReadonlyArray<ConnectionInfo>, never, TestServer> = Effect.flatMap(
  TestServer,
  (server) => server.connections
)

/**
 * Ends every connection, and goes on listening.
 *
 * @since 0.1.0
 * @category connections
 */
export const closeClientConnections: Effect.Effect<void, never, TestServer> = Effect.flatMap(
  TestServer,
  (server) => server.closeClientConnections
)

/**
 * Stops listening, and ends every connection: who connects now is refused.
 *
 * @since 0.1.0
 * @category connections
 */
export const down: Effect.Effect<void, never, TestServer> = Effect.flatMap(TestServer, (server) => server.down)

/**
 * Completes when the server begins to close, by `down` or since its scope ends; at once while it is down.
 *
 * @since 0.1.0
 * @category connections
 */
export const awaitShutdown: Effect.Effect<void, never, TestServer> = Effect.flatMap(
  TestServer,
  (server) => server.awaitShutdown
)

/**
 * Listens again, on the same port.
 *
 * @since 0.1.0
 * @category connections
 */
export const up: Effect.Effect<void, OSError, TestServer> = Effect.flatMap(TestServer, (server) => server.up)

/**
 * Fails as soon as a handler of the server does, with the handler's own failure, however long the effect would have gone
 * on; and at its end, when one has failed meanwhile. Typed errors of handlers become defects of the test. When the effect fails
 * by itself, that is its failure, and those of handlers are told by the console.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Cause, Effect } from "effect"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * // A client that has an answer, and waits for what will never be.
 * const test = TestServer.supervise(Effect.zipRight(HttpClient.get("/"), Effect.never))
 * const live = TestServer.layerMemory(() => Effect.die(new Error("no such user")))
 * const cause = await Effect.runPromise(Effect.flip(Effect.sandbox(Effect.provide(test, live))))
 * console.log(String(Cause.squash(cause)))
 * // Error: no such user
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const supervise = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | TestServer> =>
  Effect.flatMap(TestServer, (server) => server.supervise(effect))

/**
 * Waits until nothing happens any more: all bytes are delivered, and every handler waits for something.
 *
 * It looks in rounds, each a timer of Node's shortest kind and an immediate behind it, until three in a row have brought
 * nothing: no byte, no connection's event, no step of a handler's fiber, of `client` or of a fiber under `supervise`. While the
 * system reads a file, looks a name up or connects for this process, and while immediates wait, it goes on looking, for a
 * second at most; and a connection over loopback has 25
 * milliseconds for its first byte. A few milliseconds of real time, and none of any `Clock`.
 *
 * Exact in memory, as long as handlers and clients wait for bytes, for each other, for immediates and for the clock. Not seen,
 * and so not waited for, anywhere: timers of Node's own (`setTimeout`, by which a fiber that is not under `supervise` goes on
 * when it has gone on for long), other threads (compression, hashing, workers), and sockets to others; over loopback also what a client in another process is about to do. Wait for such a fact
 * first, by `takeRequest` or by a `Deferred`. Servers under one `TestClock` are of one test, and settle together. What never stops, a
 * stream without end to a client that reads it, never settles.
 *
 * @since 0.1.0
 * @category time
 */
export const settle: Effect.Effect<void, never, TestServer> = Effect.flatMap(TestServer, (server) => server.settle)

/**
 * Lets so much time of the `TestClock` pass as if it were real: whoever sleeps wakes in order, and before the clock goes
 * on, all that follows has happened, as far as `settle` sees it.
 *
 * The clock goes from sleeper to sleeper: what a handler sleeps for behind its first sleep counts from there. A defect
 * without a `TestClock`.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect, Fiber, TestContext } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.gen(function*() {
 *   const fiber = yield* Effect.fork(Effect.flatMap(HttpClient.get("/"), (response) => response.text))
 *   yield* TestServer.advance("1 minute")
 *   return yield* Fiber.join(fiber)
 * })
 * const live = TestServer.layerMemory((request) =>
 *   Effect.zipRight(Effect.sleep("30 seconds"), Response.respond(request, 200, "late"))
 * )
 * console.log(await Effect.runPromise(test.pipe(Effect.provide(live), Effect.provide(TestContext.TestContext))))
 * // late
 * ```
 *
 * @since 0.1.0
 * @category time
 */
export const advance = (duration: Duration.DurationInput): Effect.Effect<void, never, TestServer> =>
  Effect.flatMap(TestServer, (server) => server.advance(duration))

/**
 * Expects requests that are like this, from now on until the caller's scope ends, once unless told otherwise. When it is not
 * met by then, the test dies with an `ExpectationError` that shows what came, if it has not failed by itself.
 *
 * @example
 * ```ts
 * import { HttpBody, HttpClient } from "@effect/platform"
 * import { Cause, Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.gen(function*() {
 *   yield* TestServer.expect({ method: "POST", path: "/users", json: { name: "Ann", age: 3 } })
 *   yield* HttpClient.post("/users", { body: HttpBody.text("{\"name\":\"Bob\",\"age\":3}") })
 * })
 * const live = TestServer.layerMemory((request) => Response.respond(request, 201))
 * const cause = await Effect.runPromise(Effect.flip(Effect.sandbox(Effect.provide(Effect.scoped(test), live))))
 * for (const defect of Cause.defects(cause)) console.log(String(defect))
 * // ExpectationError: expected 1 request, got 0 of the 1 that came
 * //   POST /users (connection 0, exchange 0): 201
 * //     ✓ method "POST"
 * //     ✓ path "/users"
 * //     ✗ JSON {"name":"Ann","age":3}
 * //         - $.name: "Ann"
 * //         + $.name: "Bob"
 * //     body:
 * //       {"name":"Bob","age":3}
 * ```
 *
 * @since 0.1.0
 * @category assertions
 */
export const expect = (matcher: Matcher, times: Times = 1): Effect.Effect<void, never, TestServer | Scope.Scope> => {
  const site = callSite(expect)
  return Effect.flatMap(TestServer, (server) => calledAt(site)(server.expect(matcher, times)))
}

/**
 * Dies with a `LeakError` when a handler is still at work; connections that wait for their next request are no leak.
 *
 * @since 0.1.0
 * @category assertions
 */
export const assertNoLeaks: Effect.Effect<void, never, TestServer> = Effect.flatMap(
  TestServer,
  (server) => server.assertNoLeaks
)
