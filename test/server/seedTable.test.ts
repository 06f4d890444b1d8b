/** One test or more for each entry of `std/asynchttpserver` and `httpcore`, under its name there. */
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import { KeyError, OSError, ValueError } from "../../src/Errors.js"
import * as HttpCode from "../../src/HttpCode.js"
import * as HttpHeaders from "../../src/HttpHeaders.js"
import * as HttpMethod from "../../src/HttpMethod.js"
import * as HttpVersion from "../../src/HttpVersion.js"
import * as Limits from "../../src/Limits.js"
import type { Request } from "../../src/Request.js"
import { type Handler, respond, sendHeaders } from "../../src/Response.js"
import * as Server from "../../src/Server.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { ask, connect, get, requestText, withBody } from "../wire/rawConnection.js"
import { make, openDescriptors, serving, untilDescriptorsHeld } from "./harness.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
const hasReusePort = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)

const osError = (code: string, syscall: string) => expect.objectContaining({ _tag: "OSError", code, syscall })
const valueError = (reason: string) => expect.objectContaining({ _tag: "ValueError", reason })

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

  it.scopedLive("is a layer too, and Server's functions reach the server in it", () =>
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

  it.scopedLive("has the original's default for maxBody", () =>
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
      expect((yield* other.server.listen()).port).toBeGreaterThan(0)
    })
  )

  it.scopedLive.skipIf(hasReusePort)("reusePort is an OSError at listen where the runtime lacks it", () =>
    Effect.gen(function* () {
      const { budget, server } = yield* make({ reusePort: true })
      expect(yield* Effect.flip(server.listen())).toStrictEqual(osError("ENOTSUP", "setsockopt"))
      expect(yield* Effect.flip(server.serve(hello))).toStrictEqual(osError("ENOTSUP", "setsockopt"))
      expect(yield* budget.held).toBe(0)
    })
  )

  it.scopedLive.runIf(hasReusePort)("reusePort lets two servers listen on one port where the runtime has it", () =>
    Effect.gen(function* () {
      const one = yield* make({ reusePort: true })
      const other = yield* make({ reusePort: true })
      const { port } = yield* one.server.listen()
      expect((yield* other.server.listen({ port })).port).toBe(port)
    })
  )

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
      const second = yield* other.server.listen()
      expect(first).toMatchObject({ _tag: "TcpAddress", hostname: "127.0.0.1", family: "IPv4" })
      expect(first.port).toBeGreaterThan(0)
      expect(second.port).toBeGreaterThan(0)
      expect(second.port).not.toBe(first.port)
    })
  )

  it.scopedLive("binds the given port", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(Effect.flatMap(make(), ({ server }) => server.listen()))
      const { server } = yield* make()
      expect((yield* server.listen({ port })).port).toBe(port)
    })
  )

  it.scopedLive("takes the defaults that the server was made with", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(Effect.flatMap(make(), ({ server }) => server.listen()))
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
      expect((yield* server.listen()).port).toBeGreaterThan(0)
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

describe("shouldAcceptRequest(server, assumedDescriptorsPerRequest)", () => {
  it.scopedLive("is true while the held and the assumed descriptors are less than the maximum", () =>
    Effect.gen(function* () {
      const { budget, server } = yield* make({}, { max: 10 })
      yield* server.listen()
      expect(yield* budget.held).toBe(1)
      expect(yield* server.shouldAcceptRequest(0)).toBe(true)
      expect(yield* server.shouldAcceptRequest(8)).toBe(true)
      expect(yield* server.shouldAcceptRequest(9)).toBe(false)
      expect(yield* server.shouldAcceptRequest(100)).toBe(false)
    })
  )

  it.scopedLive("assumes 5 by default", () =>
    Effect.gen(function* () {
      expect(DescriptorBudget.assumedDescriptorsPerRequest).toBe(5)
      const enough = yield* make({}, { max: 7 })
      yield* enough.server.listen()
      expect(yield* enough.server.shouldAcceptRequest()).toBe(true)
      const short = yield* make({}, { max: 6 })
      yield* short.server.listen()
      expect(yield* short.server.shouldAcceptRequest()).toBe(false)
    })
  )

  it.scopedLive("is always true for a negative argument", () =>
    Effect.gen(function* () {
      const { server } = yield* make({}, { max: 1 })
      yield* server.listen()
      expect(yield* server.shouldAcceptRequest(0)).toBe(false)
      expect(yield* server.shouldAcceptRequest(-1)).toBe(true)
    })
  )

  it.scopedLive("counts every connection once, while it is there", () =>
    Effect.gen(function* () {
      const made = yield* serving(hello, { max: 20 })
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* client.readResponse()
      expect(yield* made.budget.held).toBe(2)
      expect(yield* made.server.shouldAcceptRequest(17)).toBe(true)
      expect(yield* made.server.shouldAcceptRequest(18)).toBe(false)
      yield* client.halfClose
      yield* untilDescriptorsHeld(made, 1)
      expect(yield* made.server.shouldAcceptRequest(18)).toBe(true)
    })
  )
})

describe("acceptRequest(server, callback)", () => {
  it.scopedLive("takes one connection and serves it in the background", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen()
      const one = yield* connect(port)
      const other = yield* connect(port)
      yield* other.send(requestText("GET /other"))
      yield* one.send(requestText("GET /one"))
      const fiber = yield* server.acceptRequest((request) => respond(request, 200, request.url))
      expect((yield* one.readResponse()).text).toBe("/one")
      yield* one.send(requestText("GET /again", ["Connection: close"]))
      expect((yield* one.readResponse()).text).toBe("/again")
      expect(yield* one.closedWith).toBe("FIN")
      expect(yield* Fiber.join(fiber)).toStrictEqual({ reason: "ClosedByServer", requests: 2 })
      // The other has waited, unread: one call takes one connection.
      yield* server.acceptRequest((request) => respond(request, 200, `second ${request.url}`))
      expect((yield* other.readResponse()).text).toBe("second /other")
    })
  )

  it.scopedLive("works in the caller's own loop, with shouldAcceptRequest", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen()
      const loop = Effect.forever(
        Effect.if(server.shouldAcceptRequest(), {
          onTrue: () => server.acceptRequest(hello),
          onFalse: () => Effect.sleep("500 millis")
        })
      )
      const fiber = yield* Effect.forkScoped(loop)
      for (let i = 0; i < 5; i++) expect((yield* get(port)).text).toBe("Hello World")
      yield* Fiber.interrupt(fiber)
    })
  )

  it.scopedLive("the connection continues when the fiber that accepted it has ended", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen()
      const client = yield* connect(port)
      const accepting = yield* Effect.fork(server.acceptRequest(hello))
      yield* Fiber.await(accepting)
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(200)
    })
  )

  it.scopedLive("interrupting the fiber it gives ends that connection alone", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen()
      const one = yield* connect(port)
      const first = yield* server.acceptRequest(hello)
      const other = yield* connect(port)
      yield* server.acceptRequest(hello)
      expect(yield* Fiber.interrupt(first)).toStrictEqual(Exit.succeed({ reason: "Interrupted", requests: 0 }))
      yield* one.closedWith
      yield* other.send(requestText("GET /"))
      expect((yield* other.readResponse()).status).toBe(200)
    })
  )

  it.scopedLive("a wait that is interrupted takes no connection", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen()
      const waiting = yield* Effect.fork(server.acceptRequest(hello))
      yield* eventLoopTurns(3)
      yield* Fiber.interrupt(waiting)
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* server.acceptRequest((request) => respond(request, 200, "taken later"))
      expect((yield* client.readResponse()).text).toBe("taken later")
    })
  )

  it.scopedLive("reports failures to onFailure", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const { port } = yield* server.listen()
      const client = yield* connect(port)
      const told = yield* Deferred.make<string>()
      yield* server.acceptRequest(() => Effect.fail("mine" as const), {
        onFailure: (cause, request) => Deferred.succeed(told, `${request.url} ${cause}`)
      })
      yield* client.send(requestText("GET /failing"))
      expect((yield* client.readResponse()).status).toBe(500)
      expect(yield* Deferred.await(told)).toMatch(/^\/failing .*mine/s)
    })
  )

  it.scopedLive("is an OSError when the server does not listen", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      expect(yield* Effect.flip(server.acceptRequest(hello))).toStrictEqual(osError("ENOTCONN", "accept"))
    })
  )

  it.scopedLive("is an OSError when the server is closed while it waits", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      yield* server.listen()
      const waiting = yield* Effect.fork(Effect.flip(server.acceptRequest(hello)))
      yield* eventLoopTurns(3)
      yield* server.close
      expect(yield* Fiber.join(waiting)).toStrictEqual(osError("ECANCELED", "accept"))
    })
  )
})

describe("serve(server, port, callback, address, assumedDescriptorsPerRequest, domain)", () => {
  it.scopedLive("listens by itself and serves every connection", () =>
    Effect.gen(function* () {
      const { server } = yield* make({ address: "" })
      yield* Effect.forkScoped(server.serve(hello, { port: 0, address: "127.0.0.1", domain: "IPv4" }))
      const port = yield* eventually(Effect.option(server.port), Option.isSome, "listening")
      const responses = yield* Effect.all(
        Array.from({ length: 10 }, () => get(Option.getOrThrow(port))),
        { concurrency: "unbounded" }
      )
      expect(responses.map(({ text }) => text)).toStrictEqual(Array(10).fill("Hello World"))
    })
  )

  it.scopedLive("never returns, and interrupting it closes all that it has opened", () =>
    Effect.gen(function* () {
      const made = yield* make()
      const { server } = made
      const fiber = yield* Effect.fork(server.serve(hello))
      const found = yield* eventually(Effect.option(server.port), Option.isSome, "listening")
      const port = Option.getOrThrow(found)
      const idle = yield* connect(port)
      yield* idle.send(requestText("GET /"))
      yield* idle.readResponse()
      const silent = yield* connect(port)
      yield* untilDescriptorsHeld(made, 3)
      expect(Option.isNone(yield* Fiber.poll(fiber))).toBe(true)
      const exit = yield* Fiber.interrupt(fiber)
      expect(Exit.isInterrupted(exit)).toBe(true)
      yield* idle.closedWith
      yield* silent.closedWith
      yield* untilDescriptorsHeld(made, 0)
      expect(yield* Effect.flip(server.port)).toStrictEqual(osError("ENOTCONN", "getsockname"))
      // The port is free for the same server and for others.
      expect((yield* server.listen({ port })).port).toBe(port)
    })
  )

  it.scopedLive("leaves a listener that was there before it", () =>
    Effect.gen(function* () {
      const { fiber, port, server } = yield* serving(hello)
      expect((yield* get(port)).status).toBe(200)
      yield* Fiber.interrupt(fiber)
      expect(yield* server.port).toBe(port)
      yield* Effect.forkScoped(server.serve((request) => respond(request, 200, "the next one")))
      expect((yield* get(port)).text).toBe("the next one")
    })
  )

  it.scopedLive("a connection that waited when it was interrupted is served by the next", () =>
    Effect.gen(function* () {
      const isHeld = yield* Deferred.make<void>()
      const hold: Handler = () => Effect.zipRight(Deferred.succeed(isHeld, undefined), Effect.never)
      const made = yield* serving(hold, { max: 10, assumed: 8 })
      // One descriptor listens and one is served, so there is no room for 8 more.
      const held = yield* connect(made.port)
      yield* held.send(requestText("GET /"))
      yield* Deferred.await(isHeld)
      const client = yield* connect(made.port)
      yield* client.send(requestText("GET /"))
      yield* untilDescriptorsHeld(made, 3)
      yield* eventLoopTurns(3)
      yield* Fiber.interrupt(made.fiber)
      yield* Effect.forkScoped(made.server.serve((request) => respond(request, 200, "the next one")))
      expect((yield* client.readResponse()).text).toBe("the next one")
    })
  )

  it.scopedLive("fails as listen does", () =>
    Effect.gen(function* () {
      const { port } = yield* serving(hello)
      const { budget, server } = yield* make()
      expect(yield* Effect.flip(server.serve(hello, { port: 65_536 }))).toStrictEqual(valueError("Port"))
      expect(yield* Effect.flip(server.serve(hello, { address: "::1" }))).toStrictEqual(valueError("Address"))
      expect(yield* Effect.flip(server.serve(hello, { port }))).toStrictEqual(osError("EADDRINUSE", "listen"))
      expect(yield* budget.held).toBe(0)
    })
  )

  it.scopedLive("fails when the server is closed under it", () =>
    Effect.gen(function* () {
      const { fiber, server } = yield* serving(hello)
      yield* eventLoopTurns(3)
      yield* server.close
      expect(yield* Effect.flip(Fiber.join(fiber))).toStrictEqual(osError("ECANCELED", "accept"))
    })
  )

  it.scopedLive("with an argument it waits for descriptors before it takes a connection", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      const made = yield* serving(
        (request) => {
          handled.push(request.url)
          return respond(request, 200, "Hello World")
        },
        { max: 10, assumed: 6 }
      )
      const one = yield* connect(made.port)
      const two = yield* connect(made.port)
      yield* one.send(requestText("GET /1"))
      yield* two.send(requestText("GET /2"))
      yield* one.readResponse()
      yield* two.readResponse()
      const three = yield* connect(made.port)
      yield* three.send(requestText("GET /3"))
      yield* untilDescriptorsHeld(made, 4)
      yield* two.send(requestText("GET /2/again"))
      yield* two.readResponse()
      yield* eventLoopTurns(10)
      expect(yield* made.server.shouldAcceptRequest(6)).toBe(false)
      expect(handled).not.toContain("/3")
      yield* one.halfClose
      expect((yield* three.readResponse()).status).toBe(200)
      expect(handled).toStrictEqual(["/1", "/2", "/2/again", "/3"])
    })
  )
})

describe("respond(request, code, content, headers)", () => {
  it.scopedLive("writes the status line, the headers, the length and the content, and keeps the connection", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respond(request, HttpCode.Http201, "Hällo", { "Content-Type": "text/plain; charset=utf-8", "X-Own": "1" })
      )
      const client = yield* connect(port)
      for (let i = 0; i < 2; i++) {
        yield* client.send(requestText("GET /"))
        const response = yield* client.readResponse()
        expect([response.version, response.status, response.reason]).toStrictEqual(["HTTP/1.1", 201, "Created"])
        expect(response.header("Content-Type")).toBe("text/plain; charset=utf-8")
        expect(response.header("X-Own")).toBe("1")
        expect(response.header("Content-Length")).toBe("6")
        expect(response.text).toBe("Hällo")
      }
    })
  )

  it.scopedLive("leaves out no header that the handler gives, and keeps their order", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respond(request, 200, "", [
          ["Set-Cookie", "a=1"],
          ["x-b", "2"],
          ["Set-Cookie", "c=3"]
        ])
      )
      const { fields } = yield* get(port)
      expect(fields.filter(([name]) => name === "Set-Cookie" || name === "x-b")).toStrictEqual([
        ["Set-Cookie", "a=1"],
        ["x-b", "2"],
        ["Set-Cookie", "c=3"]
      ])
    })
  )
})

describe("sendHeaders(request, headers)", () => {
  it.scopedLive("lets a handler write its response by hand, in chunks", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200, { "Content-Type": "text/plain" })
          yield* body.write("first, ")
          yield* body.write(Buffer.from("second"))
          return yield* body.end()
        })
      )
      const response = yield* get(port)
      expect(response.header("Content-Type")).toBe("text/plain")
      expect(response.text).toBe("first, second")
      expect(response.chunks).toStrictEqual([7, 6])
    })
  )

  it.scopedLive("lets a handler write its response by hand, with a length of its own", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const body = yield* sendHeaders(request, 200, { "Content-Length": "4" })
          yield* body.write("ab")
          yield* body.write("cd")
          return yield* body.end()
        })
      )
      const response = yield* get(port)
      expect(response.header("Content-Length")).toBe("4")
      expect(response.text).toBe("abcd")
    })
  )
})

describe("close(server)", () => {
  it.scopedLive("closes the listening socket: connecting fails, and the port is free", () =>
    Effect.gen(function* () {
      const made = yield* serving(hello)
      yield* made.server.close
      yield* untilDescriptorsHeld(made, 0)
      expect(Exit.isFailure(yield* Effect.exit(Effect.scoped(connect(made.port))))).toBe(true)
      const { server } = yield* make()
      expect((yield* server.listen({ port: made.port })).port).toBe(made.port)
    })
  )

  it.scopedLive("ends idle connections, lets requests in flight finish, and reports both", () =>
    Effect.gen(function* () {
      const isAsked = yield* Deferred.make<void>()
      const mayAnswer = yield* Deferred.make<void>()
      const { port, server } = yield* serving(
        (request) =>
          request.url === "/slow"
            ? Deferred.succeed(isAsked, undefined).pipe(
                Effect.zipRight(Deferred.await(mayAnswer)),
                Effect.zipRight(respond(request, 200, "slow"))
              )
            : respond(request, 200, "quick"),
        { drainTimeout: "1 minute" }
      )
      const idle = yield* connect(port)
      yield* idle.send(requestText("GET /"))
      yield* idle.readResponse()
      const busy = yield* connect(port)
      yield* busy.send(requestText("GET /slow") + requestText("GET /too-late"))
      yield* Deferred.await(isAsked)
      const closing = yield* Effect.fork(server.close)
      expect(yield* idle.closedWith).toBe("FIN")
      yield* Deferred.succeed(mayAnswer, undefined)
      const response = yield* busy.readResponse()
      expect(response.text).toBe("slow")
      expect(response.header("Connection")).toBe("close")
      expect(yield* busy.readToEnd).toHaveLength(0)
      expect(yield* Fiber.join(closing)).toStrictEqual({ idle: 1, drained: 1, interrupted: 0, timedOut: 0 })
    })
  )

  it.scopedLive("interrupts what has not finished in time, and reports it", () =>
    Effect.gen(function* () {
      const isAsked = yield* Deferred.make<void>()
      const isInterrupted = yield* Deferred.make<void>()
      const { port, server } = yield* serving(
        () =>
          Effect.onInterrupt(Effect.zipRight(Deferred.succeed(isAsked, undefined), Effect.never), () =>
            Deferred.succeed(isInterrupted, undefined)
          ),
        { drainTimeout: 0 }
      )
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(isAsked)
      expect(yield* server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 1, timedOut: 0 })
      expect(yield* Deferred.isDone(isInterrupted)).toBe(true)
      expect(parseResponses(yield* client.readToEnd).map(({ status }) => status)).toStrictEqual([503])
    })
  )

  it.scopedLive("twice is the same as once, and before listen it does nothing", () =>
    Effect.gen(function* () {
      const { server } = yield* make()
      const nothing = { idle: 0, drained: 0, interrupted: 0, timedOut: 0 }
      expect(yield* server.close).toStrictEqual(nothing)
      yield* server.listen()
      expect(yield* server.close).toStrictEqual(nothing)
      expect(yield* server.close).toStrictEqual(nothing)
    })
  )

  it.scopedLive("a closed server may listen and serve again", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving(hello)
      yield* server.close
      yield* server.listen({ port })
      yield* Effect.forkScoped(server.serve(hello))
      expect((yield* get(port)).text).toBe("Hello World")
    })
  )

  it.scopedLive("drops those that waited and were never taken", () =>
    Effect.gen(function* () {
      const made = yield* make()
      const { port } = yield* made.server.listen()
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* untilDescriptorsHeld(made, 2)
      yield* made.server.close
      yield* client.closedWith
      yield* untilDescriptorsHeld(made, 0)
    })
  )
})

describe("Request", () => {
  it.scopedLive("has the client, the method, the headers, the protocol, the url, the peer's address and the body", () =>
    Effect.gen(function* () {
      const seen = yield* Deferred.make<{ readonly request: Request; readonly body: string }>()
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          yield* Deferred.succeed(seen, { request, body: yield* request.text })
          return yield* respond(request, 200)
        })
      )
      const client = yield* connect(port)
      yield* client.send(withBody("PUT /path/x?q=1&r=%20", "the body", ["X-Own: yes"]))
      yield* client.readResponse()
      const { body, request } = yield* Deferred.await(seen)
      expect(request.method).toBe("PUT")
      expect(Array.from(request.headers)).toStrictEqual([
        ["Host", "test"],
        ["Content-Length", "8"],
        ["X-Own", "yes"]
      ])
      expect(request.version).toStrictEqual({ original: "HTTP/1.1", major: 1, minor: 1 })
      expect(request.url).toBe("/path/x?q=1&r=%20")
      expect([request.path, request.query]).toStrictEqual(["/path/x", "q=1&r=%20"])
      expect(request.remoteAddress).toStrictEqual(Option.some("127.0.0.1"))
      expect(Option.getOrThrow(request.client.remote).port).toBe(client.localPort)
      expect(Option.getOrThrow(request.client.local).port).toBe(port)
      expect(body).toBe("the body")
    })
  )
})

describe("AsyncHttpServer.maxBody", () => {
  it.scopedLive("is the largest body that is read, with a length or without", () =>
    Effect.gen(function* () {
      const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))
      const { port } = yield* serving(echo, { maxBody: 10 })
      expect((yield* ask(port, withBody("POST /", "0123456789"))).text).toBe("0123456789")
      expect((yield* ask(port, withBody("POST /", "0123456789a"))).status).toBe(413)
      const chunked = (body: string) => requestText("POST /", ["Transfer-Encoding: chunked"], body)
      expect((yield* ask(port, chunked("a\r\n0123456789\r\n0\r\n\r\n"))).text).toBe("0123456789")
      expect((yield* ask(port, chunked("5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n"))).status).toBe(413)
    })
  )

  it.scopedLive("wins over limits.maxBody, which is the same", () =>
    Effect.gen(function* () {
      const one = yield* serving(hello, { limits: { maxBody: 3 } })
      expect((yield* ask(one.port, withBody("POST /", "0123"))).status).toBe(413)
      const other = yield* serving(hello, { maxBody: 4, limits: { maxBody: 3 } })
      expect((yield* ask(other.port, withBody("POST /", "0123"))).status).toBe(200)
    })
  )
})

describe("nimMaxDescriptorsFallback", () => {
  it.effect("is 16000 unless the configuration says otherwise", () =>
    Effect.gen(function* () {
      const given = (entries: ReadonlyArray<readonly [string, string]>) =>
        Effect.withConfigProvider(DescriptorBudget.maxDescriptorsFallback, ConfigProvider.fromMap(new Map(entries)))
      expect(yield* given([])).toBe(16_000)
      expect(yield* given([["MAX_DESCRIPTORS_FALLBACK", "300"]])).toBe(300)
      expect(Exit.isFailure(yield* Effect.exit(given([["MAX_DESCRIPTORS_FALLBACK", "0"]])))).toBe(true)
      expect(Exit.isFailure(yield* Effect.exit(given([["MAX_DESCRIPTORS_FALLBACK", "many"]])))).toBe(true)
    })
  )
})

describe("httpcore", () => {
  it.scopedLive("HttpMethod: every method but CONNECT, which is rejected, reaches the handler", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, 200, "", { "X-Method": request.method }))
      expect(HttpMethod.all).toHaveLength(9)
      for (const method of HttpMethod.all.filter((method) => method !== "CONNECT")) {
        const response = yield* ask(port, requestText(`${method} /`), method)
        expect([response.status, response.header("X-Method")]).toStrictEqual([200, method])
      }
      expect((yield* ask(port, requestText("CONNECT test:80"))).status).toBe(501)
    })
  )

  it.scopedLive("HttpCode: every final code with a name leaves with its text", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) => respond(request, Number(request.query)))
      const client = yield* connect(port)
      for (const code of HttpCode.all.filter((code) => !HttpCode.is1xx(code))) {
        yield* client.send(requestText(`GET /?${code}`))
        const { reason, status } = yield* client.readResponse()
        expect(`${status} ${reason}`).toBe(HttpCode.toString(code))
      }
      yield* client.send(requestText("GET /?299"))
      expect(yield* client.readResponse()).toMatchObject({ status: 299, reason: "" })
    })
  )

  it.scopedLive("HttpVersion: 1.1 and 1.0 are distinguished", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        respond(
          request,
          200,
          `${request.version.original} ${HttpVersion.equals(request.version, HttpVersion.HttpVer10)}`
        )
      )
      expect((yield* ask(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).text).toBe("HTTP/1.1 false")
      expect((yield* ask(port, "GET / HTTP/1.0\r\n\r\n")).text).toBe("HTTP/1.0 true")
    })
  )

  it.scopedLive("HttpHeaders: any case, many values, the first when one is asked for, and KeyError for none", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.gen(function* () {
          const { headers } = request
          const missing = Either.merge(HttpHeaders.get(headers, "x-none"))
          const condition = [
            yield* HttpHeaders.get(headers, "X-MANY"),
            HttpHeaders.getAll(headers, "x-many"),
            HttpHeaders.has(headers, "x-Many"),
            HttpHeaders.getOrElse(headers, "x-none", () => "instead"),
            headers.size,
            missing instanceof KeyError ? missing.status : missing
          ]
          return yield* respond(request, 200, JSON.stringify(condition))
        })
      )
      const response = yield* ask(port, requestText("GET /", ["X-Many: a", "x-many: b"]))
      expect(JSON.parse(response.text)).toStrictEqual(["a", ["a", "b"], true, "instead", 3, 400])
    })
  )

  it.scopedLive("HttpHeaders: a handler that fails with the KeyError of a request's header gets 400", () =>
    Effect.gen(function* () {
      const { port } = yield* serving((request) =>
        Effect.flatMap(HttpHeaders.get(request.headers, "authorization"), (value) => respond(request, 200, value))
      )
      const response = yield* get(port)
      expect(response.status).toBe(400)
      expect(response.text).toContain("authorization")
      expect((yield* ask(port, requestText("GET /", ["Authorization: me"]))).text).toBe("me")
    })
  )
})
