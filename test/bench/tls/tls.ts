/**
 * What TLS costs: server CPU time of a request, and of a connection with its handshake, beside `node:https`.
 *
 * `npm run bench:tls -- [--only oursTls,nodeHttps] [--rounds 5] [--seconds 2] [--connections 64]`, on Linux, with wrk. Servers take turns in each round;
 * quoted are medians, and their ratio to `node:https`.
 */
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { makeAuthority } from "../../listening/certificates.js"
import { progressOf } from "../../progress.js"
import { cores, cpuTime, end, finished, firstLine, isInstalled, start } from "../proc.js"

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "ours,oursTls,nodeHttp,nodeHttps" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    connections: { type: "string", default: "64" }
  }
})

if (!isInstalled("wrk")) throw new Error("wrk is not installed")

const progress = progressOf("bench:tls")

const serving = fileURLToPath(new URL("./serving.ts", import.meta.url))

const names = options.only.split(",")

const works = {
  "a request": [],
  "a connection": ["-H", "Connection: close"]
} as const

type Work = keyof typeof works

const issued = await (await makeAuthority()).issue()
Object.assign(process.env, { TLS_KEY: issued.key, TLS_CERT: issued.cert })

/** Microseconds of processor time of the server for a request. */
const sample = async (name: string, work: Work): Promise<number> => {
  const command = [process.execPath, "--conditions=effect-asynchttpserver-source", "--import", "tsx", serving, name]
  const child = start(command, { core: cores - 1 })
  const pid = child.pid ?? Number.NaN
  try {
    const port = await firstLine(child)
    const url = `${name.endsWith("ls") || name.endsWith("ps") ? "https" : "http"}://127.0.0.1:${port}/`
    const load = (seconds: string) =>
      finished(["wrk", "-t1", `-c${options.connections}`, `-d${seconds}s`, ...works[work], url], { core: 0 })
    await load("1")
    const before = cpuTime(pid)
    const output = await load(options.seconds)
    const requests = Number(/(\d+) requests in/.exec(output)?.[1] ?? 0)
    if (requests === 0 || /Non-2xx/.test(output)) throw new Error(`${name} failed: ${output}`)
    return (cpuTime(pid) - before) / requests
  } finally {
    await end(child)
  }
}

const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN

const rows: Array<string> = []
for (const work of Object.keys(works) as ReadonlyArray<Work>) {
  const samples = new Map<string, Array<number>>(names.map((name) => [name, []]))
  for (let round = 1; round <= Number(options.rounds); round++) {
    progress.step(`measures ${work}, round ${round} of ${options.rounds}`)
    for (const name of names) samples.get(name)?.push(await sample(name, work))
  }
  const medians = new Map([...samples].map(([name, values]) => [name, median(values)]))
  const reference = medians.get("nodeHttps") ?? Number.NaN
  rows.push(
    `| ${work} | ${names.map((name) => `${medians.get(name)?.toFixed(1)} (${((medians.get(name) ?? Number.NaN) / reference).toFixed(2)})`).join(" | ")} |`
  )
}
console.log(
  `µs of server CPU time (ratio to node:https)\n\n| | ${names.join(" | ")} |\n|---|${"---|".repeat(names.length)}`
)
console.log(rows.join("\n"))
process.exit(0)
