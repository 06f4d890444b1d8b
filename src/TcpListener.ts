/**
 * The listener on `node:net`: TCP, Unix domain sockets and open descriptors, with or without TLS.
 *
 * The listener counts each socket in the descriptor budget when the system has accepted it, and releases it when the socket
 * has closed. A connection beyond the budget receives `503` and is closed.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DescriptorBudget } from "./DescriptorBudget.js"
import * as sockets from "./internal/net/socketListener.js"
import { Listener } from "./Listener.js"

/**
 * The `Listener` service for TCP, Unix domain sockets and open descriptors.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Listener, never, DescriptorBudget> = Layer.effect(
  Listener,
  Effect.map(DescriptorBudget, (budget) => ({ listen: (options) => sockets.listen(options, budget) }))
)

/** The first descriptor that systemd passes (`SD_LISTEN_FDS_START`). */
const firstDescriptor = 3

/**
 * The descriptors that systemd passes to a service with sockets of its own (`LISTEN_FDS`, sd_listen_fds(3)), in the order of
 * its unit: each can be the `fd` of `Server.listen`. Empty in any other process.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Response, Server, TcpListener } from "effect-asynchttpserver"
 *
 * // Socket activation, and a port where the program is started by hand.
 * const program = Effect.gen(function*() {
 *   const [fd] = yield* TcpListener.systemdDescriptors
 *   yield* Server.serve((request) => Response.respond(request, 200, "Hello"), fd === undefined ? { port: 8080 } : { fd })
 * })
 * console.log(Effect.isEffect(program))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category descriptors
 */
export const systemdDescriptors: Effect.Effect<ReadonlyArray<number>> = Effect.sync(() => {
  const { LISTEN_FDS, LISTEN_PID } = process.env
  // The variables are inherited by the children of the process that they are meant for.
  if (LISTEN_PID !== String(process.pid)) return []
  const count = Number(LISTEN_FDS)
  return Number.isInteger(count) && count > 0 ? Array.from({ length: count }, (_, i) => firstDescriptor + i) : []
})
