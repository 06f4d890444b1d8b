import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import type { SourceText } from "./layers.js"
import { checkInstances, checkTimers } from "./realms.js"

const src = fileURLToPath(new URL("../../src/", import.meta.url))

const sources: ReadonlyArray<SourceText> = readdirSync(src, { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({ path, text: readFileSync(src + path, "utf8") }))

describe("src", () => {
  it("asks no value for the class of one realm or of one instance of the package", () => {
    expect(checkInstances(sources).join("\n")).toBe("")
  })

  it("takes timers and clocks from internal/host/hostTimers.ts alone", () => {
    expect(checkTimers(sources).join("\n")).toBe("")
  })
})

describe("each rule can fail", () => {
  it.each([
    ["Uint8Array", "const f = (x: unknown) => x instanceof Uint8Array", /instanceof Uint8Array/],
    ["an error of this package", "const f = (x: unknown) => x instanceof ValueError", /instanceof ValueError/],
    ["a member of a global", "const f = (x: unknown) => x instanceof globalThis.Blob", /instanceof globalThis\.Blob/]
  ])("instanceof %s", (_, text, message) => {
    expect(checkInstances([{ path: "x.ts", text }]).join("\n")).toMatch(message)
  })

  it.each([
    ["const t = setTimeout(() => {}, 1)", /global setTimeout/],
    ["const f = queueMicrotask", /global queueMicrotask/],
    ["const f = { setImmediate }", /global setImmediate/],
    ["const n = performance.now()", /global performance/],
    ["const n = globalThis.setTimeout", /globalThis\.setTimeout/],
    ["const n = Date.now()", /Date\.now/],
    ["process.nextTick(() => {})", /process\.nextTick/],
    ["const n = process.hrtime.bigint()", /process\.hrtime/],
    [`import { setTimeout } from "node:timers"`, /imports "timers"/],
    [`import { performance } from "perf_hooks"\nperformance.now()`, /imports "perf_hooks"/],
    ["const e = Effect.sleep(1)", /Effect\.sleep/]
  ])("%s", (text, message) => {
    expect(checkTimers([{ path: "x.ts", text }]).join("\n")).toMatch(message)
  })

  it.each([
    `import { setTimeout } from "./internal/host.js"\nsetTimeout(() => {}, 1)`,
    "class Socket { setTimeout(): this { return this } }",
    "socket.setTimeout(1)",
    "const date = new Date(0)",
    "type T = NodeJS.Timeout"
  ])("%s is fine", (text) => {
    expect(checkTimers([{ path: "x.ts", text }])).toEqual([])
  })
})
