/** A load balancer before two instances of examples/health.ts: the rolling restart of both, under load. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "vitest"
import { waiting } from "./applicationClient.js"
import { byFetch } from "./client.js"
import { startLoad } from "./load.js"
import { freePort, type Program, root, start } from "./program.js"

// Debian's place for them is not on the path of every user.
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`

export const isInstalled = (command: string): boolean => spawnSync(command, ["-v"], { stdio: "ignore" }).status === 0

export interface Ports {
  readonly public: number
  readonly one: number
  readonly two: number
}

/** A configuration of `examples`, with other ports. */
export const configuration = (file: string, ports: Ports): string =>
  readFileSync(`${root}examples/${file}`, "utf8")
    .replaceAll(/(?<=:)8080\b/g, String(ports.public))
    .replaceAll(/(?<=:)8081\b/g, String(ports.one))
    .replaceAll(/(?<=:)8082\b/g, String(ports.two))

interface Balancer {
  readonly url: string
  readonly one: Program
  readonly two: Program
  readonly ports: Ports
}

const drain = "2 seconds"

const instance = (port: number): Promise<Program> => start("examples/health.ts", { PORT: String(port), DRAIN: drain })

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill("SIGTERM")
  await once(child, "exit")
}

const bodyOf = async (url: string): Promise<string> => (await byFetch({ method: "GET", url })).body.toString()

/** Runs `use` with two instances and the balancer, whose command `commandOf` gives after it has written its configuration. */
export const withBalancer = async (
  commandOf: (folder: string, ports: Ports) => readonly [command: string, ...args: ReadonlyArray<string>],
  use: (balancer: Balancer) => Promise<ReadonlyArray<Program>>
): Promise<void> => {
  const ports = { public: await freePort(), one: await freePort(), two: await freePort() }
  const folder = mkdtempSync(join(tmpdir(), "balancer-"))
  let programs: ReadonlyArray<Program> = await Promise.all([instance(ports.one), instance(ports.two)])
  const [one, two] = programs as readonly [Program, Program]
  const [command, ...args] = commandOf(folder, ports)
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] })
  const orphan = (): boolean => child.kill("SIGKILL")
  process.once("exit", orphan)
  try {
    const url = `http://127.0.0.1:${ports.public}`
    await expect.poll(() => bodyOf(url).catch(String), waiting).toMatch(/^instance /)
    programs = await use({ url, one, two, ports })
  } finally {
    process.off("exit", orphan)
    await end(child)
    await Promise.all(programs.map((program) => program.stop("SIGTERM")))
    rmSync(folder, { recursive: true, force: true })
  }
}

const instanceOf = (body: string): string => body.split(" ")[1] ?? ""

/** Restarts both instances under load, one after the other. */
export const restartBoth = async ({ one, ports, two, url }: Balancer): Promise<ReadonlyArray<Program>> => {
  const load = startLoad(url)
  const seen = (program: Program) => () =>
    [...load.takeBodies()].some((body) => instanceOf(body) === String(program.pid))
  const restart = async (old: Program, port: number): Promise<Program> => {
    await expect.poll(seen(old), waiting).toBe(true)
    const ended = old.stop("SIGTERM")
    await expect.poll(() => bodyOf(`http://127.0.0.1:${port}/health`), { ...waiting, interval: 20 }).toBe("draining")
    const { code, stderr } = await ended
    expect([code, stderr]).toStrictEqual([0, ""])
    const next = await instance(port)
    await expect.poll(seen(next), waiting).toBe(true)
    return next
  }
  const after = [await restart(one, ports.one), await restart(two, ports.two)]
  expect([await load.stop(), load.failures]).toStrictEqual([expect.any(Number), []])
  return after
}

/** Sends requests one after the other; they share a few connections of the balancer, and name their client. */
export const reuseConnections = async ({ one, two, url }: Balancer): Promise<ReadonlyArray<Program>> => {
  const bodies: Array<string> = []
  for (let count = 0; count < 40; count++) {
    const { body } = await byFetch({ method: "GET", url, headers: { "X-Forwarded-For": "192.0.2.1" } })
    bodies.push(body.toString())
  }
  expect(bodies.filter((body) => !/^instance \d+ for 127\.0\.0\.1 over 127\.0\.0\.1:\d+$/.test(body))).toStrictEqual([])
  expect(new Set(bodies.map(instanceOf))).toStrictEqual(new Set([String(one.pid), String(two.pid)]))
  expect(new Set(bodies).size).toBeLessThan(10)
  return [one, two]
}
