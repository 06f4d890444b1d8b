/** The kit's client over sockets, against scripted `node:net` servers. */
import { createServer, connect as dial, type Socket } from "node:net"
import { HttpBody, type HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Option, Stream } from "effect"
import { tcp } from "../../src/Address.js"
import { yieldToEventLoop } from "../../src/internal/runtime/effectInterop.js"
import { ConnectionPool } from "../../src/testing/internal/client/clientConnection.js"
import { kitClient } from "../../src/testing/internal/client/kitClient.js"
import { SocketLink } from "../../src/testing/internal/client/socketLink.js"

/** A connection at the server's end, and its events. */
interface Seen {
  readonly socket: Socket
  text: string
  end: "Open" | "FIN" | "RST"
}

const poolTo = (port: number, sockets: Array<Socket> = []): ConnectionPool =>
  new ConnectionPool(
    (endOf) => {
      const socket = dial({ host: "127.0.0.1", port })
      sockets.push(socket)
      new SocketLink(socket, tcp("127.0.0.1", port, "IPv4"), endOf)
      return true
    },
    () => {}
  )

const playing = (onText: (seen: Seen) => void, onSocket: (socket: Socket) => void = () => {}) =>
  Effect.gen(function* () {
    const all: Array<Seen> = []
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const seen: Seen = { socket, text: "", end: "Open" }
      all.push(seen)
      socket.on("data", (bytes) => {
        seen.text += bytes.toString("latin1")
        onText(seen)
      })
      socket.on("end", () => {
        seen.end = "FIN"
        socket.end()
      })
      socket.on("error", () => {
        seen.end = "RST"
      })
      onSocket(socket)
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.sync(() => {
          server.close()
          for (const { socket } of all) socket.destroy()
        })
    )
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("not a TCP server that is listening")
    const sockets: Array<Socket> = []
    const pool = poolTo(address.port, sockets)
    const client = kitClient(pool, Effect.dieMessage("no other client is asked"))
    return { all, client, pool, server, sockets, url: `http://127.0.0.1:${address.port}/` }
  })

const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (isSo() ? Effect.void : Effect.zipRight(yieldToEventLoop, until(isSo))))

const textOf = (client: HttpClient.HttpClient, url: string) =>
  Effect.flatMap(client.get(url), (response) => response.text)

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"

const half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHe"

const mebibyte = Buffer.alloc(1024 * 1024, "x")

describe("the kit's client over a socket", () => {
  it.scoped("sends before it is connected, and reuses a connection until the server ends it", () =>
    Effect.gen(function* () {
      const { all, client, sockets, url } = yield* playing(({ socket }) => socket.write(hello))
      const response = yield* client.get(url)
      expect(yield* response.text).toBe("Hello")
      expect(response.remoteAddress).toStrictEqual(Option.some("127.0.0.1"))
      yield* textOf(client, url)
      expect(all.length).toBe(1)
      all[0]?.socket.end()
      yield* until(() => sockets[0]?.destroyed === true)
      yield* textOf(client, url)
      expect(all.map(({ end }) => end)).toStrictEqual(["FIN", "Open"])
    })
  )

  it.scoped("reads until the end, and closes after a response with Connection: close", () =>
    Effect.gen(function* () {
      const { all, client, url } = yield* playing(({ socket }) => socket.end("HTTP/1.1 200 OK\r\n\r\nuntil the end"))
      expect(yield* textOf(client, url)).toBe("until the end")
      yield* until(() => all[0]?.end !== "Open")
      expect(all[0]?.end).toBe("FIN")
      const closing = yield* playing(({ socket }) =>
        socket.write(hello.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
      )
      expect(yield* textOf(closing.client, closing.url)).toBe("Hello")
      yield* until(() => closing.all[0]?.end !== "Open")
      expect(closing.all[0]?.end).toBe("FIN")
    })
  )

  it.scoped("reports what the system and Node do: refused, hung up, reset, broken off", () =>
    Effect.gen(function* () {
      const failing = (onText: (seen: Seen) => void) =>
        Effect.flatMap(playing(onText), ({ client, url }) => Effect.flip(textOf(client, url)))
      const transport = (code: string) => ({ _tag: "RequestError", reason: "Transport", cause: { code } })
      const gone = yield* playing(() => {})
      yield* Effect.async<void>((resume) => {
        gone.server.close(() => resume(Effect.void))
      })
      expect(yield* Effect.flip(textOf(gone.client, gone.url))).toMatchObject({
        ...transport("ECONNREFUSED"),
        cause: { code: "ECONNREFUSED", syscall: "connect" }
      })
      expect(yield* failing(({ socket }) => socket.end())).toMatchObject({
        ...transport("ECONNRESET"),
        cause: { message: "socket hang up" }
      })
      expect(yield* failing(({ socket }) => socket.resetAndDestroy())).toMatchObject({
        ...transport("ECONNRESET"),
        cause: { message: "read ECONNRESET" }
      })
      const broken = { _tag: "ResponseError", reason: "Decode", cause: { code: "ECONNRESET" } }
      expect(yield* failing(({ socket }) => socket.end(half))).toMatchObject(broken)
      expect(yield* failing(({ socket }) => socket.write(half, () => socket.resetAndDestroy()))).toMatchObject(broken)
    })
  )

  it.scoped("resets the connection on interruption, and when the pool is destroyed", () =>
    Effect.gen(function* () {
      const { all, client, pool, sockets, url } = yield* playing(({ socket, text }) => {
        if (!text.includes("silent")) socket.write(hello)
      })
      const early = yield* Effect.fork(client.get(`${url}silent`))
      yield* until(() => sockets.length === 1)
      yield* Fiber.interrupt(early)
      yield* until(() => sockets[0]?.destroyed === true)
      const silent = yield* Effect.fork(client.get(`${url}silent`))
      yield* until(() => all.at(-1)?.text.includes("silent") === true && sockets.length === 2)
      yield* Fiber.interrupt(silent)
      yield* textOf(client, url)
      pool.destroy()
      yield* until(() => all.every(({ end }) => end !== "Open"))
      expect(all.map(({ end }) => end)).toStrictEqual(all.map(() => "RST"))
      expect(sockets.every(({ destroyed }) => destroyed)).toBe(true)
    })
  )

  it.scoped("applies backpressure while a stream is not read, and continues", () =>
    Effect.gen(function* () {
      const count = 64
      let sent = 0
      const { client, sockets, url } = yield* playing(({ socket }) => {
        const goOn = (): void => {
          while (sent < count) {
            sent++
            if (!socket.write(mebibyte)) {
              socket.once("drain", goOn)
              return
            }
          }
          socket.end()
        }
        socket.write("HTTP/1.1 200 OK\r\n\r\n")
        goOn()
      })
      const response = yield* client.get(url)
      yield* until(() => sockets[0]?.isPaused() === true)
      yield* Effect.repeatN(yieldToEventLoop, 50)
      expect(sent).toBeLessThan(count)
      const size = yield* Stream.runFold(response.stream, 0, (sum, bytes) => sum + bytes.length)
      expect(size).toBe(count * mebibyte.length)
    })
  )

  it.scoped("is suspended while the server does not read", () =>
    Effect.gen(function* () {
      const count = 64
      let taken = 0
      const held: Array<Socket> = []
      let received = 0
      const { client, url } = yield* playing(
        () => {},
        (socket) => {
          socket.pause()
          held.push(socket)
          socket.on("data", (bytes) => {
            const before = received
            received += bytes.length
            // Once: the end of the last chunk arrives in a separate event.
            if (before < count * mebibyte.length && received >= count * mebibyte.length) socket.write(hello)
          })
        }
      )
      const pieces = Stream.tap(Stream.repeatValue(mebibyte), () => Effect.sync(() => taken++))
      const body = HttpBody.stream(Stream.take(pieces, count))
      const asked = yield* Effect.fork(Effect.flatMap(client.post(url, { body }), (response) => response.text))
      yield* until(() => held.length === 1 && taken > 0)
      yield* Effect.repeatN(yieldToEventLoop, 50)
      expect(taken).toBeLessThan(count)
      held[0]?.resume()
      expect(yield* Fiber.join(asked)).toBe("Hello")
    })
  )

  it.scoped("cancels a stream that is not read to the end", () =>
    Effect.gen(function* () {
      const { all, client, url } = yield* playing(({ socket }) => socket.write(half))
      const response = yield* client.get(url)
      const first = yield* Stream.runCollect(Stream.take(response.stream, 1))
      expect(Buffer.concat(Chunk.toArray(first)).toString()).toBe("He")
      yield* until(() => all[0]?.end !== "Open")
      expect(all[0]?.end).toBe("RST")
    })
  )
})
