/**
 * State of a handler per test server, so that a handler is a value: the handler of a shared layer starts from its initial
 * state in each test.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"

/** The server of the running handler. Handlers outside of the kit share the default value. */
const currentServer: FiberRef.FiberRef<object> = globalValue("effect-asynchttpserver/testing/currentServer", () =>
  FiberRef.unsafeMake<object>({})
)

/** Runs a handler for a server. */
export const withServer =
  (server: object) =>
  <A, E, R>(handling: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(handling, currentServer, server)

/** The state for the current server, made on first use. */
export const perServer = <A>(make: () => A): Effect.Effect<A> => {
  const states = new WeakMap<object, { readonly state: A }>()
  return Effect.map(FiberRef.get(currentServer), (server) => {
    const known = states.get(server) ?? { state: make() }
    states.set(server, known)
    return known.state
  })
}
