/**
 * The bench: what a request costs here and in other servers. `npm run bench -- --quick`, or one of
 *
 *     --only bare,ours     peers, by the names of their files; all of them by default
 *     --work get,browser   workloads, by the names of theirs
 *     --rounds 3           measurements of each, of which the median is quoted
 *     --seconds 1          for each half of a measurement
 *     --connections 64     where a workload does not say how many
 *     --core 1             where the servers run; the last by default
 *     --generator wrk      or autocannon, which is the default where wrk is missing
 *     --quick              a few workloads, one round: a minute
 *     --curves             over connections, header fields and body size, in place of the workloads
 *     --json FILE, --svg FILE, --readme
 *
 * Every server is a process of its own, and so is what loads it. They take turns within a round, so that whatever else
 * the machine does falls upon all of them; each workload is put on servers that have just been started. What a round
 * of a workload is, requests.ts, streaming.ts and idle.ts tell.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { platform } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { progressOf } from "../progress.js"
import { autocannon } from "./autocannon.js"
import { chartOf } from "./chart.js"
import { compileInto } from "./compiling.js"
import { curves } from "./curves.js"
import { Field } from "./field.js"
import type { Generator } from "./generator.js"
import { idling } from "./idle.js"
import type { Loading, Measuring } from "./measuring.js"
import { type Peer, readPeers } from "./peer.js"
import { cores, machine, maxDescriptors } from "./proc.js"
import {
  type Absence,
  closing,
  inReadme,
  opening,
  type Report,
  type Result,
  tablesOf,
  tablesOfCurve,
  toJson
} from "./report.js"
import { requesting } from "./requests.js"
import { prepare, type Runnable } from "./server.js"
import { streaming } from "./streaming.js"
import { type Load, readWorkloads, type Workload } from "./workload.js"
import { wrk } from "./wrk.js"

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    work: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string", default: "1" },
    connections: { type: "string", default: "64" },
    core: { type: "string", default: String(cores - 1) },
    generator: { type: "string" },
    quick: { type: "boolean", default: false },
    curves: { type: "boolean", default: false },
    json: { type: "string" },
    svg: { type: "string" },
    readme: { type: "boolean", default: false }
  }
})

const root = fileURLToPath(new URL("../../", import.meta.url))
const folder = `${root}.tmp/bench-${process.pid}`

/** An option that is a whole number, not below the least that makes sense. */
const whole = (name: string, text: string, least: number): number => {
  const number = Number(text)
  if (Number.isInteger(number) && number >= least) return number
  throw new Error(`--${name} is a whole number from ${least}, and not ${text}`)
}

const progress = progressOf("bench")

const results: Array<Result> = []
const absences: Array<Absence> = []
const remarks: Array<string> = []

/** The things of those names, or all. */
const chosen = <T>(all: ReadonlyMap<string, T>, names: string | undefined): ReadonlyMap<string, T> => {
  if (names === undefined) return all
  return new Map(
    names.split(",").map((name) => {
      const found = all.get(name)
      if (found === undefined) throw new Error(`there is no ${name}; there are ${[...all.keys()].join(", ")}`)
      return [name, found]
    })
  )
}

const generatorOf = async (name: string | undefined): Promise<Generator> => {
  const found = name === "autocannon" ? undefined : await wrk()
  if (found === undefined && name === "wrk") throw new Error("wrk is not installed")
  return found ?? autocannon
}

const loadingOf = (load: Load, measuring: Measuring): Loading => {
  switch (load._tag) {
    case "Requests":
      return requesting(load, measuring)
    case "Streaming":
      return streaming(load, measuring)
    case "Idle":
      return idling(load)
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const measure = async (
  name: string,
  work: Omit<Workload, "order">,
  peers: ReadonlyArray<Runnable>,
  measuring: Measuring,
  at?: Result["at"]
): Promise<Result | undefined> => {
  progress.step(`measures ${name} with ${peers.map((each) => each.name).join(", ")}`)
  const loading = loadingOf(work.load, measuring)
  // A server has descriptors of its own as well.
  const obstacle =
    loading.connections + 100 > maxDescriptors()
      ? `it takes ${loading.connections} descriptors, and a process may have ${maxDescriptors()} here (ulimit -n)`
      : loading.obstacle
  if (obstacle !== undefined) {
    absences.push({ work: name, peer: undefined, reason: obstacle, isFailure: false })
    return undefined
  }
  const able = peers.filter(({ name: peer, peer: { lacks } }) => {
    const reason = work.needs === undefined ? undefined : lacks[work.needs]
    if (reason !== undefined) absences.push({ work: name, peer, reason, isFailure: false })
    return reason === undefined
  })
  const field = new Field(able, loading, measuring.serverCore, (peer, error) => {
    absences.push({ work: name, peer, reason: messageOf(error), isFailure: true })
    process.exitCode = 1
  })
  await field.measure(measuring.rounds)
  const { outcomes } = field
  const result = { work: name, title: work.title, connections: loading.connections, at, outcomes }
  results.push(result)
  return result
}

const prepareAll = async (peers: ReadonlyMap<string, Peer>): Promise<ReadonlyArray<Runnable>> => {
  const runnables: Array<Runnable> = []
  for (const [name, peer] of peers) {
    const prepared = await prepare(name, peer, folder)
    if ("missing" in prepared) absences.push({ work: "all", peer: name, reason: prepared.missing, isFailure: false })
    else runnables.push(prepared)
  }
  return runnables
}

/** What to measure: the workloads, or the curves. */
type Plan = (report: Report, peers: ReadonlyArray<Runnable>, measuring: Measuring) => Promise<void>

const workloadPlan = async (): Promise<Plan> => {
  const all = await readWorkloads()
  const quick = new Map([...all].filter(([, { isQuick }]) => isQuick))
  const works = chosen(options.work === undefined && options.quick ? quick : all, options.work)
  return async (report, peers, measuring) => {
    for (const [name, work] of works) {
      const result = await measure(name, work, peers, {
        ...measuring,
        remark: (text) => remarks.push(`${name}: ${text}`)
      })
      if (result !== undefined && result.outcomes.size > 0) console.log(tablesOf(report, result))
    }
  }
}

const curvePlan = async (): Promise<Plan> => {
  const drawn = chosen(new Map(Object.entries(curves)), options.work)
  return async (report, peers, measuring) => {
    for (const [curve, { load, points, title, ...rest }] of drawn) {
      const found: Array<Result> = []
      for (const point of points) {
        const name = `${curve} ${point}`
        const work = { title: `${point} ${title}`, load: load(point), ...rest }
        const remark = (text: string): void => void remarks.push(`${name}: ${text}`)
        const result = await measure(name, work, peers, { ...measuring, remark }, { curve: title, point })
        if (result !== undefined) found.push(result)
      }
      console.log(tablesOfCurve(report, title, found))
    }
  }
}

const howOf = ({ generatorCore, rounds, seconds, serverCore }: Measuring): string => {
  const turns = `${rounds} ${rounds === 1 ? "round" : "rounds"} of ${seconds} s a half, medians`
  return generatorCore === serverCore
    ? `${turns}; server and generator share one core throughout: latencies are of both`
    : `${turns}; server on core ${serverCore}, generator on the same for its CPU time, on core ${generatorCore} for the rest`
}

const chartFile = "test/bench/chart.svg"

const publish = (report: Report): void => {
  if (options.json !== undefined) writeFileSync(options.json, toJson(report))
  if (options.svg !== undefined) writeFileSync(options.svg, chartOf(report))
  if (options.readme) {
    writeFileSync(`${root}${chartFile}`, chartOf(report))
    writeFileSync(`${root}README.md`, inReadme(readFileSync(`${root}README.md`, "utf8"), report, chartFile))
  }
}

const main = async (): Promise<void> => {
  if (platform() !== "linux") throw new Error("what a server costs is read from /proc, which is Linux's")
  const peers = chosen(await readPeers(), options.only)
  const plan = await (options.curves ? curvePlan() : workloadPlan())
  const generator = await generatorOf(options.generator)
  progress.step("compiles the servers")
  compileInto(folder)
  const serverCore = whole("core", options.core, 0)
  const measuring: Measuring = {
    generator,
    connections: whole("connections", options.connections, 1),
    seconds: whole("seconds", options.seconds, 1),
    rounds: whole("rounds", options.rounds ?? (options.quick ? "1" : "3"), 1),
    serverCore,
    generatorCore: cores === 1 ? serverCore : (serverCore + cores - 1) % cores,
    folder,
    remark: () => {}
  }
  const runnables = await prepareAll(peers)
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    node: process.versions.node,
    generator: generator.remark === undefined ? generator.title : `${generator.title}: ${generator.remark}`,
    how: howOf(measuring),
    peers: [...peers].map(([name, { colour, omits, title, versions }]) => ({ name, title, colour, versions, omits })),
    results,
    absences,
    remarks
  }
  console.log(opening(report))
  await plan(report, runnables, measuring)
  console.log(closing(report))
  publish(report)
}

process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
mkdirSync(folder, { recursive: true })
await main().catch((error: unknown) => {
  console.error(`bench: ${messageOf(error)}`)
  process.exitCode = 1
})
process.exit()
