/** `Listener.acceptWhileBy`: an interruption loses no connection that was accepted. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Connection } from "../../src/Connection.js"
import * as Listener from "../../src/Listener.js"
import { allSteps, interruptedAt } from "../server/interruptedAt.js"

const connections: ReadonlyArray<Connection> = Array.from({ length: 5 }, (_, id) => ({ id }) as Connection)

it.live("each connection is passed on, or is still pending, at whatever step acceptWhileBy is interrupted", () =>
  Effect.gen(function* () {
    for (const step of allSteps) {
      const pending = [...connections]
      const taken: Array<Connection> = []
      const awaitOne = Effect.suspend(() => (pending.length === 0 ? Effect.never : Effect.void))
      // Takes the connection in its last step.
      const accept = Effect.zipRight(
        awaitOne,
        Effect.sync(() => pending.shift()!)
      )
      const accepting = Listener.acceptWhileBy(accept)(
        () => true,
        (connection) => taken.push(connection)
      )
      yield* interruptedAt(accepting, step)
      expect([step, ...taken, ...pending]).toStrictEqual([step, ...connections])
    }
  })
)
