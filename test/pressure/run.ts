/** Runs scenarios, one after the other. */
import type { Row } from "./report.js"
import type { Scenario } from "./scenario.js"
import { type Choices, ScenarioRun } from "./scenarioRun.js"

/** A scenario that fails by itself is a failure like any other, and the next one is run. */
export const runScenario = async (name: string, { run }: Scenario, choices: Choices): Promise<ReadonlyArray<Row>> => {
  const trial = new ScenarioRun(name, choices)
  try {
    await run(trial)
  } catch (error) {
    trial.failed("it ran to its end", error instanceof Error ? error.message : String(error))
  }
  await trial.end()
  return trial.rows
}
