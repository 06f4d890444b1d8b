/**
 * The parser and the writer alone, on the fixtures, beside the parser of `node:http`: `npm run bench:machines`. Give
 * another build to compare with, `-- --against FOLDER` (a checkout that has been built), and all of them take turns.
 */
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import type * as Package from "../../src/index.js"
import { browserGet, chunkedPost, jsonPost, smallGet } from "../fixtures/messages/wellFormed.js"
import { progressOf } from "../progress.js"
import { measured } from "./figures.js"
import { nodeParser } from "./nodeParser.js"
import { aligned, number } from "./report.js"

const { values: options } = parseArgs({
  options: { against: { type: "string" }, rounds: { type: "string", default: "7" } }
})

type Machines = Pick<typeof Package, "Limits" | "RequestParser" | "ResponseWriter">

const load = async (folder: string): Promise<Machines> =>
  // What a build exports has the types of its sources.
  (await import(pathToFileURL(`${folder}/dist/index.js`).href)) as Machines

/** Chunks as clients send them; those of the fixture have everything that the grammar allows. */
const chunks = {
  bytes: Buffer.from(
    "POST /upload HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n" +
      "5\r\nhello\r\n7\r\n, world\r\n1\r\n!\r\n0\r\n\r\n"
  )
}

const messages = { smallGet, browserGet, jsonPost, chunks, chunkedPost }

/** Does something that many times. */
type Repeat = (times: number) => void

const readAll =
  ({ Limits, RequestParser }: Machines, bytes: Buffer): Repeat =>
  (times) => {
    const parser = RequestParser.make(Limits.defaults)
    for (let i = 0; i < times; i++) {
      parser.feed(bytes)
      for (let step = parser.next(); step !== "NeedMore"; step = parser.next()) {
        if (step._tag === "Malformed") throw new Error(step.reason)
      }
    }
  }

const writeAll = ({ ResponseWriter }: Machines): Repeat => {
  const writer = ResponseWriter.make()
  const outline = {
    status: 200,
    fields: ["Content-Type", "text/plain; charset=utf-8"],
    contentLength: 2,
    method: "GET",
    minor: 1,
    keepAlive: true,
    date: "Sun, 06 Nov 1994 08:49:37 GMT"
  } as const
  return (times) => {
    for (let i = 0; i < times; i++) {
      if (writer.head(outline)._tag !== "Written") throw new Error("a head was refused")
    }
  }
}

const times = 100_000

/** Nanoseconds a message, of this process's own processor time. */
const timed = (run: Repeat): number => {
  const before = process.cpuUsage()
  run(times)
  const { system, user } = process.cpuUsage(before)
  return ((user + system) * 1000) / times
}

/** The medians of what takes turns. */
const race = (runs: ReadonlyArray<Repeat>): ReadonlyArray<number> => {
  const figures = runs.map(() => [] as number[])
  for (const run of runs) timed(run)
  for (let round = 0; round < Number(options.rounds); round++) {
    runs.forEach((run, i) => {
      figures[i]?.push(timed(run))
    })
  }
  return figures.map((each) => measured(each).median)
}

const progress = progressOf("bench:machines")
const own = await load(process.cwd())
const other = options.against === undefined ? undefined : await load(options.against)
const builds = other === undefined ? [own] : [own, other]

const reachable = nodeParser()
if ("missing" in reachable) console.log(`the parser of node:http cannot be reached: ${reachable.missing}`)

/** Reads a message by the parser of `node:http`; nothing when it cannot be reached, or refuses the message. */
const readByNode = (name: string, bytes: Buffer): Repeat | undefined => {
  // One of its own, since one that has refused something reads nothing more.
  const node = nodeParser()
  if ("missing" in node) return undefined
  try {
    node.read(bytes)
  } catch (error) {
    console.log(`${name} is not comparable: node:http refuses it (${String((error as { reason?: unknown }).reason)})`)
    return undefined
  }
  return (times) => {
    for (let i = 0; i < times; i++) node.read(bytes)
  }
}

/** The figures of this build, then those of the other build. */
const row = (name: string, size: number | undefined, [own = Number.NaN, ...others]: ReadonlyArray<number>) => [
  name,
  `${Math.round(own)} ns`,
  `${number(1000 / own)} M/s`,
  size === undefined ? "" : `${Math.round((size / own) * 1000)} MB/s`,
  ...others.map((figure) => `${Math.round(figure)} ns, ${(own / figure).toFixed(2)} ×`)
]

const beside = [...(options.against === undefined ? [] : [options.against]), "node:http's parser"]
const rows: Array<ReadonlyArray<string>> = [["", "a message", "messages", "bytes", ...beside]]
for (const [name, { bytes }] of Object.entries(messages)) {
  progress.step(`reads ${name}`)
  const byNode = readByNode(name, bytes)
  const runs = [...builds.map((build) => readAll(build, bytes)), ...(byNode === undefined ? [] : [byNode])]
  rows.push(row(`${name} read`, bytes.length, race(runs)))
}
progress.step("writes heads")
rows.push(row("a head written", undefined, race(builds.map(writeAll))))
console.log(`node ${process.versions.node}; × is this build's time over the other's\n${aligned(rows)}`)
