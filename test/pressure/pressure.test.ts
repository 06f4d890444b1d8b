/** Some of `npm run pressure -- --quick`, so that every run of the tests shows it; figures that take time are not judged. */
import { describe, expect, it } from "@effect/vitest"
import { whyNoNginx } from "./nginx.js"
import { hasFailed, lineOf } from "./report.js"
import { runScenario } from "./run.js"
import { readScenarios } from "./scenario.js"

const scenarios = await readScenarios()

if (whyNoNginx !== undefined) console.warn(`${whyNoNginx}: no crowd comes through it`)

describe.skipIf(process.platform !== "linux")("under pressure", () => {
  for (const name of ["descriptors", "resets", "handlers"]) {
    const scenario = scenarios.get(name)!
    it(`${name}: ${scenario.title}`, { timeout: 120_000 }, async () => {
      const rows = await runScenario(name, scenario, { isQuick: true, seconds: 1, seed: 1, onRow: () => {} })
      expect(rows.filter((row) => hasFailed(row) && !row.isTimed).map(lineOf)).toStrictEqual([])
      expect(rows.some(({ verdict }) => verdict === "pass")).toBe(true)
    })
  }
})
