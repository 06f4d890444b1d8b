/** The lifecycle of a server: a bind that does not complete, and what a closed scope leaves. */
import { createConnection } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Address from "../../src/Address.js"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import { OSError } from "../../src/Errors.js"
import * as Listener from "../../src/Listener.js"
import * as RequestParser from "../../src/RequestParser.js"
import { type Handler, respond } from "../../src/Response.js"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import * as Server from "../../src/Server.js"
import { eventLoopTurns } from "../support/eventually.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")

const canceled = new OSError({ code: "ECANCELED", syscall: "listen", cause: new Error("the server was closed") })

const bound: Listener.BoundListener = {
  address: Address.tcp("192.0.2.1", 80, "IPv4"),
  accept: Effect.never,
  acceptWhile: () => Effect.never,
  pending: Effect.succeed(0),
  rejected: Effect.succeed(0)
}

/** A server of a listener whose bind completes when the test does so, and the number of its open resources. */
const binding = Effect.gen(function* () {
  const hasBegun = yield* Deferred.make<void>()
  const completed = yield* Deferred.make<void>()
  const resources = { open: 0 }
  const listen = Effect.gen(function* () {
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        resources.open++
      }),
      () =>
        Effect.sync(() => {
          resources.open--
        })
    )
    yield* Deferred.succeed(hasBegun, undefined)
    yield* Deferred.await(completed)
    return bound
  })
  const scope = yield* Scope.make()
  const server = yield* Server.make({ drainTimeout: 0 }).pipe(
    Scope.extend(scope),
    Effect.provide(
      Layer.mergeAll(
        Layer.succeed(Listener.Listener, { listen: () => listen }),
        RequestParser.layer,
        ResponseWriter.layer,
        DescriptorBudget.layer({ max: 100 })
      )
    )
  )
  return {
    server,
    resources,
    hasBegun: Deferred.await(hasBegun),
    complete: Deferred.succeed(completed, undefined),
    closeScope: Scope.close(scope, Exit.void)
  }
})

/** A server over TCP, and the scope in which it was made. */
const overTcp = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(
    Server.layer({ address: "127.0.0.1", drainTimeout: 0 }).pipe(
      Layer.provideMerge(Logger.remove(Logger.defaultLogger))
    ),
    scope
  )
  return { server: Context.get(context, Server.Server), closeScope: Scope.close(scope, Exit.void) }
})

/** True if a connection to the port is refused. */
const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.async<boolean>((resume) => {
    const socket = createConnection({ host: "127.0.0.1", port })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.once("error", () => resume(Effect.succeed(true)))
  })

describe("a bind that does not complete", () => {
  const binds = {
    listen: (server: Server.Server) => server.listen(),
    serve: (server: Server.Server) => server.serve(hello)
  } as const

  for (const [name, run] of Object.entries(binds)) {
    it.live(`is interrupted with ${name}, which releases what it has opened`, () =>
      Effect.gen(function* () {
        const { closeScope, hasBegun, resources, server } = yield* binding
        const fiber = yield* Effect.fork(run(server))
        yield* hasBegun
        expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
        expect(resources.open).toBe(0)
        expect(yield* Effect.flip(server.port)).toMatchObject({ code: "ENOTCONN" })
        yield* closeScope
      })
    )

    it.live(`is canceled when the server closes, and ${name} fails with ECANCELED`, () =>
      Effect.gen(function* () {
        const { hasBegun, resources, server } = yield* binding
        const fiber = yield* Effect.fork(Effect.exit(run(server)))
        yield* hasBegun
        yield* server.close
        expect(resources.open).toBe(0)
        expect(yield* Fiber.join(fiber)).toStrictEqual(Exit.fail(canceled))
      })
    )

    it.live(`is canceled when the scope of the server closes, and ${name} fails with ECANCELED`, () =>
      Effect.gen(function* () {
        const { closeScope, hasBegun, resources, server } = yield* binding
        const fiber = yield* Effect.fork(Effect.exit(run(server)))
        yield* hasBegun
        yield* closeScope
        expect(resources.open).toBe(0)
        expect(yield* Fiber.join(fiber)).toStrictEqual(Exit.fail(canceled))
      })
    )
  }

  it.live("is canceled although its caller is uninterruptible", () =>
    Effect.gen(function* () {
      const { hasBegun, resources, server } = yield* binding
      const fiber = yield* Effect.fork(Effect.exit(Effect.uninterruptible(server.listen())))
      yield* hasBegun
      yield* server.close
      expect(resources.open).toBe(0)
      expect(yield* Fiber.join(fiber)).toStrictEqual(Exit.fail(canceled))
    })
  )

  it.live("delays another listen, which can be interrupted, and afterwards finds the server listening", () =>
    Effect.gen(function* () {
      const { closeScope, complete, hasBegun, resources, server } = yield* binding
      const first = yield* Effect.fork(server.listen())
      yield* hasBegun
      const second = yield* Effect.fork(Effect.flip(server.listen()))
      const third = yield* Effect.fork(server.listen())
      yield* eventLoopTurns(3)
      expect(Exit.isInterrupted(yield* Fiber.interrupt(third))).toBe(true)
      expect(Option.isNone(yield* Fiber.poll(second))).toBe(true)
      yield* complete
      expect(yield* Fiber.join(first)).toBe(bound.address)
      expect(yield* Fiber.join(second)).toMatchObject({ reason: "AlreadyListening" })
      expect(resources.open).toBe(1)
      yield* closeScope
      expect(resources.open).toBe(0)
    })
  )

  it.live("may be tried again after an interruption", () =>
    Effect.gen(function* () {
      const { closeScope, complete, hasBegun, resources, server } = yield* binding
      yield* Effect.raceFirst(server.listen(), hasBegun)
      expect(resources.open).toBe(0)
      yield* complete
      expect(yield* server.listen()).toBe(bound.address)
      yield* closeScope
    })
  )
})

describe("a server whose scope has closed", () => {
  it.live("does not listen again, but fails with ECANCELED", () =>
    Effect.gen(function* () {
      const { closeScope, server } = yield* overTcp
      const { port } = yield* server.listen({ port: 0 })
      yield* closeScope
      expect(yield* Effect.exit(server.listen())).toStrictEqual(Exit.fail(canceled))
      expect(yield* Effect.exit(server.serve(hello))).toStrictEqual(Exit.fail(canceled))
      expect(yield* Effect.exit(server.serve(hello, { port }))).toStrictEqual(Exit.fail(canceled))
      expect(yield* server.close).toStrictEqual({ idle: 0, drained: 0, interrupted: 0, timedOut: 0 })
      expect(yield* isFree(port)).toBe(true)
    })
  )

  it.live("has closed what a later finalizer of the scope has opened", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Server.make({ address: "127.0.0.1" }).pipe(
        Scope.extend(scope),
        Effect.provide(Server.layerDependencies)
      )
      let exit: Exit.Exit<Address.Address, unknown> | undefined
      yield* Scope.addFinalizer(
        scope,
        Effect.map(Effect.exit(server.listen()), (listened) => {
          exit = listened
        })
      )
      yield* Scope.close(scope, Exit.void)
      if (exit === undefined || !Exit.isSuccess(exit)) return yield* Effect.die(exit)
      expect(yield* isFree(Address.isTcp(exit.value) ? exit.value.port : 0)).toBe(true)
    })
  )
})
