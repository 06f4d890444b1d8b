/**
 * Checks that every applicable requirement has a test, and that the README's tables are up to date. After a change of
 * requirements.ts or of the tests that prove them: `UPDATE_README=1 npx vitest run --config test/vitest.config.ts test/wire/requirements.test.ts`.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { proofsIn } from "./proofsIn.js"
import { all, concernsUs, type Level, type Numbered } from "./requirements.js"

const root = fileURLToPath(new URL("../../", import.meta.url))
const folders = ["test/wire/rfc9112", "test/wire/rfc9110"]
const files = folders.flatMap((folder) =>
  readdirSync(`${root}${folder}`)
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `${folder}/${name}`)
)

/** The requirements that a file's tests prove, by file. */
const proofs = new Map(files.map((file) => [file, proofsIn(readFileSync(`${root}${file}`, "utf8"))]))

const proofOf = ({ id }: Numbered): string | undefined =>
  files.find((file) => proofs.get(file)?.some((proof) => proof.id === id))

const isProvenOfEach = ({ id }: Numbered): boolean =>
  Array.from(proofs.values()).some((proofs) => proofs.some((proof) => proof.id === id && proof.isOfEach))

/** The table of one RFC: each section appears once, as a link to its test. */
const tableOf = (rfc: string): string => {
  const ours = all.filter((each) => each.rfc === rfc && concernsUs(each))
  const rows = ours.map((each, i) => {
    const link = ours[i - 1]?.section === each.section ? "" : `[${each.section}](${proofOf(each)})`
    const note = each.deviation === undefined ? "" : " (not always, see below)"
    return `| ${link} | ${each.level} | ${each.sentence}${note} |`
  })
  return [`| RFC ${rfc} § | | requirement |`, "|---|---|---|", ...rows].join("\n")
}

/** The number of inapplicable requirements by reason, in descending order. */
const reasonsOf = (others: ReadonlyArray<Numbered>): string => {
  const counts = new Map<string, number>()
  for (const { notOurs = "" } of others) counts.set(notOurs, (counts.get(notOurs) ?? 0) + 1)
  return Array.from(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${count} ${reason}`)
    .join(", ")
}

const table = (): string => {
  const ours = all.filter(concernsUs)
  const others = all.filter((each) => !concernsUs(each))
  const deviations = all.filter(({ deviation }) => deviation !== undefined)
  const isMust = ({ level }: { readonly level: Level }): boolean => level.startsWith("MUST")
  return [
    `${ours.length} requirements of RFC 9112 and RFC 9110 apply to this server, ${ours.filter(isMust).length} of them MUST or MUST NOT. Each has a test that names it,`,
    `linked from its section. All but ${ours.filter(({ nativeOnly }) => nativeOnly !== undefined).length} are tested on this server and on an application of \`@effect/platform\`; those concern what such an`,
    "application cannot do (tunnels, trailers, lists in a field), and TLS, which is the listener's. Test messages are sent over raw sockets, whole and, where their limits leave",
    "space, between other requests; and in memory byte by byte, and split at every byte.",
    "",
    "[requirements.ts](test/wire/requirements.ts) lists every requirement and recommendation of RFC 9112, and those of RFC 9110 for senders, recipients",
    "and origin servers in §2 to §15, where one line may stand for a section about the responses of applications. It omits those of RFC 9110",
    `for clients, proxies and caches alone, and RFC 9111. ${others.length} of the list are not in the tables below, for the reasons given there: ${reasonsOf(others)}.`,
    "",
    tableOf("9112"),
    "",
    tableOf("9110"),
    "",
    "Known deviations:",
    "",
    ...deviations.map((each) => `- RFC ${each.rfc} §${each.section}: ${each.sentence}. Here ${each.deviation}.`)
  ].join("\n")
}

const opening = "<!-- requirements: made from test/wire/requirements.ts -->"
const ending = "<!-- end of requirements -->"

const readme = (): string => readFileSync(`${root}README.md`, "utf8")

describe("the list of requirements", () => {
  it("has a test for each applicable requirement", () => {
    const unproven = all.filter((each) => concernsUs(each) && proofOf(each) === undefined)
    expect(unproven.map(({ id }) => id)).toStrictEqual([])
  })

  it("tests requirements that an application can observe on the native server and the drop-in", () => {
    const ofOne = all.filter((each) => concernsUs(each) && each.nativeOnly === undefined && !isProvenOfEach(each))
    expect(ofOne.map(({ id }) => id)).toStrictEqual([])
    const reasonless = all.filter((each) => each.nativeOnly !== undefined && isProvenOfEach(each))
    expect(reasonless.map(({ id }) => id)).toStrictEqual([])
  })

  it("has no test for an inapplicable requirement", () => {
    const claimed = all.filter((each) => !concernsUs(each) && proofOf(each) !== undefined)
    expect(claimed.map(({ id }) => id)).toStrictEqual([])
  })

  it("has every requirement that a test names", () => {
    const ids = new Set<string>(all.map(({ id }) => id))
    const named = Array.from(proofs.values()).flatMap((proofs) => proofs.map(({ id }) => id))
    expect(named.filter((id) => !ids.has(id))).toStrictEqual([])
  })

  it("counts only calls as proofs, not comments or strings", () => {
    const text = `
      // proves("9112/1/comment", "", test)
      const id = "9112/1/string"
      proves("9112/1/test", "how", test)
      provesByRows("9112/1/rows", rows)
      for (const id of ["9112/1/a", "9112/1/b"] as const) {
        for (const path of ["/"]) provesInTestTime(id, path, test)
      }
      for (const [what, id] of [["c", "9112/1/c"], ["d", "9112/1/d"]] as ReadonlyArray<Pair>) proves(id, what, test)
      for (const unused of ["9112/1/unused"]) it(unused, test)
    `
    expect(proofsIn(text)).toStrictEqual(
      ["test", "rows", "a", "b", "c", "d"].map((name) => ({ id: `9112/1/${name}`, isOfEach: name === "rows" }))
    )
    expect(() => proofsIn("proves(someId, how, test)")).toThrow("someId")
  })

  it("is in the order of the RFC", () => {
    const keyOf = ({ rfc, section }: Numbered): string =>
      [-Number(rfc) + 9999, ...section.split(".")].map((part) => String(part).padStart(4, "0")).join(".")
    const keys = all.map(keyOf)
    expect(keys).toStrictEqual([...keys].sort())
  })

  it("matches the README; if not, run this file with UPDATE_README=1", () => {
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
