/**
 * The TCP listener, on `node:net`.
 *
 * The listener counts each socket in the descriptor budget when the system has accepted it, and releases it when the socket
 * has closed. A connection beyond the budget receives `503` and is closed.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DescriptorBudget } from "./DescriptorBudget.js"
import * as tcp from "./internal/net/socketListener.js"
import { Listener } from "./Listener.js"

/**
 * The `Listener` service for TCP.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Listener, never, DescriptorBudget> = Layer.effect(
  Listener,
  Effect.map(DescriptorBudget, (budget) => ({ listen: (options) => tcp.listen(options, budget) }))
)
