/**
 * A `Listener` without sockets: connections in memory, which carry the same bytes to the same parser.
 *
 * Connections behave as on loopback: bytes arrive in order and in pieces, a sender is suspended while the receiver does not
 * read, and FIN and reset follow the bytes. They use no descriptor and no system call, and written bytes arrive in the
 * event loop's next turn, which makes `TestServer.advance` exact.
 *
 * @since 0.1.0
 */
import type { Duplex } from "node:stream"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Listener } from "../Listener.js"
import { MemoryNetworkImpl } from "./internal/memory/memoryNetwork.js"

/**
 * The clients' side of the listener.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryNetwork {
  /**
   * Connects to a port. The result is a Node stream that `http.request({ createConnection })` accepts as a socket. If no
   * server listens on the port, it fails with `ECONNREFUSED`, as a socket does.
   */
  readonly connect: (port: number) => Duplex
}

/**
 * The service through which clients connect to the listener of `layer`.
 *
 * @since 0.1.0
 * @category tags
 */
export const MemoryNetwork: Context.Tag<MemoryNetwork, MemoryNetwork> = Context.GenericTag<MemoryNetwork>(
  "effect-asynchttpserver/testing/MemoryNetwork"
)

/**
 * A listener in memory with its own ports, separate from those of the system and of other memory listeners. Port 0 is the
 * lowest free one.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { DescriptorBudget, RequestParser, Response, ResponseWriter, Server } from "effect-asynchttpserver"
 * import { MemoryListener } from "effect-asynchttpserver/testing"
 *
 * const dependencies = Layer.mergeAll(
 *   MemoryListener.layer,
 *   RequestParser.layer,
 *   ResponseWriter.layer,
 *   DescriptorBudget.layer()
 * )
 * const live = Layer.provideMerge(Server.layerWithoutDependencies(), dependencies)
 *
 * const program = Effect.gen(function*() {
 *   const { port } = yield* Server.listen({ port: 0 })
 *   yield* Effect.fork(Server.serve((request) => Response.respond(request, 200, "Hello")))
 *   const client = (yield* MemoryListener.MemoryNetwork).connect(port)
 *   client.write("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
 *   return (yield* Effect.promise(() => client.setEncoding("latin1").toArray())).join("").split("\r\n")
 * })
 * const lines = await Effect.runPromise(Effect.provide(program, live))
 * console.log(lines[0], lines.at(-1))
 * // HTTP/1.1 200 OK Hello
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Listener | MemoryNetwork> = Layer.effectContext(
  Effect.sync(() => {
    const network = new MemoryNetworkImpl()
    return Context.make(Listener, { listen: (options) => network.listen(options) }).pipe(
      Context.add(MemoryNetwork, { connect: (port) => network.connect(port) })
    )
  })
)
