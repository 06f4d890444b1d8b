/** `autocannon`, where `wrk` is missing. It is written for Node, and slower than most of what it is to measure. */
import { writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import type { Generator, Run, Sent } from "./generator.js"
import { versionOf } from "./peer.js"
import { cpuTime, finished } from "./proc.js"
import type { Running } from "./server.js"
import type { Requests } from "./workload.js"

interface Result {
  readonly "2xx": number
  readonly non2xx: number
  readonly errors: number
  readonly duration: number
  /** In milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p99_9: number }
}

const program = createRequire(import.meta.url).resolve("autocannon")

const send = async (server: Running, load: Requests, { connections, core, folder, seconds }: Run): Promise<Sent> => {
  const flags = ["--json", "-c", String(connections), "-d", String(seconds), "-p", String(load.batch)]
  for (const [name, value] of load.headers) flags.push("-H", `${name}=${value}`)
  if (load.closes) flags.push("-H", "Connection=close")
  if (load.body !== undefined) {
    const content = join(folder, `${server.name}.sent`)
    writeFileSync(content, "x".repeat(load.body.size))
    flags.push("-m", "POST", "-i", content)
  }
  const before = cpuTime(server.pid)
  const output = await finished(
    [process.execPath, program, ...flags, `http://127.0.0.1:${server.port}${load.path}`],
    core === undefined ? {} : { core }
  )
  const cpu = cpuTime(server.pid) - before
  const result: Result = JSON.parse(output)
  const requests = result["2xx"]
  if (requests === 0) throw new Error("no response was sent")
  if (result.non2xx > 0) throw new Error(`${result.non2xx} of ${requests} responses were not 2xx`)
  const { p50, p99, p99_9 } = result.latency
  return {
    requests,
    rate: requests / result.duration,
    cpu: cpu / requests,
    p50: p50 * 1000,
    p99: p99 * 1000,
    p999: p99_9 * 1000,
    troubles: result.errors
  }
}

export const autocannon: Generator = {
  title: versionOf("autocannon"),
  remark: "latencies are whole milliseconds, and what a request costs includes its share of the connections' accepts",
  lacks: ({ body }, connections) => {
    if (body?.framing === "chunked") return "autocannon sends no chunks"
    return connections > 256 ? "autocannon does not tell when so many connections have been accepted" : undefined
  },
  send
}
