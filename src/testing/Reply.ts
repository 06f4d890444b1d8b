/**
 * Replies of a test server: handlers made from values, and handlers made from handlers.
 *
 * A reply is a `Response.Handler`, and a handler is accepted wherever a reply is: a reply, a fault or an inline function.
 * `sequence`, `queue` and `routes` keep the errors and the context of their handlers in the types.
 *
 * @since 0.1.0
 */
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RespondableError, ValueError } from "../Errors.js"
import type { HttpCode } from "../HttpCode.js"
import type * as HttpHeaders from "../HttpHeaders.js"
import type { ExtensionMethod, KnownMethod } from "../HttpMethod.js"
import { ExchangeKey } from "../internal/message/exchange.js"
import { streamResponse } from "../internal/message/streamResponse.js"
import { awaitShutdown, type Request } from "../Request.js"
import { type Handler, type Responded, respond, respondStream } from "../Response.js"
import { UnmatchedRequestError } from "./Failures.js"
import { type CallSite, callSite, withCallSiteStack } from "./internal/recording/callSite.js"
import { withExchange } from "./internal/recording/recordingExchange.js"
import { withHeaders as addHeaders, HeaderAddingExchange } from "./internal/server/addedHeaders.js"
import { perServer } from "./internal/server/perServer.js"
import { type AnyHandler, type ContextOf, type ErrorOf, type Queue, ReplyQueue } from "./internal/server/replyQueue.js"
import { allowedMethods, describeRoutes, matchRoute, parseRoute } from "./internal/server/routes.js"

export type {
  /** The context that a handler requires. @since 0.1.0 @category type utils */
  ContextOf,
  /** The errors of a handler. @since 0.1.0 @category type utils */
  ErrorOf,
  /** A queue of replies that a test fills while it runs. @since 0.1.0 @category models */
  Queue
} from "./internal/server/replyQueue.js"

/**
 * Status and headers of a response.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** 200 by default. */
  readonly status?: HttpCode | undefined
  /** They take precedence over the reply's own fields, such as `Content-Type`. */
  readonly headers?: HttpHeaders.Input | undefined
}

/** The content is made in the handler, so that an error in it is the handler's. */
const fixed =
  (content: () => string | Uint8Array, contentType: string, options: Options): Handler<ValueError, never> =>
  (request) =>
    Effect.suspend(() =>
      respond(request, options.status ?? 200, content(), addHeaders(options.headers, { "Content-Type": contentType }))
    )

/**
 * Responds with a text in UTF-8.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.flatMap(HttpClient.get("/"), (response) => response.text)
 * const live = TestServer.layerMemory(Reply.text("slow down", { status: 429, headers: { "Retry-After": "30" } }))
 * console.log(await Effect.runPromise(Effect.provide(test, live)))
 * // slow down
 * ```
 *
 * @since 0.1.0
 * @category replies
 */
export const text = (content: string, options: Options = {}): Handler<ValueError, never> =>
  fixed(() => content, "text/plain; charset=utf-8", options)

/**
 * Responds with a value as JSON, as by `JSON.stringify`; `undefined` becomes `null`.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.flatMap(HttpClient.get("/"), (response) => response.json)
 * const live = TestServer.layerMemory(Reply.json({ name: "Ann" }))
 * console.log(await Effect.runPromise(Effect.provide(test, live)))
 * // { name: 'Ann' }
 * ```
 *
 * @since 0.1.0
 * @category replies
 */
export const json = (value: unknown, options: Options = {}): Handler<ValueError, never> =>
  fixed(() => JSON.stringify(value) ?? "null", "application/json", options)

/**
 * Responds with a value as JSON, encoded by a Schema; `ParseError` if that fails.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect, Schema } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const Token = Schema.Struct({ value: Schema.String, expires: Schema.Date })
 * const token = Reply.schemaJson(Token)
 *
 * const test = Effect.flatMap(HttpClient.get("/"), (response) => response.text)
 * const live = TestServer.layerMemory(token({ value: "t", expires: new Date(0) }))
 * console.log(await Effect.runPromise(Effect.provide(test, live)))
 * // {"value":"t","expires":"1970-01-01T00:00:00.000Z"}
 * ```
 *
 * @since 0.1.0
 * @category replies
 */
export const schemaJson = <A, I, R>(
  schema: Schema.Schema<A, I, R>
): ((value: A, options?: Options) => Handler<ValueError | ParseResult.ParseError, R>) => {
  const encode = Schema.encode(Schema.parseJson(schema))
  return (value, options = {}) =>
    (request) =>
      Effect.flatMap(encode(value), (content) => fixed(() => content, "application/json", options)(request))
}

/**
 * Responds with bytes, which must not be modified afterwards.
 *
 * @since 0.1.0
 * @category replies
 */
export const bytes = (content: Uint8Array, options: Options = {}): Handler<ValueError, never> =>
  fixed(() => content, "application/octet-stream", options)

/**
 * Responds with a status and no content.
 *
 * @since 0.1.0
 * @category replies
 */
export const status =
  (code: HttpCode, options: Omit<Options, "status"> = {}): Handler<ValueError, never> =>
  (request) =>
    respond(request, code, "", options.headers)

/**
 * Redirects to a location; with `302 Found` by default.
 *
 * @since 0.1.0
 * @category replies
 */
export const redirect =
  (location: string | URL, options: Options = {}): Handler<ValueError, never> =>
  (request) =>
    respond(request, options.status ?? 302, "", addHeaders(options.headers, { Location: String(location) }))

/**
 * Responds with a stream of bytes, as `Response.respondStream`. Each request runs the stream once.
 *
 * @since 0.1.0
 * @category replies
 */
export const stream =
  <E, R>(content: Stream.Stream<Uint8Array, E, R>, options: Options = {}): Handler<E | ValueError, R> =>
  (request) =>
    respondStream(
      request,
      options.status ?? 200,
      content,
      addHeaders(options.headers, { "Content-Type": "application/octet-stream" })
    )

/**
 * A server-sent event.
 *
 * @since 0.1.0
 * @category models
 */
export interface Event {
  /** Each line is sent as a `data` field of its own. */
  readonly data: string
  /** The event type, one line; with a line break the handler fails. */
  readonly event?: string | undefined
  /** The event ID, one line too. */
  readonly id?: string | undefined
  /** The client's reconnection time, rounded to milliseconds. */
  readonly retry?: Duration.DurationInput | undefined
}

const oneLine = (text: string | undefined): boolean => text === undefined || !/[\r\n]/.test(text)

const eventText = ({ data, event, id, retry }: Event): string => {
  // A line break would begin another field or event.
  if (!oneLine(event) || !oneLine(id))
    throw new TypeError("The event and id of a server-sent event must not contain line breaks")
  return [
    ...(event === undefined ? [] : [`event: ${event}`]),
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(retry === undefined ? [] : [`retry: ${Math.round(Duration.toMillis(retry))}`]),
    ...data.split(/\r\n|\r|\n/).map((line) => `data: ${line}`),
    "\n"
  ].join("\n")
}

/**
 * Responds with server-sent events, each sent as it is emitted; a string is an event with this data. The head is sent at
 * once. When the server begins to close, the stream ends, and the response is complete.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect, Stream } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.flatMap(HttpClient.get("/"), (response) => response.text)
 * const live = TestServer.layerMemory(Reply.events(Stream.make("one", { event: "end", data: "two" })))
 * console.log(JSON.stringify(await Effect.runPromise(Effect.provide(test, live))))
 * // "data: one\n\nevent: end\ndata: two\n\n"
 * ```
 *
 * @since 0.1.0
 * @category replies
 */
export const events =
  <E, R>(content: Stream.Stream<string | Event, E, R>, options: Options = {}): Handler<E | ValueError, R> =>
  (request) =>
    streamResponse(request[ExchangeKey], {
      code: options.status ?? 200,
      headers: addHeaders(options.headers, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" }),
      stream: Stream.encodeText(
        Stream.map(Stream.interruptWhen(content, awaitShutdown(request)), (event) =>
          eventText(typeof event === "string" ? { data: event } : event)
        )
      ),
      head: "AtOnce"
    })

/**
 * Responds with a file, with its size at the time of the request. An error of the file system is the handler's failure.
 *
 * @example
 * ```ts
 * import { FileSystem } from "@effect/platform"
 * import { NodeFileSystem } from "@effect/platform-node"
 * import { Effect } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.gen(function*() {
 *   const file = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempFileScoped())
 *   yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(file, "a file"))
 *   const server = yield* TestServer.makeMemory(Reply.file(file, { headers: { "Content-Type": "text/plain" } }))
 *   return yield* Effect.flatMap(server.client.get("/"), (response) => response.text)
 * })
 * console.log(await Effect.runPromise(Effect.provide(Effect.scoped(test), NodeFileSystem.layer)))
 * // a file
 * ```
 *
 * @since 0.1.0
 * @category replies
 */
export const file =
  (path: string, options: Options = {}): Handler<PlatformError.PlatformError | ValueError, FileSystem.FileSystem> =>
  (request) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { size } = yield* fs.stat(path)
      const own = { "Content-Type": "application/octet-stream", "Content-Length": String(size) }
      return yield* respondStream(request, options.status ?? 200, fs.stream(path), addHeaders(options.headers, own))
    })

/**
 * Adds header fields to the response of a handler; fields that the handler sets itself take precedence.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.map(HttpClient.get("/"), ({ headers }) => `${headers["x-a"]} ${headers["x-b"]}`)
 * const own = Reply.status(204, { headers: { "X-A": "own" } })
 * const reply = Reply.withHeaders(own, { "X-A": "added", "X-B": "added" })
 * console.log(await Effect.runPromise(Effect.provide(test, TestServer.layerMemory(reply))))
 * // own added
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const withHeaders: {
  /** Adds header fields to the response of a handler. */
  (headers: HttpHeaders.Input): <E, R>(handler: Handler<E, R>) => Handler<E, R>
  <E, R>(handler: Handler<E, R>, headers: HttpHeaders.Input): Handler<E, R>
} = dual(
  2,
  <E, R>(handler: Handler<E, R>, headers: HttpHeaders.Input): Handler<E, R> =>
    (request) =>
      handler(withExchange(request, new HeaderAddingExchange(request[ExchangeKey], headers)))
)

/**
 * Fails the test with an `UnmatchedRequestError`, whose message the client receives in a 501 response. The message includes
 * the expected requests, if given.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Cause, Effect } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * // Two attempts are enough.
 * const replies = Reply.sequence(Reply.status(503), Reply.text("Hello"), Reply.unmatched("two requests"))
 * const test = Effect.repeatN(HttpClient.get("/"), 2)
 * const cause = await Effect.runPromise(Effect.flip(Effect.sandbox(Effect.provide(test, TestServer.layerMemory(replies)))))
 * console.log(String(Cause.squash(cause)))
 * // UnmatchedRequestError: Unhandled request: GET /, expected:
 * //   two requests
 * ```
 *
 * @since 0.1.0
 * @category replies
 */
export const unmatched = (expected = ""): Handler<never, never> => unmatchedReply(expected, callSite(unmatched))

/** `unmatched`, whose error has the stack of the caller. */
const unmatchedReply =
  (expected: string, site: CallSite): Handler<never, never> =>
  ({ method, originalUrl }) =>
    Effect.die(withCallSiteStack(new UnmatchedRequestError({ method, target: originalUrl, expected }), site))

/**
 * Responds to each request with the next reply, and repeats the last one: end with `unmatched()` if further requests are an
 * error. Each test server counts separately, from its first request on.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const status = Effect.map(HttpClient.get("/"), (response) => response.status)
 * const live = TestServer.layerMemory(Reply.sequence(Reply.status(503), Reply.status(429), Reply.text("Hello")))
 * const test = Effect.all([status, status, status, status])
 * console.log(await Effect.runPromise(Effect.provide(test, live)))
 * // [ 503, 429, 200, 200 ]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const sequence = <const Replies extends readonly [AnyHandler, ...ReadonlyArray<AnyHandler>]>(
  ...replies: Replies
): Handler<ErrorOf<Replies[number]>, ContextOf<Replies[number]>> => {
  const counting = perServer(() => ({ next: 0 }))
  return (request) =>
    Effect.flatMap(counting, (count) => {
      const reply = replies[Math.min(count.next++, replies.length - 1)] ?? replies[0]
      // Each reply is a member of the union, which the compiler cannot infer.
      return reply(request) as Effect.Effect<Responded, ErrorOf<Replies[number]>, ContextOf<Replies[number]>>
    })
}

/**
 * A queue of replies. While it is empty, requests wait for a reply in order of arrival; a request whose client disconnects
 * meanwhile takes none. With `whenEmpty`, for example `unmatched()`, they do not wait, and that handler responds.
 *
 * @example
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.gen(function*() {
 *   const replies = yield* Reply.queue()
 *   const server = yield* TestServer.makeMemory(replies.handler)
 *   const fiber = yield* Effect.fork(Effect.flatMap(server.client.get("/"), (response) => response.text))
 *   const request = yield* server.takeRequest
 *   yield* replies.enqueue(Reply.text(`reply to ${request.path}`))
 *   return yield* Fiber.join(fiber)
 * })
 * console.log(await Effect.runPromise(Effect.scoped(test)))
 * // reply to /
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const queue = <E = never, R = never>(
  options: { readonly whenEmpty?: Handler<E, R> | undefined } = {}
): Effect.Effect<Queue<E | RespondableError, R | Scope.Scope>> =>
  Effect.sync(() => {
    const replies = new ReplyQueue()
    const waiting: Handler<RespondableError, Scope.Scope> = (request) =>
      Effect.flatMap(replies.take, (reply) => reply(request))
    const whenEmpty: Handler<E | RespondableError, R | Scope.Scope> = options.whenEmpty ?? waiting
    return {
      handler: replies.withFallback(whenEmpty),
      enqueue: replies.enqueueAll,
      size: replies.size
    }
  })

/** The methods that a route can name: a misspelled one is a type error. */
type RouteMethod = KnownMethod | ExtensionMethod

/**
 * A route: a method and a path, or a path for any method. `:name` matches one segment, a trailing `*` the rest of the path.
 * For a method that `HttpMethod` does not name, use a route without a method, and `request.method` in its handler.
 *
 * @since 0.1.0
 * @category models
 */
export type Route = `${RouteMethod} /${string}` | `/${string}`

type NameOf<Segment extends string> = Segment extends `:${infer Name}` ? Name : Segment extends "*" ? Segment : never

type NamesOf<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? NameOf<Segment> | NamesOf<Rest>
  : NameOf<Path>

/**
 * The path parameters of a route: each `:name`, and `*`.
 *
 * @since 0.1.0
 * @category models
 */
export type Params<R> = R extends `${RouteMethod} ${infer Path}`
  ? { readonly [Name in NamesOf<Path>]: string }
  : R extends string
    ? { readonly [Name in NamesOf<R>]: string }
    : never

/** The result of the handler of a route. */
type RouteReply = Effect.Effect<Responded, unknown, unknown>

/**
 * Routes requests by method and path. A handler receives the decoded path parameters of its route as second argument.
 *
 * Literal segments take precedence over `:name`, and `:name` over `*`, in any order of the routes; a GET route also
 * matches HEAD. By default an unmatched request fails the test with an `UnmatchedRequestError`, which lists the routes,
 * the closest match first. With `unmatched: "reject"` the response is 404, or 405 with `Allow` if the path has a route
 * for another method; a handler as `unmatched` responds itself.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Response } from "effect-asynchttpserver"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const users = Reply.routes(
 *   {
 *     "GET /users/:id": (request, { id }) => Response.respond(request, 200, `user ${id}`),
 *     "GET /users/me": Reply.text("you"),
 *     "POST /users": Reply.status(201)
 *   },
 *   { unmatched: "reject" }
 * )
 * const get = (path: string) =>
 *   Effect.flatMap(HttpClient.get(path), (response) => Effect.map(response.text, (text) => `${response.status} ${text}`))
 * const test = Effect.all([get("/users/1"), get("/users/me"), get("/users")])
 * console.log(await Effect.runPromise(Effect.provide(test, TestServer.layerMemory(users))))
 * // [ '200 user 1', '200 you', '405 ' ]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const routes = <Replies extends { readonly [Name in keyof Replies]: RouteReply }, E = never, R = never>(
  table: {
    readonly [Name in keyof Replies]: (request: Request, params: Params<Name>) => Replies[Name]
  } & { readonly [Name in Exclude<keyof Replies, Route>]: never },
  options: { readonly unmatched?: "fail" | "reject" | Handler<E, R> | undefined } = {}
): Handler<Effect.Effect.Error<Replies[keyof Replies]> | E, Effect.Effect.Context<Replies[keyof Replies]> | R> => {
  type Routed = Effect.Effect<
    Responded,
    Effect.Effect.Error<Replies[keyof Replies]> | E,
    Effect.Effect.Context<Replies[keyof Replies]> | R
  >
  type Target = (request: Request, params: Readonly<Record<string, string>>) => Routed
  // Each handler accepts the parameters of its own route, which the compiler cannot infer.
  const all = Object.entries(table as Readonly<Record<string, Target>>).map(([name, target]) =>
    parseRoute(name, target)
  )
  const { unmatched: policy = "fail" } = options
  const site = callSite(routes)
  return (request): Routed => {
    const { method, path } = request
    const match = matchRoute(all, method, path)
    if (match !== undefined) return match.route.target(request, match.params)
    if (typeof policy === "function") return policy(request)
    if (policy === "fail") return unmatchedReply(describeRoutes(all, method, path), site)(request)
    const allowed = allowedMethods(all, path).join(", ")
    const rejection = allowed === "" ? status(404) : status(405, { headers: { Allow: allowed } })
    // Both responses are valid.
    return Effect.orDie(rejection(request))
  }
}
