/** A descriptor budget after the system has changed its limit. */
import { expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { vi } from "vitest"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import { eventLoopTurns } from "../support/eventually.js"

const system = vi.hoisted(() => ({ limit: 10 }))

vi.mock("../../src/internal/budget/openFiles.js", () => ({
  openDescriptors: () => 0,
  systemLimit: () => system.limit
}))

it.scopedLive("a limit that is raised is seen at once by waiting fibers and by watchers", () =>
  Effect.gen(function* () {
    const budget = yield* DescriptorBudget.make()
    yield* budget.reserve(8)
    const waiting = yield* Effect.forkScoped(budget.awaitRoom(5))
    const seen = yield* Effect.forkScoped(Stream.runCollect(Stream.take(budget.changes, 2)))
    yield* eventLoopTurns(3)
    system.limit = 20
    yield* budget.refreshLimit
    yield* Fiber.join(waiting)
    expect(Chunk.toReadonlyArray(yield* Fiber.join(seen))).toStrictEqual([
      { held: 8, max: 10 },
      { held: 8, max: 20 }
    ])
    expect(yield* Ref.get(budget.held)).toBe(8)
  })
)
