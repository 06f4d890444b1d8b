/** The processes of the bench: started on a core of their own, watched through /proc, and ended whatever happens. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { arch, availableParallelism, cpus, loadavg, release, totalmem } from "node:os"
import { createInterface } from "node:readline"

const running = new Set<ChildProcess>()

// By their ids, and whichever way the bench ends: at its end, by an error, or by the signals below.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1]
] as const) {
  process.on(signal, () => process.exit(128 + number))
}

export const isInstalled = (program: string): boolean =>
  spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0

const canPin = isInstalled("taskset")

/** How many processors may be used; with one, and without `taskset`, nothing is apart from anything. */
export const cores = canPin ? availableParallelism() : 1

/** A command that stays on a core. */
const pinned = (command: ReadonlyArray<string>, core: number | undefined): ReadonlyArray<string> =>
  canPin && core !== undefined ? ["taskset", "-c", String(core), ...command] : command

export interface Start {
  /** Any core, when it is left out. */
  readonly core?: number
  /** Whether it is asked questions. */
  readonly isAsked?: boolean
}

/** Starts a command; it is gone when the bench is. */
export const start = (command: ReadonlyArray<string>, { core, isAsked = false }: Start = {}): ChildProcess => {
  const [program = "", ...given] = pinned(command, core)
  const child = spawn(program, given, { stdio: ["ignore", "pipe", "pipe", ...(isAsked ? (["ipc"] as const) : [])] })
  running.add(child)
  child.on("error", () => running.delete(child))
  child.on("close", () => running.delete(child))
  return child
}

export const end = async (child: ChildProcess): Promise<void> => {
  if (!running.has(child)) return
  const closed = once(child, "close")
  child.kill("SIGKILL")
  await closed
}

const gather = (stream: NodeJS.ReadableStream | null): (() => string) => {
  let text = ""
  stream?.on("data", (bytes: Buffer) => {
    text += bytes.toString()
  })
  return () => text
}

/** Runs a command to its end; what it said, when it failed, is the error. */
export const finished = async (command: ReadonlyArray<string>, given: Start = {}): Promise<string> => {
  const child = start(command, given)
  const output = gather(child.stdout)
  const complaints = gather(child.stderr)
  const [code, signal] = await once(child, "close")
  if (code !== 0) throw new Error(`${command[0]} ended with ${code ?? signal}: ${complaints() || output()}`)
  return output()
}

/** The output of a command, or nothing when it cannot be run to its end. */
export const outputOf = (command: ReadonlyArray<string>): Promise<string | undefined> =>
  finished(command).catch(() => undefined)

/** The first line that a process prints; a process that ends before is an error. */
export const firstLine = async (child: ChildProcess): Promise<string> => {
  const complaints = gather(child.stderr)
  if (child.stdout === null) throw new Error("a child with a pipe has one")
  const lines = createInterface(child.stdout)
  const ended = once(child, "close").then(([code, signal]) => {
    throw new Error(`ended with ${code ?? signal}: ${complaints()}`)
  })
  const [line] = await Promise.race([once(lines, "line"), ended])
  ended.catch(() => {})
  return String(line)
}

/** User and system time of a process, in microseconds; the clock of /proc has 100 ticks a second. */
export const cpuTime = (pid: number): number => {
  // The name in parentheses may have any character in it.
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /s, "")
    .split(" ")
  return (Number(fields[11]) + Number(fields[12])) * microsecondsPerTick
}

export const microsecondsPerTick = 10_000

const statusOf = (pid: number, field: string): number => {
  const kilobytes = new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]
  return Number(kilobytes) * 1024
}

/** Bytes of memory that are resident. */
export const resident = (pid: number): number => statusOf(pid, "VmRSS")

/** The most that were since `forgetPeak`. */
export const peakResident = (pid: number): number => statusOf(pid, "VmHWM")

/** False where the kernel does not let one. */
export const forgetPeak = (pid: number): boolean => {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5")
    return true
  } catch {
    return false
  }
}

/** How many descriptors a process of this user may have; Node has raised its own limit to that by now. */
export const maxDescriptors = (): number =>
  Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1] ?? Number.POSITIVE_INFINITY)

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memory: string
  readonly kernel: string
  readonly descriptors: number
  /** How many processes wanted to run in the minute before: what is beyond 0 was not the bench. */
  readonly busy: number
}

export const machine = (): Machine => ({
  processor: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memory: `${Math.round(totalmem() / 1024 ** 3)} GiB`,
  kernel: `Linux ${release()} ${arch()}`,
  descriptors: maxDescriptors(),
  busy: loadavg()[0] ?? Number.NaN
})
