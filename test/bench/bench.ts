/**
 * Server CPU time per request, against `node:http` and a bare socket: `npm run bench -- --rounds 5 --seconds 3`.
 *
 * Each server is a process of its own, pinned to the same core as the one-threaded generator (`wrk`), so that a write
 * does not pay for waking another core; the servers take turns within a round, and what is quoted is the median of the
 * server's own user and system time, read from /proc. `--only` names peers, `--work` workloads, both by commas.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
    connections: { type: "string", default: "64" },
    core: { type: "string", default: "1" },
    only: { type: "string", default: "bare,nodeHttp,ours" },
    work: { type: "string", default: "get,browser,pipelined,close" }
  }
})

const browserHeaders: ReadonlyArray<readonly [string, string]> = [
  [
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
  ],
  ["Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"],
  ["Accept-Language", "en-US,en;q=0.9,de;q=0.8"],
  ["Accept-Encoding", "gzip, deflate, br, zstd"],
  ["Cache-Control", "no-cache"],
  ["Pragma", "no-cache"],
  ["Referer", "http://localhost:8080/some/page?with=query"],
  ["Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; _ga=GA1.1.1234567890.1234567890"],
  ["DNT", "1"],
  ["Sec-Ch-Ua", '"Chromium";v="131", "Not_A Brand";v="24"'],
  ["Sec-Ch-Ua-Mobile", "?0"],
  ["Sec-Ch-Ua-Platform", '"Linux"'],
  ["Sec-Fetch-Dest", "document"],
  ["Sec-Fetch-Mode", "navigate"],
  ["Sec-Fetch-Site", "same-origin"],
  ["Upgrade-Insecure-Requests", "1"],
  ["Priority", "u=0, i"]
]

/** What `wrk` is told to send, as a script of its own language. */
const workloads: { readonly [name: string]: string } = {
  get: "",
  browser: browserHeaders.map(([name, value]) => `wrk.headers["${name}"] = ${JSON.stringify(value)}\n`).join(""),
  pipelined:
    'init = function() local all = {} for i = 1, 16 do all[i] = wrk.format(nil, "/") end batch = table.concat(all) end\n' +
    "request = function() return batch end\n",
  close: 'wrk.headers["Connection"] = "close"\n'
}

interface Peer {
  readonly name: string
  readonly process: ChildProcess
  readonly port: string
}

const pinned = ["taskset", "-c", options.core]

const run = (command: ReadonlyArray<string>): ChildProcess =>
  spawn(command[0] ?? "", command.slice(1), { stdio: ["ignore", "pipe", "inherit"] })

const start = async (name: string): Promise<Peer> => {
  const file = fileURLToPath(new URL(`./peers/${name}.mjs`, import.meta.url))
  const child = run([...pinned, process.execPath, file])
  if (child.stdout === null) throw new Error("a child with a pipe has one")
  const [port] = await once(createInterface(child.stdout), "line")
  return { name, process: child, port: String(port) }
}

/** User and system time of a process in microseconds; the clock of /proc has 100 ticks a second. */
const cpuTime = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

const measure = async (peer: Peer, script: string): Promise<number> => {
  const pid = peer.process.pid ?? 0
  const before = cpuTime(pid)
  const load = ["wrk", "-t1", `-c${options.connections}`, `-d${options.seconds}s`, "-s", script]
  const generator = run([...pinned, ...load, `http://127.0.0.1:${peer.port}/`])
  let output = ""
  generator.stdout?.on("data", (bytes) => {
    output += bytes
  })
  await once(generator, "close")
  const requests = Number(/(\d+) requests in/.exec(output)?.[1])
  const wrong = /Non-2xx.*/.exec(output)?.[0]
  if (wrong !== undefined) throw new Error(`${peer.name}: ${wrong}`)
  return (cpuTime(pid) - before) / requests
}

const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

const main = async (): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "bench-"))
  const peers = await Promise.all(options.only.split(",").map(start))
  try {
    console.log(`node ${process.version}, ${options.connections} connections, server and wrk on core ${options.core}`)
    for (const work of options.work.split(",")) {
      const script = join(folder, `${work}.lua`)
      writeFileSync(script, workloads[work] ?? "")
      const figures = new Map(peers.map((peer) => [peer.name, [] as number[]]))
      for (const peer of peers) await measure(peer, script)
      for (let round = 0; round < Number(options.rounds); round++) {
        for (const peer of peers) figures.get(peer.name)?.push(await measure(peer, script))
      }
      const reference = median(figures.get("nodeHttp") ?? [])
      for (const [name, times] of figures) {
        const spread = `${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)}`
        const ratio = (median(times) / reference).toFixed(2)
        console.log(
          `${work.padEnd(10)} ${name.padEnd(9)} ${median(times).toFixed(1).padStart(6)} µs (${spread}), ${ratio} × node:http`
        )
      }
    }
  } finally {
    for (const peer of peers) peer.process.kill()
    rmSync(folder, { recursive: true })
  }
}

await main()
