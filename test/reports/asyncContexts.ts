/**
 * What each handler finds in an `AsyncLocalStorage`, when the handlers before it have entered one: run in this process by
 * the tests, and as a program by another Node.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import { once } from "node:events"
import { connect } from "node:net"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as HttpServer from "effect-asynchttpserver/HttpServer"
import * as Response from "effect-asynchttpserver/Response"
import * as Server from "effect-asynchttpserver/Server"

const storage = new AsyncLocalStorage<string>()

/** What each handler has found, by its path. */
type Found = Array<readonly [path: string, found: string | undefined]>

const large = "x".repeat(1024 * 1024)

/** Enters the storage, finds what it has entered, and takes some way to its end. */
const afterEntering = (found: Found, path: string): Effect.Effect<string> => {
  found.push([path, storage.getStore()])
  storage.enterWith(path)
  const seen = Effect.sync(() => storage.getStore() ?? "nothing")
  if (path.startsWith("/yields")) return Effect.zipRight(Effect.yieldNow(), seen)
  if (path.startsWith("/waits"))
    return Effect.zipRight(
      Effect.promise(() => new Promise<void>(setImmediate)),
      seen
    )
  return path.startsWith("/large") ? Effect.succeed(large) : seen
}

const native = (found: Found) =>
  Effect.gen(function* () {
    const server = yield* Effect.provide(Server.make({ address: "127.0.0.1" }), Server.layerDependencies)
    const { port } = yield* server.listen({ port: 0 })
    yield* Effect.forkScoped(
      server.serve((request) => {
        const { path } = request
        if (!path.startsWith("/plain")) {
          return Effect.flatMap(afterEntering(found, path), (text) => Response.respond(request, 200, text))
        }
        found.push([path, storage.getStore()])
        storage.enterWith(path)
        return Response.respond(request, 200, path)
      })
    )
    return port
  })

const application = (found: Found) =>
  Effect.gen(function* () {
    const server = yield* HttpServer.make({ host: "127.0.0.1" })
    const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
      Effect.map(afterEntering(found, url), (text) => HttpServerResponse.text(text))
    )
    yield* server.serve(app)
    return server.address._tag === "TcpAddress" ? server.address.port : 0
  })

const paths = ["/plain", "/now", "/yields", "/waits", "/large"].flatMap((path) => [
  `${path}/1`,
  `${path}/2`,
  `${path}/3`
])

const requestOf = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

/** Pipelined in one write, then one by one on the same connection. */
const asked = async (port: number): Promise<void> => {
  const socket = connect(port, "127.0.0.1")
  let responses = 0
  socket.on("data", (bytes) => {
    responses += bytes.toString("latin1").split("HTTP/1.1 200").length - 1
  })
  const until = async (count: number): Promise<void> => {
    while (responses < count) await once(socket, "data")
  }
  socket.write(paths.map(requestOf).join(""))
  await until(paths.length)
  for (const [index, path] of paths.entries()) {
    socket.write(requestOf(path))
    await until(paths.length + index + 1)
  }
  socket.destroy()
}

type Serving = (found: Found) => Effect.Effect<number, unknown, Scope.Scope>

export const kinds: { readonly [Kind in "native" | "application"]: Serving } = { native, application }

/** What the handlers of one connection have found that they have not entered themselves; and how many there were. */
export const leaks = async (kind: keyof typeof kinds): Promise<readonly [count: number, found: Found]> => {
  const found: Found = []
  const scope = Effect.runSync(Scope.make())
  const port = await Effect.runPromise(Scope.extend(kinds[kind](found), scope))
  await asked(port)
  await Effect.runPromise(Scope.close(scope, Exit.void))
  return [found.length, found.filter(([, store]) => store !== undefined)]
}

export const expected = 2 * paths.length

if (process.argv[2] === "as a program") {
  console.log(JSON.stringify([process.versions.node, await leaks("native"), await leaks("application")]))
  process.exit()
}
