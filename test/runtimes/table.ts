/**
 * The table of the runtimes in README.md: a row for each, made of the results of the smoke suite.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type Runtime, runtimes } from "./binaries.js"
import type { Result } from "./smoke.js"

const path = fileURLToPath(new URL("../../README.md", import.meta.url))

const groups = ["core", "TLS", "drop-in", "kit"]

const cellOf = (results: ReadonlyArray<Result>): string => {
  if (results.some(({ outcome }) => outcome === "failed")) return "fails"
  return results.some(({ outcome }) => outcome === "unsupported") ? "in part" : "yes"
}

const notesOf = (results: ReadonlyArray<Result>): string => {
  const reasons = new Set(results.flatMap(({ outcome, reason }) => (outcome === "unsupported" ? [reason ?? ""] : [])))
  return Array.from(reasons).join("; ")
}

export const rowOf = ({ name, version }: Runtime, results: ReadonlyArray<Result>): string => {
  const cells = groups.map((group) => cellOf(results.filter((result) => result.group === group)))
  return `| ${[name, version, ...cells, notesOf(results)].join(" | ")} |`
}

const head = ["| runtime | version | core | TLS | drop-in | test kit | notes |", "|---|---|---|---|---|---|---|"]

const table = /(?<=<!-- runtimes -->\n)[\s\S]*?(?=<!-- \/runtimes -->)/

/** The rows in README.md, one for each runtime. */
const rowsInReadme = (): ReadonlyArray<string> =>
  (table.exec(readFileSync(path, "utf8"))?.[0] ?? "").split("\n").slice(2)

/** The rows that README.md should have; that of a runtime that was not run is unchanged. */
const expectedRows = (rows: ReadonlyMap<Runtime, string>): ReadonlyArray<string> => {
  const current = rowsInReadme()
  return runtimes.map((runtime, i) => rows.get(runtime) ?? current[i] ?? "")
}

/** The expected rows that README.md does not have. */
export const differences = (rows: ReadonlyMap<Runtime, string>): ReadonlyArray<string> => {
  const current = rowsInReadme()
  return expectedRows(rows).filter((row, i) => row !== "" && row !== current[i])
}

export const writeReadme = (rows: ReadonlyMap<Runtime, string>): void => {
  const text = [...head, ...expectedRows(rows), ""].join("\n")
  writeFileSync(
    path,
    readFileSync(path, "utf8").replace(table, () => text)
  )
}
