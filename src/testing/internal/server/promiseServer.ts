/** Test server with promises, for tests without Effect. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { RecordedRequest } from "../../RecordedRequest.js"
import type { StartedRequest, StartedServer, TestServer } from "./types.js"

/** Rejects with the original error instead of Effect's wrapper: a test runner shows its stack and its diff. */
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
  // The same object for the same request.
  const promises = new Map<RecordedRequest, StartedRequest>()
  const convert = (request: RecordedRequest): StartedRequest => {
    const existing = promises.get(request)
    if (existing !== undefined) return existing
    const made = withPromises(request)
    promises.set(request, made)
    return made
  }
  const closing = new AbortController()
  const closed = Effect.ensuring(
    Scope.close(scope, Exit.void),
    Effect.sync(() => closing.abort(new Error("The test server was closed")))
  )
  return {
    url: server.url,
    address: server.address,
    requests: () => Effect.runSync(server.received).map(convert),
    takeRequest: () =>
      Effect.runPromise(Effect.map(server.takeRequest, convert), { signal: closing.signal }).catch((error: unknown) => {
        throw closing.signal.aborted ? closing.signal.reason : error
      }),
    close: () => toPromise(closed),
    [Symbol.asyncDispose]: () => toPromise(closed)
  }
}
