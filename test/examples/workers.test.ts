/** examples/workers.ts under load: a rolling restart, the replacement of a worker that was killed, and a graceful end. */
import { describe, expect, it } from "vitest"
import { waiting } from "./applicationClient.js"
import { byFetch } from "./client.js"
import { loadedTimeout, startLoad } from "./load.js"
import { freePort, type Program, run, start } from "./program.js"

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const pidOf = (body: string): number => Number(/^worker (\d+)$/.exec(body)?.[1])

/** Runs `use` with two workers; whatever happens, they end with it. */
const withWorkers = async (use: (program: Program) => Promise<void>): Promise<void> => {
  const program = await start("examples/workers.ts", { WORKERS: "2", PORT: String(await freePort()) })
  try {
    await use(program)
  } finally {
    await program.stop("SIGTERM")
  }
}

/** The processes that respond, once there are two. */
const workersOf = async (url: string): Promise<ReadonlyArray<number>> => {
  const pids = new Set<number>()
  await expect
    .poll(async () => {
      const { body } = await byFetch({ method: "GET", url, headers: { Connection: "close" } })
      return pids.add(pidOf(body.toString())).size
    }, waiting)
    .toBe(2)
  return [...pids]
}

describe("examples/workers.ts", () => {
  it(
    "replaces all workers at SIGHUP without a failed request, and completes the requests in flight at SIGTERM",
    () =>
      withWorkers(async (program) => {
        const before = await workersOf(program.url)
        const load = startLoad(program.url)
        process.kill(program.pid, "SIGHUP")
        await expect.poll(() => before.some(isAlive), { timeout: 120_000 }).toBe(false)
        load.takeBodies()
        const after = await workersOf(program.url)
        expect(load.failures).toStrictEqual([])
        expect(after.filter((pid) => before.includes(pid))).toStrictEqual([])
        const { code, signal, stderr, stdout } = await program.stop("SIGTERM")
        expect([code, signal, stderr]).toStrictEqual([0, null, ""])
        expect(await load.stop()).toBeGreaterThan(20)
        // Of those, none had been accepted: the program has ended.
        expect(
          load.failures.filter((failure) => !/ECONN(REFUSED|RESET) on a new connection/.test(failure))
        ).toStrictEqual([])
        expect(stdout).toContain("all workers are replaced")
        expect(after.some(isAlive)).toBe(false)
      }),
    loadedTimeout
  )

  it(
    "replaces a worker that is killed",
    () =>
      withWorkers(async (program) => {
        const [killed = 0, other = 0] = await workersOf(program.url)
        process.kill(killed, "SIGKILL")
        await expect.poll(() => isAlive(killed), waiting).toBe(false)
        const after = await workersOf(program.url)
        expect([after.includes(killed), after.includes(other)]).toStrictEqual([false, true])
        const { code, stdout } = await program.stop("SIGINT")
        expect(code).toBe(0)
        expect(stdout).toContain(`worker ${killed} was ended by SIGKILL`)
      }),
    loadedTimeout
  )

  it(
    "ends with 1 if a worker cannot start",
    async () => {
      const { code, stdout } = await run("examples/workers.ts", { WORKERS: "2", PORT: "65536" })
      expect(code).toBe(1)
      expect(stdout).toMatch(/worker \d+ exited with 1/)
    },
    loadedTimeout
  )
})
