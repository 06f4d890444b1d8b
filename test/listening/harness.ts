/**
 * Servers with TLS for tests, and clients of `node:tls`.
 */
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import * as tls from "node:tls"
import { Effect, Queue, Stream } from "effect"
import { type Errors, type Request, Response, Server, type Tls } from "effect-asynchttpserver"
import { makeAuthority } from "./certificates.js"

export const authority = await makeAuthority()

/** The certificate of `localhost`, `127.0.0.1` and `::1`. */
export const localhost = await authority.issue()

export const respond = (request: Request.Request) => Response.respond(request, 200, "secure")

/** Serves, and gives the port. */
export const serving = (
  options: Tls.Options,
  handler: (request: Request.Request) => ReturnType<typeof respond> = respond,
  more: Server.Options = {}
) =>
  Effect.gen(function* () {
    const server = yield* Server.make({ address: "127.0.0.1", tls: options, drainTimeout: 0, ...more })
    const { port } = yield* server.listen({ port: 0 })
    yield* Effect.forkScoped(server.serve(handler))
    return { server, port }
  }).pipe(Effect.provide(Server.layerDependencies))

export const text = (socket: NodeJS.ReadableStream) =>
  Effect.async<string>((resume) => {
    let all = ""
    socket.on("data", (bytes: Buffer) => {
      all += bytes.toString("latin1")
    })
    socket.once("close", () => resume(Effect.succeed(all)))
  })

export const handshake = (port: number, options: tls.ConnectionOptions = {}) =>
  Effect.acquireRelease(
    Effect.async<tls.TLSSocket, NodeJS.ErrnoException>((resume) => {
      const socket = tls.connect(
        { port, host: "127.0.0.1", servername: "localhost", ca: authority.cert, ...options },
        () => {
          socket.off("error", onError)
          socket.on("error", () => {})
          resume(Effect.succeed(socket))
        }
      )
      const onError = (error: NodeJS.ErrnoException): void => resume(Effect.fail(error))
      socket.on("error", onError)
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

export const get = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

export const exchange = (socket: tls.TLSSocket) => {
  const whole = text(socket)
  socket.write(get)
  return whole
}

export const plainSocket = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket: Socket = connect(port, "127.0.0.1")
      await once(socket, "connect")
      socket.on("error", () => {})
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Waits until the listening socket is the only descriptor. */
export const released = (server: Server.Server) =>
  Stream.runDrain(Stream.takeUntil(server.budget.changes, ({ held }) => held === 1))

/** Collects the errors of handshakes. */
export const reported = Effect.map(Queue.unbounded<Errors.SslError>(), (errors) => ({
  onHandshakeError: (error: Errors.SslError) => Effect.asVoid(Queue.offer(errors, error)),
  next: Queue.take(errors)
}))
