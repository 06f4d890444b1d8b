/**
 * Unix domain sockets: their files, their addresses, and connections over them.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, lstatSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { request as httpRequest } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, Queue, Stream } from "effect"
import { type Address, type Request, Response, Server } from "effect-asynchttpserver"
import * as DropIn from "effect-asynchttpserver/HttpServer"
import { Lines } from "../server/logged.js"
import { eventually } from "../support/eventually.js"
import { ask, connect, requestText, unixEndpoint, withBody } from "../support/rawClient.js"

/** A directory of this test, and a path in it. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "listening-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const socketPath = Effect.map(folder, (path) => join(path, "app.sock"))

const respond = (request: Request.Request) => Response.respond(request, 200, "local")

const make = (options: Server.Options = {}) =>
  Effect.provide(Server.make({ drainTimeout: 0, ...options }), Server.layerDependencies)

const serving = (
  options: Server.Options & { readonly path: string },
  handler: (request: Request.Request) => ReturnType<typeof respond> = respond
) =>
  Effect.gen(function* () {
    const server = yield* make(options)
    const address = yield* server.listen()
    yield* Effect.forkScoped(server.serve(handler))
    return { server, address, endpoint: unixEndpoint(options.path) }
  })

const permissions = (path: string): number => lstatSync(path).mode & 0o777

/** A process that listens at a path until it is ended. */
const listeningProcess = (path: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log("listening"))`
      const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] })
      await once(child.stdout, "data")
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

const withUmask = <A, E, R>(mask: number, effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => process.umask(mask)),
    () => effect,
    (before) => Effect.sync(() => process.umask(before))
  )

describe("the file of a Unix domain socket", () => {
  it.scopedLive("is there while the server listens, and removed when it closes", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const { address, endpoint, server } = yield* serving({ path })
      expect(address).toStrictEqual({ _tag: "UnixAddress", path })
      expect(lstatSync(path).isSocket()).toBe(true)
      expect((yield* ask(endpoint, requestText("GET /"))).text).toBe("local")
      yield* server.close
      expect(existsSync(path)).toBe(false)
    })
  )

  it.scopedLive("is replaced where its process was ended by SIGKILL", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const child = yield* listeningProcess(path)
      const exited = Effect.promise(() => once(child, "exit"))
      child.kill("SIGKILL")
      yield* exited
      expect(lstatSync(path).isSocket()).toBe(true)
      const { endpoint } = yield* serving({ path })
      expect((yield* ask(endpoint, requestText("GET /"))).text).toBe("local")
    })
  )

  it.scopedLive("is kept where a process listens: EADDRINUSE", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      yield* listeningProcess(path)
      const { ino } = lstatSync(path)
      const server = yield* make({ path })
      expect(yield* Effect.flip(server.listen())).toMatchObject({ _tag: "OSError", code: "EADDRINUSE" })
      expect(lstatSync(path).ino).toBe(ino)
    })
  )

  it.scopedLive("is kept where a server of this process listens, which serves on", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const { endpoint } = yield* serving({ path })
      const other = yield* make({ path })
      expect((yield* Effect.flip(other.listen()))._tag).toBe("OSError")
      expect((yield* ask(endpoint, requestText("GET /"))).text).toBe("local")
    })
  )

  it.scopedLive.each(["file", "directory", "symbolic link to a file", "dangling symbolic link"] as const)(
    "that is a %s is never removed",
    (kind) =>
      Effect.gen(function* () {
        const directory = yield* folder
        const path = join(directory, "app.sock")
        const target = join(directory, "target")
        if (kind === "file") writeFileSync(path, "precious")
        if (kind === "symbolic link to a file") writeFileSync(target, "precious")
        if (kind.includes("link")) symlinkSync(target, path)
        const at = kind === "directory" ? directory : path
        const { ino } = lstatSync(at)
        const server = yield* make({ path: at })
        expect(yield* Effect.flip(server.listen())).toMatchObject({ _tag: "OSError", code: "EADDRINUSE" })
        expect(lstatSync(at).ino).toBe(ino)
      })
  )

  it.scopedLive.each([
    [0o600, 0],
    [0o660, 0],
    [0o666, 0o077],
    [0o777, 0o777]
  ] as const)("has the mode %o under a umask of %o", ([mode, umask]) =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const server = yield* make({ path, mode })
      yield* withUmask(umask, server.listen())
      expect(permissions(path)).toBe(mode)
    })
  )

  it.scopedLive("has the mode of the server's options where `listen` has the path alone", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const server = yield* make({ mode: 0o600 })
      yield* withUmask(0, server.listen({ path }))
      expect(permissions(path)).toBe(0o600)
    })
  )

  it.scopedLive("leaves the umask of the process as it was, also after a failure", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const before = process.umask(0o022)
      const server = yield* make({ path: join(path, "no", "such"), mode: 0o600 })
      expect(yield* Effect.flip(server.listen())).toMatchObject({
        code: expect.stringMatching(/EACCES|ENOENT|ENOTDIR/)
      })
      expect(process.umask(before)).toBe(0o022)
    })
  )

  it.scopedLive("can be listened at again after a close", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const server = yield* make({ path })
      for (let i = 0; i < 3; i++) {
        yield* server.listen()
        const fiber = yield* Effect.fork(server.serve(respond))
        expect((yield* ask(unixEndpoint(path), requestText("GET /"))).text).toBe("local")
        yield* server.close
        yield* Fiber.await(fiber)
        expect(existsSync(path)).toBe(false)
      }
    })
  )
})

describe("a path that cannot be used", () => {
  const listening = (options: Server.ListenOptions & { readonly path: string }) =>
    Effect.flatMap(make(), (server) => Effect.flip(server.listen(options)))

  it.scopedLive.each([
    ["empty", "", { _tag: "ValueError", reason: "Address" }],
    ["with a NUL byte", "/tmp/a\0b", { _tag: "ValueError", reason: "Address" }],
    ["too long", `/tmp/${"x".repeat(103)}`, { _tag: "OSError", code: "ENAMETOOLONG" }],
    ["too long in bytes", `/tmp/${"ü".repeat(52)}`, { _tag: "OSError", code: "ENAMETOOLONG" }]
  ] as const)("%s", ([, path, error]) =>
    Effect.map(listening({ path }), (actual) => expect(actual).toMatchObject(error))
  )

  it.scopedLive.each([-1, 0o1000, 1.5, Number.NaN])("the mode %d", (mode) =>
    Effect.map(listening({ path: "/tmp/unused.sock", mode }), (error) =>
      expect(error).toMatchObject({ _tag: "ValueError", reason: "Option" })
    )
  )

  it.scopedLive("the longest is used whole", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const length = process.platform === "linux" ? 107 : 103
      const path = join(directory, "x".repeat(length - directory.length - 1))
      const { endpoint } = yield* serving({ path })
      expect(lstatSync(path).isSocket()).toBe(true)
      expect((yield* ask(endpoint, requestText("GET /"))).text).toBe("local")
    })
  )
})

describe.skipIf(process.platform !== "linux")("an abstract name", () => {
  it.scopedLive("is served, without a file, and free again after a close", () =>
    Effect.gen(function* () {
      const path = `\0listening-test-${process.pid}`
      for (let i = 0; i < 2; i++) {
        const { address, endpoint, server } = yield* serving({ path })
        expect(address).toStrictEqual({ _tag: "UnixAddress", path })
        expect((yield* ask(endpoint, requestText("GET /"))).text).toBe("local")
        const other = yield* make({ path })
        expect(yield* Effect.flip(other.listen())).toMatchObject({ code: "EADDRINUSE" })
        yield* server.close
      }
    })
  )
})

describe("addresses over a Unix domain socket", () => {
  it.scopedLive("a request has the path as its local address, and no remote one; a port is EAFNOSUPPORT", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const addresses =
        yield* Queue.unbounded<readonly [Option.Option<Address.Address>, Option.Option<Address.Address>]>()
      const { endpoint, server } = yield* serving({ path }, (request) =>
        Effect.zipRight(Queue.offer(addresses, [request.client.local, request.client.remote]), respond(request))
      )
      yield* ask(endpoint, requestText("GET /"))
      expect(yield* Queue.take(addresses)).toStrictEqual([Option.some({ _tag: "UnixAddress", path }), Option.none()])
      expect(yield* Effect.flip(server.port)).toMatchObject({ _tag: "OSError", code: "EAFNOSUPPORT" })
      expect(yield* server.addresses).toStrictEqual([{ _tag: "UnixAddress", path }])
    })
  )

  it.scopedLive("the drop-in has a UnixAddress, logs it, and its requests have no remote address", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const lines = new Lines()
      const app = Effect.map(HttpServerRequest.HttpServerRequest, ({ remoteAddress }) =>
        HttpServerResponse.raw(Option.getOrElse(remoteAddress, () => "none"))
      )
      const live = HttpServer.serve(app).pipe(
        HttpServer.withLogAddress,
        Layer.provideMerge(DropIn.layer({ path, drainTimeout: 0 })),
        Layer.provideMerge(lines.layer)
      )
      const context = yield* Layer.build(live)
      const { address } = yield* Effect.provide(HttpServer.HttpServer, context)
      expect(address).toStrictEqual({ _tag: "UnixAddress", path })
      expect(lines.count(path)).toBe(1)
      expect((yield* ask(unixEndpoint(path), requestText("GET /"))).text).toBe("none")
    })
  )

  it.scopedLive("Node's client, by `socketPath`", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      yield* serving({ path })
      const status = yield* Effect.async<number | undefined>((resume) => {
        httpRequest({ socketPath: path, path: "/" }, (response) => {
          response.resume()
          resume(Effect.succeed(response.statusCode))
        }).end()
      })
      expect(status).toBe(200)
    })
  )
})

describe("a connection over a Unix domain socket", () => {
  it.scopedLive("is half-closed by its client, and still receives the response", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const { endpoint } = yield* serving({ path }, (request) =>
        Effect.flatMap(request.text, (text) => Response.respond(request, 200, text))
      )
      const client = yield* connect(endpoint)
      yield* client.send(withBody("POST /", "content"))
      yield* client.halfClose
      expect((yield* client.readResponse()).text).toBe("content")
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  it.scopedLive("ends, and releases its descriptor, when its response fails (a pipe has no reset)", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const { endpoint, server } = yield* serving({ path }, (request) =>
        Response.respondStream(
          request,
          200,
          Stream.concat(Stream.make(Buffer.alloc(100)), Stream.dieMessage("broken") as Stream.Stream<never>)
        )
      )
      const client = yield* connect(endpoint)
      yield* client.send(requestText("GET /"))
      yield* client.closedWith
      yield* eventually(server.budget.held, (held) => held === 1, "released")
    })
  )

  it.scopedLive("interrupts the handler when the client leaves", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const begun = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const { endpoint, server } = yield* serving({ path, onClientEnd: "interrupt" }, (request) =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.zipRight(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined)),
          Effect.zipRight(respond(request))
        )
      )
      const client = yield* connect(endpoint)
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(begun)
      yield* client.destroy
      yield* Deferred.await(interrupted)
      yield* eventually(server.budget.held, (held) => held === 1, "released")
    })
  )

  it.scopedLive("of a client that reads slowly, but steadily, outlives writeTimeout", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const size = 4 * 1024 * 1024
      const { endpoint } = yield* serving({ path, limits: { writeTimeout: 1000 } }, (request) =>
        Response.respond(request, 200, Buffer.alloc(size))
      )
      const client = yield* connect(endpoint, undefined, { discardsBytes: true })
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

  it.scopedLive("of a client that does not read ends after writeTimeout", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const { endpoint, server } = yield* serving({ path, limits: { writeTimeout: 100 } }, (request) =>
        Response.respond(request, 200, Buffer.alloc(8 * 1024 * 1024))
      )
      const client = yield* connect(endpoint)
      yield* client.stopReading
      yield* client.send(requestText("GET /"))
      yield* eventually(server.budget.held, (held) => held === 2, "accepted")
      yield* eventually(server.budget.held, (held) => held === 1, "released")
    })
  )
})
