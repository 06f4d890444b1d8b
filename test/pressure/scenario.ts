/** A scenario: one way to press a server. Each is a file of scenarios/, which exports one as `scenario`. */
import { modulesOf } from "../bench/folder.js"
import type { ScenarioRun } from "./scenarioRun.js"

export interface Scenario {
  readonly title: string
  /** Where it stands among the others. */
  readonly order: number
  readonly run: (run: ScenarioRun) => Promise<void>
}

/** By name, in order. */
export const readScenarios = async (): Promise<ReadonlyMap<string, Scenario>> => {
  const found = await modulesOf<Scenario>("scenarios", "scenario", import.meta.url)
  return new Map([...found].sort(([, one], [, other]) => one.order - other.order))
}
