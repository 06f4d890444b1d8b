/**
 * The servers that a requirement is asked of: the native one, and the drop-in for `@effect/platform`. A test writes its
 * application once, and each subject serves it by its own API.
 *
 * Both are given the same options, so that what a test sees is the requirement, and not a default: those of the native
 * server, unless the test gives others.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { RequestError } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { type Address, isTcp } from "../../src/Address.js"
import type { ValueError } from "../../src/Errors.js"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import { make, toHandler, toRequest } from "../../src/HttpServer.js"
import * as Limits from "../../src/Limits.js"
import type { Request } from "../../src/Request.js"
import { type Handler, respond, respondStream, upgrade } from "../../src/Response.js"
import type * as Server from "../../src/Server.js"
import { makeAuthority } from "../listening/certificates.js"
import { portOf } from "../platform/harness.js"
import { make as makeServer, quiet, serving } from "../server/harness.js"
import { type InMemory, servingInMemory } from "../server/memory.js"
import { connect, type Place, tlsEndpoint, unixEndpoint } from "../support/rawClient.js"

/** What a body that cannot be read fails with; each subject responds with its own. */
type BodyFailure = ValueError | RequestError

/** A request, as an application sees it. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly path: string
  /** The target as it was sent. */
  readonly target: string
  /** The value of Host, as the application's headers have it. */
  readonly host: string
  /** Every field instead, or one text for each name in lower case: as the subject's headers have them. */
  readonly fields: ReadonlyArray<string> | Readonly<Record<string, string>>
  readonly body: Effect.Effect<Uint8Array, BodyFailure>
  /** The request of the native server, for what only that knows: its version and its trailers. */
  readonly native: Request
}

export interface Reply {
  readonly status: number
  readonly content?: string | Uint8Array | Stream.Stream<Uint8Array> | undefined
  readonly fields?: Readonly<Record<string, string>> | undefined
}

export type App = (asked: Asked) => Effect.Effect<Reply, BodyFailure>

export interface Subject {
  readonly name: string
  /** Whether an application, and not the server, responds to a request whose body cannot be read. */
  readonly rejectsBodies: boolean
  /** The place at which the application is served: a port of loopback, or that of another transport. */
  readonly serve: (app: App, options?: Server.Options) => Effect.Effect<Place, never, Scope.Scope>
  /** The same where any upgrade that is offered is taken, and any other request gets 200 with its body. */
  readonly serveUpgrades: Effect.Effect<Place, never, Scope.Scope>
  /** The same over connections in memory, under the test's clock. */
  readonly serveInMemory: (app: App, options?: Server.Options) => Effect.Effect<InMemory, never, Scope.Scope>
  /** The fields of a message as this subject's headers have them. */
  readonly fieldsOf: (fields: ReadonlyArray<string>) => Asked["fields"]
}

const isText = (content: NonNullable<Reply["content"]>): content is string | Uint8Array =>
  typeof content === "string" || content instanceof Uint8Array

export const nativeHandler =
  (app: App): Handler =>
  (request) => {
    const asked: Asked = {
      method: request.method,
      url: request.url,
      path: request.path,
      target: request.originalUrl,
      host: HttpHeaders.getOrElse(request.headers, "Host", () => ""),
      fields: Array.from(request.headers).flat(),
      body: request.bytes,
      native: request
    }
    return Effect.flatMap(
      // This server's requests fail with its own errors alone.
      app(asked) as Effect.Effect<Reply, ValueError>,
      ({ content = "", fields = {}, status }) =>
        isText(content) ? respond(request, status, content, fields) : respondStream(request, status, content, fields)
    )
  }

const upgradingHandler: Handler = (request) =>
  HttpHeaders.has(request.headers, "Upgrade")
    ? Effect.catchAll(
        upgrade(request, { Upgrade: "websocket" }, () => Effect.void),
        () => respond(request, 200, "not upgraded")
      )
    : Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))

/** A folder that is removed with the scope. */
const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "wire-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A certificate of `localhost`, made once for a test file, and its authority's. */
const credentials = Effect.runSync(
  Effect.cached(
    Effect.promise(async () => {
      const authority = await makeAuthority()
      return { ...(await authority.issue()), ca: authority.cert }
    })
  )
)

const native: Subject = {
  name: "the native server",
  rejectsBodies: false,
  serve: (app, options) => Effect.map(serving(nativeHandler(app), options), ({ port }) => port),
  serveUpgrades: Effect.map(serving(upgradingHandler), ({ port }) => port),
  serveInMemory: (app, options) => servingInMemory(nativeHandler(app), options),
  fieldsOf: (fields) => fields
}

const application = (app: App) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const {
      content,
      fields = {},
      status
    } = yield* app({
      method: request.method,
      url: request.url,
      path: request.url.split("?")[0] ?? "",
      target: request.originalUrl,
      host: request.headers.host ?? "",
      fields: { ...request.headers },
      body: Effect.map(request.arrayBuffer, (bytes) => new Uint8Array(bytes)),
      native: Option.getOrThrow(toRequest(request))
    })
    if (content === undefined) return HttpServerResponse.empty({ status, headers: fields })
    if (typeof content === "string") return HttpServerResponse.raw(content, { status, headers: fields })
    return content instanceof Uint8Array
      ? HttpServerResponse.uint8Array(content, { status, headers: fields })
      : HttpServerResponse.stream(content, { status, headers: fields })
  })

/** What the drop-in would choose by itself, where that differs from the native server. */
const nativeOptions = (options: Server.Options = {}): Server.Options => ({
  onClientEnd: "continue",
  unknownMethods: "reject",
  ...options,
  limits: { ...Limits.defaults, ...options.limits }
})

const serveApplication = (
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, BodyFailure, HttpServerRequest.HttpServerRequest>,
  options?: Server.Options
) =>
  Effect.gen(function* () {
    const made = make({ host: "127.0.0.1", port: 0, drainTimeout: 0, ...nativeOptions(options) })
    const server = yield* Effect.orDie(made)
    yield* Effect.provide(server.serve(app), quiet)
    return portOf(server)
  })

/** Takes the offer, and ends the WebSocket at once. */
const upgrading = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  if (request.headers.upgrade === undefined) {
    return HttpServerResponse.uint8Array(new Uint8Array(yield* request.arrayBuffer))
  }
  const socket = yield* request.upgrade
  return yield* socket
    .runRaw(() => Effect.void)
    .pipe(
      Effect.as(HttpServerResponse.empty()),
      Effect.catchAll(() => Effect.succeed(HttpServerResponse.raw("not upgraded")))
    )
})

const dropIn: Subject = {
  name: "the drop-in",
  rejectsBodies: true,
  serve: (app, options) => serveApplication(application(app), options),
  serveUpgrades: serveApplication(Effect.scoped(upgrading)),
  serveInMemory: (app, options) => servingInMemory(toHandler(application(app)), nativeOptions(options)),
  fieldsOf: (fields) => {
    const joined: Record<string, string> = {}
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!.toLowerCase()
      joined[name] = name in joined ? `${joined[name]}, ${fields[i + 1]}` : fields[i + 1]!
    }
    return joined
  }
}

/** All that a connection brings for these bytes, until the server ends it. */
export const toldBy = (subject: Subject, app: App, text: string): Effect.Effect<string> =>
  Effect.scoped(Effect.flatMap(subject.serve(app), (place) => allOf(place, text)))

/** The same of a server that is there already. */
export const allOf = (place: Place, text: string): Effect.Effect<string> =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* connect(place)
      yield* client.send(text)
      return (yield* client.readToEnd).toString("latin1")
    })
  )

/** Responds 200 with the path, or with the body where there is one. */
export const echoing: App = ({ body, path }) =>
  Effect.map(body, (bytes) => ({ status: 200, content: bytes.length > 0 ? bytes : path }))

/** An application that gives the same reply to all. */
export const replying =
  (status: number, content?: Reply["content"], fields?: Reply["fields"]): App =>
  () =>
    Effect.succeed({ status, content, fields })

/** Listens at a place of another transport, and serves there. */
const servingAt = (
  handler: Handler,
  options: Server.Options | undefined,
  place: Server.ListenOptions,
  placeOf: (address: Address) => Place
): Effect.Effect<Place, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { server } = yield* makeServer(options)
    const address = yield* Effect.orDie(server.listen(place))
    yield* Effect.provide(Effect.forkScoped(server.serve(handler)), quiet)
    return placeOf(address)
  })

const servingUnix = (handler: Handler, options?: Server.Options) =>
  Effect.flatMap(temporaryFolder, (folder) => {
    const path = join(folder, "test.sock")
    return servingAt(handler, options, { path }, () => unixEndpoint(path))
  })

const servingTls = (handler: Handler, options?: Server.Options) =>
  Effect.flatMap(credentials, ({ ca, ...tls }) =>
    servingAt(handler, options, { port: 0, tls }, (address) => {
      if (!isTcp(address)) throw new Error("not a TCP address")
      return tlsEndpoint(address.port, ca)
    })
  )

/** The native server over another transport. */
const over = (name: string, serve: typeof servingUnix): Subject => ({
  ...native,
  name,
  serve: (app, options) => serve(nativeHandler(app), options),
  serveUpgrades: serve(upgradingHandler)
})

/** The native server over each transport but TCP. */
export const otherTransports: ReadonlyArray<Subject> = [
  over("the native server over TLS", servingTls),
  over("the native server over a Unix domain socket", servingUnix)
]

export const subjects: readonly [native: Subject, dropIn: Subject] = [native, dropIn]
