/**
 * Every requirement that concerns us has a test, and the README's table says so. After a change of requirements.ts or of
 * what proves them: `UPDATE_README=1 npx vitest run --config test/vitest.config.ts test/wire/requirements.test.ts`.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { all, concernsUs, type Numbered } from "./requirements.js"

const root = fileURLToPath(new URL("../../", import.meta.url))
const folders = ["test/wire/rfc9112", "test/wire/rfc9110"]
const files = folders.flatMap((folder) =>
  readdirSync(`${root}${folder}`)
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `${folder}/${name}`)
)

/** The ids that a file names, by the file. Ids in a loop stand in arrays: all that look like one are taken. */
const proofs = new Map(
  files.map((file) => {
    const text = readFileSync(`${root}${file}`, "utf8")
    return [file, new Set(Array.from(text.matchAll(/"(91\d\d\/[\d.]+\/[\w.-]+)"/g), ([, id]) => id ?? ""))]
  })
)

const proofOf = ({ id }: Numbered): string | undefined => files.find((file) => proofs.get(file)?.has(id))

/** The requirements of one RFC; a section is named once, and leads to its test. */
const tableOf = (rfc: string): string => {
  const ours = all.filter((each) => each.rfc === rfc && concernsUs(each))
  const rows = ours.map((each, i) => {
    const link = ours[i - 1]?.section === each.section ? "" : `[${each.section}](${proofOf(each)})`
    const note = each.deviation === undefined ? "" : " (not always, see below)"
    return `| ${link} | ${each.level} | ${each.sentence}${note} |`
  })
  return [`| RFC ${rfc} § | | requirement |`, "|---|---|---|", ...rows].join("\n")
}

const table = (): string => {
  const left = all.filter((each) => !concernsUs(each)).length
  const deviations = all.filter(({ deviation }) => deviation !== undefined)
  return [
    `${all.length - left} requirements of RFC 9112 and RFC 9110 concern this server; each has a test that names it, to which`,
    "its section leads. Rows of bytes are sent whole and with other requests around them over raw sockets, and in memory byte by",
    `byte and cut at every byte. ${left} more requirements are for clients, proxies, handlers or TLS:`,
    "[requirements.ts](test/wire/requirements.ts) has all of them, with the reason.",
    "",
    tableOf("9112"),
    "",
    tableOf("9110"),
    "",
    "Known deviations:",
    "",
    ...deviations.map((each) => `- RFC ${each.rfc} §${each.section} says: ${each.sentence}. Here ${each.deviation}.`)
  ].join("\n")
}

const opening = "<!-- requirements: made from test/wire/requirements.ts -->"
const ending = "<!-- end of requirements -->"

const readme = (): string => readFileSync(`${root}README.md`, "utf8")

describe("the requirements", () => {
  it("that concern us are each proven by a test", () => {
    const unproven = all.filter((each) => concernsUs(each) && proofOf(each) === undefined)
    expect(unproven.map(({ id }) => id)).toStrictEqual([])
  })

  it("that do not concern us are not claimed to be proven", () => {
    const claimed = all.filter((each) => !concernsUs(each) && proofOf(each) !== undefined)
    expect(claimed.map(({ id }) => id)).toStrictEqual([])
  })

  it("that tests name are there", () => {
    const ids = new Set<string>(all.map(({ id }) => id))
    const named = Array.from(proofs.values()).flatMap((each) => Array.from(each))
    expect(named.filter((id) => !ids.has(id))).toStrictEqual([])
  })

  it("stand in the order of their RFC", () => {
    const keyOf = ({ rfc, section }: Numbered): string =>
      [-Number(rfc) + 9999, ...section.split(".")].map((part) => String(part).padStart(4, "0")).join(".")
    const keys = all.map(keyOf)
    expect(keys).toStrictEqual([...keys].sort())
  })

  it("are the README's; if not, run this file with UPDATE_README=1", () => {
    const text = readme()
    const from = text.indexOf(opening)
    const to = text.indexOf(ending)
    expect(from).toBeGreaterThan(0)
    expect(to).toBeGreaterThan(from)
    const made = `${text.slice(0, from)}${opening}\n${table()}\n${text.slice(to)}`
    if (process.env.UPDATE_README !== undefined) writeFileSync(`${root}README.md`, made)
    expect(readme()).toBe(made)
  })
})
