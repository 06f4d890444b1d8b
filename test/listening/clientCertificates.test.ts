/**
 * Client certificates and the resumption of sessions.
 */
import * as tls from "node:tls"
import { expect, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { type Errors, Response, Server } from "effect-asynchttpserver"
import { makeAuthority } from "./certificates.js"

interface Received {
  readonly text: string
  readonly session: Buffer | undefined
}

/** Sends a request as soon as the client considers the handshake complete, and reads until the end. */
const request = (port: number, options: tls.ConnectionOptions) =>
  Effect.async<Received>((resume) => {
    let text = ""
    let session: Buffer | undefined
    const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ...options }, () => {
      socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    })
    socket.on("session", (given) => {
      session = given
    })
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1")
    })
    socket.on("error", () => {})
    socket.once("close", () => resume(Effect.succeed({ text, session })))
    return Effect.sync(() => socket.destroy())
  })

it.scopedLive.each(["TLSv1.2", "TLSv1.3"] as const)(
  "a client without a certificate is refused where one is required, also when it resumes a session (%s)",
  (version) =>
    Effect.gen(function* () {
      const authority = yield* Effect.promise(() => makeAuthority())
      const localhost = yield* Effect.promise(() => authority.issue())
      const errors = yield* Queue.unbounded<Errors.SslError>()
      const server = yield* Server.make({
        address: "127.0.0.1",
        drainTimeout: 0,
        tls: {
          ...localhost,
          ca: authority.cert,
          clientCertificates: "require",
          onHandshakeError: (error) => Effect.asVoid(Queue.offer(errors, error))
        }
      })
      const { port } = yield* server.listen({ port: 0 })
      yield* Effect.forkScoped(server.serve((request) => Response.respond(request, 200, "served")))
      const options = { ca: authority.cert, minVersion: version, maxVersion: version }
      // Whether a session arrives before the connection is closed depends on the version of Node.
      const { session, text } = yield* request(port, options)
      expect(text).toBe("")
      expect((yield* Queue.take(errors))._tag).toBe("SslError")
      const resumed = yield* request(port, session === undefined ? options : { ...options, session })
      expect(resumed.text).toBe("")
      expect((yield* Queue.take(errors))._tag).toBe("SslError")
    }).pipe(Effect.provide(Server.layerDependencies))
)
