/** `tunnel` and `upgrade`: connections that change to another protocol. */
import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Handler, respond, tunnel, upgrade } from "../../src/Response.js"
import { ask, connect, get, requestText, withBody } from "../wire/rawConnection.js"
import { refusal, serving, servingReported, untilDescriptorsHeld } from "./harness.js"

class HandlerError extends Data.TaggedError("HandlerError")<{ readonly detail: string }> {}

describe("tunnel", () => {
  const connectRequest = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
  const tunnelToA: Handler = (request) =>
    request.url === "a.example:443"
      ? tunnel(request, {}, (duplex) => Stream.runForEach(duplex.stream, duplex.write))
      : respond(request, 403, "not there")

  it.scopedLive("responds to CONNECT without a framing, and echoes the bytes that follow", () =>
    Effect.gen(function* () {
      const made = yield* serving(tunnelToA, { connectMethod: "handle" })
      const client = yield* connect(made.port)
      yield* client.send(`${connectRequest}GET / HTTP/1.1\r\n\r\n`)
      const head = yield* client.readUntil((seen) => seen.includes("\r\n\r\n"))
      expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\nDate: [^\r]+ GMT\r\n\r\n/)
      yield* client.halfClose
      expect(head + (yield* client.readToEnd).toString("latin1")).toMatch(/\r\n\r\nGET \/ HTTP\/1\.1\r\n\r\n$/)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("is rejected by 501 unless an option lets it through, and closes either way", () =>
    Effect.gen(function* () {
      const refusing = yield* serving(tunnelToA)
      const rejected = yield* ask(refusing.port, connectRequest)
      expect([rejected.status, rejected.header("Connection")]).toStrictEqual([501, "close"])
      const handling = yield* serving(tunnelToA, { connectMethod: "handle" })
      const other = yield* ask(handling.port, connectRequest.replaceAll("a.example", "b.example"))
      expect([other.status, other.header("Connection"), other.text]).toStrictEqual([403, "close", "not there"])
    })
  )

  it.scopedLive("is the only successful response to CONNECT, and no response to another method", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(
        (request) =>
          Effect.gen(function* () {
            const { reason } = yield* refusal(
              request.method === "CONNECT" ? respond(request, 200) : tunnel(request, {}, () => Effect.void)
            )
            return yield* respond(request, 400, reason)
          }),
        { connectMethod: "handle" }
      )
      expect((yield* ask(port, connectRequest)).text).toBe("StatusCode")
      expect((yield* get(port)).text).toBe("NotOffered")
    })
  )
})

describe("upgrade", () => {
  const offer = requestText("GET /", ["Connection: keep-alive, Upgrade", "Upgrade: echo"])
  const echo: Handler = (request) =>
    upgrade(request, { Upgrade: "echo" }, (duplex) => Stream.runForEach(duplex.stream, duplex.write))

  it.scopedLive("echoes over the duplex, the bytes that came after the request first", () =>
    Effect.gen(function* () {
      const made = yield* serving(echo)
      const client = yield* connect(made.port)
      yield* client.send(`${offer}early, GET / HTTP/1.1\r\n\r\n`)
      const head = yield* client.readResponse()
      expect([head.status, head.header("Connection"), head.header("Upgrade")]).toStrictEqual([101, "Upgrade", "echo"])
      expect(yield* client.readUntil((seen) => seen.length === 25)).toBe("early, GET / HTTP/1.1\r\n\r\n")
      yield* client.send(Buffer.from([0, 255, 128]))
      expect(yield* client.readUntil((seen) => seen.length === 3)).toBe("\x00\xff\x80")
      yield* client.halfClose
      expect(yield* client.readToEnd).toHaveLength(0)
      yield* untilDescriptorsHeld(made, 1)
    })
  )

  it.scopedLive("1 MiB goes through it in both directions", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(echo)
      const client = yield* connect(port)
      yield* client.send(offer)
      yield* client.readResponse()
      const large = Buffer.from(Uint8Array.from({ length: 1_048_576 }, (_, i) => (i * 31) % 256))
      yield* client.send(large)
      const seen = yield* client.readUntil((seen) => seen.length === large.length)
      expect(Buffer.from(seen, "latin1").equals(large)).toBe(true)
    })
  )

  it.scopedLive("is NotOffered without an offer, and NotUpgradable with a body that has not been read", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const take = upgrade(request, { Upgrade: "echo" }, () => Effect.void)
          const { reason } = yield* refusal(take)
          yield* request.bytes
          return yield* Effect.catchAll(take, () => respond(request, 200, reason))
        })
      )
      expect((yield* get(port)).text).toBe("NotOffered")
      expect((yield* ask(port, requestText("GET /", ["Upgrade: echo"]))).text).toBe("NotOffered")
      expect((yield* ask(port, requestText("GET /", ["Connection: Upgrade"]))).text).toBe("NotOffered")
      const withOffer = withBody("POST /", "body", ["Connection: Upgrade", "Upgrade: echo"])
      expect((yield* ask(port, withOffer)).status).toBe(101)
    })
  )

  it.scopedLive("a rejected upgrade leaves the handler free to send another response", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.catchTag(
          upgrade(request, { Upgrade: "a\r\nb" }, () => Effect.void),
          "ValueError",
          ({ reason }) => respond(request, 400, reason)
        )
      )
      expect(yield* ask(port, offer)).toMatchObject({ status: 400, text: "HeaderValue" })
    })
  )

  it.scopedLive("notifies a daemon that outlives its request when the connection ends", () =>
    Effect.gen(function* () {
      const isRunning = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const { port } = yield* serving((request) =>
        upgrade(request, { Upgrade: "echo" }, ({ stream }) => {
          const reading = Stream.runForEach(stream, () => Deferred.succeed(isRunning, undefined))
          const daemon = Effect.zipRight(reading, Deferred.succeed(ended, undefined))
          return Effect.zipRight(Effect.forkDaemon(daemon), Deferred.await(isRunning))
        })
      )
      const client = yield* connect(port)
      yield* client.send(`${offer}hello`)
      yield* client.halfClose
      yield* client.closedWith
      yield* Deferred.await(ended)
    })
  )

  it.scopedLive("has a scope that ends with it, and a failure breaks the connection", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      const { port, reports } = yield* servingReported((request) =>
        upgrade(request, { Upgrade: "echo" }, () =>
          Effect.zipRight(
            Effect.addFinalizer(() => Deferred.succeed(released, undefined)),
            Effect.fail(new HandlerError({ detail: "secret-detail" }))
          )
        )
      )
      const client = yield* connect(port)
      yield* client.send(offer)
      yield* client.readResponse()
      expect((yield* client.readToEnd).toString()).not.toContain("secret")
      yield* Deferred.await(released)
      expect((yield* reports.first).cause).toMatchObject({ _tag: "Fail", error: { _tag: "HandlerError" } })
    })
  )
})
