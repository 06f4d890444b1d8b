/**
 * Errors of accept, as the system reports them to a server of `node:net`.
 */
import { Server as NetServer } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Logger, LogLevel, Option } from "effect"
import { Response, Server } from "effect-asynchttpserver"
import { get } from "../support/rawClient.js"

const handles = (): ReadonlyArray<unknown> =>
  // Not public: the only way to the server of a listener, where the system reports its errors.
  (process as unknown as { readonly _getActiveHandles: () => ReadonlyArray<unknown> })._getActiveHandles()

/** The server of `node:net` that listens at a port. */
const netServer = (port: number): NetServer => {
  const found = handles().find((handle): handle is NetServer => {
    if (!(handle instanceof NetServer)) return false
    const address = handle.address()
    return typeof address === "object" && address?.port === port
  })
  if (found === undefined) throw new Error("no server at the port")
  return found
}

const acceptError = (code: string): Error => Object.assign(new Error(`accept ${code}`), { code, syscall: "accept" })

const serving = Effect.gen(function* () {
  const warnings: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === LogLevel.Warning) warnings.push(String(message))
  })
  const server = yield* Server.make({ address: "127.0.0.1" })
  const { port } = yield* server.listen({ port: 0 })
  const fiber = yield* Effect.forkScoped(
    Effect.provide(
      server.serve((request) => Response.respond(request, 200, "served")),
      Logger.replace(Logger.defaultLogger, logger)
    )
  )
  yield* get(port)
  return { port, fiber, server, warnings, net: netServer(port) }
}).pipe(Effect.provide(Server.layerDependencies))

describe("errors of accept", () => {
  it.scopedLive("a transient one is logged once for many, and retried after a pause", () =>
    Effect.gen(function* () {
      const { net, port, warnings } = yield* serving
      for (let i = 0; i < 1000; i++) net.emit("error", acceptError("EMFILE"))
      expect((yield* get(port)).status).toBe(200)
      expect(warnings).toHaveLength(1)
      expect(warnings[0]).toMatch(/could not accept a connection/)
    })
  )

  it.scopedLive("any other ends serve with it", () =>
    Effect.gen(function* () {
      const { fiber, net } = yield* serving
      net.emit("error", acceptError("EBADF"))
      expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({ _tag: "OSError", code: "EBADF" })
    })
  )

  it.scopedLive("acceptRequest fails with a transient one", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({ address: "127.0.0.1" })
      const { port } = yield* server.listen({ port: 0 })
      const accepting = yield* Effect.fork(server.acceptRequest((request) => Response.respond(request, 200)))
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      expect(yield* Fiber.poll(accepting)).toStrictEqual(Option.none())
      netServer(port).emit("error", acceptError("ENFILE"))
      expect(yield* Effect.flip(Fiber.join(accepting))).toMatchObject({ _tag: "OSError", code: "ENFILE" })
    }).pipe(Effect.provide(Server.layerDependencies))
  )
})
