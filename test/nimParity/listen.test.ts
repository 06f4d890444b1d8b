/** The procedures of Nim's asynchttpserver that open a server, each under its name there. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { OSError, ValueError } from "../../src/Errors.js"
import * as Limits from "../../src/Limits.js"
import { type Handler, respond } from "../../src/Response.js"
import * as Server from "../../src/Server.js"
import { make, openDescriptors, serving } from "../server/harness.js"
import { eventually } from "../support/eventually.js"
import { ask, connect, get, requestText, withBody } from "../wire/rawConnection.js"
import { osError, valueError } from "./expectedErrors.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
const hasReusePort = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)

describe("newAsyncHttpServer(reuseAddr, reusePort, maxBody)", () => {
  it.scopedLive("makes a server and opens nothing", () =>
    Effect.gen(function* () {
      const before = yield* openDescriptors
      const { bounds, budget, server } = yield* make({ reuseAddr: true, reusePort: false, maxBody: 8_388_608 })
      expect(yield* Effect.flip(server.port)).toBeInstanceOf(OSError)
      expect(yield* budget.held).toBe(0)
      expect(bounds).toHaveLength(0)
      expect(yield* openDescriptors).toBe(before)
    })
  )

  it.scopedLive("is a layer too, and the functions of Server use the server of the layer", () =>
    Effect.gen(function* () {
      const address = yield* Server.listen({ address: "127.0.0.1" })
      expect(yield* Server.port).toBe(address.port)
      expect(yield* Server.address).toStrictEqual(address)
      const fiber = yield* Effect.fork(Server.serve(hello))
      expect((yield* get(address.port)).text).toBe("Hello World")
      yield* Fiber.interrupt(fiber)
      const accepting = yield* Effect.fork(Server.acceptRequest(hello))
      expect((yield* get(address.port)).status).toBe(200)
      const connection = yield* Fiber.join(accepting)
      expect(yield* Fiber.join(connection)).toStrictEqual({ reason: "ClosedByClient", requests: 1 })
      expect(yield* Server.shouldAcceptRequest()).toBe(true)
      expect(yield* Server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 0, timedOut: 0 })
    }).pipe(Effect.provide(Server.layer()))
  )

  it.scopedLive("has the default of Nim's asynchttpserver for maxBody", () =>
    Effect.gen(function* () {
      expect(Limits.defaults.maxBody).toBe(8_388_608)
      const { port } = yield* serving(hello)
      const most = yield* ask(port, requestText("POST /", ["Content-Length: 8388608"]))
      expect(most.status).toBe(200)
      const more = yield* ask(port, requestText("POST /", ["Content-Length: 8388609"]))
      expect(more.status).toBe(413)
    })
  )

  it.scopedLive("reuseAddr is true by default, and false is an OSError at listen", () =>
    Effect.gen(function* () {
      const { budget, server } = yield* make({ reuseAddr: false })
      expect(yield* Effect.flip(server.listen())).toStrictEqual(osError("ENOTSUP", "setsockopt"))
      expect(yield* budget.held).toBe(0)
      const other = yield* make()
      expect((yield* other.server.listen({ port: 0 })).port).toBeGreaterThan(0)
    })
  )

  describe.each([true, "auto"] as const)("reusePort: %s", (reusePort) => {
    it.scopedLive.skipIf(hasReusePort)("is an OSError at listen where the runtime lacks it", () =>
      Effect.gen(function* () {
        const { budget, server } = yield* make({ reusePort })
        expect(yield* Effect.flip(server.listen())).toStrictEqual(osError("ENOTSUP", "setsockopt"))
        expect(yield* Effect.flip(server.serve(hello))).toStrictEqual(osError("ENOTSUP", "setsockopt"))
        expect(yield* budget.held).toBe(0)
      })
    )

    it.scopedLive.runIf(hasReusePort)("lets two servers listen on one port where the runtime has it", () =>
      Effect.gen(function* () {
        const one = yield* make({ reusePort })
        const other = yield* make({ reusePort })
        const { port } = yield* one.server.listen({ port: 0 })
        expect((yield* other.server.listen({ port })).port).toBe(port)
      })
    )
  })

  it.scopedLive("an option that is invalid is a ValueError at listen", () =>
    Effect.gen(function* () {
      // As a configuration or code without types gives them.
      const invalid: ReadonlyArray<readonly [actual: string, options: object]> = [
        ["maxBody: -1", { maxBody: -1 }],
        ["maxBody: NaN", { maxBody: Number.NaN }],
        ["maxHeaders: -1", { limits: { maxHeaders: -1 } }],
        ["maxHeader: unknown option", { limits: { maxHeader: 10 } }],
        ["backlog: 1.5", { backlog: 1.5 }],
        ["drainTimeout: soon", { drainTimeout: "soon" }],
        ["onClientEnd: wait", { onClientEnd: "wait" }],
        ["connectMethod: true", { connectMethod: true }],
        ["onFull: drop", { onFull: "drop" }],
        ["reusePort: yes", { reusePort: "yes" }],
        ["interruptTimeout: -1", { interruptTimeout: -1 }],
        ["maxbody: unknown option", { maxbody: 10 }]
      ]
      for (const [actual, options] of invalid) {
        const { server } = yield* make(options)
        expect(yield* Effect.flip(server.listen())).toMatchObject({ reason: "Option", actual })
      }
      const { server } = yield* make()
      expect(yield* Effect.flip(server.listen({ backlog: -1 }))).toMatchObject({
        reason: "Option",
        actual: "backlog: -1"
      })
      const none = yield* serving(hello, { maxBody: 0 })
      expect((yield* get(none.port)).status).toBe(200)
      expect((yield* ask(none.port, withBody("POST /", "x"))).status).toBe(413)
    })
  )
})

describe("listen(server, port, address, domain)", () => {
  it.scopedLive("port 0 is chosen by the system", () =>
    Effect.gen(function* () {
      const one = yield* make()
      const other = yield* make()
      const first = yield* one.server.listen({ port: 0 })
      yield* other.server.listen()
      const secondPort = yield* other.server.port
      expect(first).toMatchObject({ _tag: "TcpAddress", hostname: "127.0.0.1", family: "IPv4" })
      expect(first.port).toBeGreaterThan(0)
      expect(secondPort).toBeGreaterThan(0)
      expect(secondPort).not.toBe(first.port)
    })
  )

  it.scopedLive("binds the given port", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(Effect.flatMap(make(), ({ server }) => server.listen({ port: 0 })))
      const { server } = yield* make()
      expect((yield* server.listen({ port })).port).toBe(port)
    })
  )

  it.scopedLive("takes the defaults that the server was made with", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(Effect.flatMap(make(), ({ server }) => server.listen({ port: 0 })))
      const { server } = yield* make({ port, address: "127.0.0.1" })
      expect(yield* server.listen()).toMatchObject({ port, hostname: "127.0.0.1" })
    })
  )

  it.scopedLive("no address is every address of the domain", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { hostname, port } = yield* server.listen({ address: "" })
      expect(hostname).toBe("0.0.0.0")
      yield* Effect.forkScoped(server.serve(hello))
      expect((yield* get(port)).status).toBe(200)
    })
  )

  it.scopedLive("a name is looked up in the domain", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      expect((yield* server.listen({ address: "localhost" })).hostname).toBe("127.0.0.1")
    })
  )

  it.scopedLive("domain IPv6 listens on IPv6", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const address = yield* server.listen({ address: "::1", domain: "IPv6" })
      expect(address).toMatchObject({ hostname: "::1", family: "IPv6" })
      yield* Effect.forkScoped(server.serve((request) => respond(request, 200, String(request.remoteAddress))))
      const client = yield* connect(address.port, "::1")
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).text).toContain("::1")
    })
  )

  it.scopedLive("domain IPv6 without an address is IPv6 alone", () =>
    Effect.gen(function* () {
      const { server } = yield* make({ address: "" })
      const { hostname, port } = yield* server.listen({ domain: "IPv6" })
      expect(hostname).toBe("::")
      // The same port of IPv4 is still free.
      const other = yield* make()
      expect((yield* other.server.listen({ port, address: "0.0.0.0" })).port).toBe(port)
    })
  )

  it.scopedLive("an address in use is an OSError, and leaks nothing", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello)
      const { budget, server } = yield* make()
      const before = yield* openDescriptors
      expect(yield* Effect.flip(server.listen({ port }))).toStrictEqual(osError("EADDRINUSE", "listen"))
      expect(yield* budget.held).toBe(0)
      yield* eventually(openDescriptors, (now) => now === before, "as many descriptors as before")
      expect((yield* get(port)).status).toBe(200)
      expect((yield* server.listen({ port: 0 })).port).toBeGreaterThan(0)
    })
  )

  it.scopedLive("an address that this machine does not have is an OSError", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const error = yield* Effect.flip(server.listen({ address: "192.0.2.1" }))
      expect(error).toStrictEqual(osError("EADDRNOTAVAIL", "listen"))
    })
  )

  for (const port of [-1, 65_536, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    it.scopedLive(`port ${port} is a ValueError`, () =>
      Effect.gen(function* () {
        const { server } = yield* make()
        const error = yield* Effect.flip(server.listen({ port }))
        expect(error).toBeInstanceOf(ValueError)
        expect(error).toMatchObject({ reason: "Port", actual: String(port) })
      })
    )
  }

  for (const address of ["not an address", "127.0.0.1/8", "127.0.0.1\0", "::1"]) {
    it.scopedLive(`address ${JSON.stringify(address)} is a ValueError for IPv4`, () =>
      Effect.gen(function* () {
        const { server } = yield* make()
        expect(yield* Effect.flip(server.listen({ address }))).toStrictEqual(valueError("Address"))
      })
    )
  }

  it.scopedLive("an IPv4 address is a ValueError for IPv6", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const error = yield* Effect.flip(server.listen({ address: "127.0.0.1", domain: "IPv6" }))
      expect(error).toMatchObject({ _tag: "ValueError", reason: "Address", actual: "127.0.0.1" })
    })
  )

  it.scopedLive("a second listen is a ValueError, and the first continues", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving(hello)
      expect(yield* Effect.flip(server.listen())).toStrictEqual(valueError("AlreadyListening"))
      expect(yield* server.port).toBe(port)
      expect((yield* get(port)).status).toBe(200)
    })
  )

  it.scopedLive("of two listens at the same time one is a ValueError", () =>
    Effect.gen(function* () {
      const { budget, server } = yield* make()
      const both = yield* Effect.all([Effect.either(server.listen()), Effect.either(server.listen())], {
        concurrency: "unbounded"
      })
      expect(both.filter(Either.isRight)).toHaveLength(1)
      expect(both.flatMap((each) => (Either.isLeft(each) ? [each.left] : []))).toStrictEqual([
        valueError("AlreadyListening")
      ])
      expect(yield* budget.held).toBe(1)
    })
  )
})

describe("getPort(server)", () => {
  it.scopedLive("is the port that is really bound", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen({ port: 0 })
      expect(yield* server.port).toBe(port)
      expect(yield* server.address).toMatchObject({ hostname: "127.0.0.1", port })
    })
  )

  it.scopedLive("is an OSError before listen and after close", () =>
    Effect.gen(function* () {
      const { server } = yield* make({ port: 8080 })
      expect(yield* Effect.flip(server.port)).toStrictEqual(osError("ENOTCONN", "getsockname"))
      expect(yield* Effect.flip(server.address)).toStrictEqual(osError("ENOTCONN", "getsockname"))
      yield* server.listen({ port: 0 })
      yield* server.close
      expect(yield* Effect.flip(server.port)).toStrictEqual(osError("ENOTCONN", "getsockname"))
    })
  )
})
