/**
 * The parser and the writer alone, on the fixtures: `npm run bench:machines`. Give another build to compare with,
 * `-- --against FOLDER` (a checkout that has been built), and the two take turns.
 */
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import type * as Package from "../../src/index.js"
import { browserGet, chunkedPost, jsonPost, smallGet } from "../fixtures/messages/wellFormed.js"

const { values: options } = parseArgs({
  options: { against: { type: "string" }, rounds: { type: "string", default: "7" } }
})

type Machines = Pick<typeof Package, "Limits" | "RequestParser" | "ResponseWriter">

const load = async (folder: string): Promise<Machines> =>
  // What a build exports has the types of its sources.
  (await import(pathToFileURL(`${folder}/dist/index.js`).href)) as Machines

const messages = { smallGet, browserGet, jsonPost, chunkedPost }

const readAll =
  ({ Limits, RequestParser }: Machines, bytes: Buffer) =>
  (times: number): void => {
    const parser = RequestParser.make(Limits.defaults)
    for (let i = 0; i < times; i++) {
      parser.feed(bytes)
      for (let step = parser.next(); step !== "NeedMore"; step = parser.next()) {
        if (step._tag === "Malformed") throw new Error(step.reason)
      }
    }
  }

const writeAll = ({ ResponseWriter }: Machines) => {
  const writer = ResponseWriter.make()
  const outline = {
    status: 200,
    fields: ["Content-Type", "text/plain; charset=utf-8"],
    contentLength: 2,
    method: "GET",
    minor: 1,
    reuse: true,
    date: "Sun, 06 Nov 1994 08:49:37 GMT"
  } as const
  return (times: number): void => {
    for (let i = 0; i < times; i++) {
      if (writer.head(outline)._tag === "Refused") throw new Error("a head was refused")
    }
  }
}

const times = 100_000

/** Nanoseconds a message, of this process's own processor time. */
const timed = (run: (times: number) => void): number => {
  const before = process.cpuUsage()
  run(times)
  const { system, user } = process.cpuUsage(before)
  return ((user + system) * 1000) / times
}

const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

const builds = [process.cwd(), ...(options.against === undefined ? [] : [options.against])]
const loaded = await Promise.all(builds.map(load))

const rows: ReadonlyArray<readonly [string, number, (machines: Machines) => (times: number) => void]> = [
  ...Object.entries(messages).map(
    ([name, { bytes }]) => [name, bytes.length, (machines: Machines) => readAll(machines, bytes)] as const
  ),
  ["a head written", 0, writeAll]
]

for (const [name, size, make] of rows) {
  const runs = loaded.map(make)
  const figures = runs.map(() => [] as number[])
  for (const run of runs) timed(run)
  for (let round = 0; round < Number(options.rounds); round++) {
    runs.forEach((run, i) => {
      figures[i]?.push(timed(run))
    })
  }
  const [own = Number.NaN, other] = figures.map(median)
  const speed = size === 0 ? "" : `, ${Math.round((size / own) * 1000)} MB/s`
  const ratio = other === undefined ? "" : `, ${(own / other).toFixed(2)} × ${options.against}`
  console.log(`${name.padEnd(16)} ${Math.round(own)} ns${speed}${ratio}`)
}
