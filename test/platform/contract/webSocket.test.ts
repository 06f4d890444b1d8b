/** `HttpServerRequest.upgrade`: WebSockets, by a client of `ws` and by raw bytes. */

import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpRouter from "@effect/platform/HttpRouter"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Socket from "@effect/platform/Socket"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { WebSocket } from "ws"
import { connect, get, requestText, withBody } from "../../support/rawClient.js"
import { EventLog, listening, portOf, serving } from "../harness.js"

const decoder = new TextDecoder()

/** Echoes messages in upper case; reports how it ended. */
const echo = (log = new EventLog<string>()): HttpApp.Default<unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { upgrade, url } = yield* HttpServerRequest
    if (url === "/plain") return HttpServerResponse.text("plain")
    const socket = yield* upgrade
    const write = yield* socket.writer
    yield* Effect.addFinalizer((exit) => log.told(`scope ${exit._tag}`))
    log.tell("upgraded")
    yield* Effect.onExit(
      socket.runRaw((message) => {
        const text = typeof message === "string" ? message : decoder.decode(message)
        log.tell(text)
        if (text === "die") return Effect.die("broken")
        if (text === "close") return write(new Socket.CloseEvent(4001, "enough"))
        return write(text.toUpperCase())
      }),
      (exit) => log.told(`run ${exit._tag}`)
    )
    return HttpServerResponse.empty()
  })

const handshake = (fields: ReadonlyArray<string> = [], path = "/"): string =>
  requestText(`GET ${path}`, [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...fields
  ])

/** A frame of a client's, masked by nothing but zeros. */
const frame = (opcode: number, content: string | Buffer): Buffer => {
  const bytes = Buffer.from(content)
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | bytes.length, 0, 0, 0, 0]), bytes])
}

const closeFrame = (code: number): Buffer => frame(8, Buffer.from([code >> 8, code & 0xff]))

interface Client {
  readonly socket: WebSocket
  readonly log: EventLog<string>
}

const open = (port: number, protocols: ReadonlyArray<string> = []): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Client>((resume) => {
      const log = new EventLog<string>()
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`, [...protocols])
      socket.on("message", (bytes: Buffer) => log.tell(bytes.toString()))
      socket.on("close", (code, reason) => log.tell(`closed ${code} ${reason}`))
      socket.once("open", () => resume(Effect.succeed({ socket, log })))
      socket.once("unexpected-response", (_, { statusCode }) => resume(Effect.die(statusCode)))
      socket.on("error", (error) => resume(Effect.die(error)))
    }),
    ({ socket }) => Effect.sync(() => socket.terminate())
  )

describe("a WebSocket", () => {
  it.scopedLive("echoes, as long as both like to", () =>
    Effect.gen(function* () {
      const { socket, log } = yield* open(yield* serving(echo()))
      for (const message of ["one", "two", "x".repeat(100_000)]) socket.send(message)
      expect(yield* log.upTo(3)).toStrictEqual(["ONE", "TWO", "X".repeat(100_000)])
    })
  )

  it.scopedLive("is accepted by the key of its client, without extensions", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serving(echo()))
      yield* client.send(handshake(["Sec-WebSocket-Extensions: permessage-deflate"]))
      const response = yield* client.readResponse()
      expect([response.status, response.header("Sec-WebSocket-Accept")]).toStrictEqual([
        101,
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
      ])
      expect(response.header("Connection")?.toLowerCase()).toBe("upgrade")
      expect(response.header("Upgrade")).toBe("websocket")
      expect(response.header("Sec-WebSocket-Extensions")).toBeUndefined()
    })
  )

  it.scopedLive("takes what comes right after its handshake", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serving(echo()))
      yield* client.send(Buffer.concat([Buffer.from(handshake()), frame(1, "a"), frame(1, "b")]))
      yield* client.readResponse()
      expect(yield* client.readUntil((seen) => seen.length >= 6)).toBe("\x81\x01A\x81\x01B")
    })
  )

  it.scopedLive("has the first of the subprotocols that are offered", () =>
    Effect.gen(function* () {
      const { socket } = yield* open(yield* serving(echo()), ["chat", "other"])
      expect(socket.protocol).toBe("chat")
    })
  )

  it.scopedLive("has nothing written to it after the handshake but frames, whatever the application returns", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const { upgrade } = yield* HttpServerRequest
        const socket = yield* upgrade
        const write = yield* socket.writer
        yield* Effect.forkScoped(socket.run(() => {}))
        yield* write("only")
        return HttpServerResponse.text("never")
      })
      const client = yield* connect(
        yield* serving(app, { middleware: (app) => Effect.as(app, HttpServerResponse.text("neither")) })
      )
      yield* client.send(handshake())
      yield* client.readResponse()
      // The application has ended, and with it its scope: the socket sends its close frame.
      expect(yield* client.readUntil((seen) => seen.length >= 8)).toMatch(/^\x81\x04only\x88/)
      yield* client.send(closeFrame(1000))
      expect((yield* client.readToEnd).length).toBe(0)
    })
  )

  it.scopedLive("is closed by its client, which gets a close frame, and the run ends", () =>
    Effect.gen(function* () {
      const told = new EventLog<string>()
      const { socket, log } = yield* open(yield* serving(echo(told)))
      socket.close(1000, "bye")
      expect(yield* log.upTo(1)).toStrictEqual(["closed 1000 bye"])
      expect(yield* told.upTo(3)).toStrictEqual(["upgraded", "run Success", "scope Success"])
    })
  )

  it.scopedLive("is closed by the application, with its code and its reason", () =>
    Effect.gen(function* () {
      const told = new EventLog<string>()
      const { socket, log } = yield* open(yield* serving(echo(told)))
      socket.send("close")
      expect(yield* log.upTo(1)).toStrictEqual(["closed 4001 enough"])
      expect((yield* told.upTo(4)).slice(2)).toHaveLength(2)
    })
  )

  it.scopedLive("is closed when its application dies", () =>
    Effect.gen(function* () {
      const told = new EventLog<string>()
      const { socket, log } = yield* open(yield* serving(echo(told)))
      socket.send("die")
      expect((yield* log.upTo(1))[0]).toMatch(/^closed/)
      expect((yield* told.upTo(4)).slice(2)).toStrictEqual(["run Failure", "scope Failure"])
    })
  )

  it.scopedLive("responds to pings, and leaves other connections alone", () =>
    Effect.gen(function* () {
      const port = yield* serving(echo())
      const { socket } = yield* open(port)
      yield* Effect.async<void>((resume) => {
        socket.once("pong", () => resume(Effect.void))
        socket.ping()
      })
      expect((yield* get(port, "/plain")).text).toBe("plain")
    })
  )

  it.scopedLive("sends what is wrong with a frame, and ends", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serving(echo()))
      yield* client.send(Buffer.concat([Buffer.from(handshake()), Buffer.from([0x81, 0x01, 0x61])]))
      yield* client.readResponse()
      // 1002: a client's frame has to be masked.
      expect((yield* client.readToEnd).toString("latin1")).toBe("\x88\x02\x03\xea")
    })
  )

  it.scopedLive("carries much in both directions, with a client that is slow to read", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const { upgrade } = yield* HttpServerRequest
        const socket = yield* upgrade
        const write = yield* socket.writer
        yield* Effect.forkScoped(Effect.repeatN(write(new Uint8Array(64 * 1024)), 63))
        yield* Effect.ignore(socket.run(() => {}))
        return HttpServerResponse.empty()
      })
      const client = yield* connect(yield* serving(app))
      yield* client.stopReading
      yield* client.send(handshake())
      yield* client.resumeReading
      yield* client.readUntil((seen) => seen.length >= 64 * (64 * 1024 + 10))
      yield* client.send(closeFrame(1000))
      yield* client.closedWith
    })
  )
})

describe("a client that leaves", () => {
  const uncaught = Effect.acquireRelease(
    Effect.sync(() => {
      const errors: Array<unknown> = []
      const listener = (error: unknown): void => {
        errors.push(error)
      }
      process.on("uncaughtException", listener)
      return { errors, listener }
    }),
    ({ listener }) => Effect.sync(() => process.off("uncaughtException", listener))
  )

  it.scopedLive("by a reset in the middle ends the run and the scope, and is no uncaught exception", () =>
    Effect.gen(function* () {
      const { errors } = yield* uncaught
      const told = new EventLog<string>()
      const client = yield* connect(yield* serving(echo(told)))
      yield* client.send(handshake())
      yield* client.readResponse()
      yield* client.reset
      const [, run, scope] = yield* told.upTo(3)
      expect([run, scope]).toStrictEqual(["run Failure", "scope Failure"])
      expect(errors).toStrictEqual([])
    })
  )

  it.scopedLive("by a reset before its handshake has its response is none either", () =>
    Effect.gen(function* () {
      const { errors } = yield* uncaught
      const asked = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const seen = new EventLog<string>()
      const app = Deferred.succeed(asked, undefined).pipe(Effect.zipRight(Deferred.await(go)), Effect.zipRight(echo()))
      const port = yield* serving(app, {
        interruptOnDisconnect: false,
        middleware: (app) => Effect.onExit(app, (exit) => seen.told(exit._tag))
      })
      const client = yield* connect(port)
      yield* client.send(handshake())
      yield* Deferred.await(asked)
      yield* client.reset
      yield* get(yield* serving(HttpServerResponse.text("meanwhile")))
      yield* Deferred.succeed(go, undefined)
      expect(yield* seen.upTo(1)).toStrictEqual(["Failure"])
      expect(errors).toStrictEqual([])
      expect((yield* get(yield* serving(HttpServerResponse.text("after")))).text).toBe("after")
    })
  )

  it.scopedLive("by FIN silently ends the run", () =>
    Effect.gen(function* () {
      const told = new EventLog<string>()
      const client = yield* connect(yield* serving(echo(told)))
      yield* client.send(handshake())
      yield* client.readResponse()
      yield* client.halfClose
      yield* client.closedWith
      expect((yield* told.upTo(3)).slice(1)).toStrictEqual(["run Success", "scope Success"])
    })
  )
})

describe("a handshake that is rejected", () => {
  for (const [what, sent, status, header] of [
    ["a key that is none", handshake().replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400, undefined],
    ["a version that is not spoken", handshake().replace("Version: 13", "Version: 12"), 426, "13, 8"],
    ["another method", handshake().replace("GET", "PUT"), 405, undefined],
    ["another protocol", handshake().replace("Upgrade: websocket", "Upgrade: h2c"), 400, undefined]
  ] as const) {
    it.scopedLive(`is answered, and the connection continues: ${what}`, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* serving(echo()))
        yield* client.send(sent)
        const response = yield* client.readResponse()
        expect(response.status).toBe(status)
        expect(response.header("Sec-WebSocket-Version")).toBe(header)
        yield* client.send(requestText("GET /plain"))
        expect((yield* client.readResponse()).text).toBe("plain")
      })
    )
  }

  it.scopedLive("is none: a plain request cannot be upgraded, which is 400, and may get another response", () =>
    Effect.gen(function* () {
      const seen = new EventLog<string>()
      const app = Effect.tapError(echo(), (error) => seen.told(String(error)))
      const client = yield* connect(yield* serving(app))
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(400)
      expect((yield* seen.upTo(1))[0]).toContain("not an upgradeable ServerRequest")
      yield* client.send(handshake([], "/plain"))
      expect((yield* client.readResponse()).text).toBe("plain")
    })
  )

  it.scopedLive("has an unread body", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serving(echo()))
      const fields = handshake().split("\r\n").slice(2, -2)
      yield* client.send(withBody("GET /", "body", fields))
      expect((yield* client.readResponse()).status).toBe(400)
    })
  )

  it.scopedLive("is the second of one request", () =>
    Effect.gen(function* () {
      const seen = new EventLog<string>()
      const app = Effect.gen(function* () {
        const { upgrade } = yield* HttpServerRequest
        const socket = yield* upgrade
        const write = yield* socket.writer
        yield* Effect.forkScoped(socket.run(() => {}))
        yield* write("first")
        const again = yield* Effect.exit(
          Effect.scoped(
            Effect.flatMap(
              (yield* upgrade).run(() => {}),
              () => Effect.void
            )
          )
        )
        seen.tell(again._tag)
        return HttpServerResponse.empty()
      })
      const client = yield* connect(yield* serving(app))
      yield* client.send(handshake())
      yield* client.readResponse()
      expect(yield* client.readUntil((seen) => seen.length >= 7)).toMatch(/^\x81\x05first/)
      expect(yield* seen.upTo(1)).toStrictEqual(["Failure"])
    })
  )
})

describe("a server that closes", () => {
  for (const uninterruptible of [false, true]) {
    it.scopedLive(
      `ends open WebSockets with a word, and does not hang on ${uninterruptible ? "uninterruptible routes" : "them"}`,
      () =>
        Effect.gen(function* () {
          const told = new EventLog<string>()
          const scope = yield* Scope.make()
          const server = yield* Scope.extend(listening({ drainTimeout: "1 hour" }), scope)
          const router = HttpRouter.empty.pipe(HttpRouter.get("/", echo(told), { uninterruptible }))
          yield* Scope.extend(server.serve(router), scope)
          const { log } = yield* open(portOf(server))
          yield* told.upTo(1)
          yield* Effect.timeoutFailCause(Scope.close(scope, Exit.void), {
            duration: "4 seconds",
            onTimeout: () => Cause.die("it hangs")
          })
          // 1001: the server goes away (RFC 6455 §7.4.1).
          expect((yield* log.upTo(1))[0]).toMatch(/^closed 1001/)
          expect((yield* told.upTo(3)).slice(1)).toStrictEqual(["run Failure", "scope Failure"])
        })
    )
  }
})
