/**
 * Servers for the checks.
 */
import { Effect } from "effect"
import { Server } from "effect-asynchttpserver"

/** Runs `use` with a server on an ephemeral port of loopback. */
export const serving = (handler, use, options = {}) =>
  Effect.gen(function* () {
    const server = yield* Server.make({ address: "127.0.0.1", drainTimeout: 0, ...options })
    const address = yield* server.listen(options.path === undefined ? { port: 0 } : {})
    yield* Effect.forkScoped(server.serve(handler))
    yield* Effect.promise(() => use({ server, address, port: address.port }))
  }).pipe(Effect.scoped, Effect.provide(Server.layerDependencies), Effect.runPromise)

export const content = Buffer.alloc(24 * 1024 * 1024, "x")

/** Content that takes longer to read than the write timeout, by a client that never stops for so long. */
export const slowly = { bytesPerTurn: 1024 * 1024, turn: 100 }

export const slowLimits = { writeTimeout: "1 second" }
