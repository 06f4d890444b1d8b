/** "Under `node:cluster`, and under PM2 in cluster mode, the second worker's `listen` fails with EADDRINUSE." */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { freePort } from "../examples/program.js"

const root = fileURLToPath(new URL("../../", import.meta.url))

const timeout = 120_000

interface Seen {
  /** How many ports the workers listen on. */
  readonly ports: number
  /** The workers that have responded: all running, the first having listened again, the first closed, the second killed. */
  readonly all: ReadonlyArray<number>
  readonly afterAgain: ReadonlyArray<number>
  readonly afterClose: ReadonlyArray<number>
  readonly afterKill: ReadonlyArray<number>
}

const runCluster = async (how: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}): Promise<Seen> => {
  const program = fileURLToPath(new URL("clusterProgram.ts", import.meta.url))
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=effect-asynchttpserver-source", "--import", "tsx", program, ...how],
    { cwd: root, env: { ...process.env, ...env }, timeout, killSignal: "SIGKILL" }
  )
  return JSON.parse(stdout)
}

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
const hasReusePort = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)

describe.each([
  ["a server", "native"],
  ["an application of @effect/platform", "application"]
])("workers of %s", (_, kind) => {
  it("share a port of the system's choice, and take turns", { timeout }, async () => {
    expect(await runCluster([kind, "rr"])).toStrictEqual({
      ports: 1,
      all: [0, 1, 2],
      afterAgain: [0, 1, 2],
      afterClose: [1, 2],
      afterKill: [2]
    })
  })

  it("share a port where the system chooses the worker (SCHED_NONE)", { timeout }, async () => {
    const seen = await runCluster([kind, "none"])
    expect(seen.ports).toBe(1)
    expect(seen.all.length).toBeGreaterThanOrEqual(1)
    expect(seen.afterClose).not.toContain(0)
    expect(seen.afterKill).toStrictEqual([2])
  })
})

it("a worker listens again, at the port that it shares", { timeout }, async () => {
  const seen = await runCluster(["native", "rr"], { TEST_PORT: String(await freePort()) })
  expect([seen.all, seen.afterAgain]).toStrictEqual([
    [0, 1, 2],
    [0, 1, 2]
  ])
})

it('share a port with reusePort: "auto", by SO_REUSEPORT or through the primary', { timeout }, async () => {
  const seen = await runCluster(["native", "rr", "auto"], { TEST_PORT: String(await freePort()) })
  expect([seen.ports, seen.afterKill]).toStrictEqual([1, [2]])
  expect(seen.afterClose).not.toContain(0)
})

it.skipIf(!hasReusePort)("share a port by SO_REUSEPORT (from Node 22.12 and 23.1)", { timeout }, async () => {
  const seen = await runCluster(["native", "rr", "reusePort"])
  expect(seen.ports).toBe(1)
  expect(seen.afterKill).toStrictEqual([2])
})
