/** Servers in memory, for tests; and waiting, where only the test clock moves time. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { RespondableError } from "../../src/Errors.js"
import type { Handler } from "../../src/Response.js"
import type * as Server from "../../src/Server.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { quiet, Reports } from "./harness.js"
import { type InMemory, type MemoryConnection, makeInMemory } from "./memoryConnection.js"

export { type Ending, type InMemory, MemoryConnection, makeInMemory } from "./memoryConnection.js"

export const servingInMemory = <E extends RespondableError, R>(
  handler: Handler<E, R>,
  options: Server.Options = {}
): Effect.Effect<InMemory, never, Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const made = yield* makeInMemory(options)
    yield* Effect.provide(Effect.forkScoped(made.server.serve(handler)), quiet)
    return made
  })

export const servingInMemoryReported = <E, R>(
  handler: Handler<E, R>,
  options: Server.Options = {}
): Effect.Effect<InMemory & { reports: Reports<E> }, never, Scope.Scope | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const made = yield* makeInMemory(options)
    const reports = new Reports<E>()
    yield* Effect.provide(Effect.forkScoped(made.server.serve(handler, { onFailure: reports.onFailure })), quiet)
    return { ...made, reports }
  })

/** Completes when everything that needs no time has run. */
export const settled: Effect.Effect<void> = eventLoopTurns(5)

/** Waits until the sweep of deadlines sleeps until that time of the test clock. */
export const sleepsUntil = (milliseconds: number): Effect.Effect<void> =>
  Effect.asVoid(
    eventually(
      Effect.map(TestClock.sleeps(), (sleeps) => Array.from(sleeps)),
      (sleeps) => sleeps.includes(milliseconds),
      `asleep until ${milliseconds}`
    )
  )

/** Moves the test clock when the sweep is asleep, and completes when its effects have run. */
export const advance = (milliseconds: number): Effect.Effect<void> =>
  Effect.zipRight(settled, Effect.zipRight(TestClock.adjust(milliseconds), settled))

/** Expects that a connection is open: the server has written nothing more, and has not ended it. */
export const expectOpen = (connection: MemoryConnection, written = ""): void => {
  expect(connection.ending).toBe(undefined)
  expect(connection.written).toBe(written)
}
