/**
 * What clients report for each fault, measured and compared with the table in src/testing/faults.md.
 *
 * `FAULTS=write` rewrites the table. Other versions of the clients report other errors, and are only run.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { root } from "../docs/blocks.js"
import { clients, kitClientOf } from "./clients.js"
import { faultRows, reportOf } from "./faultRows.js"

const file = `${root}src/testing/faults.md`

const marks = /(?<=<!-- faults: [^>]* -->\n\n)[\s\S]*?(?=\n\n<!-- faults end -->)/

const major = (version: string): string => version.split(".")[0] ?? ""

const undici: { readonly version: string } = JSON.parse(readFileSync(`${root}node_modules/undici/package.json`, "utf8"))

/** The versions of the table; minor versions do not affect it. */
const versions = `Node ${major(process.versions.node)}, undici ${major(undici.version)}`

const tableOf = (measured: ReadonlyArray<ReadonlyArray<string>>): string =>
  [
    ["", ...Object.keys(clients).map((name) => `\`${name}\``)],
    ["---", ...Object.keys(clients).map(() => "---")],
    ...measured
  ]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n")

describe("what clients report", () => {
  const measured: Array<ReadonlyArray<string>> = []

  for (const row of faultRows) {
    // Real time, since the client's own timers use it.
    it.live(row.fault, () =>
      Effect.gen(function* () {
        const reports: Array<string> = []
        for (const client of Object.values(clients)) reports.push(yield* reportOf(() => client, row))
        measured.push([row.fault, ...reports])
      })
    )
  }

  it("is as the table states", () => {
    expect(measured).toHaveLength(faultRows.length)
    const page = readFileSync(file, "utf8")
    const written = page
      .replace(/(?<=<!-- faults: )[^>]*(?= -->)/, () => versions)
      .replace(marks, () => tableOf(measured))
    if (process.env.FAULTS === "write") writeFileSync(file, written)
    else if (page.includes(`<!-- faults: ${versions} -->`)) expect(written).toBe(page)
  })
})

/** Rows for which the kit's client reports something else, since it is stricter. */
const stricter: Readonly<Record<string, RegExp>> = {
  // Whether the second response comes with the first decides whether it fails the first request or the second.
  "`duplicate`": /^(200|`HPE_INVALID_CONSTANT`)$/,
  "`duplicate`, the next request": /^`HPE_INVALID_CONSTANT`$/
}

describe("the kit's client reports what that of node:http does", () => {
  for (const row of faultRows) {
    it.live(row.fault, () =>
      Effect.gen(function* () {
        const report = yield* reportOf(kitClientOf, row)
        const expected = stricter[row.fault]
        if (expected !== undefined) expect(report).toMatch(expected)
        else expect(report).toBe(yield* reportOf(() => clients["node:http"], row))
      })
    )
  }
})
