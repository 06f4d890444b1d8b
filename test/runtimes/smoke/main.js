/**
 * The smoke suite: prints one line for each check, and a last line of JSON for the script that runs it.
 */
import { core } from "./core.js"
import { dropIn } from "./dropIn.js"
import { kit } from "./kit.js"
import { tls } from "./tls.js"

const groups = [core, tls, dropIn, kit].filter(({ name }) =>
  (process.env.SMOKE_GROUPS ?? name).split(",").includes(name)
)

const results = []
let number = 0

const report = (result) => {
  results.push(result)
  const { group, outcome, reason, title } = result
  const directive = outcome === "unsupported" ? ` # SKIP ${reason}` : ""
  console.log(`${outcome === "failed" ? "not ok" : "ok"} ${++number} ${group}: ${title}${directive}`)
  if (outcome === "failed") console.log(reason.replace(/^/gm, "  "))
}

// A defect of the server that no check observes.
process.on("uncaughtException", (error) =>
  report({ group: "core", title: "uncaught exception", outcome: "failed", reason: String(error?.stack ?? error) })
)
process.on("unhandledRejection", (error) =>
  report({ group: "core", title: "unhandled rejection", outcome: "failed", reason: String(error?.stack ?? error) })
)

for (const { run } of groups) await run(report)

console.log(`1..${number}`)
console.log(`results ${JSON.stringify(results.map(({ group, outcome, reason }) => ({ group, outcome, reason })))}`)
process.exit(results.some(({ outcome }) => outcome === "failed") ? 1 : 0)
