/**
 * The server under pressure: `npm run pressure`, or `npm run pressure -- --quick`, or any of
 *
 *     --only soak,close   scenarios, by the names of their files; all of them by default
 *     --seconds 180       how long the soak lasts; 10 with --quick
 *     --seed 1            what the soak does; from the clock by default, and printed
 *     --json FILE         the rows of the table
 *     --quick             less than two minutes in place of seven
 *
 * It ends with a table of all figures beside their bounds, and with 1 if one of them is missed.
 */
import { writeFileSync } from "node:fs"
import { platform } from "node:os"
import { parseArgs } from "node:util"
import { machine } from "../bench/proc.js"
import { progressOf } from "../progress.js"
import { hasFailed, lineOf, type Row, tableOf } from "./report.js"
import { runScenario } from "./run.js"
import { readScenarios, type Scenario } from "./scenario.js"

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    seconds: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
    json: { type: "string" }
  }
})

const numberOf = (name: string, text: string): number => {
  const value = Number(text)
  if (text !== "" && Number.isFinite(value) && value >= 0) return value
  throw new Error(`--${name} is not a number: ${text}`)
}

const chosen = (all: ReadonlyMap<string, Scenario>): ReadonlyMap<string, Scenario> => {
  if (options.only === undefined) return all
  return new Map(
    options.only.split(",").map((name) => {
      const found = all.get(name)
      if (found === undefined) throw new Error(`there is no ${name}; there are ${[...all.keys()].join(", ")}`)
      return [name, found]
    })
  )
}

const progress = progressOf("pressure")

const elapsed = (): string => `${(performance.now() / 1000).toFixed(0)} s`

const main = async (): Promise<void> => {
  if (platform() !== "linux") throw new Error("what a process holds is read from /proc, which is Linux's")
  const scenarios = chosen(await readScenarios())
  const seed = numberOf("seed", options.seed)
  const seconds = numberOf("seconds", options.seconds ?? (options.quick ? "10" : "180"))
  const { busy, cores, kernel, memory, processor } = machine()
  console.log(`seed ${seed}; ${processor}, ${cores} cores, ${memory}; ${kernel}; Node ${process.versions.node}`)
  console.log(`load ${busy.toFixed(2)} when it began`)
  const onRow = (row: Row): void => {
    console.log(`  ${lineOf(row)}`)
    progress.now(lineOf(row))
  }
  const rows: Array<Row> = []
  for (const [name, scenario] of scenarios) {
    console.log(`\n${name}: ${scenario.title} (at ${elapsed()})`)
    progress.step(`puts the server under ${name}`)
    rows.push(...(await runScenario(name, scenario, { isQuick: options.quick, seconds, seed, onRow })))
  }
  console.log(`\n${tableOf(rows)}`)
  const failures = rows.filter(hasFailed)
  console.log(`\n${rows.length - failures.length} of ${rows.length} figures are as they have to be, in ${elapsed()}`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ seed, rows }, null, 2)}\n`)
  if (failures.length > 0) process.exitCode = 1
}

await main().catch((error: unknown) => {
  console.error(`pressure: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
})
process.exit()
