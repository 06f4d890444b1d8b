/**
 * Several listeners of one server: TCP, TLS and a Unix domain socket.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Metric, Queue } from "effect"
import {
  DescriptorBudget,
  Metrics,
  type Request,
  RequestParser,
  Response,
  ResponseWriter,
  Server,
  TcpListener
} from "effect-asynchttpserver"
import { quiet } from "../server/harness.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { ask, connect, type Place, requestText, tlsEndpoint, unixEndpoint } from "../support/rawClient.js"
import { authority, localhost } from "./harness.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "listening-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const respond = (request: Request.Request) => Response.respond(request, 200, "here")

const make = (options: Server.Options = {}, max?: number) =>
  Effect.provide(
    Server.make({ address: "127.0.0.1", drainTimeout: 0, ...options }),
    Layer.mergeAll(TcpListener.layer, RequestParser.layer, ResponseWriter.layer).pipe(
      Layer.provideMerge(DescriptorBudget.layer({ max })),
      Layer.provideMerge(quiet)
    )
  )

const portAt = (server: Server.Server, i: number) =>
  Effect.map(server.addresses, (addresses) => {
    const address = addresses[i]
    if (address?._tag !== "TcpAddress") throw new Error("not a TCP address")
    return address.port
  })

/** TCP, TLS and a Unix domain socket. */
const three = Effect.map(folder, (directory) => {
  const path = join(directory, "app.sock")
  const places: Server.ListenOptions = { port: 0, additional: [{ address: "127.0.0.1", tls: localhost }, { path }] }
  const endpoints = (server: Server.Server) =>
    Effect.map(
      Effect.all([portAt(server, 0), portAt(server, 1)]),
      ([tcp, tls]): ReadonlyArray<Place> => [tcp, tlsEndpoint(tls, authority.cert), unixEndpoint(path)]
    )
  return { places, endpoints, path }
})

const request = requestText("GET /")

describe("a server with several listeners", () => {
  it.scopedLive("serves all of them, closes all, and listens again", () =>
    Effect.gen(function* () {
      const { endpoints, path, places } = yield* three
      const server = yield* make()
      for (let i = 0; i < 2; i++) {
        yield* server.listen(places)
        const fiber = yield* Effect.fork(server.serve(respond))
        for (const endpoint of yield* endpoints(server)) expect((yield* ask(endpoint, request)).text).toBe("here")
        yield* server.close
        yield* Fiber.await(fiber)
        expect(existsSync(path)).toBe(false)
        yield* eventually(server.budget.held, (held) => held === 0, "released")
      }
    })
  )

  it.scopedLive("listens nowhere if one of them fails", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const taken = createServer()
      yield* Effect.async<void>((resume) => void taken.listen(0, "127.0.0.1", () => resume(Effect.void)))
      const { port } = taken.address() as { readonly port: number }
      const path = join(directory, "app.sock")
      const server = yield* make()
      const places: Server.ListenOptions = { path, additional: [{ address: "127.0.0.1", port }] }
      expect(yield* Effect.flip(server.listen(places))).toMatchObject({ _tag: "OSError", code: "EADDRINUSE" })
      expect(existsSync(path)).toBe(false)
      expect(yield* server.budget.held).toBe(0)
      expect(yield* Effect.flip(server.address)).toMatchObject({ code: "ENOTCONN" })
      yield* Effect.async<void>((resume) => void taken.close(() => resume(Effect.void)))
      yield* server.listen(places)
      expect(yield* server.addresses).toHaveLength(2)
    })
  )

  it.scopedLive.each([
    ["a typing error", { prot: 8080 } as never, "prot"],
    ["a backlog", { backlog: -1 }, "backlog"],
    ["a domain", { domain: "ipv4" } as never, "domain"],
    ["an option of the server", { maxBody: 1 } as never, "maxBody"]
  ] as const)("refuses an invalid option of a further place: %s", ([, place, name]) =>
    Effect.gen(function* () {
      for (const [options, given] of [
        [{}, { additional: [place] }],
        [{ additional: [place] }, {}]
      ] as const) {
        const server = yield* make(options)
        const error = yield* Effect.flip(server.listen(given as Server.ListenOptions))
        expect(error).toMatchObject({ _tag: "ValueError", reason: "Option", actual: expect.stringContaining(name) })
      }
    })
  )

  it.scopedLive("takes connections of all while the gate opens and closes, and loses none", () =>
    Effect.gen(function* () {
      const { endpoints, places } = yield* three
      // Three listeners, and two connections at a time.
      const server = yield* make({ backlog: 511 }, 30)
      yield* server.listen(places)
      yield* Effect.forkScoped(server.serve(respond, { assumedDescriptorsPerRequest: 20 }))
      const all = (yield* endpoints(server)).flatMap((endpoint) => Array.from({ length: 60 }, () => endpoint))
      const responses = yield* Effect.forEach(all, (endpoint) => ask(endpoint, request), { concurrency: 9 })
      expect(responses.filter(({ status }) => status === 200)).toHaveLength(180)
      yield* eventually(server.budget.held, (held) => held === 3, "released")
    })
  )

  it.scopedLive("serves each of them while another always has connections pending", () =>
    Effect.gen(function* () {
      const server = yield* make({}, 40)
      yield* server.listen({ port: 0, additional: [{ address: "127.0.0.1" }] })
      const [busy, other] = yield* Effect.all([portAt(server, 0), portAt(server, 1)])
      const served = yield* Queue.unbounded<string>()
      const gates: Array<Deferred.Deferred<void>> = []
      // One connection at a time: the gate is closed while one is held.
      yield* Effect.forkScoped(
        server.serve(
          (request) =>
            Effect.gen(function* () {
              const gate = yield* Deferred.make<void>()
              gates.push(gate)
              yield* Queue.offer(served, request.path)
              yield* Deferred.await(gate)
              return yield* Response.respond(request, 200, "", { Connection: "close" })
            }),
          { assumedDescriptorsPerRequest: 39 }
        )
      )
      const begin = (port: number, path: string) =>
        Effect.tap(connect(port), (client) => client.send(requestText(`GET ${path}`)))
      yield* begin(busy, "/busy")
      expect(yield* Queue.take(served)).toBe("/busy")
      for (let i = 0; i < 8; i++) yield* begin(busy, "/busy")
      yield* begin(other, "/other")
      yield* eventually(server.budget.held, (held) => held === 12, "pending")
      const order: Array<string> = []
      for (let i = 0; i < 3; i++) {
        yield* Deferred.succeed(gates[i]!, undefined)
        order.push(yield* Queue.take(served))
      }
      expect(order).toContain("/other")
      for (let i = 3; i < 10; i++) {
        yield* eventually(
          Effect.sync(() => gates.length),
          (length) => length > i,
          "served"
        )
        yield* Deferred.succeed(gates[i]!, undefined)
      }
    })
  )

  it.scopedLive("leaves enough of the budget for one request while the connections of all are pending", () =>
    Effect.gen(function* () {
      const server = yield* make({}, 14)
      yield* server.listen({ port: 0, additional: [{ address: "127.0.0.1" }, { address: "127.0.0.1" }] })
      for (let i = 0; i < 3; i++) {
        const port = yield* portAt(server, i)
        for (let j = 0; j < 6; j++) yield* connect(port)
      }
      yield* eventLoopTurns(20)
      expect(yield* server.shouldAcceptRequest()).toBe(true)
    })
  )

  it.scopedLive("`acceptRequest` takes one connection of any of them", () =>
    Effect.gen(function* () {
      const { endpoints, places } = yield* three
      const server = yield* make()
      yield* server.listen(places)
      for (const endpoint of yield* endpoints(server)) {
        const fiber = yield* Effect.fork(server.acceptRequest(respond))
        expect((yield* ask(endpoint, request)).text).toBe("here")
        yield* Fiber.join(fiber)
      }
    })
  )

  it.scopedLive("counts the connections of all in the metrics", () =>
    Effect.gen(function* () {
      const { endpoints, places } = yield* three
      const server = yield* make()
      yield* server.listen(places)
      const before = yield* Metric.value(Metrics.requests["2xx"])
      yield* Effect.forkScoped(server.serve(respond))
      for (const endpoint of yield* endpoints(server)) yield* ask(endpoint, request)
      expect((yield* Metric.value(Metrics.requests["2xx"])).count - before.count).toBe(3)
    })
  )
})
