/** 100,000 requests over 64 kept connections, by `wrk`; skipped with a message where it is not installed. */
import { spawn, spawnSync } from "node:child_process"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Supervisor from "effect/Supervisor"
import { respond } from "../../src/Response.js"
import { eventLoopTurns, eventually } from "../support/eventually.js"
import { get } from "../wire/rawConnection.js"
import { openDescriptors, serving, untilDescriptorsHeld } from "./harness.js"

const hasWrk = spawnSync("wrk", ["-v"], { stdio: "ignore" }).error === undefined
if (!hasWrk) console.warn("wrk is not installed: the load test is skipped")

/** One second of load, and the output of `wrk`. */
const load = (port: number): Effect.Effect<string> =>
  Effect.async<string>((resume) => {
    const wrk = spawn("wrk", ["-t1", "-c64", "-d1s", `http://127.0.0.1:${port}/`])
    let output = ""
    wrk.stdout.on("data", (bytes) => {
      output += bytes
    })
    wrk.on("close", () => resume(Effect.succeed(output)))
    return Effect.sync(() => wrk.kill())
  })

describe.skipIf(!hasWrk)("100,000 requests over 64 kept connections", () => {
  it.scopedLive(
    "all get a response, and leak no descriptor and no fiber",
    () =>
      Effect.gen(function* () {
        const supervisor = yield* Supervisor.track
        const fibers = Effect.map(supervisor.value, (alive) => alive.length)
        let requests = 0
        let peak = 0
        let served = 0
        const made = yield* Effect.supervised(
          serving((request) => {
            if (requests === 0) peak = Math.max(peak, Effect.runSync(fibers))
            // Every second one waits for the next turn, in a fiber.
            return ++served % 2 === 0
              ? respond(request, 200, "ok")
              : Effect.zipRight(eventLoopTurns(1), respond(request, 200, "ok"))
          }),
          supervisor
        )
        const held = yield* made.budget.held
        // After a first connection the accept loop is all there.
        yield* get(made.port)
        yield* untilDescriptorsHeld(made, held)
        const fibersBefore = yield* fibers
        const filesBefore = yield* openDescriptors
        while (requests < 100_000) {
          const output = yield* load(made.port)
          expect(output).not.toMatch(/Non-2xx|Socket errors/)
          requests += Number(/(\d+) requests in/.exec(output)?.[1])
        }
        yield* untilDescriptorsHeld(made, held)
        yield* eventually(fibers, (alive) => alive <= fibersBefore, "as few fibers as before")
        expect(yield* openDescriptors).toBe(filesBefore)
        // Those of the accept loop apart.
        expect(peak).toBeGreaterThan(fibersBefore + 8)
      }),
    60_000
  )
})
