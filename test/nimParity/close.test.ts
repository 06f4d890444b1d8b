/** `close` of Nim's asynchttpserver. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { type Handler, respond } from "../../src/Response.js"
import { make, serving, untilDescriptorsHeld } from "../server/harness.js"
import { parseResponses } from "../wire/parsedResponse.js"
import { connect, get, requestText } from "../wire/rawConnection.js"

const hello: Handler = (request) => respond(request, 200, "Hello World")

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
      const mayRespond = yield* Deferred.make<void>()
      const { port, server } = yield* serving(
        (request) =>
          request.url === "/slow"
            ? Deferred.succeed(isAsked, undefined).pipe(
                Effect.zipRight(Deferred.await(mayRespond)),
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
      yield* Deferred.succeed(mayRespond, undefined)
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

  it.scopedLive("closes connections that were queued and never accepted", () =>
    Effect.gen(function* () {
      const made = yield* make()
      const { port } = yield* made.server.listen({ port: 0 })
      const client = yield* connect(port)
      yield* client.send(requestText("GET /"))
      yield* untilDescriptorsHeld(made, 2)
      yield* made.server.close
      yield* client.closedWith
      yield* untilDescriptorsHeld(made, 0)
    })
  )
})
