/**
 * The resolution of a host name before a bind.
 */
import dns from "node:dns/promises"
import { syncBuiltinESMExports } from "node:module"
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { Server } from "effect-asynchttpserver"

/** Replaces the system's resolver, until the scope closes, by one that does not respond. */
const silentResolver = Effect.gen(function* () {
  const asked = yield* Deferred.make<string>()
  const original = dns.lookup
  const silent = (name: string): Promise<never> => {
    Deferred.unsafeDone(asked, Effect.succeed(name))
    return new Promise(() => {})
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      Object.assign(dns, { lookup: silent })
      syncBuiltinESMExports()
    }),
    () =>
      Effect.sync(() => {
        Object.assign(dns, { lookup: original })
        syncBuiltinESMExports()
      })
  )
  return asked
})

it.scopedLive("a bind is interruptible while its host name is resolved, and leaks nothing", () =>
  Effect.gen(function* () {
    const asked = yield* silentResolver
    const server = yield* Server.make({ address: "server.example" })
    const listening = yield* Effect.fork(server.listen({ port: 0 }))
    expect(yield* Deferred.await(asked)).toBe("server.example")
    expect(Exit.isInterrupted(yield* Fiber.interrupt(listening))).toBe(true)
    expect(yield* server.budget.held).toBe(0)
  }).pipe(Effect.provide(Server.layerDependencies))
)
