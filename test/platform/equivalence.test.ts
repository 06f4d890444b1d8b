/**
 * Our equivalent of `HttpApp.toHandled` beside the original, over generated applications: what is written, what middleware
 * and finalizers see and in which order, and what is traced, must be the same.
 */
import * as fc from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import { arounds, plans } from "./equivalence/plan.js"
import { type Case, type Interrupter, ours, theirs } from "./equivalence/run.js"

const isEndless = ({ arounds, plan }: Case): boolean =>
  plan.leaf.is === "wait" &&
  arounds.includes("twice") &&
  (arounds.includes("fork") || plan.wraps.some((wrap) => wrap.with === "fork"))

/**
 * Whether an application that is interruptible as a whole sends the same: nothing of it waits for an interruption, and none
 * comes to a fiber that it has forked, to an application that is run again, or before a route that does not wait.
 */
const isAlikeInterruptible = ({ arounds, plan }: Case): boolean => {
  const wraps = plan.wraps.map((wrap) => wrap.with)
  return (
    plan.leaf.is !== "wait" &&
    !arounds.some((around) => around === "fork" || around === "twice") &&
    !wraps.includes("fork") &&
    !(wraps.includes("interrupted") && wraps.lastIndexOf("route") > wraps.indexOf("interrupted"))
  )
}

const anyCase: fc.Arbitrary<Case> = fc.record({
  plan: plans,
  arounds,
  interrupter: fc.constantFrom<Interrupter>("client", "server"),
  isTraced: fc.boolean(),
  isDisabled: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true))
})

const cases = anyCase.filter((given) => !isEndless(given))

describe("an application, served by us and by HttpApp.toHandled", () => {
  it("has the same responses, log and traces", { timeout: 60_000 }, async () => {
    let differing = 0
    await fc.assert(
      fc.asyncProperty(cases, async (given) => {
        const [upstream, here] = [await theirs(given), await ours(given)]
        expect(here.events).toStrictEqual(upstream.events)
        expect(here.spans).toStrictEqual(upstream.spans)
        const isDeserted = given.interrupter === "client" && here.events.includes("waiting")
        if (upstream.written.length === 0 && !isDeserted) {
          // Upstream sends this client nothing, since its pre-response handlers let nothing pass. This server sends a 500.
          differing++
          expect(here.written).toHaveLength(1)
          expect(here.written[0]!.status).toBeGreaterThanOrEqual(400)
        } else expect(here.written).toStrictEqual(upstream.written)
        expect(here.isResponded).toBe(here.written.length === 1)
        if (isAlikeInterruptible(given)) expect((await ours(given, true)).written).toStrictEqual(here.written)
      }),
      { numRuns: 1500 }
    )
    expect(differing).toBeLessThan(400)
  })

  it("differs where it should: the test can fail", async () => {
    const given: Case = {
      plan: { leaf: { is: "response", status: 200 }, wraps: [] },
      arounds: ["after"],
      interrupter: "client",
      isTraced: true,
      isDisabled: false
    }
    const other: Case = {
      ...given,
      plan: { leaf: { is: "response", status: 404 }, wraps: [{ with: "finalizer", name: "a" }] }
    }
    const [one, two] = [await theirs(given), await ours(other)]
    expect(one.written).not.toStrictEqual(two.written)
    expect(one.events).not.toStrictEqual(two.events)
    expect(one.spans).not.toStrictEqual(two.spans)
  })
})
