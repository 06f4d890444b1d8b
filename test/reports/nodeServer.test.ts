/** Servers of `node:http` that are passed as to `NodeHttpServer`: their settings apply here, or are rejected by name. */
import * as http from "node:http"
import * as http2 from "node:http2"
import * as https from "node:https"
import * as net from "node:net"
import * as tls from "node:tls"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServer from "@effect/platform/HttpServer"
import { ServeError } from "@effect/platform/HttpServerError"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { beforeAll } from "vitest"
import { ValueError } from "../../src/Errors.js"
import { layer, layerConfig, layerServer, make, type Options } from "../../src/HttpServer.js"
import { type Authority, type Issued, makeAuthority } from "../listening/certificates.js"
import { EventLog, portOf, quiet } from "../platform/harness.js"
import { eventLoopTurns } from "../support/eventually.js"
import { connect, get, requestText, withBody } from "../wire/rawConnection.js"

let authority: Authority
let issued: Issued

beforeAll(async () => {
  authority = await makeAuthority()
  issued = await authority.issue()
})

const localhost = () => ({ key: issued.key, cert: issued.cert })

/** What makes anything: the types exclude most of what is rejected here. */
// biome-ignore lint/suspicious/noExplicitAny: the types accept a result of `any`, which is checked when the server is made.
type Maker = () => any

const options: Options = { port: 0, host: "127.0.0.1", drainTimeout: 0 }

const serviceOf = <E>(made: Layer.Layer<HttpServer.HttpServer, E>) =>
  Effect.map(Layer.build(made), (context) => Context.get(context, HttpServer.HttpServer))

const makers: Readonly<
  Record<string, (maker: Maker, options: Options) => Effect.Effect<HttpServer.HttpServer, unknown, Scope.Scope>>
> = {
  make: (maker, options) => make(maker, options),
  layerServer: (maker, options) => serviceOf(layerServer(maker, options)),
  layer: (maker, options) => serviceOf(layer(maker, options)),
  layerConfig: (maker, options) => serviceOf(layerConfig(maker, Config.succeed(options)))
}

/** Changes a server after it was made. */
const changed =
  (change: (server: http.Server) => unknown): Maker =>
  () => {
    const server = http.createServer()
    change(server)
    return server
  }

/** The reason of a rejected server. */
const rejection = (maker: Maker, given: Options = options, how: keyof typeof makers = "make") =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(makers[how]!(maker, given))
    expect(error).toBeInstanceOf(ServeError)
    const { cause } = error as ServeError
    expect(cause).toBeInstanceOf(ValueError)
    const { reason, actual: saw } = cause as ValueError
    expect(reason).toBe("Setting")
    return saw
  }).pipe(Effect.scoped)

const served = (
  maker: Maker,
  app: HttpApp.Default<unknown, Scope.Scope> = HttpServerResponse.text("ok"),
  given: Options = {}
) =>
  Effect.gen(function* () {
    const server = yield* Effect.orDie(make(maker, { ...options, ...given }))
    yield* Effect.provide(server.serve(app), quiet)
    return portOf(server)
  })

class Incoming extends http.IncomingMessage {}
class Outgoing extends http.ServerResponse {}
class Own extends http.Server {}

describe("a server that this one cannot replace is rejected by name", () => {
  const rejected: Readonly<Record<string, readonly [maker: Maker, actual: string | RegExp]>> = {
    "node:https without a key": [() => https.createServer(), "key: undefined"],
    "node:https with a key in another form": [
      () => https.createServer({ ...localhost(), key: [localhost().key] }),
      /^key: /
    ],
    "node:https below TLS 1.2": [
      () => https.createServer({ ...localhost(), minVersion: "TLSv1" }),
      "minVersion: TLSv1"
    ],
    "node:https with a bound of versions": [
      () => https.createServer({ ...localhost(), maxVersion: "TLSv1.2" }),
      "maxVersion: TLSv1.2"
    ],
    "node:https with other protocols": [
      () => https.createServer({ ...localhost(), ALPNProtocols: ["http/1.1", "other"] }),
      /^ALPNProtocols: /
    ],
    "node:https with a callback for names": [
      () => https.createServer({ ...localhost(), SNICallback: () => {} }),
      /^snicallback: /
    ],
    "node:https with added contexts": [
      () => {
        const server = https.createServer(localhost())
        server.addContext("a.example", localhost())
        return server
      },
      /^_contexts: /
    ],
    "node:tls": [() => tls.createServer(), "a server of node:tls"],
    "HTTP/2 with TLS": [() => http2.createSecureServer(), "a server of HTTP/2"],
    "HTTP/2": [() => http2.createServer(), "a server of HTTP/2"],
    "node:net": [() => net.createServer(), "a server of node:net"],
    "a subclass": [() => new Own(), "a server of the class Own"],
    "a proxy": [() => new Proxy(http.createServer(), {}), "a proxy of a server"],
    "a promise": [async () => http.createServer(), "an object of Promise"],
    nothing: [() => undefined, "a undefined"],
    "a function": [() => () => {}, "a function"],
    "a lenient parser": [() => http.createServer({ insecureHTTPParser: true }), "insecureHTTPParser: true"],
    "duplicates that are joined": [
      () => http.createServer({ joinDuplicateHeaders: true }),
      "joinDuplicateHeaders: true"
    ],
    "requests without Host": [() => http.createServer({ requireHostHeader: false }), "requireHostHeader: false"],
    "writes that throw": [
      () => http.createServer({ rejectNonStandardBodyWrites: true }),
      "rejectNonStandardBodyWrites: true"
    ],
    "requests of a class of their own": [
      () => http.createServer({ IncomingMessage: Incoming }),
      "IncomingMessage: Incoming"
    ],
    "responses of a class of their own": [
      () => http.createServer({ ServerResponse: Outgoing }),
      "ServerResponse: Outgoing"
    ],
    "headers that are unique": [() => http.createServer({ uniqueHeaders: ["x-one"] }), /^uniqueHeaders: .*x-one/],
    "Nagle's algorithm": [() => http.createServer({ noDelay: false }), "noDelay: false"],
    "keep-alive of sockets": [() => http.createServer({ keepAlive: true }), "keepAlive: true"],
    "a highWaterMark": [() => http.createServer({ highWaterMark: 1024 }), "highWaterMark: 1024"],
    "a listener for requests": [() => http.createServer(() => {}), "listener of request: a function"],
    "a server that does not hold its process": [changed((server) => server.unref()), "_unref: true"],
    "an added method": [changed((server) => Object.assign(server, { close: () => server })), "close: close"],
    "an added property": [changed((server) => Object.assign(server, { terminate: 1 })), "terminate: 1"],
    "a timeout that is none": [
      changed((server) => Object.assign(server, { keepAliveTimeout: "5s" })),
      "keepAliveTimeout: 5s"
    ],
    "no connections": [changed((server) => Object.assign(server, { maxConnections: 0 })), "maxConnections: 0"],
    "no listener for connections": [
      changed((server) => server.removeAllListeners("connection")),
      "listener of connection: no listener"
    ],
    "a server that listens": [changed((server) => server.listen(0)), "listening: true"],
    "a server that is about to listen": [changed((server) => server.listen(0, "127.0.0.1")), "listening: true"]
  }

  for (const [what, [maker, saw]] of Object.entries(rejected)) {
    it.live(what, () =>
      Effect.gen(function* () {
        const seen = yield* rejection(maker)
        if (typeof saw === "string") expect(seen).toBe(saw)
        else expect(seen).toMatch(saw)
      })
    )
  }

  for (const event of [
    "upgrade",
    "connect",
    "checkContinue",
    "clientError",
    "connection",
    "timeout",
    "error",
    "listening"
  ]) {
    it.live(`a listener for ${event}`, () =>
      Effect.gen(function* () {
        const handle = (): void => {}
        expect(yield* rejection(changed((server) => server.on(event, handle)))).toBe(`listener of ${event}: handle`)
      })
    )
  }

  for (const how of Object.keys(makers)) {
    it.live(`by ${how}, and what throws is the cause of a ServeError`, () =>
      Effect.gen(function* () {
        expect(yield* rejection(() => tls.createServer(), options, how)).toBe("a server of node:tls")
        const thrown = new Error("thrown")
        const error = yield* Effect.flip(
          Effect.scoped(
            makers[how]!(() => {
              throw thrown
            }, options)
          )
        )
        expect(error).toBeInstanceOf(ServeError)
        expect((error as ServeError).cause).toBe(thrown)
      })
    )
  }

  it.live("and no handle of it is left open", () =>
    Effect.gen(function* () {
      for (const host of [undefined, "127.0.0.1", "localhost"]) {
        let server: http.Server | undefined
        const maker = changed((made) => {
          server = made.listen(0, host)
        })
        yield* rejection(maker)
        yield* eventLoopTurns(10)
        expect([server?.listening, server?.address()]).toStrictEqual([false, null])
      }
    })
  )
})

describe("a server of node:http", () => {
  for (const [how, made] of Object.entries(makers)) {
    it.scopedLive(`is made when the server is, once, and never listens: ${how}`, () =>
      Effect.gen(function* () {
        const servers: Array<http.Server> = []
        const making = made(() => {
          const server = http.createServer()
          servers.push(server)
          return server
        }, options)
        expect(servers).toHaveLength(0)
        const server = yield* Effect.orDie(making)
        yield* server.serve(HttpServerResponse.text("ok"))
        expect((yield* get(portOf(server))).text).toBe("ok")
        expect(servers.map(({ listening }) => listening)).toStrictEqual([false])
      })
    )
  }

  it.scopedLive("may be set to what it is by default", () =>
    Effect.gen(function* () {
      const port = yield* served(() =>
        Object.assign(
          http.createServer({
            insecureHTTPParser: false,
            joinDuplicateHeaders: false,
            requireHostHeader: true,
            keepAlive: false,
            noDelay: true,
            connectionsCheckingInterval: 1000
          }),
          { maxHeadersCount: null, maxRequestsPerSocket: null, maxConnections: undefined }
        )
      )
      expect((yield* get(port)).text).toBe("ok")
    })
  )
})

describe("a setting that applies here", () => {
  const idle = "a connection between two requests ends"

  for (const [what, maker] of [
    [`keepAliveTimeout: ${idle}`, () => http.createServer({ keepAliveTimeout: 50 })],
    [`keepAliveTimeout, set later: ${idle}`, changed((server) => Object.assign(server, { keepAliveTimeout: 50 }))],
    [`timeout: ${idle}`, changed((server) => server.setTimeout(50))]
  ] as const) {
    it.scopedLive(what, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* served(maker))
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).header("Connection")).toBe("keep-alive")
        yield* client.closedWith
      })
    )
  }

  for (const [what, maker] of [
    ["headersTimeout", () => http.createServer({ headersTimeout: 50 })],
    ["requestTimeout", () => http.createServer({ requestTimeout: 100 })],
    ["timeout", changed((server) => server.setTimeout(50))]
  ] as ReadonlyArray<readonly [string, Maker]>) {
    it.scopedLive(`${what}: a head that does not end gets 408`, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* served(maker))
        yield* client.send("GET / HTTP/1.1\r\n")
        expect((yield* client.readResponse()).status).toBe(408)
      })
    )
  }

  const reading = Effect.flatMap(HttpServerRequest, ({ text }) =>
    Effect.map(text, (body) => HttpServerResponse.text(body))
  )

  for (const [what, maker] of [
    ["requestTimeout", () => http.createServer({ requestTimeout: 100 })],
    ["timeout", changed((server) => server.setTimeout(50))]
  ] as ReadonlyArray<readonly [string, Maker]>) {
    it.scopedLive(`${what}: a body that does not come gets 408`, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* served(maker, reading))
        yield* client.send(requestText("POST /", ["Content-Length: 10"], "half"))
        expect((yield* client.readResponse()).status).toBe(408)
      })
    )
  }

  it.scopedLive("timeout: a handler that sends nothing is interrupted, and its connection destroyed", () =>
    Effect.gen(function* () {
      const interruptions = new EventLog<string>()
      const silent = Effect.onInterrupt(Effect.never, () => interruptions.told("interrupted"))
      const client = yield* connect(
        yield* served(
          changed((server) => server.setTimeout(50)),
          silent
        )
      )
      yield* client.send(requestText("GET /"))
      yield* interruptions.upTo(1)
      expect((yield* client.readToEnd).length).toBe(0)
    })
  )

  it.scopedLive("timeout: a handler that continues sending is not", () =>
    Effect.gen(function* () {
      const { Schedule, Stream } = yield* Effect.promise(() => import("effect"))
      const chunks = Stream.range(1, 10).pipe(Stream.schedule(Schedule.spaced("20 millis")), Stream.map(String))
      const port = yield* served(
        changed((server) => server.setTimeout(150)),
        Effect.succeed(HttpServerResponse.stream(Stream.encodeText(chunks)))
      )
      expect((yield* get(port)).text).toBe("12345678910")
    })
  )

  const field = (length: number): string => `X: ${"x".repeat(length)}`
  const statusOf = (port: number, line: string, fields: ReadonlyArray<string>) =>
    Effect.scoped(
      Effect.gen(function* () {
        const client = yield* connect(port)
        yield* client.send(requestText(line, fields))
        return (yield* client.readResponse()).status
      })
    )

  it.scopedLive("maxHeaderSize: less is served, and more gets 431, in a field, in the target, and in both", () =>
    Effect.gen(function* () {
      const port = yield* served(() => http.createServer({ maxHeaderSize: 2048 }))
      expect(yield* statusOf(port, "GET /", [field(2000)])).toBe(200)
      expect(yield* statusOf(port, "GET /", [field(2048)])).toBe(431)
      expect(yield* statusOf(port, `GET /${"x".repeat(2000)}`, [])).toBe(200)
      expect([414, 431]).toContain(yield* statusOf(port, `GET /${"x".repeat(2048)}`, []))
      expect(yield* statusOf(port, `GET /${"x".repeat(1500)}`, [field(1500)])).toBe(431)
    })
  )

  it.scopedLive("maxHeaderSize: one that is larger than the default is served", () =>
    Effect.gen(function* () {
      const port = yield* served(() => http.createServer({ maxHeaderSize: 64 * 1024 }))
      expect(yield* statusOf(port, "GET /", [field(60_000)])).toBe(200)
      expect(yield* statusOf(port, "GET /", [field(64 * 1024)])).toBe(431)
    })
  )

  it.scopedLive("maxHeadersCount: what node:http leaves out gets 431, and 0 is no bound", () =>
    Effect.gen(function* () {
      const fields = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: 1`)
      const port = yield* served(changed((server) => Object.assign(server, { maxHeadersCount: 5 })))
      expect(yield* statusOf(port, "GET /", fields(4))).toBe(200)
      expect(yield* statusOf(port, "GET /", fields(5))).toBe(431)
      const open = yield* served(changed((server) => Object.assign(server, { maxHeadersCount: 0 })))
      expect(yield* statusOf(open, "GET /", fields(200))).toBe(200)
    })
  )

  it.scopedLive("maxRequestsPerSocket: the last response of a connection sends close", () =>
    Effect.gen(function* () {
      const client = yield* connect(
        yield* served(changed((server) => Object.assign(server, { maxRequestsPerSocket: 2 })))
      )
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).header("Connection")).toBe("keep-alive")
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).header("Connection")).toBe("close")
      yield* client.closedWith
    })
  )

  for (const most of [1, 3, 100]) {
    it.scopedLive(`maxConnections: ${most} are served at once, and one more is not`, () =>
      Effect.gen(function* () {
        const port = yield* served(changed((server) => Object.assign(server, { maxConnections: most })))
        const asked = Effect.gen(function* () {
          const client = yield* connect(port)
          yield* client.send(requestText("GET /"))
          return (yield* client.readResponse()).status
        })
        expect(new Set(yield* Effect.replicateEffect(asked, most))).toStrictEqual(new Set([200]))
        expect(yield* asked).toBe(503)
      })
    )
  }

  it.scopedLive("httpAllowHalfOpen: a client that has closed its side gets its response", () =>
    Effect.gen(function* () {
      const app = Effect.as(eventLoopTurns(5), HttpServerResponse.text("late"))
      const port = yield* served(
        changed((server) => Object.assign(server, { httpAllowHalfOpen: true })),
        app
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.halfClose
      expect((yield* client.readResponse()).text).toBe("late")
    })
  )

  it.scopedLive("0 of a timeout is none: a body may take its time", () =>
    Effect.gen(function* () {
      const port = yield* served(
        () => http.createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 }),
        reading
      )
      const client = yield* connect(port)
      yield* client.send(withBody("POST /", "whole"))
      expect((yield* client.readResponse()).text).toBe("whole")
    })
  )
})

describe("an option beside a setting", () => {
  const maker = () => http.createServer({ keepAliveTimeout: 5000, requestTimeout: 10_000 })

  it.live("is rejected where it is less strict", () =>
    Effect.gen(function* () {
      const limits = (given: Options["limits"]): Options => ({ ...options, limits: given })
      expect(
        yield* rejection(() => http.createServer({ keepAliveTimeout: 1000 }), limits({ keepAliveTimeout: "2 seconds" }))
      ).toContain("limits.keepAliveTimeout")
      expect(yield* rejection(maker, limits({ bodyTotalTimeout: "1 minute" }))).toContain("limits.bodyTotalTimeout")
      expect(
        yield* rejection(() => http.createServer({ maxHeaderSize: 1024 }), limits({ maxHeaderSection: 8192 }))
      ).toContain("limits.maxHeaderSection")
      const connections = changed((server) => Object.assign(server, { maxConnections: 1 }))
      expect(yield* rejection(connections, { ...options, onFull: "queue" })).toBe(
        "maxConnections: 1, but onFull: queue"
      )
      const halfOpen = changed((server) => Object.assign(server, { httpAllowHalfOpen: true }))
      expect(yield* rejection(halfOpen, { ...options, onClientEnd: "interrupt" })).toContain("httpAllowHalfOpen: true")
    })
  )

  it.scopedLive("wins where it is at least as strict", () =>
    Effect.gen(function* () {
      const port = yield* served(maker, undefined, { limits: { keepAliveTimeout: 50, bodyTimeout: "1 second" } })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      yield* client.closedWith
    })
  )

  it.live("that is invalid is rejected as ever", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(make(maker, { ...options, limits: { maxHeaders: 1.5 } })))
      expect(error.cause).toMatchObject({ reason: "Option", actual: "maxHeaders: 1.5" })
    })
  )
})

describe("a server of node:https", () => {
  const request = (port: number, more: https.RequestOptions = {}) =>
    Effect.async<{ readonly status: number | undefined; readonly text: string }, NodeJS.ErrnoException>((resume) => {
      const options = { host: "127.0.0.1", port, servername: "localhost", ca: authority.cert, agent: false, ...more }
      https
        .get(options, (response) => {
          let text = ""
          response.on("data", (bytes: Buffer) => {
            text += bytes.toString()
          })
          response.on("end", () => resume(Effect.succeed({ status: response.statusCode, text })))
        })
        .on("error", (error: NodeJS.ErrnoException) => resume(Effect.fail(error)))
    })

  it.scopedLive("is served with TLS, by its key and certificate", () =>
    Effect.gen(function* () {
      const port = yield* served(() => https.createServer(localhost()))
      expect(yield* request(port)).toStrictEqual({ status: 200, text: "ok" })
      const plain = yield* connect(port)
      yield* plain.send(requestText("GET /", ["Host: localhost"]))
      expect(String(yield* plain.readToEnd)).toMatch(/^HTTP\/1\.1 400 /)
    })
  )

  it.scopedLive("requires the client certificates that it requires", () =>
    Effect.gen(function* () {
      const port = yield* served(() => https.createServer({ ...localhost(), requestCert: true, ca: authority.cert }))
      expect((yield* Effect.flip(request(port))).code).toMatch(/ECONNRESET|ERR_SSL/)
      expect((yield* request(port, localhost())).status).toBe(200)
    })
  )

  it.scopedLive("requests the client certificates that it requests", () =>
    Effect.gen(function* () {
      const settings = { requestCert: true, rejectUnauthorized: false, ca: authority.cert }
      const port = yield* served(() => https.createServer({ ...localhost(), ...settings }))
      expect((yield* request(port)).status).toBe(200)
    })
  )

  it.scopedLive("has the lowest version of TLS that it has", () =>
    Effect.gen(function* () {
      const port = yield* served(() => https.createServer({ ...localhost(), minVersion: "TLSv1.3" }))
      expect((yield* Effect.flip(request(port, { maxVersion: "TLSv1.2" }))).code).toMatch(/EPROTO|ERR_SSL/)
      expect((yield* request(port)).status).toBe(200)
    })
  )

  it.scopedLive("is not given TLS by an option too", () =>
    Effect.gen(function* () {
      const given = { ...options, tls: localhost() }
      expect(yield* rejection(() => https.createServer(localhost()), given)).toBe(
        "tls: the given server has TLS of its own"
      )
    })
  )

  it.scopedLive("with a key of another certificate is a ServeError", () =>
    Effect.gen(function* () {
      const other = yield* Effect.promise(() => authority.issue())
      const maker = () => Object.assign(https.createServer(), { key: other.key, cert: issued.cert })
      const { cause } = yield* Effect.flip(make(maker, options))
      expect(cause).toMatchObject({ _tag: "SslError", code: "ERR_OSSL_X509_KEY_VALUES_MISMATCH" })
    })
  )
})
