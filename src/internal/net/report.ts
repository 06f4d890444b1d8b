/**
 * How a failure reaches the user: by `onFailure`, or in the log.
 *
 * @internal
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { Request } from "../../Request.js"
import type { Handler } from "../../Response.js"
import type { Service } from "./household.js"
import { RequestFibers } from "./requestFibers.js"

/** The default report: an error in the log, with the request it is about. A client that left is never reported. */
const logFailure = (cause: Cause.Cause<unknown>, request: Request): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logError("a handler failed", cause), {
    method: request.method,
    url: request.url,
    client: request.client.id
  })

export const serviceOf = <E, R, R2>(
  handler: Handler<E, R>,
  onFailure: ((cause: Cause.Cause<E>, request: Request) => Effect.Effect<void, never, R2>) | undefined,
  runtime: Runtime.Runtime<Exclude<R | R2, Scope.Scope>>
): Service<E, R | R2> => {
  const report = onFailure ?? logFailure
  return {
    handler,
    fibers: new RequestFibers(runtime),
    report: (cause, request) =>
      Effect.catchAllCause(
        // What it races or times out can be interrupted, and itself by a server that closes; finalizers cannot.
        Effect.interruptible(Effect.suspend(() => report(cause, request))),
        (failure) => Effect.logError("reporting a failure failed", failure)
      )
  }
}
