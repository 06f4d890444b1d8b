/**
 * The fiber that serves in a scope: for layers, and for applications of `@effect/platform`.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Address } from "../../Address.js"
import { isOSError, isValueError } from "../../Errors.js"
import type { ListenError } from "../../Listener.js"
import type { CloseReport } from "./shutdown.js"

const isCanceled = (error: ListenError): boolean => isOSError(error) && error.code === "ECANCELED"

/** Serves until the scope closes, and then runs `closed`. An error that ends the accept loop is logged. */
export const forkServing = <R>(
  serving: Effect.Effect<never, ListenError, R>,
  closed: Effect.Effect<unknown>
): Effect.Effect<void, never, R | Scope.Scope> => {
  const loop = Effect.catchAll(serving, (error) =>
    isCanceled(error) ? Effect.void : Effect.logError("The server has stopped", Cause.fail(error))
  )
  return Effect.asVoid(
    Effect.acquireRelease(Effect.forkDaemon(Effect.interruptible(loop)), (fiber) =>
      // Closing before the interruption rejects new connections at once, while requests in flight finish.
      Effect.zipRight(closed, Fiber.interrupt(fiber))
    )
  )
}

const isAlreadyListening = (error: ListenError): boolean => isValueError(error) && error.reason === "AlreadyListening"

interface Listens<Options> {
  readonly listen: (options: Options) => Effect.Effect<Address, ListenError>
  readonly close: Effect.Effect<CloseReport>
}

/** Listens, unless the server listens already and no address is given, and serves until the scope closes. */
export const serveInScope = <R, Options extends object>(
  server: Listens<Options>,
  options: Options,
  serving: Effect.Effect<never, ListenError, R>
): Effect.Effect<void, ListenError, R | Scope.Scope> => {
  const isAddressGiven = Object.values(options).some((each) => each !== undefined)
  const listened: Effect.Effect<Effect.Effect<unknown>, ListenError> = Effect.as(server.listen(options), server.close)
  const opened = isAddressGiven
    ? listened
    : Effect.catchIf(listened, isAlreadyListening, () => Effect.succeed(Effect.void))
  return Effect.flatMap(opened, (closed) => forkServing(serving, closed))
}
