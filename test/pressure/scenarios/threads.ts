import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { outputOf } from "../../bench/proc.js"
import { exactly } from "../report.js"
import type { Scenario } from "../scenario.js"

const root = fileURLToPath(new URL("../../../", import.meta.url))

/** What vitest's JSON reporter reports of one test. */
interface Told {
  readonly ancestorTitles: ReadonlyArray<string>
  readonly status: string
}

interface Report {
  readonly testResults: ReadonlyArray<{ readonly assertionResults: ReadonlyArray<Told> }>
}

/** Runs the tests of a file; one that failed makes vitest end with 1, and its report is there all the same. */
const reportOf = async (file: string): Promise<ReadonlyArray<Told>> => {
  const vitest = join(root, "node_modules/vitest/vitest.mjs")
  const command = `cd ${root} && "${process.execPath}" "${vitest}" run --config test/vitest.config.ts --reporter=json ${file} || true`
  const report: Report = JSON.parse((await outputOf(["sh", "-c", command])) ?? '{"testResults":[]}')
  return report.testResults.flatMap(({ assertionResults }) => assertionResults)
}

/** What the original's users met, each under its number: as often as the tests are run, and here in the one table. */
export const scenario: Scenario = {
  title: "what the users of Nim's original ran into, by the numbers of its threads",
  order: 0,
  run: async (run) => {
    const reported = await reportOf("test/nimParity/issues.test.ts")
    const threads = new Map<string, Array<Told>>()
    for (const each of reported) {
      const [thread = ""] = each.ancestorTitles
      if (thread.startsWith("#")) threads.set(thread, [...(threads.get(thread) ?? []), each])
    }
    run.measured({ what: "threads with tests", figure: threads.size, bound: exactly(7) })
    for (const [thread, tests] of threads) {
      const failed = tests.filter(({ status }) => status !== "passed").length
      run.measured({ what: `${tests.length} tests, not passed: ${thread}`, figure: failed, bound: exactly(0) })
    }
  }
}
