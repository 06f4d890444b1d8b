/**
 * A server for one test: it records requests, fails the test when a handler fails, and closes with the test.
 *
 * It behaves the same over loopback and in memory. A handler that fails, by a defect, an assertion or an error without a
 * status, fails the test: at once under `supervise`, else when the scope closes. The test's own failure is never replaced:
 * what the server has recorded is then printed on the console. A fiber that a handler forks and does not join is not
 * covered. Closing waits for no client, and reads no clock.
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { OSError } from "../Errors.js"
import type { Handler } from "../Response.js"
import type { Matcher, Times } from "./Expectation.js"
import type { HandlerFailure } from "./Failures.js"
import { callSite, withCaller } from "./internal/recording/callSite.js"
import { makeTestServer } from "./internal/server/makeTestServer.js"
import { startServer } from "./internal/server/promiseServer.js"
import { inMemory, loopback } from "./internal/server/transport.js"
import type { ConnectionInfo, Options, TestServer as Service, StartedServer } from "./internal/server/types.js"
import type { RawClient } from "./RawClient.js"
import type { RecordedRequest } from "./RecordedRequest.js"
import type * as Reply from "./Reply.js"

export type {
  /** An open connection. @since 0.1.0 @category models */
  ConnectionInfo,
  /**
   * Options of a test server: those of `Server`, with other defaults. It listens on 127.0.0.1, on a free port; a client
   * that half-closes its connection has left (`onClientEnd` is `"interrupt"`); and shutdown does not drain
   * (`drainTimeout` is 0). Every request is kept with its body until the scope closes, so the bodies have no limit in sum
   * (`limits.maxBufferedBodies` is `Infinity`): what a test sends stays in memory as long as the test runs.
   *
   * @since 0.1.0
   * @category models
   */
  Options,
  /** A recorded request, with promises instead of effects. @since 0.1.0 @category models */
  StartedRequest,
  /** A test server with promises, for tests without Effect. @since 0.1.0 @category models */
  StartedServer
} from "./internal/server/types.js"

/**
 * A test server. Its members are documented at the functions of this module, and of `Fault`, that have their names.
 *
 * @since 0.1.0
 * @category models
 */
export type TestServer = Service

/**
 * The service.
 *
 * @since 0.1.0
 * @category tags
 */
export const TestServer: Context.Tag<TestServer, TestServer> = Context.GenericTag<TestServer>(
  "effect-asynchttpserver/testing/TestServer"
)

/** The members of the service that are effects, for accessors. */
const service = Effect.serviceConstants(TestServer)

/**
 * Serves on loopback until the scope closes. Invalid options are a defect; `OSError` is an error of the system.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.gen(function*() {
 *   const server = yield* TestServer.make((request) => Response.respond(request, 200, "Hello"))
 *   const response = yield* Effect.promise(() => fetch(`${server.url}/greeting`))
 *   const { method, path } = yield* server.takeRequest
 *   return `${method} ${path} ${response.status}`
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
 * Serves in memory until the scope closes: the same bytes through the same parser and writer, without a descriptor.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * // Two Host fields are not valid HTTP.
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
  // In memory no system call can fail.
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
 * A test server on loopback, and a client with its URL as base.
 *
 * A layer that several tests share is closed after the last one: `supervise` and `expect` then fail the responsible test,
 * provided that the tests run sequentially.
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
 * `layer` in memory: the server and the client use no descriptor.
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
 * Serves on loopback until `close`, or until it is disposed of: for tests without Effect.
 *
 * A handler may require only the `Scope` of its request. Rejects with an `OSError` if the server cannot listen.
 *
 * @example
 * ```ts
 * import { Response } from "effect-asynchttpserver"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * const server = await TestServer.start((request) => Response.respond(request, 200, "Hello"))
 * const response = await fetch(`${server.url}/greeting`)
 * const request = await server.takeRequest()
 * console.log(request.method, request.path, await response.text())
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
 * Every request from the first one on, as it is received; ends when the server is closed.
 *
 * @since 0.1.0
 * @category requests
 */
export const requests: Stream.Stream<RecordedRequest, never, TestServer> = Stream.unwrap(
  Effect.map(TestServer, (server) => server.requests)
)

/**
 * The requests received so far.
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
export const received: Effect.Effect<ReadonlyArray<RecordedRequest>, never, TestServer> = service.received

/**
 * Takes the next request, waiting for it; a fiber that is interrupted while waiting takes none.
 *
 * @since 0.1.0
 * @category requests
 */
export const takeRequest: Effect.Effect<RecordedRequest, never, TestServer> = service.takeRequest

/**
 * Takes the next request that satisfies the predicate, waiting for it; the others remain in the queue.
 *
 * @since 0.1.0
 * @category requests
 */
export const takeRequestWhere = (
  predicate: (request: RecordedRequest) => boolean
): Effect.Effect<RecordedRequest, never, TestServer> =>
  Effect.flatMap(TestServer, (server) => server.takeRequestWhere(predicate))

/**
 * Takes the next failure of a handler, waiting for it: it counts as expected, and fails no test. Under `supervise` a fiber
 * must be waiting when the handler fails; otherwise the test fails at once.
 *
 * @since 0.1.0
 * @category requests
 */
export const takeFailure: Effect.Effect<HandlerFailure, never, TestServer> = service.takeFailure

/**
 * Responds to the next requests with these replies, one each, in this order; after them the server's handler responds
 * again. See `Reply.Queue`.
 *
 * @since 0.1.0
 * @category replies
 */
export const enqueue = <const Replies extends ReadonlyArray<Handler<unknown, unknown>>>(
  ...replies: Replies
): Effect.Effect<void, never, TestServer | Exclude<Reply.ContextOf<Replies[number]>, Scope.Scope>> =>
  Effect.flatMap(TestServer, (server) => server.enqueue(...replies))

/**
 * Opens a raw connection, destroyed with the scope. `OSError`: the system's error, `ECONNREFUSED` while the server is down.
 *
 * @since 0.1.0
 * @category connections
 */
export const connect: Effect.Effect<RawClient, OSError, TestServer | Scope.Scope> = service.connect

/**
 * The open connections.
 *
 * @since 0.1.0
 * @category connections
 */
export const connections: Effect.Effect<ReadonlyArray<ConnectionInfo>, never, TestServer> = service.connections

/**
 * Destroys every connection, and continues to listen.
 *
 * @since 0.1.0
 * @category connections
 */
export const closeClientConnections: Effect.Effect<void, never, TestServer> = service.closeClientConnections

/**
 * Stops listening, and closes every connection: new connections are refused.
 *
 * @since 0.1.0
 * @category connections
 */
export const down: Effect.Effect<void, never, TestServer> = service.down

/**
 * Completes when the server begins to close, by `down` or with its scope; at once while it is down. In a handler, use
 * `Request.awaitShutdown`.
 *
 * @since 0.1.0
 * @category connections
 */
export const awaitShutdown: Effect.Effect<void, never, TestServer> = service.awaitShutdown

/**
 * Listens again, on the same port. `OSError` if the port is in use by another server; `EADDRINUSE` if it is not down.
 *
 * @since 0.1.0
 * @category connections
 */
export const up: Effect.Effect<void, OSError, TestServer> = service.up

/**
 * Runs an effect that fails as soon as a handler of the server fails, with the handler's own cause; also at its end, if a
 * handler has failed meanwhile. Typed errors of handlers become defects of the test. If the effect itself fails, its
 * failure is kept, and those of handlers are printed on the console.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Cause, Effect } from "effect"
 * import { TestServer } from "effect-asynchttpserver/testing"
 *
 * // The client has its response, and would wait forever.
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
 * Waits for quiescence: all bytes are delivered, and every handler is suspended.
 *
 * It polls in rounds, each one `setTimeout(0)` followed by one `setImmediate`, until three in a row are idle: no byte, no
 * connection event, no step of a handler's fiber, of `client` or of a fiber under `supervise`. While a file operation, a
 * DNS lookup or a connect of this process is in flight, or an immediate is pending, it continues for a second at most; a
 * connection over loopback has 25 milliseconds to send its first byte. It takes a few milliseconds of real time, and none
 * of any `Clock`.
 *
 * Exact in memory, provided that handlers and clients wait only for bytes, each other, immediates and the clock. It does
 * not track Node's own timers (`setTimeout`, by which a long-running fiber that is not under `supervise` yields), other
 * threads (compression, hashing, workers), sockets to other servers and, over loopback, clients in other processes. Wait
 * for those first, by `takeRequest` or a `Deferred`. Servers under one `TestClock` belong to one test, and settle
 * together. An endless stream to a client that reads it never settles.
 *
 * @since 0.1.0
 * @category time
 */
export const settle: Effect.Effect<void, never, TestServer> = service.settle

/**
 * Advances the `TestClock` as if the time were real: sleeping fibers wake in order, and `settle` runs before the clock moves
 * on.
 *
 * The clock moves from one wake-up to the next, so a handler's second sleep counts from the end of its first. Without a
 * `TestClock` it is a defect.
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
 * Expects matching requests from now until the caller's scope closes, exactly one by default. If it is not met by then, the
 * test dies with an `ExpectationError` that shows the received requests, unless the test itself has failed.
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
 * // ExpectationError: expected 1 matching request, received 0 (of 1)
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
  return Effect.flatMap(TestServer, (server) => withCaller(site)(server.expect(matcher, times)))
}

/**
 * Dies with a `LeakError` if a handler is still running; idle connections are not leaks.
 *
 * @since 0.1.0
 * @category assertions
 */
export const assertNoLeaks: Effect.Effect<void, never, TestServer> = service.assertNoLeaks
