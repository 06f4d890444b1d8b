/**
 * "After `vi.useFakeTimers()` my server's `close()` never settles, and the server stops responding."
 *
 * Sockets do not stop when a test replaces the timers of its process, and neither does the work after their events.
 */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterEach, describe, expect, it, vi } from "vitest"
import { scenarios } from "./realTime.js"

const root = fileURLToPath(new URL("../../", import.meta.url))

afterEach(() => {
  vi.useRealTimers()
})

const timeout = 30_000

describe("after vi.useFakeTimers()", () => {
  for (const { run, title } of scenarios) it(title, () => run(() => vi.useFakeTimers()), timeout)
})

describe("after vi.useFakeTimers(), with every function that Vitest can replace here", () => {
  const toFake = [
    "setTimeout",
    "clearTimeout",
    "setInterval",
    "clearInterval",
    "setImmediate",
    "clearImmediate",
    "Date",
    "performance",
    "hrtime"
  ] as const
  for (const { run, title } of scenarios) it(title, () => run(() => vi.useFakeTimers({ toFake: [...toFake] })), timeout)
})

/** Runs a program in a separate process. */
const inProcess = (...args: ReadonlyArray<string>): Promise<{ readonly stdout: string; readonly stderr: string }> =>
  promisify(execFile)(process.execPath, ["--conditions=effect-asynchttpserver-source", "--import", "tsx", ...args], {
    cwd: root,
    timeout,
    killSignal: "SIGKILL"
  })

/** Runs all scenarios in a separate process; gives the titles of those that continued, and what was written to stderr. */
const underFakes = async (...how: ReadonlyArray<string>) => {
  const { stderr, stdout } = await inProcess(fileURLToPath(new URL("underFakeTimers.ts", import.meta.url)), ...how)
  return { done: stdout.trim().split("\n"), stderr }
}

const titles = scenarios.map(({ title }) => title)

describe("in a separate process", () => {
  it("continues after FakeTimers.install()", { timeout }, async () => {
    expect((await underFakes("sinon")).done).toStrictEqual(titles)
  })

  it("continues in memory after FakeTimers.install() of nextTick and queueMicrotask too", { timeout }, async () => {
    const inMemory = scenarios.filter(({ isInMemory }) => isInMemory).map(({ title }) => title)
    expect((await underFakes("sinon, all of it")).done).toStrictEqual(inMemory)
  })

  it("continues after mock.timers.enable() of node:test", { timeout }, async () => {
    expect((await underFakes("node:test")).done).toStrictEqual(titles)
  })

  it("continues when it is loaded after FakeTimers.install()", { timeout }, async () => {
    const { done, stderr } = await underFakes("sinon", "before load")
    expect(done).toStrictEqual(titles)
    expect(stderr).not.toContain("EFFECT_ASYNCHTTPSERVER_FAKE_TIMERS")
  })

  it("reports that it was loaded too late, when node:test had replaced the timers before", { timeout }, async () => {
    const late = `const { mock } = await import("node:test"); mock.timers.enable(); await import("effect-asynchttpserver")`
    const { stderr } = await inProcess("--input-type=module", "--eval", late)
    expect(stderr).toContain("[EFFECT_ASYNCHTTPSERVER_FAKE_TIMERS]")
    expect(stderr).toContain("Import the package before fake timers are installed.")
  })
})

describe("imported after vi.useFakeTimers()", () => {
  it("serves and closes all the same", { timeout }, async () => {
    vi.useFakeTimers()
    vi.resetModules()
    const late = await import("./realTime.js")
    expect(late.scenarios).not.toBe(scenarios)
    for (const { run } of late.scenarios) await run(() => {})
  })
})
