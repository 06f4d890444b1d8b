/** "The test kit does not load without the optional peer @effect/platform-node." Each entry loads with what it needs. */
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, describe, expect, it } from "vitest"
import { type Folder, installed, manifest } from "./packed.js"

const run = promisify(execFile)

const timeout = 60_000

const folders: Array<Folder> = []

afterAll(() => {
  for (const { remove } of folders) remove()
})

const withPeers = (peers: ReadonlyArray<string>): Folder => {
  const folder = installed(peers)
  folders.push(folder)
  return folder
}

const evaluate = async ({ path }: Folder, text: string): Promise<string> => {
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", text], { cwd: path, timeout })
  return stdout.trim()
}

const entries = Object.keys(manifest.exports).filter((entry) => !/\*|package\.json/.test(entry))

/** The peers of an entry; every other entry is the core's. */
const peersOf: { readonly [entry: string]: ReadonlyArray<string> } = {
  "./testing": ["effect", "@effect/platform"],
  "./HttpServer": ["effect", "@effect/platform", "@effect/platform-node"]
}

const core = ["effect"]

const groups = new Map<string, Array<string>>()
for (const entry of entries) {
  const key = (peersOf[entry] ?? core).join(" ")
  groups.set(key, [...(groups.get(key) ?? []), entry])
}

describe.each(Array.from(groups, ([peers, entries]) => [peers, entries] as const))(
  "with %s alone",
  (peers, entries) => {
    it(`load: ${entries.join(" ")}`, { timeout }, async () => {
      const names = entries.map((entry) => `effect-asynchttpserver${entry.slice(1)}`)
      const text = `for (const name of ${JSON.stringify(names)}) await import(name); console.log("loaded")`
      expect(await evaluate(withPeers(peers.split(" ")), text)).toBe("loaded")
    })
  }
)

it("README.md lists the peers of each entry", () => {
  const readme = readFileSync(fileURLToPath(new URL("../../README.md", import.meta.url)), "utf8")
  const rows = Array.from(readme.matchAll(/^\| `effect-asynchttpserver\/(\w+)` \| ((?:`[^`]+`(?:, )?)+) \|/gm))
  const documented = Object.fromEntries(
    rows.map(([, entry, peers = ""]) => [`./${entry}`, peers.split(", ").map((peer) => peer.replaceAll("`", ""))])
  )
  expect(documented).toStrictEqual(peersOf)
  expect(readme).toContain("| every other entry | `effect` |")
})

it("the core serves without @effect/platform", { timeout }, async () => {
  const text = `
    import * as Effect from "effect/Effect"
    import { Response, Server } from "effect-asynchttpserver"
    const program = Effect.gen(function* () {
      const { port } = yield* Server.listen({ address: "127.0.0.1" })
      yield* Effect.fork(Server.serve((request) => Response.respond(request, 200, "served")))
      return yield* Effect.promise(() => fetch("http://127.0.0.1:" + port).then((response) => response.text()))
    })
    console.log(await Effect.runPromise(Effect.provide(program, Server.layer())))
  `
  expect(await evaluate(withPeers(core), text)).toBe("served")
})

it("the kit works without @effect/platform-node, and reports that its client needs it", { timeout }, async () => {
  const text = `
    import * as Effect from "effect/Effect"
    import { Reply, TestServer } from "effect-asynchttpserver/testing"
    const started = await TestServer.start(Reply.text("started"))
    console.log(await (await fetch(started.url)).text())
    await started.close()
    const asked = (make) => Effect.runPromise(Effect.scoped(Effect.gen(function* () {
      const server = yield* make(Reply.text("asked"))
      console.log(yield* Effect.flatMap(server.client.get("/"), (response) => response.text))
      const error = yield* Effect.flip(server.client.get("https://127.0.0.1:1/"))
      console.log(error._tag, error.cause.message)
    })))
    await asked(TestServer.make)
    await asked(TestServer.makeMemory)
  `
  const sentence = "The client of a test server requires the package @effect/platform-node for https: URLs"
  expect((await evaluate(withPeers(peersOf["./testing"] ?? []), text)).split("\n")).toStrictEqual([
    "started",
    "asked",
    `RequestError ${sentence}`,
    "asked",
    `RequestError ${sentence}`
  ])
})
