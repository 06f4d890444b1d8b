/** Checks of the row ids: each is unique, and each row is chosen by a section. */
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { atTheBound, oneOver } from "../fixtures/messages/limits.js"
import { malformed } from "../fixtures/messages/malformed.js"
import { wellFormed } from "../fixtures/messages/wellFormed.js"

const rows = [...wellFormed, ...atTheBound, ...malformed, ...oneOver]
const groups = Array.from(new Set(rows.flatMap(({ group }) => group ?? [])))

/** The source of all sections, in which ids are string literals. */
const sections = ["rfc9110", "rfc9112"]
  .map((folder) => fileURLToPath(new URL(`${folder}/`, import.meta.url)))
  .flatMap((folder) => readdirSync(folder).map((name) => readFileSync(`${folder}${name}`, "utf8")))
  .join("\n")

describe("the ids of the rows", () => {
  it("are unique, those of groups included", () => {
    const ids = [...rows.map(({ id }) => id), ...groups]
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toStrictEqual([])
  })

  it("are in kebab-case", () => {
    expect(rows.filter(({ id }) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id))).toStrictEqual([])
  })

  it("are named by the tests of a section, each of them or its group", () => {
    const unused = rows.filter(({ group, id }) => !sections.includes(`"${group ?? id}"`))
    expect(unused.map(({ id }) => id)).toStrictEqual([])
  })
})
