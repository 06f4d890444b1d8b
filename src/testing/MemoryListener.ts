/**
 * A `Listener` without sockets: connections are made in memory, and carry the same bytes to the same parser.
 *
 * What a client and a server do on it, they do as on loopback: bytes arrive in order and in pieces, a sender waits while
 * nobody reads, FIN and reset come behind them. No descriptor is used, nothing waits for the system, and what was written
 * arrives in the event loop's next turn, which is what makes `TestServer.advance` exact.
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
 * What is served in memory, seen from its clients.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryNetwork {
  /**
   * A connection to a port, as a stream of Node's that `http.request({ createConnection })` takes for a socket. Where
   * nobody listens it ends with the error `ECONNREFUSED`, as a socket does.
   */
  readonly connect: (port: number) => Duplex
}

/**
 * The service: how clients reach the listener that `layer` gives.
 *
 * @since 0.1.0
 * @category tags
 */
export const MemoryNetwork: Context.Tag<MemoryNetwork, MemoryNetwork> = Context.GenericTag<MemoryNetwork>(
  "effect-asynchttpserver/testing/MemoryClients"
)

/**
 * A listener in memory, with ports of its own: whatever else listens in this process, in memory or not, is not reached.
 * Port 0 is the lowest one that is free.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { DescriptorBudget, RequestParser, Response, ResponseWriter, Server } from "effect-asynchttpserver"
 * import { MemoryListener } from "effect-asynchttpserver/testing"
 *
 * const rooms = Layer.mergeAll(
 *   MemoryListener.layer,
 *   RequestParser.layer,
 *   ResponseWriter.layer,
 *   DescriptorBudget.layer()
 * )
 * const live = Layer.provideMerge(Server.layerWithoutDependencies(), rooms)
 *
 * const program = Effect.gen(function*() {
 *   const { port } = yield* Server.listen()
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
