/**
 * State of a handler for each test server by itself, so that a handler is a value: the one that a layer was made with
 * once begins anew in each test.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"

/** Whoever serves a handler without the kit is one server for all. */
const currentServer: FiberRef.FiberRef<object> = globalValue("effect-asynchttpserver/testing/currentServer", () =>
  FiberRef.unsafeMake<object>({})
)

/** Says for which server a handler runs. */
export const withServer =
  (server: object) =>
  <A, E, R>(handling: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(handling, currentServer, server)

/** Gives the state of the server for which it runs. */
export const perServer = <A>(make: () => A): Effect.Effect<A> => {
  const states = new WeakMap<object, { readonly state: A }>()
  return Effect.map(FiberRef.get(currentServer), (server) => {
    const known = states.get(server) ?? { state: make() }
    states.set(server, known)
    return known.state
  })
}
