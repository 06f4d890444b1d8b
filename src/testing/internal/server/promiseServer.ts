/**
 * A test server with promises.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { RecordedRequest } from "../../RecordedRequest.js"
import type { StartedRequest, StartedServer, TestServer } from "./types.js"

/** Rejected with what was thrown, and not with what Effect wraps it in: a test runner shows its stack and its difference. */
const toPromise = async <A>(effect: Effect.Effect<A, unknown>): Promise<A> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  throw Cause.squash(exit.cause)
}

const withPromises = (request: RecordedRequest): StartedRequest => ({
  method: request.method,
  url: request.url,
  target: request.target,
  path: request.path,
  host: request.host,
  query: request.query,
  version: request.version,
  headers: request.headers,
  connection: request.connection,
  exchangeIndex: request.exchangeIndex,
  bytes: () => toPromise(request.bytes),
  text: () => toPromise(request.text),
  json: () => toPromise(request.json),
  isComplete: () => toPromise(request.isComplete),
  outcome: () => toPromise(request.outcome)
})

export const startServer = async <E>(made: Effect.Effect<TestServer, E, Scope.Scope>): Promise<StartedServer> => {
  const scope = Effect.runSync(Scope.make())
  const server = await toPromise(Scope.extend(made, scope))
  // One object a request, whoever asks for it.
  const promises = new Map<RecordedRequest, StartedRequest>()
  const known = (request: RecordedRequest): StartedRequest => {
    const before = promises.get(request)
    if (before !== undefined) return before
    const made = withPromises(request)
    promises.set(request, made)
    return made
  }
  const gone = new AbortController()
  const closed = Effect.ensuring(
    Scope.close(scope, Exit.void),
    Effect.sync(() => gone.abort(new Error("the test server was closed")))
  )
  return {
    url: server.url,
    address: server.address,
    requests: () => Effect.runSync(server.received).map(known),
    takeRequest: () =>
      Effect.runPromise(Effect.map(server.takeRequest, known), { signal: gone.signal }).catch((error: unknown) => {
        throw gone.signal.aborted ? gone.signal.reason : error
      }),
    close: () => toPromise(closed),
    [Symbol.asyncDispose]: () => toPromise(closed)
  }
}
