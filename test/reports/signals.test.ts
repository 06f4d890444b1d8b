/**
 * "A signal while `npm start` is starting is lost for ever", and "a Ctrl-C cuts off what `npx tsx hello.ts` is serving".
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync, symlinkSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { afterAll, afterEach, describe, expect, it } from "vitest"
import { flags, root } from "../examples/program.js"
import { type Folder, installed, manifest } from "./packed.js"

const timeout = 60_000

const hello = readFileSync(join(root, "examples/hello.ts"), "utf8")

/** The first example, with a handler that takes a second. */
const slow = hello
  .replace("Response.respond(request, 200", "Effect.delay(Response.respond(request, 200")
  .replace(`utf-8" })`, `utf-8" }), "1 second")`)

/** A folder of a user's, with the example as its program. */
const folder: Folder = installed([...Object.keys(manifest.peerDependencies), "tsx"])
folder.write("hello.ts", slow)
folder.write(
  "package.json",
  JSON.stringify({ name: "user", private: true, type: "module", scripts: { start: "tsx hello.ts" } })
)
folder.write("node_modules/.bin/.keep", "")
symlinkSync(join(root, "node_modules/.bin/tsx"), join(folder.path, "node_modules/.bin/tsx"))

/**
 * The waits of 30 ms in tsx's command, made 10 seconds: it kills a program by SIGKILL that has not confirmed a signal within two of
 * them, which a processor that other tests keep busy exceeds.
 */
const patient = `data:text/javascript,${encodeURIComponent(
  `if (/\\btsx\\b/.test(process.argv[1] ?? "")) {
    const original = globalThis.setTimeout
    globalThis.setTimeout = (run, milliseconds, ...args) => original(run, milliseconds === 30 ? 10_000 : milliseconds, ...args)
  }`
)}`

const running = new Set<ChildProcess>()

afterEach(() => {
  for (const child of running) if (child.pid !== undefined) kill(-child.pid, "SIGKILL")
  running.clear()
})

afterAll(() => folder.remove())

const kill = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended.
  }
}

interface Program {
  /** Of its process group: what a terminal signals. */
  readonly group: number
  readonly output: () => string
  readonly ended: Promise<readonly [code: number | null, signal: NodeJS.Signals | null]>
}

const start = (command: string, args: ReadonlyArray<string>, cwd = folder.path): Program => {
  const env = { ...process.env, PORT: "0", HOST: "127.0.0.1", NODE_OPTIONS: `--import=${patient}` }
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] })
  running.add(child)
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text
      child.emit("output")
    })
  }
  return {
    group: -(child.pid ?? 0),
    output: () => output,
    ended: once(child, "close").then(([code, signal]) => [code, signal] as const)
  }
}

const portOf = async (program: Program): Promise<number> => {
  for (;;) {
    const port = /Listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(program.output())?.[1]
    if (port !== undefined) return Number(port)
    const child = [...running].at(-1)
    if (child === undefined) throw new Error("not running")
    await Promise.race([
      once(child, "output"),
      program.ended.then(() => Promise.reject(new Error(`it has ended: ${program.output()}`)))
    ])
  }
}

/** Asks, and waits until the server has the request. */
const asked = async (port: number): Promise<Socket> => {
  const socket = connect(port, "127.0.0.1").on("error", () => {})
  await once(socket, "connect")
  // Its handler has begun by the time at which another client, which came after it, is rejected.
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
  const other = connect(port, "127.0.0.1")
  other.write("nonsense\r\n\r\n")
  await once(other.resume(), "close")
  return socket
}

const responded = async (socket: Socket): Promise<string> => {
  let text = ""
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1")
  })
  await once(socket, "close")
  return text
}

const viaTsx = () => start("npx", ["tsx", "hello.ts"])
const viaNpm = () => start("npm", ["start"])
const direct = () => start(process.execPath, ["--import", "tsx", "hello.ts"])

describe.each([
  ["npx tsx hello.ts", viaTsx],
  ["npm start", viaNpm],
  ["node --import tsx hello.ts", direct]
])("%s", (_, run) => {
  it.each(["SIGINT", "SIGTERM"] as const)(
    "responds to its running request when its terminal sends %s",
    async (signal) => {
      const program = run()
      const text = responded(await asked(await portOf(program)))
      kill(program.group, signal)
      expect(await text).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*Hello World$/)
      await program.ended
    },
    timeout
  )
})

describe("a program that is signalled twice", () => {
  it.each([
    ["SIGINT", "SIGINT"],
    ["SIGTERM", "SIGTERM"],
    ["SIGINT", "SIGTERM"]
  ] as const)(
    "%s and %s: responds to its running request, and ends with 0",
    async (first, second) => {
      const program = direct()
      const text = responded(await asked(await portOf(program)))
      kill(program.group, first)
      kill(program.group, second)
      expect(await text).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*Hello World$/)
      expect(await program.ended).toStrictEqual([0, null])
    },
    timeout
  )
})

describe("npm start", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "ends by %s while it is starting",
    async (signal) => {
      const signalled = `data:text/javascript,process.kill(process.pid, "${signal}")`
      const args = [...flags, "--import", signalled, "examples/hello.ts"]
      expect(await start(process.execPath, args, root).ended).toStrictEqual([null, signal])
    },
    timeout
  )

  it(
    "ends by SIGHUP while it serves",
    async () => {
      const program = start(process.execPath, [...flags, "examples/hello.ts"], root)
      await portOf(program)
      kill(program.group, "SIGHUP")
      expect(await program.ended).toStrictEqual([null, "SIGHUP"])
    },
    timeout
  )
})
