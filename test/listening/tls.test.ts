/**
 * TLS: handshakes, certificates by name, client certificates, and what goes wrong. `handshakes.test.ts` says where each trap of
 * a `TLSSocket` is tested.
 */
import type * as tls from "node:tls"
import { describe, expect, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Fiber, Layer, Metric, Option, Queue, Redacted, Stream } from "effect"
import { Metrics, type Request, Response, Server, type Tls } from "effect-asynchttpserver"
import { MemoryListener } from "effect-asynchttpserver/testing"
import { type Authority, makeAuthority } from "./certificates.js"
import {
  authority,
  exchange,
  get,
  handshake,
  localhost,
  plainSocket,
  released,
  reported,
  respond,
  serving,
  text
} from "./harness.js"

describe("a server with TLS", () => {
  it.scopedLive("serves requests, several on one connection", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(localhost)
      const socket = yield* handshake(port, { ALPNProtocols: ["h2", "http/1.1"] })
      expect(socket.alpnProtocol).toBe("http/1.1")
      expect(socket.authorized).toBe(true)
      const whole = text(socket)
      socket.write(`GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n${get}`)
      expect((yield* whole).match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
    })
  )

  it.scopedLive("has the session in the request", () =>
    Effect.gen(function* () {
      const sessions = yield* Queue.unbounded<Option.Option<Tls.Session>>()
      const { port } = yield* serving(localhost, (request) =>
        Effect.zipRight(Queue.offer(sessions, request.client.tls), respond(request))
      )
      yield* Effect.flatMap(handshake(port, { maxVersion: "TLSv1.2" }), exchange)
      const session = Option.getOrThrow(yield* Queue.take(sessions))
      expect(session).toMatchObject({
        protocol: "TLSv1.2",
        serverName: Option.some("localhost"),
        isResumed: false,
        clientCertificate: Option.none()
      })
      expect(session.cipher).toMatch(/GCM|CHACHA20/)
    })
  )

  it.scopedLive.each(["TLSv1", "TLSv1.1"] as const)("refuses %s", (version) =>
    Effect.gen(function* () {
      const { port } = yield* serving(localhost)
      const options = { minVersion: version, maxVersion: version, ciphers: "DEFAULT@SECLEVEL=0" }
      const error = yield* Effect.flip(handshake(port, options))
      expect(error.code).toMatch(/ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION|ERR_SSL_UNSUPPORTED_PROTOCOL/)
    })
  )

  it.scopedLive.each(["AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "NULL-SHA256"])(
    "refuses the cipher %s by default",
    (cipher) =>
      Effect.gen(function* () {
        const { port } = yield* serving(localhost)
        const options = { maxVersion: "TLSv1.2", ciphers: `${cipher}:@SECLEVEL=0` } as const
        const error = yield* Effect.flip(handshake(port, options))
        expect(error.code).toMatch(/HANDSHAKE_FAILURE|NO_CIPHER/)
      })
  )

  it.scopedLive("refuses a client that offers only other protocols (ALPN)", () =>
    Effect.gen(function* () {
      const errors = yield* reported
      const { port } = yield* serving({ ...localhost, onHandshakeError: errors.onHandshakeError })
      const error = yield* Effect.flip(handshake(port, { ALPNProtocols: ["h2"] }))
      expect(error.code).toBe("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
      expect((yield* errors.next).code).toMatch(/^ERR_SSL_/)
    })
  )

  it.scopedLive("responds 400 to plain HTTP on its port, and reports it", () =>
    Effect.gen(function* () {
      const before = yield* Metric.value(Metrics.tlsHandshakeErrors)
      const errors = yield* reported
      const { port } = yield* serving({ ...localhost, onHandshakeError: errors.onHandshakeError })
      const socket = yield* plainSocket(port)
      const whole = text(socket)
      const peer = { hostname: "127.0.0.1", port: socket.localPort }
      socket.write(get)
      expect(yield* whole).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*use https/)
      const error = yield* errors.next
      expect(error._tag).toBe("SslError")
      expect(error.peer).toMatchObject(Option.some(peer))
      expect((yield* Metric.value(Metrics.tlsHandshakeErrors)).count).toBeGreaterThan(before.count)
    })
  )

  it.scopedLive.each([
    ["FIN before a byte", ""],
    ["FIN within the first record", "\x16\x03\x01\x01"],
    ["nonsense", "\x16\x03\x01\x00\x05hello"]
  ] as const)("closes a connection whose client sends %s, and keeps serving", ([, bytes]) =>
    Effect.gen(function* () {
      const errors = yield* reported
      const { port, server } = yield* serving({ ...localhost, onHandshakeError: errors.onHandshakeError })
      const socket = yield* plainSocket(port)
      const closed = text(socket)
      if (bytes !== "") socket.write(bytes, "latin1")
      socket.end()
      yield* closed
      yield* errors.next
      yield* released(server)
      expect(yield* Effect.flatMap(handshake(port), exchange)).toMatch(/200 OK/)
    })
  )

  it.scopedLive("closes a connection without a handshake after its timeout", () =>
    Effect.gen(function* () {
      const errors = yield* reported
      const policy = { handshakeTimeout: "50 millis", onHandshakeError: errors.onHandshakeError } as const
      const { port, server } = yield* serving({ ...localhost, ...policy })
      const socket = yield* plainSocket(port)
      yield* text(socket)
      expect((yield* errors.next).code).toBe("ETIMEDOUT")
      yield* released(server)
    })
  )

  it.scopedLive("sends close_notify when it closes", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(localhost)
      const socket = yield* handshake(port)
      const ended = Effect.async<void>((resume) => void socket.once("end", () => resume(Effect.void)))
      socket.write(get)
      socket.resume()
      yield* ended
    })
  )

  it.scopedLive("resets a connection whose response fails, and releases its descriptor", () =>
    Effect.gen(function* () {
      const received = yield* Effect.makeLatch()
      const { port, server } = yield* serving(localhost, (request) =>
        Response.respondStream(
          request,
          200,
          Stream.concat(
            Stream.make(Buffer.alloc(100)),
            Stream.fromEffect(Effect.zipRight(received.await, Effect.die("broken")))
          )
        )
      )
      const socket = yield* handshake(port)
      const closed = Effect.async<string | undefined>((resume) => {
        let code: string | undefined
        socket.on("error", (error: NodeJS.ErrnoException) => {
          code = error.code
        })
        socket.once("close", () => resume(Effect.succeed(code)))
      })
      // Without a length or chunks (HTTP/1.0), a FIN would make the content look complete.
      socket.write("GET / HTTP/1.0\r\n\r\n")
      // After it has received some, the client sends nothing more: a write would receive the reset instead of the read.
      yield* Effect.async<void>((resume) => void socket.once("data", () => resume(Effect.void)))
      const fiber = yield* Effect.fork(closed)
      yield* Effect.yieldNow()
      yield* received.open
      expect(yield* Fiber.join(fiber)).toBe("ECONNRESET")
      yield* released(server)
    })
  )
})

describe("certificates by name", () => {
  it.scopedLive.each([
    ["a.example", "a.example"],
    ["A.EXAMPLE", "a.example"],
    ["x.b.example", "*.b.example"],
    ["x.y.b.example", "localhost"],
    ["b.example", "localhost"],
    ["other.example", "localhost"]
  ] as const)("%s receives that of %s", ([servername, name]) =>
    Effect.gen(function* () {
      const [one, two] = yield* Effect.promise(() =>
        Promise.all([authority.issue({ names: ["a.example"] }), authority.issue({ names: ["*.b.example"] })])
      )
      const { port } = yield* serving({ ...localhost, certificates: { "a.example": one, "*.b.example": two } })
      const socket = yield* handshake(port, { servername, rejectUnauthorized: false })
      expect(socket.getPeerCertificate().subject.CN).toBe(name)
    })
  )

  it.scopedLive("of several key types, or an SslError where the runtime ignores them", () =>
    Effect.gen(function* () {
      const rsa = yield* Effect.promise(() => authority.issue({ names: ["rsa.example"], type: "RSA" }))
      const made = yield* Effect.either(serving({ ...localhost, certificates: { "rsa.example": rsa } }))
      if (made._tag === "Left") {
        expect(made.left).toMatchObject({ _tag: "SslError", code: "ENOTSUP" })
        expect(Number.parseInt(process.versions.node, 10)).toBeLessThan(24)
      } else {
        const socket = yield* handshake(made.right.port, { servername: "rsa.example", rejectUnauthorized: false })
        expect(socket.getPeerCertificate().subject.CN).toBe("rsa.example")
      }
    })
  )
})

describe("credentials that cannot be used", () => {
  const listening = (options: Tls.Options) => Effect.flip(serving(options))

  it.scopedLive("a key of another certificate", () =>
    Effect.gen(function* () {
      const other = yield* Effect.promise(() => authority.issue())
      expect(yield* listening({ key: other.key, cert: localhost.cert })).toMatchObject({
        _tag: "SslError",
        code: "ERR_OSSL_X509_KEY_VALUES_MISMATCH"
      })
    })
  )

  it.scopedLive.each([
    ["no key", () => ({ key: "", cert: localhost.cert })],
    ["no certificate", () => ({ key: localhost.key, cert: "" })],
    ["an encrypted key without its passphrase", () => ({ key: localhost.cert, cert: localhost.cert })],
    ["ciphers that do not exist", () => ({ ...localhost, ciphers: "NONE-OF-THESE" })],
    ["a name that is none", () => ({ ...localhost, certificates: { "a b": localhost } })]
  ] as const)("%s", ([, options]) =>
    Effect.map(listening(options()), (error) => {
      expect(error).toMatchObject({ _tag: "SslError", code: expect.stringMatching(/^[A-Z_0-9]+$/) })
    })
  )

  it.scopedLive.each([
    ["handshakeTimeout", { handshakeTimeout: 0 }],
    ["handshakeTimeout", { handshakeTimeout: "soon" as never }],
    ["maxHandshakes", { maxHandshakes: 0 }],
    ["clientCertificates", { clientCertificates: "maybe" as never }],
    ["minVersion", { minVersion: "TLSv1.1" as never }]
  ] as const)("an option: %s", ([name, policy]) =>
    Effect.map(listening({ ...localhost, ...policy }), (error) => {
      expect(error).toMatchObject({
        _tag: "ValueError",
        reason: "Option",
        actual: expect.stringContaining(`tls.${name}`)
      })
    })
  )
})

describe("client certificates", () => {
  const certificateOf = (request: Request.Request) =>
    Option.match(
      Option.flatMap(request.client.tls, ({ clientCertificate }) => clientCertificate),
      {
        onNone: () => "none",
        onSome: ({ commonName, error, isTrusted }) =>
          `${Option.getOrNull(commonName)} ${isTrusted} ${Option.getOrNull(error)}`
      }
    )
  const respondCertificate = (request: Request.Request) => Response.respond(request, 200, certificateOf(request))
  const clientOf = (issuer: Authority) =>
    Effect.promise(() => issuer.issue({ names: ["client.example"], commonName: "Ann" }))
  const contentOf = (response: string) => response.split("\r\n\r\n")[1]

  it.scopedLive.each(["TLSv1.2", "TLSv1.3"] as const)(
    "request: none, a trusted and an untrusted one, with %s",
    (maxVersion) =>
      Effect.gen(function* () {
        const { port } = yield* serving(
          { ...localhost, ca: authority.cert, clientCertificates: "request" },
          respondCertificate
        )
        const asked = (options: tls.ConnectionOptions) =>
          Effect.map(Effect.flatMap(handshake(port, { ...options, maxVersion }), exchange), contentOf)
        const other = yield* Effect.promise(() => makeAuthority("Other"))
        expect(yield* asked({})).toBe("none")
        expect(yield* asked(yield* clientOf(authority))).toBe("Ann true null")
        expect(yield* asked(yield* clientOf(other))).toMatch(/^Ann false UNABLE_TO_/)
      })
  )

  it.scopedLive.each(["TLSv1.2", "TLSv1.3"] as const)("require: only a trusted one is served, with %s", (maxVersion) =>
    Effect.gen(function* () {
      const errors = yield* reported
      const { port } = yield* serving(
        { ...localhost, ca: authority.cert, clientCertificates: "require", onHandshakeError: errors.onHandshakeError },
        respondCertificate
      )
      const asked = (options: tls.ConnectionOptions) =>
        Effect.map(Effect.flatMap(handshake(port, { ...options, maxVersion }), exchange), contentOf)
      const other = yield* Effect.promise(() => makeAuthority("Other"))
      const failures = [{}, yield* clientOf(other)]
      for (const options of failures) {
        const result = yield* Effect.either(asked(options))
        expect(result._tag === "Left" || result.right === undefined).toBe(true)
        expect((yield* errors.next)._tag).toBe("SslError")
      }
      expect(yield* asked(yield* clientOf(authority))).toBe("Ann true null")
    })
  )

  it.scopedLive("are there in a resumed session", () =>
    Effect.gen(function* () {
      const { port } = yield* serving({ ...localhost, ca: authority.cert, clientCertificates: "require" }, (request) =>
        Response.respond(
          request,
          200,
          `${certificateOf(request)} ${Option.map(request.client.tls, ({ isResumed }) => isResumed).pipe(Option.getOrNull)}`
        )
      )
      const client = yield* clientOf(authority)
      const first = yield* handshake(port, { ...client, maxVersion: "TLSv1.2" })
      const session = first.getSession()
      expect(contentOf(yield* exchange(first))).toBe("Ann true null false")
      const second = yield* handshake(port, { ...client, maxVersion: "TLSv1.2", session })
      expect(contentOf(yield* exchange(second))).toBe("Ann true null true")
    })
  )
})

describe("where the key comes from", () => {
  it.scopedLive("a Config with a redacted key", () =>
    Effect.gen(function* () {
      const live = Server.layerConfig({
        address: Config.succeed("127.0.0.1"),
        tls: Config.all({ key: Config.redacted("TLS_KEY"), cert: Config.string("TLS_CERT") })
      })
      const provider = ConfigProvider.fromMap(
        new Map([
          ["TLS_KEY", localhost.key],
          ["TLS_CERT", localhost.cert]
        ])
      )
      const context = yield* Layer.build(Layer.provide(live, Layer.setConfigProvider(provider)))
      const server = yield* Effect.provide(Server.Server, context)
      const { port } = yield* server.listen({ port: 0 })
      yield* Effect.forkScoped(server.serve(respond))
      expect(yield* Effect.flatMap(handshake(port), exchange)).toMatch(/200 OK/)
    })
  )

  it.scopedLive("bytes, and text that is redacted", () =>
    Effect.gen(function* () {
      const { port } = yield* serving({ key: Redacted.make(localhost.key), cert: Buffer.from(localhost.cert) })
      expect(yield* Effect.flatMap(handshake(port), exchange)).toMatch(/200 OK/)
    })
  )
})

describe("a listener without TLS", () => {
  it.scoped("does not listen where TLS is required", () =>
    Effect.gen(function* () {
      const listened = Effect.flatMap(Server.make({ tls: localhost }), (server) => Effect.flip(server.listen()))
      // Its listener takes precedence.
      expect(
        yield* Effect.provide(listened, Layer.merge(Server.layerDependencies, MemoryListener.layer))
      ).toMatchObject({
        _tag: "OSError",
        code: "ENOTSUP"
      })
    })
  )
})
