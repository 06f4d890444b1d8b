/**
 * Reloading the credentials of TLS: by an effect, by a signal, by a change of the files, and what outlives a reload.
 */
import { X509Certificate } from "node:crypto"
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as tls from "node:tls"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Option, Queue, Redacted, Ref, Stream } from "effect"
import { type Request, Response, Server, Tls } from "effect-asynchttpserver"
import { Lines } from "../server/logged.js"
import { eventually } from "../support/eventually.js"
import { type Issued, makeAuthority } from "./certificates.js"
import { authority, exchange, get, handshake, localhost, respond, text } from "./harness.js"

const renewed = await authority.issue()
const other = await authority.issue()

/** Serves, and keeps what is logged. */
const serving = (options: Tls.Options, handler: (request: Request.Request) => ReturnType<typeof respond> = respond) =>
  Effect.gen(function* () {
    const lines = new Lines()
    const live = Layer.provideMerge(Server.layerDependencies, lines.layer)
    const context = yield* Layer.build(
      Layer.provideMerge(Server.layerWithoutDependencies({ address: "127.0.0.1", tls: options, drainTimeout: 0 }), live)
    )
    const server = yield* Effect.provide(Server.Server, context)
    const { port } = yield* Effect.provide(server.listen({ port: 0 }), context)
    yield* Effect.forkScoped(Effect.provide(server.serve(handler), context))
    return { server, port, lines }
  })

const serialNumberOf = ({ cert }: Issued): string => new X509Certificate(cert).serialNumber.toLowerCase()

const serialOf = (socket: tls.TLSSocket): string => socket.getPeerCertificate().serialNumber.toLowerCase()

const served = (port: number) => Effect.scoped(Effect.map(handshake(port), serialOf))

const untilServed = (port: number, issued: Issued) =>
  eventually(served(port), (serial) => serial === serialNumberOf(issued), "served the certificate")

/** A source whose credentials are those of a `Ref`. */
const sourceOf = (credentials: Ref.Ref<Effect.Effect<Tls.Credentials>>, changes?: Stream.Stream<unknown>) =>
  Tls.source(Effect.flatten(Ref.get(credentials)), changes === undefined ? {} : { changes })

const isReloaded = (line: { readonly message: string }) => line.message.includes("were reloaded")
const isRefused = (line: { readonly message: string }) => line.message.includes("were not reloaded")

describe("a reload by an effect", () => {
  it.scopedLive("is for new connections; those that are open are served on", () =>
    Effect.gen(function* () {
      const credentials = yield* Ref.make(Effect.succeed<Tls.Credentials>(localhost))
      const { port, server } = yield* serving({ source: sourceOf(credentials) })
      const open = yield* handshake(port)
      yield* Ref.set(credentials, Effect.succeed(renewed))
      yield* server.reloadTls
      expect(yield* served(port)).toBe(serialNumberOf(renewed))
      expect(serialOf(open)).toBe(serialNumberOf(localhost))
      expect(yield* exchange(open)).toMatch(/200 OK/)
    })
  )

  it.scopedLive.each([
    ["a key of another certificate", () => ({ key: other.key, cert: renewed.cert })],
    ["half a certificate", () => ({ key: renewed.key, cert: renewed.cert.slice(0, 200) })],
    ["an authority that is none", () => ({ ...renewed, ca: "not PEM" })],
    ["half an authority", () => ({ ...renewed, ca: authority.cert.slice(0, 200) })],
    ["an authority that is none after one that is", () => ({ ...renewed, ca: [authority.cert, "not PEM"] })],
    ["a broken certificate by name", () => ({ ...renewed, certificates: { "a.example": { key: "", cert: "" } } })]
  ] as const)("is refused with %s, and what was there is served on", ([, broken]) =>
    Effect.gen(function* () {
      const credentials = yield* Ref.make(Effect.succeed<Tls.Credentials>(localhost))
      const { port, server } = yield* serving({ source: sourceOf(credentials) })
      yield* Ref.set(credentials, Effect.succeed(broken()))
      expect((yield* Effect.flip(server.reloadTls))._tag).toBe("SslError")
      expect(yield* served(port)).toBe(serialNumberOf(localhost))
    })
  )

  it.scopedLive("of an earlier start does not replace the credentials of a later one", () =>
    Effect.gen(function* () {
      const loads = yield* Queue.unbounded<Deferred.Deferred<Tls.Credentials>>()
      const load = Effect.flatMap(Deferred.make<Tls.Credentials>(), (result) =>
        Effect.zipRight(Queue.offer(loads, result), Deferred.await(result))
      )
      const isFirst = yield* Ref.make(true)
      const source = Tls.source(
        Effect.flatMap(Ref.getAndSet(isFirst, false), (first) => (first ? Effect.succeed(localhost) : load))
      )
      const { port, server } = yield* serving({ source })
      const early = yield* Effect.fork(server.reloadTls)
      const earlyLoad = yield* Queue.take(loads)
      const late = yield* Effect.fork(server.reloadTls)
      const lateLoad = yield* Queue.take(loads)
      yield* Deferred.succeed(lateLoad, renewed)
      yield* late
      yield* Deferred.succeed(earlyLoad, other)
      yield* early
      expect(yield* served(port)).toBe(serialNumberOf(renewed))
    })
  )

  it.scopedLive("of several listeners reloads each, although one of them fails", () =>
    Effect.gen(function* () {
      const broken = yield* Ref.make(Effect.succeed<Tls.Credentials>(localhost))
      const good = yield* Ref.make(Effect.succeed<Tls.Credentials>(localhost))
      const server = yield* Effect.provide(
        Server.make({ address: "127.0.0.1", drainTimeout: 0, tls: { source: sourceOf(broken) } }),
        Server.layerDependencies
      )
      yield* server.listen({ port: 0, additional: [{ address: "127.0.0.1", tls: { source: sourceOf(good) } }] })
      yield* Effect.forkScoped(server.serve(respond))
      const [first, second] = yield* server.addresses
      if (first?._tag !== "TcpAddress" || second?._tag !== "TcpAddress") return yield* Effect.dieMessage("not TCP")
      yield* Ref.set(broken, Effect.succeed({ key: other.key, cert: renewed.cert }))
      yield* Ref.set(good, Effect.succeed(renewed))
      expect((yield* Effect.flip(server.reloadTls))._tag).toBe("SslError")
      expect(yield* served(first.port)).toBe(serialNumberOf(localhost))
      expect(yield* served(second.port)).toBe(serialNumberOf(renewed))
    })
  )

  it.scopedLive("fails with ENOTCONN while the server does not listen, and has no effect without TLS", () =>
    Effect.gen(function* () {
      const server = yield* Effect.provide(Server.make({ address: "127.0.0.1" }), Server.layerDependencies)
      expect(yield* Effect.flip(server.reloadTls)).toMatchObject({ _tag: "OSError", code: "ENOTCONN" })
      yield* server.listen({ port: 0 })
      yield* server.reloadTls
    })
  )
})

describe("the changes of a source", () => {
  it.scopedLive("reload it; a failure and a defect are logged, and the next change is loaded", () =>
    Effect.gen(function* () {
      const credentials = yield* Ref.make(Effect.succeed<Tls.Credentials>(localhost))
      const changes = yield* Queue.unbounded<void>()
      const { lines, port } = yield* serving({ source: sourceOf(credentials, Stream.fromQueue(changes)) })
      const change = (next: Effect.Effect<Tls.Credentials>) =>
        Effect.zipRight(Ref.set(credentials, next), Queue.offer(changes, undefined))
      yield* change(Effect.succeed({ key: other.key, cert: renewed.cert }))
      expect((yield* lines.some(isRefused)).level).toBe("ERROR")
      yield* change(Effect.dieMessage("the vault is closed"))
      yield* eventually(
        Effect.sync(() => lines.all.filter(isRefused).length),
        (count) => count === 2,
        "logged twice"
      )
      expect(yield* served(port)).toBe(serialNumberOf(localhost))
      yield* change(Effect.succeed(renewed))
      yield* lines.some(isReloaded)
      expect(yield* served(port)).toBe(serialNumberOf(renewed))
    })
  )

  it.scopedLive("that fail are logged", () =>
    Effect.gen(function* () {
      const credentials = yield* Ref.make(Effect.succeed<Tls.Credentials>(localhost))
      const { lines, port } = yield* serving({ source: sourceOf(credentials, Stream.dieMessage("no more")) })
      expect((yield* lines.some(({ message }) => message.includes("no longer"))).level).toBe("ERROR")
      expect(yield* served(port)).toBe(serialNumberOf(localhost))
    })
  )
})

/** The files of a certificate, as certbot has them: links to those of the newest. */
const files = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "reload-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const key = join(directory, "privkey.pem")
  const cert = join(directory, "fullchain.pem")
  let version = 0
  const install = (pair: { readonly key: string; readonly cert: string }) =>
    Effect.sync(() => {
      version++
      for (const [link, content] of [
        [key, pair.key],
        [cert, pair.cert]
      ] as const) {
        const file = `${link}.${version}`
        writeFileSync(file, content)
        symlinkSync(file, `${link}.new`)
        renameSync(`${link}.new`, link)
      }
    })
  yield* install(localhost)
  return { key, cert, install, remove: Effect.sync(() => unlinkSync(cert)) }
})

describe("files", () => {
  it.scopedLive("are checked at an interval; broken ones are refused, and missing ones", () =>
    Effect.gen(function* () {
      const { cert, install, key, remove } = yield* files
      const { lines, port } = yield* serving({ source: Tls.fromFiles({ key, cert, checkInterval: "20 millis" }) })
      expect(yield* served(port)).toBe(serialNumberOf(localhost))
      yield* install(renewed)
      yield* untilServed(port, renewed)
      yield* install({ key: other.key, cert: renewed.cert })
      yield* lines.some(isRefused)
      yield* remove
      yield* lines.some((line) => isRefused(line) && line.message.includes("ENOENT"))
      expect(yield* served(port)).toBe(serialNumberOf(renewed))
      yield* install(other)
      yield* untilServed(port, other)
    })
  )

  it.scopedLive("that change right after the server listens are loaded", () =>
    Effect.gen(function* () {
      const { cert, install, key } = yield* files
      const source = Tls.fromFiles({ key, cert, checkInterval: "20 millis" })
      // Changes within the first load: after the read, and before the first check could have seen it.
      const { port } = yield* serving({ source: { ...source, load: Effect.zipLeft(source.load, install(renewed)) } })
      yield* untilServed(port, renewed)
    })
  )

  it.scopedLive("are loaded at a signal; its listener is removed when the server closes", () =>
    Effect.gen(function* () {
      const { cert, install, key } = yield* files
      const before = process.listenerCount("SIGUSR2")
      const { lines, port, server } = yield* serving({
        source: Tls.fromFiles({ key, cert, reloadSignal: "SIGUSR2" })
      })
      yield* eventually(
        Effect.sync(() => process.listenerCount("SIGUSR2")),
        (count) => count === before + 1,
        "a listener"
      )
      yield* install(renewed)
      process.kill(process.pid, "SIGUSR2")
      yield* lines.some(isReloaded)
      expect(yield* served(port)).toBe(serialNumberOf(renewed))
      yield* server.close
      expect(process.listenerCount("SIGUSR2")).toBe(before)
    })
  )

  it.scopedLive("have the signal's listener as soon as the server listens", () =>
    Effect.gen(function* () {
      const { cert, key } = yield* files
      const before = process.listenerCount("SIGUSR2")
      const server = yield* Effect.provide(
        Server.make({ address: "127.0.0.1", tls: { source: Tls.fromFiles({ key, cert, reloadSignal: "SIGUSR2" }) } }),
        Server.layerDependencies
      )
      yield* server.listen({ port: 0 })
      expect(process.listenerCount("SIGUSR2")).toBe(before + 1)
    })
  )

  it.scopedLive("leave no listener and no check after a `listen` that failed", () =>
    Effect.gen(function* () {
      const { cert, key } = yield* files
      const before = process.listenerCount("SIGUSR2")
      const server = yield* Effect.provide(Server.make({ address: "127.0.0.1" }), Server.layerDependencies)
      const source = Tls.fromFiles({
        key,
        cert: `${cert}.missing`,
        checkInterval: "20 millis",
        reloadSignal: "SIGUSR2"
      })
      const error = yield* Effect.flip(server.listen({ port: 0, tls: { source } }))
      expect(error).toMatchObject({ _tag: "SslError", code: "ENOENT" })
      expect(process.listenerCount("SIGUSR2")).toBe(before)
    })
  )

  it.scopedLive("with an encrypted key, authorities, and certificates by name", () =>
    Effect.gen(function* () {
      const { cert, key } = yield* files
      const named = yield* files
      const pair = yield* Effect.promise(() => authority.issue({ names: ["a.example"] }))
      yield* named.install(pair)
      const source = Tls.fromFiles({ key, cert, ca: cert, certificates: { "a.example": named } })
      const { port } = yield* serving({ source, clientCertificates: "request" })
      expect(serialOf(yield* handshake(port, { servername: "a.example" }))).toBe(serialNumberOf(pair))
    })
  )
})

describe("resumption", () => {
  const resumed = (request: Request.Request) =>
    Response.respond(
      request,
      200,
      String(Option.getOrNull(Option.map(request.client.tls, ({ isResumed }) => isResumed))),
      { Connection: "close" }
    )

  /** The session that a client may resume, after one exchange. */
  const sessionOf = (port: number, options: tls.ConnectionOptions) =>
    Effect.scoped(
      Effect.gen(function* () {
        const socket = yield* handshake(port, options)
        let session = socket.getSession()
        // TLS 1.3 sends tickets after the handshake.
        socket.on("session", (ticket) => {
          session = ticket
        })
        const whole = text(socket)
        socket.write(get)
        expect(yield* whole).toMatch(/false$/)
        return session
      })
    )

  const isResumed = (port: number, options: tls.ConnectionOptions) =>
    Effect.scoped(
      Effect.map(Effect.flatMap(handshake(port, options), exchange), (response) => response.endsWith("true"))
    )

  const versions = ["TLSv1.2", "TLSv1.3"] as const

  it.scopedLive.each(versions)("survives a reload with %s", (maxVersion) =>
    Effect.gen(function* () {
      const credentials = yield* Ref.make(Effect.succeed<Tls.Credentials>(localhost))
      const { port, server } = yield* serving({ source: sourceOf(credentials) }, resumed)
      const session = yield* sessionOf(port, { maxVersion })
      yield* Ref.set(credentials, Effect.succeed(renewed))
      yield* server.reloadTls
      expect(yield* isResumed(port, { maxVersion, ...(session === undefined ? {} : { session }) })).toBe(true)
    })
  )

  it.scopedLive.each(versions)("is possible at another server with the same `ticketKeys`, with %s", (maxVersion) =>
    Effect.gen(function* () {
      const ticketKeys = Redacted.make(new Uint8Array(48).fill(7))
      const one = yield* serving({ ...localhost, ticketKeys }, resumed)
      const two = yield* serving({ ...localhost, ticketKeys }, resumed)
      const three = yield* serving(localhost, resumed)
      const session = yield* sessionOf(one.port, { maxVersion })
      if (session === undefined) return yield* Effect.dieMessage("no session")
      expect(yield* isResumed(two.port, { maxVersion, session })).toBe(true)
      expect(yield* isResumed(three.port, { maxVersion, session })).toBe(false)
    })
  )

  it.scopedLive.each(versions)("ends when the authorities of client certificates change, with %s", (maxVersion) =>
    Effect.gen(function* () {
      const former = yield* Effect.promise(() => makeAuthority("Former"))
      const client = yield* Effect.promise(() => former.issue({ names: ["client.example"] }))
      const credentials = yield* Ref.make(Effect.succeed<Tls.Credentials>({ ...localhost, ca: former.cert }))
      const { port, server } = yield* serving({ source: sourceOf(credentials), clientCertificates: "require" }, resumed)
      const session = yield* sessionOf(port, { ...client, maxVersion })
      if (session === undefined) return yield* Effect.dieMessage("no session")
      expect(yield* isResumed(port, { ...client, maxVersion, session })).toBe(true)
      yield* Ref.set(credentials, Effect.succeed({ ...localhost, ca: authority.cert }))
      yield* server.reloadTls
      // The certificate is no longer trusted, whatever the session says.
      const result = yield* Effect.either(isResumed(port, { ...client, maxVersion, session }))
      expect(result._tag === "Right" && result.right).toBe(false)
    })
  )

  it.scopedLive.each([0, 32, 49])("`ticketKeys` of %d bytes are refused", (length) =>
    Effect.gen(function* () {
      const server = yield* Effect.provide(Server.make({ address: "127.0.0.1" }), Server.layerDependencies)
      const error = yield* Effect.flip(server.listen({ tls: { ...localhost, ticketKeys: new Uint8Array(length) } }))
      expect(error).toMatchObject({
        _tag: "ValueError",
        reason: "Option",
        actual: expect.stringContaining("ticketKeys")
      })
    })
  )
})
