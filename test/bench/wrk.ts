/**
 * `wrk`, with a Lua script for what it sends.
 *
 * Many connections take a second to be accepted, which is not what a request costs: with that many of them, the script
 * itself reads the server's time from /proc when each has had a response, and again at the end, before they close.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Generator, Run, Sent } from "./generator.js"
import { cpuTime, finished, microsecondsPerTick, outputOf } from "./proc.js"
import type { Running } from "./server.js"
import type { Requests } from "./workload.js"

/** As many connections as are accepted in some hundredths of a second. */
const fewConnections = 256

/** As much as a client writes at once. */
const chunkSize = 16 * 1024

const chunked = (size: number): string => {
  const chunks: Array<string> = []
  for (let left = size; left > 0; left -= chunkSize) {
    const length = Math.min(left, chunkSize)
    chunks.push(`${length.toString(16)}\r\n${"x".repeat(length)}\r\n`)
  }
  return `${chunks.join("")}0\r\n\r\n`
}

/** A request as it is sent. */
const bytesOf = ({ body, closes, headers, path }: Requests): string => {
  const fields = [["Host", "127.0.0.1"], ...headers]
  if (closes) fields.push(["Connection", "close"])
  if (body !== undefined) {
    fields.push(body.framing === "length" ? ["Content-Length", String(body.size)] : ["Transfer-Encoding", "chunked"])
  }
  const content = body === undefined ? "" : body.framing === "length" ? "x".repeat(body.size) : chunked(body.size)
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`)
  return `${body === undefined ? "GET" : "POST"} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${content}`
}

const script = (pid: number, connections: number, sentFile: string): string => `
local connections = ${connections}
local sent = io.open(${JSON.stringify(sentFile)}, "rb"):read("*a")

local function read(path)
  local file = io.open(path)
  local text = file:read("*a")
  file:close()
  return text
end

local function ticks()
  local fields = {}
  for field in read("/proc/${pid}/stat"):gsub("^.*%) ", ""):gmatch("%S+") do fields[#fields + 1] = field end
  return fields[12] + fields[13]
end

local function uptime() return read("/proc/uptime"):match("%S+") end

-- Of the thread that sends.
local issued = 0
beganTicks = -1
beganAt = 0

${
  connections <= fewConnections
    ? "function request() return sent end"
    : `function request()
  issued = issued + 1
  if issued == 2 * connections then
    beganTicks = ticks()
    beganAt = uptime()
  end
  return sent
end`
}

-- Of the one that reports.
local only

function setup(thread) only = thread end

function done(summary, latency)
  local errors = summary.errors
  local troubles = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("sent %d %d %d %d %d %d %d %d %d %f\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), errors.status, troubles,
    only:get("beganTicks"), ticks(), uptime() - only:get("beganAt")))
end
`

/** The last line of the script. */
const figuresOf = (output: string) => {
  const figures = /^sent (.+)$/m.exec(output)?.[1]?.split(" ").map(Number) ?? []
  const [requests = 0, duration = 0, p50, p99, p999, wrong = 0, troubles = 0, began = 0, ended = 0, since = 0] = figures
  return { requests, duration, p50, p99, p999, wrong, troubles, began, ended, since }
}

const send = async (server: Running, load: Requests, { connections, core, folder, seconds }: Run): Promise<Sent> => {
  const [scriptFile, sentFile] = [join(folder, `${server.name}.lua`), join(folder, `${server.name}.sent`)]
  writeFileSync(sentFile, bytesOf(load).repeat(load.batch), "latin1")
  writeFileSync(scriptFile, script(server.pid, connections, sentFile))
  const before = cpuTime(server.pid)
  const flags = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", `${seconds + 5}s`, "-s", scriptFile]
  const command = ["wrk", ...flags, `http://127.0.0.1:${server.port}${load.path}`]
  const figures = figuresOf(await finished(command, core === undefined ? {} : { core }))
  const { began, duration, ended, p50, p99, p999, requests, since, troubles, wrong } = figures
  const all = cpuTime(server.pid) - before
  if (requests === 0) throw new Error(`no response was sent in ${seconds} s`)
  if (wrong > 0) throw new Error(`${wrong} of ${requests} responses were not 2xx or 3xx`)
  // Its percentiles are corrected for what a slow response kept it from asking, by the time of a request: of a batch that
  // is the wrong one.
  const latencies = load.batch > 1 ? {} : { p50, p99, p999 }
  if (connections <= fewConnections) {
    return { requests, rate: (requests * 1e6) / duration, cpu: all / requests, troubles, ...latencies }
  }
  if (began < 0) throw new Error(`${connections} connections did not get a response each in ${seconds} s`)
  // When two a connection have been issued, one a connection has got its response.
  const counted = requests - connections
  const cpu = ((ended - began) * microsecondsPerTick) / counted
  return { requests, rate: counted / since, cpu, troubles, ...latencies }
}

/** The generator, where it is installed. */
export const wrk = async (): Promise<Generator | undefined> => {
  // It ends with 1 when it is asked for its version.
  const version = /wrk \S+/.exec((await outputOf(["sh", "-c", "wrk -v || true"])) ?? "")?.[0]
  return version === undefined ? undefined : { title: version, lacks: () => undefined, send }
}
