/** "Jest cannot require the test kit." With the settings of the README, Jest 29 and 30 can. */
import { execFile, execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { root } from "../examples/program.js"
import { type Folder, installed, manifest } from "./packed.js"

const timeout = 420_000

const readme = readFileSync(join(root, "README.md"), "utf8")

/** A configuration as the README shows it. */
const shown = (file: string): string => {
  const text = new RegExp(`\`\`\`js\\n(// ${file.replace(".", "\\.")}[\\s\\S]*?)\`\`\``).exec(readme)?.[1]
  if (text === undefined) throw new Error(`README.md shows no ${file}`)
  return text
}

const test = `
  import * as Effect from "effect/Effect"
  import { Response } from "effect-asynchttpserver"
  import { Reply, TestServer } from "effect-asynchttpserver/testing"

  afterEach(() => jest.useRealTimers())

  const modern = { }
  const all = { doNotFake: [] }
  const legacy = { legacyFakeTimers: true }

  it.each([["real timers", undefined], ["fake timers", modern], ["all of them", all], ["legacy ones", legacy]])(
    "a server responds to fetch, and closes: %s",
    async (_, fake) => {
      const server = await TestServer.start(Reply.bytes(Buffer.from("abc")))
      if (fake !== undefined) jest.useFakeTimers(fake)
      const response = await fetch(server.url)
      expect(await response.text()).toBe("abc")
      await server.close()
    }
  )

  it.each([["real timers", undefined], ["fake timers", modern], ["legacy ones", legacy]])("in memory: %s", async (_, fake) => {
    if (fake !== undefined) jest.useFakeTimers(fake)
    const text = await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
      const server = yield* TestServer.makeMemory((request) => Response.respond(request, 200, "abc"))
      return yield* Effect.flatMap(server.client.get("/"), (response) => response.text)
    })))
    expect(text).toBe("abc")
  })
`

const packagesOf = (version: number): ReadonlyArray<string> => [
  `jest@${version}`,
  "@babel/core@7",
  "@babel/preset-env@7",
  "@babel/preset-typescript@7"
]

/** A user's folder with Jest in it, or why there is none. */
const withJest = (version: number): Folder | string => {
  try {
    return installed(Object.keys(manifest.peerDependencies), (path) => {
      const args = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", path, ...packagesOf(version)]
      execFileSync("npm", args, { cwd: path, stdio: "ignore", timeout })
    })
  } catch (error) {
    return `npm could not install Jest ${version}: ${String(error)}`
  }
}

describe.each([29, 30])("Jest %i", (version) => {
  it("loads and runs the test kit, in TypeScript and in JavaScript", { timeout }, async ({ skip }) => {
    const folder = withJest(version)
    if (typeof folder === "string") return skip(folder)
    try {
      folder.write("package.json", JSON.stringify({ name: "user", private: true }))
      folder.write("jest.config.cjs", shown("jest.config.cjs"))
      folder.write("babel.config.cjs", shown("babel.config.cjs"))
      folder.write(
        "typescript.test.ts",
        `${test}\nconst typed: number = 1\nit("is typed", () => expect(typed).toBe(1))`
      )
      folder.write("javascript.test.js", test)
      const jest = [join(folder.path, "node_modules/jest/bin/jest.js"), "--json", "--runInBand", "--no-cache"]
      const options = { cwd: folder.path, env: { ...process.env, NODE_ENV: "test" }, timeout }
      const { stdout } = await promisify(execFile)(process.execPath, jest, options).catch(
        (error: { readonly stdout: string }) => error
      )
      const { numFailedTests, numPassedTests, testResults } = JSON.parse(stdout)
      const messages = testResults.map(({ message }: { readonly message: string }) => message).join("\n")
      expect([numPassedTests, numFailedTests, messages.trim()]).toStrictEqual([15, 0, ""])
    } finally {
      folder.remove()
    }
  })
})
