/** `Server.layerServe`: listens while the layer is built, and serves in its scope. */
import { createConnection } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type Handler, respond } from "../../src/Response.js"
import * as Server from "../../src/Server.js"
import { get } from "../wire/rawConnection.js"

const saying =
  (text: string): Handler =>
  (request) =>
    respond(request, 200, text)

const server = Server.layer({ address: "127.0.0.1", drainTimeout: 0 })

/** Builds a layer in a scope that the test closes. */
const built = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(layer, scope)
    return { context, close: Scope.close(scope, Exit.void) }
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

describe("layerServe", () => {
  it.live("serves when the layer is built, and no longer when its scope has closed", () =>
    Effect.gen(function* () {
      const { close, context } = yield* built(
        Layer.provideMerge(Server.layerServe(saying("Hello"), { port: 0 }), server)
      )
      const port = yield* Context.get(context, Server.Server).port
      expect((yield* get(port)).text).toBe("Hello")
      yield* close
      expect(yield* isFree(port)).toBe(true)
    }).pipe(Effect.scoped)
  )

  it.scopedLive("stops listening with its own scope, after which another layer may serve the server", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(server)
      const first = yield* Effect.provide(built(Server.layerServe(saying("first"))), context)
      const { port, close } = yield* Effect.map(Context.get(context, Server.Server).port, (port) => ({
        port,
        close: first.close
      }))
      expect((yield* get(port)).text).toBe("first")
      yield* close
      expect(yield* isFree(port)).toBe(true)
      yield* Effect.provide(built(Server.layerServe(saying("second"), { port })), context)
      expect((yield* get(port)).text).toBe("second")
    })
  )

  it.scopedLive("leaves the listener of a server that listens already", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(server)
      const { listen, port } = Context.get(context, Server.Server)
      const { port: bound } = yield* listen({ port: 0 })
      const { close } = yield* Effect.provide(built(Server.layerServe(saying("served"))), context)
      expect((yield* get(bound)).text).toBe("served")
      yield* close
      expect(yield* port).toBe(bound)
    })
  )

  it.scopedLive("shares the listener with another layer that is built at the same time", () =>
    Effect.gen(function* () {
      const both = Layer.mergeAll(Server.layerServe(saying("Hello")), Server.layerServe(saying("Hello")))
      const context = yield* Layer.build(Layer.provideMerge(both, server))
      const port = yield* Context.get(context, Server.Server).port
      expect((yield* get(port)).text).toBe("Hello")
    })
  )

  it.scopedLive("fails the layer if an address is given for a server that listens already", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(Layer.provideMerge(Server.layerServe(saying("Hello")), server))
      const again = Effect.scoped(Layer.build(Server.layerServe(saying("again"), { port: 0 })))
      expect(yield* Effect.flip(Effect.provide(again, context))).toMatchObject({ reason: "AlreadyListening" })
    })
  )

  it.scopedLive("fails the layer with the errors of the bind", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(Layer.provideMerge(Server.layerServe(saying("first")), server))
      const port = yield* Context.get(context, Server.Server).port
      const failed = (options: Server.ServeOptions) =>
        Effect.flip(Effect.scoped(Layer.build(Layer.provide(Server.layerServe(saying("second"), options), server))))
      expect(yield* failed({ port })).toMatchObject({ _tag: "OSError", code: "EADDRINUSE" })
      expect(yield* failed({ port: 65_536 })).toMatchObject({ _tag: "ValueError", reason: "Port" })
    })
  )

  it.scopedLive("reports failures of the handler to onFailure", () =>
    Effect.gen(function* () {
      const reports: Array<string> = []
      const failing = Server.layerServe(() => Effect.fail("mine"), {
        onFailure: (_, request) => Effect.sync(() => reports.push(request.path)).pipe(Effect.asVoid)
      })
      const context = yield* Layer.build(Layer.provideMerge(failing, server))
      const port = yield* Context.get(context, Server.Server).port
      expect((yield* get(port)).status).toBe(500)
      expect(reports).toStrictEqual(["/"])
    })
  )
})
