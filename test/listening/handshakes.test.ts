/**
 * Handshakes: the bound of those in progress, many that are dropped, a server that closes in the middle of one, and the
 * properties of `TLSSocket` that lose bytes, leak or crash.
 *
 * | trap of a `TLSSocket` over an accepted socket | test |
 * |---|---|
 * | 1. decrypts while it is paused | here: "the first request in the packet that completes the handshake" |
 * | 2. has no reset | `tls.test.ts`: "resets a connection whose response fails" |
 * | 3. neither has a pipe | `unix.test.ts`: "ends, and releases its descriptor, when its response fails" |
 * | 4. `handshakeTimeout` closes nothing | `tls.test.ts`: "closes a connection without a handshake after its timeout" |
 * | 5. a FIN in mid-handshake is only `end` | `tls.test.ts`: "closes a connection whose client sends FIN …" |
 * | 6. its queue does not decrease while the client reads | here: "a client that reads slowly, but steadily" |
 * | 7. ignores a certificate of another key type | `tls.test.ts`: "of several key types" |
 * | 8. accepts a key of another certificate | `tls.test.ts`, `tlsReload.test.ts`: "a key of another certificate" |
 * | 9. a reload makes other ticket keys | `tlsReload.test.ts`: "survives a reload" |
 * | 10. resumption with client certificates | `tls.test.ts`: "are there in a resumed session" |
 * | 11. `authorized` is never set | `tls.test.ts`: "client certificates"; here: "a runtime that cannot verify" |
 * | 12. plain HTTP can be responded to | `tls.test.ts`: "responds 400 to plain HTTP on its port" |
 * | 13. a FIN without `close_notify` looks like an end | here: "a body that a FIN cuts short" |
 */
import { X509Certificate } from "node:crypto"
import { connect, type Socket } from "node:net"
import { Duplex } from "node:stream"
import * as tls from "node:tls"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Metric, Option, Queue } from "effect"
import { Metrics, type Request, Response, type Tls } from "effect-asynchttpserver"
import { Handshakes } from "../../src/internal/net/handshakes.js"
import { sessionOf } from "../../src/internal/net/tlsSession.js"
import { openDescriptors } from "../server/harness.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { connect as connectRaw, requestText, tlsEndpoint } from "../support/rawClient.js"
import { authority, exchange, handshake, localhost, plainSocket, released, respond, serving, text } from "./harness.js"

describe("the bound of handshakes", () => {
  const recorded = (max: number) => {
    const started: Array<number> = []
    const handshakes = new Handshakes(max)
    const make = (id: number) => ({ start: () => void started.push(id) })
    return { started, handshakes, all: Array.from({ length: 6 }, (_, i) => make(i)) }
  }

  it.live("starts others in order, as each ends; one that has not begun leaves the queue", () =>
    Effect.sync(() => {
      const { all, handshakes, started } = recorded(2)
      for (const each of all) handshakes.begin(each)
      expect(started).toStrictEqual([0, 1])
      handshakes.end(all[2]!)
      handshakes.end(all[0]!)
      expect(started).toStrictEqual([0, 1, 3])
      handshakes.end(all[0]!)
      expect(started).toStrictEqual([0, 1, 3])
      handshakes.end(all[1]!)
      handshakes.end(all[3]!)
      expect(started).toStrictEqual([0, 1, 3, 4, 5])
      for (const each of all) handshakes.end(each)
    })
  )

  it.live("does not count those that are delayed while others are queued", () =>
    Effect.gen(function* () {
      const { all, handshakes, started } = recorded(1)
      for (const each of all.slice(0, 3)) handshakes.begin(each)
      expect(started).toStrictEqual([0])
      yield* eventually(
        Effect.sync(() => started.length),
        (length) => length === 3,
        "started"
      )
      // It is in progress still, and ends without effect on those that are counted.
      handshakes.end(all[0]!)
      handshakes.begin(all[3]!)
      expect(started).toStrictEqual([0, 1, 2])
      for (const each of all) handshakes.end(each)
    })
  )

  it.scopedLive("does not let silent clients keep others out", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving({ ...localhost, maxHandshakes: 2, handshakeTimeout: "1 minute" })
      for (let i = 0; i < 6; i++) yield* plainSocket(port)
      yield* eventually(server.budget.held, (held) => held === 7, "accepted")
      expect(yield* Effect.flatMap(handshake(port), exchange)).toMatch(/200 OK/)
    })
  )
})

/** The messages of handshakes that a client begins, and leaves at some point. */
const clientHello = Effect.async<Buffer>((resume) => {
  const sent = new Duplex({
    read: () => {},
    write: (bytes, _, done) => {
      resume(Effect.succeed(bytes))
      done()
    }
  })
  tls.connect({ socket: sent, servername: "localhost" }).on("error", () => {})
})

const opened = (port: number) =>
  Effect.async<Socket>((resume) => {
    const socket = connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
    socket.on("error", () => {})
  })

describe("handshakes that do not complete", () => {
  it.scopedLive("200 that are dropped leave no descriptor, and are reported", () =>
    Effect.gen(function* () {
      const before = yield* Metric.value(Metrics.tlsHandshakeErrors)
      const hello = yield* clientHello
      const { port, server } = yield* serving({ ...localhost, maxHandshakes: 8, onHandshakeError: () => Effect.void })
      const descriptors = yield* openDescriptors
      for (let i = 0; i < 200; i += 20) {
        const sockets = yield* Effect.all(
          Array.from({ length: 20 }, () => opened(port)),
          { concurrency: "unbounded" }
        )
        sockets.forEach((socket, j) => {
          if (j % 4 === 1) socket.write(hello.subarray(0, 50))
          if (j % 4 === 2) socket.write(hello)
          if (j % 4 === 3) socket.write(hello.toString("latin1").replace("localhost", "\0".repeat(9)), "latin1")
        })
        yield* eventLoopTurns(3)
        for (const [j, socket] of sockets.entries()) {
          if (j % 2 === 0) socket.destroy()
          else socket.resetAndDestroy()
        }
      }
      yield* released(server)
      yield* eventually(openDescriptors, (count) => count <= descriptors, "closed")
      const after = yield* Metric.value(Metrics.tlsHandshakeErrors)
      expect(after.count - before.count).toBe(200)
      expect(yield* Effect.flatMap(handshake(port), exchange)).toMatch(/200 OK/)
    })
  )

  it.scopedLive("are ended by a server that closes, without an error of theirs", () =>
    Effect.gen(function* () {
      const hello = yield* clientHello
      const errors: Array<unknown> = []
      const { port, server } = yield* serving({
        ...localhost,
        maxHandshakes: 3,
        onHandshakeError: (error) => Effect.sync(() => void errors.push(error))
      })
      const sockets = yield* Effect.all(Array.from({ length: 10 }, () => plainSocket(port)))
      const closed = yield* Effect.forEach(sockets, (socket) => Effect.fork(text(socket)))
      for (const socket of sockets.slice(0, 2)) socket.write(hello.subarray(0, 50))
      yield* eventually(server.budget.held, (held) => held === 11, "accepted")
      yield* eventLoopTurns(3)
      yield* server.close
      yield* Fiber.joinAll(closed)
      yield* eventually(server.budget.held, (held) => held === 0, "released")
      expect(errors).toStrictEqual([])
    })
  )

  it.scopedLive("do not end the process when `onHandshakeError` throws", () =>
    Effect.gen(function* () {
      const thrown = yield* Deferred.make<void>()
      const { port } = yield* serving({
        ...localhost,
        onHandshakeError: () => {
          Deferred.unsafeDone(thrown, Effect.void)
          throw new Error("mine")
        }
      })
      const socket = yield* plainSocket(port)
      const closed = text(socket)
      socket.write("nonsense")
      yield* closed
      yield* Deferred.await(thrown)
      expect(yield* Effect.flatMap(handshake(port), exchange)).toMatch(/200 OK/)
    })
  )
})

/** A transport of `tls.connect` that sends nothing from the server's first message until it is released, and then all at once. */
const held = (port: number) =>
  Effect.map(opened(port), (socket) => {
    let queued: Array<Buffer> | undefined
    const duplex: Duplex = new Duplex({
      read: () => {},
      write: (bytes: Buffer, _, done) => {
        if (queued === undefined) socket.write(bytes)
        else queued.push(bytes)
        done()
      },
      final: (done) => void socket.end(done)
    })
    socket.once("data", () => {
      queued = []
    })
    socket.on("data", (bytes) => duplex.push(bytes))
    socket.on("close", () => duplex.push(null))
    const release = Effect.sync(() => {
      socket.write(Buffer.concat(queued ?? []))
      queued = undefined
    })
    return { duplex, release }
  })

describe("over TLS", () => {
  it.scopedLive("the first request in the packet that completes the handshake is read whole", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(localhost, (request) =>
        Effect.flatMap(request.text, (body) => Response.respond(request, 200, String(body.length)))
      )
      const { duplex, release } = yield* held(port)
      const body = "x".repeat(60_000)
      const options = { socket: duplex, ca: authority.cert, servername: "localhost" }
      // A client of TLS 1.3 completes the handshake before the server does.
      const socket = tls.connect({ ...options, minVersion: "TLSv1.3" })
      yield* Effect.async<void>((resume) => void socket.once("secureConnect", () => resume(Effect.void)))
      const response = Effect.async<string>((resume) => {
        let all = ""
        socket.on("data", (bytes) => {
          all += bytes
          if (all.endsWith("\r\n\r\n60000")) resume(Effect.succeed(all))
        })
      })
      socket.write(
        `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`
      )
      yield* eventLoopTurns(3)
      yield* release
      expect(yield* response).toMatch(/^HTTP\/1\.1 200 OK/)
    })
  )

  it.scopedLive("a client that reads slowly, but steadily, outlives writeTimeout", () =>
    Effect.gen(function* () {
      const size = 4 * 1024 * 1024
      const { port } = yield* serving(localhost, (request) => Response.respond(request, 200, Buffer.alloc(size)), {
        limits: { writeTimeout: 1000 }
      })
      const client = yield* connectRaw(tlsEndpoint(port, authority.cert), undefined, { discardsBytes: true })
      yield* client.send(requestText("GET /"))
      for (let i = 1; i <= 8; i++) {
        yield* client.readBytes((i * size) / 8)
        yield* client.stopReading
        yield* Effect.sleep(200)
        yield* client.resumeReading
      }
      yield* client.readBytes(size)
      expect(client.end).toBe(undefined)
    })
  )

  it.scopedLive("a body that a FIN cuts short, without `close_notify`, is not taken for a whole one", () =>
    Effect.gen(function* () {
      const failed = yield* Queue.unbounded<string>()
      const { port, server } = yield* serving(localhost, (request) =>
        Effect.tapErrorCause(
          Effect.flatMap(request.text, () => respond(request)),
          () => Queue.offer(failed, "failed")
        )
      )
      const raw = yield* plainSocket(port)
      const socket = tls.connect({ socket: raw, ca: authority.cert, servername: "localhost" })
      socket.on("error", () => {})
      yield* Effect.async<void>((resume) => void socket.once("secureConnect", () => resume(Effect.void)))
      yield* Effect.async<void>(
        (resume) =>
          void socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", () => resume(Effect.void))
      )
      raw.end()
      yield* released(server)
      expect(yield* Queue.size(failed)).toBeLessThanOrEqual(1)
    })
  )

  it.scopedLive("a renegotiation is refused, and the connection is served on", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(localhost)
      const socket = yield* handshake(port, { maxVersion: "TLSv1.2" })
      const error = yield* Effect.async<Error | null>((resume) => {
        socket.once("error", (error) => resume(Effect.succeed(error)))
        socket.renegotiate({}, (error) => resume(Effect.succeed(error)))
      })
      expect(error).toMatchObject({ code: expect.stringMatching(/NO_RENEGOTIATION/) })
      expect(yield* Effect.flatMap(handshake(port), exchange)).toMatch(/200 OK/)
    })
  )

  it.scopedLive("an option of `node:tls` that has no effect here is refused", () =>
    Effect.gen(function* () {
      const options: Tls.Options = { ...localhost, ...{ requestCert: true } }
      expect(yield* Effect.flip(serving(options))).toMatchObject({
        _tag: "ValueError",
        reason: "Option",
        actual: "tls.requestCert: unknown option"
      })
    })
  )

  it.scopedLive("a common name is what the certificate has, and not its text for people", () =>
    Effect.gen(function* () {
      const client = yield* Effect.promise(() => authority.issue({ commonName: "Ann\\, admin" }))
      const names = yield* Queue.unbounded<unknown>()
      const { port } = yield* serving(
        { ...localhost, ca: authority.cert, clientCertificates: "require" },
        (request: Request.Request) =>
          Effect.zipRight(
            Queue.offer(
              names,
              request.client.tls.pipe(
                Option.flatMap(({ clientCertificate }) => clientCertificate),
                Option.flatMap(({ commonName }) => commonName)
              )
            ),
            respond(request)
          )
      )
      yield* Effect.flatMap(handshake(port, client), exchange)
      expect(yield* Queue.take(names)).toStrictEqual(Option.some("Ann, admin"))
    })
  )

  it("a runtime that cannot verify a client certificate does not trust it", () => {
    // A socket without the member of the handle that verifies.
    const socket = {
      _handle: {},
      getProtocol: () => "TLSv1.3",
      getCipher: () => ({ name: "any" }),
      isSessionReused: () => false,
      getPeerX509Certificate: () => new X509Certificate(localhost.cert)
    } as unknown as tls.TLSSocket
    const { isTrusted, error } = Option.getOrThrow(sessionOf(socket, true).clientCertificate)
    expect([isTrusted, error]).toStrictEqual([false, Option.some("UNSPECIFIED")])
  })
})
