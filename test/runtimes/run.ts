/**
 * The smoke suite on every supported runtime: `npm run runtimes`.
 *
 * Fails if a check fails, or if the table of README.md differs from the results; `-- --readme` writes it. `-- --only deno` runs
 * the runtimes whose name and version contain that text. A runtime whose binary cannot be fetched is skipped. Binaries
 * are kept in the folder `RUNTIMES_CACHE`; without it they are fetched into a temporary one.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { fetchBinary, type Runtime, runtimes, titleOf } from "./binaries.js"
import { prepare, smoke } from "./smoke.js"
import { differences, rowOf, writeReadme } from "./table.js"

const { values } = parseArgs({ options: { readme: { type: "boolean" }, only: { type: "string" } } })

const isChosen = (runtime: Runtime): boolean =>
  titleOf(runtime)
    .toLowerCase()
    .includes((values.only ?? "").toLowerCase())

const { RUNTIMES_CACHE: keptCache } = process.env
const cache = keptCache ?? mkdtempSync(join(tmpdir(), "runtimes-"))
mkdirSync(cache, { recursive: true })

const rows = new Map<Runtime, string>()
let hasFailed = false

const runOn = async (runtime: Runtime, folder: string): Promise<void> => {
  const binary = await fetchBinary(runtime, cache)
  if ("missing" in binary) {
    console.log(`# ${titleOf(runtime)}: skipped, ${binary.missing}`)
    return
  }
  const { output, results } = await smoke(runtime, binary.path, folder)
  console.log(`# ${titleOf(runtime)}\n${output}`)
  rows.set(runtime, rowOf(runtime, results))
  hasFailed ||= results.some(({ outcome }) => outcome === "failed")
}

const folder = await prepare()
try {
  // A suite waits for most of its time: two of them use the processors of a small machine.
  await Effect.runPromise(
    Effect.forEach(runtimes.filter(isChosen), (runtime) => Effect.promise(() => runOn(runtime, folder.path)), {
      concurrency: 2,
      discard: true
    })
  )
} finally {
  folder.remove()
  if (keptCache === undefined) rmSync(cache, { recursive: true, force: true })
}

console.log(Array.from(rows.values()).join("\n"))
if (values.readme) writeReadme(rows)
for (const row of differences(rows)) {
  hasFailed = true
  console.log(`README.md has another row than ${row}; npm run runtimes -- --readme writes it`)
}
process.exitCode = hasFailed ? 1 : 0
