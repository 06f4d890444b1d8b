/**
 * What a test server answers: handlers that are made of values, and handlers that are made of handlers.
 *
 * A reply is a `Response.Handler`, and whatever takes one takes any: a reply, a fault, or a function that is written on the
 * spot. What is given to `sequence`, `queue` and `byRoute` keeps its errors and its needs in the types.
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
import * as HttpHeaders from "../HttpHeaders.js"
import type { ExtensionMethod, KnownMethod } from "../HttpMethod.js"
import { ExchangeKey } from "../internal/message/exchange.js"
import { streamResponse } from "../internal/message/streamResponse.js"
import { awaitShutdown, type Request } from "../Request.js"
import { type Handler, type Responded, respond, respondStream } from "../Response.js"
import { UnmatchedRequestError } from "./Failures.js"
import { type CallSite, callSite, withCallSiteStack } from "./internal/recording/callSite.js"
import { withExchange } from "./internal/recording/recordingExchange.js"
import { HeaderAddingExchange } from "./internal/server/addedHeaders.js"
import { perServer } from "./internal/server/perServer.js"
import { type AnyHandler, type ContextOf, type ErrorOf, type Queue, ReplyQueue } from "./internal/server/replyQueue.js"
import { describeRoutes, allowedMethods, parseRoute, matchRoute } from "./internal/server/routes.js"

export type {
  /**
   * The context that a handler requires.
   *
   * @since 0.1.0
   * @category type utils
   */
  ContextOf,
  /**
   * The errors of a handler.
   *
   * @since 0.1.0
   * @category type utils
   */
  ErrorOf,
  /**
   * A queue of replies that a test fills while it runs.
   *
   * @since 0.1.0
   * @category models
   */
  Queue
} from "./internal/server/replyQueue.js"

/**
 * What an answer has besides its content.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** 200 when it is left out. */
  readonly status?: HttpCode | undefined
  /** They win over what a reply would set by itself, its `Content-Type` for one. */
  readonly headers?: HttpHeaders.Input | undefined
}

/** The headers of an answer, behind which stand those that it has unless it is told otherwise. */
const headersOf = ({ headers = HttpHeaders.empty }: Options, own: HttpHeaders.Input): HttpHeaders.HttpHeaders => {
  const given = HttpHeaders.make(headers)
  return HttpHeaders.make([
    ...given,
    ...Array.from(HttpHeaders.make(own)).filter(([name]) => !HttpHeaders.has(given, name))
  ])
}

/** The content is made when it is asked for: what goes wrong there is the handler's. */
const fixed =
  (content: () => string | Uint8Array, contentType: string, options: Options): Handler<ValueError, never> =>
  (request) =>
    Effect.suspend(() =>
      respond(request, options.status ?? 200, content(), headersOf(options, { "Content-Type": contentType }))
    )

/**
 * Answers with a text, as UTF-8.
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
 * Answers with a value as JSON, as `JSON.stringify` writes it; `undefined` is `null`.
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
 * Answers with a value as the JSON that a Schema encodes. `ParseError` when it does not.
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
 * Answers with bytes, which must not be changed afterwards.
 *
 * @since 0.1.0
 * @category replies
 */
export const bytes = (content: Uint8Array, options: Options = {}): Handler<ValueError, never> =>
  fixed(() => content, "application/octet-stream", options)

/**
 * Answers with a status, and no content.
 *
 * @since 0.1.0
 * @category replies
 */
export const status =
  (code: HttpCode, options: Omit<Options, "status"> = {}): Handler<ValueError, never> =>
  (request) =>
    respond(request, code, "", options.headers)

/**
 * Sends the client somewhere else: by `302 Found`, unless the options say another status.
 *
 * @since 0.1.0
 * @category replies
 */
export const redirect =
  (location: string | URL, options: Options = {}): Handler<ValueError, never> =>
  (request) =>
    respond(request, options.status ?? 302, "", headersOf(options, { Location: String(location) }))

/**
 * Answers with a stream of bytes: `Response.respondStream`. Each request runs the stream anew.
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
      headersOf(options, { "Content-Type": "application/octet-stream" })
    )

/**
 * A server-sent event.
 *
 * @since 0.1.0
 * @category models
 */
export interface Event {
  /** Its lines are sent as a line each. */
  readonly data: string
  /** One line; a handler that is to send more fails. */
  readonly event?: string | undefined
  /** One line, like its name. */
  readonly id?: string | undefined
  /** How long the client should wait before it connects again, in whole milliseconds. */
  readonly retry?: Duration.DurationInput | undefined
}

const oneLine = (text: string | undefined): boolean => text === undefined || !/[\r\n]/.test(text)

const eventText = ({ data, event, id, retry }: Event): string => {
  // What is behind a line break would be somebody else's event.
  if (!oneLine(event) || !oneLine(id)) throw new TypeError("an event's name and id are one line each")
  return [
    ...(event === undefined ? [] : [`event: ${event}`]),
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(retry === undefined ? [] : [`retry: ${Math.round(Duration.toMillis(retry))}`]),
    ...data.split(/\r\n|\r|\n/).map((line) => `data: ${line}`),
    "\n"
  ].join("\n")
}

/**
 * Answers with server-sent events, each as it comes; a text is an event's data. The client sees the head at once. When the
 * server begins to close, the stream ends, and the client sees a whole response.
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
      headers: headersOf(options, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" }),
      stream: Stream.encodeText(
        Stream.map(Stream.interruptWhen(content, awaitShutdown(request)), (event) =>
          eventText(typeof event === "string" ? { data: event } : event)
        )
      ),
      head: "AtOnce"
    })

/**
 * Answers with a file, as long as it is when it is asked for. What the system refuses is the handler's failure.
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
      return yield* respondStream(request, options.status ?? 200, fs.stream(path), headersOf(options, own))
    })

/**
 * Adds header fields to whatever a handler answers; a field that it sets itself stays as it is.
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
  /** Adds header fields to whatever a handler answers. */
  (headers: HttpHeaders.Input): <E, R>(handler: Handler<E, R>) => Handler<E, R>
  /** Adds header fields to whatever a handler answers. */
  <E, R>(handler: Handler<E, R>, headers: HttpHeaders.Input): Handler<E, R>
} = dual(
  2,
  <E, R>(handler: Handler<E, R>, headers: HttpHeaders.Input): Handler<E, R> =>
    (request) =>
      handler(withExchange(request, new HeaderAddingExchange(request[ExchangeKey], headers)))
)

/**
 * Answers nothing: the test fails with an `UnmatchedRequestError`, and the client sees why, by a 501. What is expected instead, if
 * that can be said, is a part of the message.
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
 * // UnmatchedRequestError: nobody answers GET /:
 * //   two requests
 * ```
 *
 * @since 0.1.0
 * @category replies
 */
export const unmatched = (expected = ""): Handler<never, never> => unmatchedReply(expected, callSite(unmatched))

/** What that says points at where the test has said that it is nobody's. */
const unmatchedReply =
  (expected: string, site: CallSite): Handler<never, never> =>
  ({ method, originalUrl }) =>
    Effect.die(withCallSiteStack(new UnmatchedRequestError({ method, target: originalUrl, expected }), site))

/**
 * Answers each request by the next of these, and behind the last by the last again: put `unanswered()` there where more
 * is a mistake. Each test server counts by itself, from its first request on.
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
      // Any of them is one of these; the compiler does not look through the union.
      return reply(request) as Effect.Effect<Responded, ErrorOf<Replies[number]>, ContextOf<Replies[number]>>
    })
}

/**
 * A queue of replies. A request for which there is none waits, and those that wait are answered in the order in which
 * they came; one whose client leaves meanwhile takes none. Or it is answered by `whenEmpty`, which may be `unanswered()`.
 *
 * @example
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Reply, TestServer } from "effect-asynchttpserver/testing"
 *
 * const test = Effect.gen(function*() {
 *   const replies = yield* Reply.queue()
 *   const server = yield* TestServer.makeMemory(replies.handler)
 *   const asked = yield* Effect.fork(Effect.flatMap(server.client.get("/"), (response) => response.text))
 *   const request = yield* server.takeRequest
 *   yield* replies.enqueue(Reply.text(`you asked ${request.path}`))
 *   return yield* Fiber.join(asked)
 * })
 * console.log(await Effect.runPromise(Effect.scoped(test)))
 * // you asked /
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

/** The methods that a route can name: a slip of the pen is a type error. */
type RouteMethod = KnownMethod | ExtensionMethod

/**
 * A route: a method and a path, or a path for any method. `:name` is one segment of it, `*` at its end is all that is
 * left. A method that has no name in `HttpMethod` is for a route without a method, whose handler looks at the request's.
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
 * The parameters of a route: each `:name` of it, and `*`.
 *
 * @since 0.1.0
 * @category models
 */
export type Params<R> = R extends `${RouteMethod} ${infer Path}`
  ? { readonly [Name in NamesOf<Path>]: string }
  : R extends string
    ? { readonly [Name in NamesOf<R>]: string }
    : never

/** What a handler that is any route's gives. */
type RouteReply = Effect.Effect<Responded, unknown, unknown>

/**
 * Answers by method and path. A handler has the parameters of its route as its second argument, decoded.
 *
 * What is written out goes before `:name`, and that before `*`, in whatever order the routes are; GET answers HEAD too. A
 * request that no route takes is nobody's, by default: the test fails with an `UnmatchedRequestError` that names every route, the
 * nearest first. Or it is refused as a server would do it, by 404, and by 405 with `Allow` where another method would be
 * taken; or it is answered by a handler.
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
export const routes = <Answers extends { readonly [Name in keyof Answers]: RouteReply }, E = never, R = never>(
  table: {
    readonly [Name in keyof Answers]: (request: Request, params: Params<Name>) => Answers[Name]
  } & { readonly [Name in Exclude<keyof Answers, Route>]: never },
  options: { readonly unmatched?: "fail" | "reject" | Handler<E, R> | undefined } = {}
): Handler<Effect.Effect.Error<Answers[keyof Answers]> | E, Effect.Effect.Context<Answers[keyof Answers]> | R> => {
  type Routed = Effect.Effect<
    Responded,
    Effect.Effect.Error<Answers[keyof Answers]> | E,
    Effect.Effect.Context<Answers[keyof Answers]> | R
  >
  type Target = (request: Request, params: Readonly<Record<string, string>>) => Routed
  // Each gives one of these, with the parameters that its name has; the compiler does not look through the union.
  const all = Object.entries(table as Readonly<Record<string, Target>>).map(([name, target]) => parseRoute(name, target))
  const { unmatched: policy = "fail" } = options
  const site = callSite(routes)
  return (request): Routed => {
    const { method, path } = request
    const taken = matchRoute(all, method, path)
    if (taken !== undefined) return taken.route.target(request, taken.params)
    if (typeof policy === "function") return policy(request)
    if (policy === "fail") return unmatchedReply(describeRoutes(all, method, path), site)(request)
    const allowed = allowedMethods(all, path).join(", ")
    const refusal = allowed === "" ? status(404) : status(405, { headers: { Allow: allowed } })
    // Neither can be refused.
    return Effect.orDie(refusal(request))
  }
}
