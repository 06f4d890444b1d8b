/**
 * An example that runs in a separate process, as `npm start` starts it, and is ended by its process id.
 */
import { deepStrictEqual } from "node:assert/strict"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../../", import.meta.url))

const manifest: { readonly scripts: { readonly [name: string]: string } } = JSON.parse(
  readFileSync(`${root}package.json`, "utf8")
)

/** The flags of `npm start`, without its file: `exec node --conditions=effect-asynchttpserver-source … examples/hello.ts`. */
export const flags: ReadonlyArray<string> = (manifest.scripts.start ?? "").split(" ").slice(2, -1)

/** Milliseconds within which a program must become ready, respond, and end: only a program that hangs takes as long. */
const deadline = 60_000

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Program {
  readonly pid: number
  /** The address of the server, from the program's ready line. */
  readonly url: string
  /** Signals it, and waits for its end. Signalling one that has ended gives how it ended. */
  readonly stop: (signal: "SIGINT" | "SIGTERM") => Promise<Ended>
}

/** What a program runs as, where this process may choose: root may. */
export interface User {
  readonly uid: number
  readonly gid: number
}

const launch = (file: string, env: Readonly<Record<string, string>>, user?: User) => {
  const child = spawn(process.execPath, [...flags, file], {
    ...user,
    cwd: root,
    env: { ...process.env, PORT: "0", HOST: "127.0.0.1", NODE_OPTIONS: "", ...env },
    stdio: ["ignore", "pipe", "pipe"]
  })
  // Should this process end first, the program ends too.
  const orphan = (): boolean => child.kill("SIGKILL")
  process.once("exit", orphan)
  let stdout = ""
  let stderr = ""
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code, signal) => {
      process.off("exit", orphan)
      resolve({ code, signal, stdout, stderr })
    })
  })
  const text = child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk
  })
  const ready = new Promise<string>((resolve) => {
    text.on("data", () => {
      const url = /^Listening on (http:\/\/\S+)\n/m.exec(stdout)?.[1]
      if (url !== undefined) resolve(url)
    })
  })
  return { child, ended, ready, output: () => `${stdout}${stderr}` }
}

/** The result of a promise; rejects at the deadline, after killing the program. */
const within = async <A>(promise: Promise<A>, child: { kill: (signal: "SIGKILL") => boolean }, what: string) => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      child.kill("SIGKILL")
      reject(new Error(`the program has not ${what} in ${deadline} ms`))
    }, deadline)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Runs a program that ends by itself. */
export const run = (file: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> => {
  const { child, ended } = launch(file, env)
  return within(ended, child, "ended")
}

/** Starts a program, and resolves when it is ready. */
export const start = async (
  file: string,
  env: Readonly<Record<string, string>> = {},
  user?: User
): Promise<Program> => {
  const { child, ended, ready, output } = launch(file, env, user)
  const early = ended.then(({ code }): never => {
    throw new Error(`${file} ended with ${code} before it was ready:\n${output()}`)
  })
  early.catch(() => {})
  const url = await within(Promise.race([ready, early]), child, "become ready")
  return {
    pid: child.pid ?? 0,
    url,
    stop: (signal) => {
      child.kill(signal)
      return within(ended, child, "ended")
    }
  }
}

/** Starts a program, calls it, and ends it by SIGTERM, which has to be in order whatever the calls have left open. */
export const withProgram = async (
  file: string,
  env: Readonly<Record<string, string>>,
  call: (url: string, program: Program) => Promise<void>,
  user?: User
): Promise<void> => {
  const program = await start(file, env, user)
  try {
    await within(call(program.url, program), { kill: (signal) => process.kill(program.pid, signal) }, "responded")
  } finally {
    const { code, signal, stderr, stdout } = await program.stop("SIGTERM")
    deepStrictEqual([code, signal, stderr, stdout], [0, null, "", `Listening on ${program.url}\n`])
  }
}

/** A port that was free a moment ago, to be listened on more than once. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
