/** Several applications of one server: each ends with its own scope, and the server closes with the last. */
import type { HttpServer } from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { endless, listening, portOf } from "../platform/harness.js"
import { connect, get, requestText } from "../wire/rawConnection.js"

const text = (server: HttpServer) => Effect.map(get(portOf(server)), (response) => response.text)

/** Serves in a scope that the test closes. */
const served = (server: HttpServer, body: string) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Scope.extend(server.serve(HttpServerResponse.text(body)), scope)
    return Scope.close(scope, Exit.void)
  })

describe("an application that ends", () => {
  it.scopedLive("ends its own connections, and leaves the server to an application that was served later", () =>
    Effect.gen(function* () {
      const server = yield* listening()
      const endFirst = yield* served(server, "first")
      const client = yield* connect(portOf(server))
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).text).toBe("first")
      const endSecond = yield* served(server, "second")
      yield* endFirst
      expect(yield* client.closedWith).toBe("FIN")
      expect(yield* text(server)).toBe("second")
      yield* endSecond
      expect(Exit.isFailure(yield* Effect.exit(connect(portOf(server))))).toBe(true)
    })
  )

  it.scopedLive("leaves the server, and requests in flight, to an application that was served earlier", () =>
    Effect.gen(function* () {
      const server = yield* listening()
      const first = yield* endless
      yield* server.serve(first.app)
      const client = yield* connect(portOf(server))
      yield* client.send(requestText("GET /"))
      yield* first.running
      const endSecond = yield* served(server, "second")
      yield* endSecond
      const other = yield* connect(portOf(server))
      yield* client.reset
      expect(Exit.isInterrupted(yield* first.end)).toBe(true)
      yield* other.halfClose
    })
  )

  it.scopedLive("may be served again on the same address after the last has ended", () =>
    Effect.gen(function* () {
      const server = yield* listening()
      yield* Effect.flatten(served(server, "first"))
      yield* Effect.flatten(served(server, "second"))
      yield* Effect.asVoid(served(server, "third"))
      expect(yield* text(server)).toBe("third")
    })
  )
})
