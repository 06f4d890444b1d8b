/**
 * Runs the tests of the test kit repeatedly, with the files in parallel: `node --import tsx test/testing/repeat.ts 200`.
 * The first run that fails is the last.
 */
import { createVitest } from "vitest/node"

const times = Number(process.argv[2] ?? 200)

const vitest = await createVitest("test", {
  config: "test/vitest.config.ts",
  watch: false,
  // What is loaded stays so, from run to run: most of a run would be that.
  isolate: false,
  reporters: [{}]
})

const specifications = await vitest.globTestSpecifications(["test/testing"])

const began = performance.now()

for (let run = 1; run <= times; run++) {
  await vitest.runTestSpecifications(specifications)
  const failed = vitest.state.getFiles().filter(({ result }) => result?.state !== "pass")
  if (failed.length > 0) {
    console.error(`run ${run} failed: ${failed.map(({ name }) => name).join(", ")}`)
    for (const error of vitest.state.getUnhandledErrors()) console.error(error)
    await vitest.close()
    process.exit(1)
  }
  if (run % 10 === 0) console.log(`${run} runs passed, ${Math.round((performance.now() - began) / 1000)} s`)
}
await vitest.close()
