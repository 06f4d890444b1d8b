/**
 * Checks that the tables of README.md match the code.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import * as Duration from "effect/Duration"
import * as ts from "typescript"
import { describe, expect, it } from "vitest"
import * as Errors from "../../src/Errors.js"
import { errorReasons } from "../../src/internal/errorReasons.js"
import * as Limits from "../../src/Limits.js"
import { root } from "./blocks.js"

const readme = readFileSync(`${root}README.md`, "utf8")

const manifest: {
  readonly scripts: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly engines: { readonly node: string }
} = JSON.parse(readFileSync(`${root}package.json`, "utf8"))

/** The text of a section, up to the next heading of the same depth. */
const section = (heading: string): string => {
  const [, text] = readme.split(`\n## ${heading}\n`)
  if (text === undefined) throw new Error(`README.md has no section ${heading}`)
  return text.split("\n## ")[0] ?? ""
}

/** The rows of the tables in a text, without their heads. */
const rowsOf = (text: string): ReadonlyArray<ReadonlyArray<string>> =>
  text
    .split("\n")
    .filter((line, i, lines) => line.startsWith("|") && !line.startsWith("|--") && !lines[i + 1]?.startsWith("|--"))
    .map((line) => line.split("|").slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))

const names = (text: string): ReadonlyArray<string> => Array.from(text.matchAll(/`(\w+)`/g), ([, name]) => name ?? "")

/** The members of an interface of a file in src, by name. */
const membersOf = (name: string, file: string): ReadonlyArray<string> => {
  const source = ts.createSourceFile(file, readFileSync(`${root}src/${file}`, "utf8"), ts.ScriptTarget.ES2022)
  const found = source.statements.find((each) => ts.isInterfaceDeclaration(each) && each.name.text === name)
  if (found === undefined || !ts.isInterfaceDeclaration(found)) throw new Error(`no interface ${name}`)
  return found.members.map((member) =>
    member.name !== undefined && ts.isIdentifier(member.name) ? member.name.text : ""
  )
}

describe("README.md", () => {
  it("has every limit with its default", () => {
    const rows = rowsOf(section("Limits")).map(([name = "", value]) => [name.replaceAll("`", ""), value])
    const actual = Object.entries(Limits.defaults).map(([name, value]) => [
      name,
      String(Duration.isDuration(value) ? Duration.toSeconds(value) : value)
    ])
    expect(rows).toStrictEqual(actual)
  })

  it("has every reason of a ValueError with its status", () => {
    const rows = rowsOf(section("Errors")).filter(([first = ""]) => /^(\d{3}|never .*)$/.test(first))
    const said = new Map(rows.flatMap(([status = "", words = ""]) => names(words).map((name) => [name, status])))
    const never = new Set(["Port", "Address", "AlreadyListening", "Option", "Setting"])
    const actual = Object.keys(errorReasons).map((name) => {
      const { status } = new Errors.ValueError({ reason: name as Errors.ValueErrorReason })
      return [name, never.has(name) ? "never on the wire" : String(status)]
    })
    expect(Object.fromEntries(said)).toStrictEqual(Object.fromEntries(actual))
  })

  it("has every option", () => {
    const said = rowsOf(section("Options")).flatMap(([name = ""]) => names(name))
    expect(said).toStrictEqual([
      ...membersOf("ListenOptions", "internal/server/listenOptions.ts"),
      ...membersOf("Options", "Server.ts")
    ])
  })

  it("names no script that is not there, and every dependency with its range", () => {
    const scripts = Array.from(readme.matchAll(/npm run (?:-s )?([\w:-]+)/g), ([, name]) => name ?? "")
    expect(scripts.filter((name) => !(name in manifest.scripts))).toStrictEqual([])
    for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies })) {
      expect(section("Dependencies")).toContain(`| \`${name}\` ${range} `)
      // Dependencies are installed with the package, so the install command does not name them.
      if (!(name in (manifest.dependencies ?? {}))) expect(readme).toContain(`${name}@${range}`)
    }
    const development = Array.from(
      section("Dependencies").matchAll(/\| `([\w/@-]+)` (\d[\d.]*) \|/g),
      ([, ...row]) => row
    )
    expect(development.length).toBeGreaterThan(0)
    for (const [name = "", version] of development) expect(manifest.devDependencies[name]).toBe(version)
    expect(manifest.engines.node).toBe(">=20.19")
  })

  it("leads nowhere but to files that are there", () => {
    const links = Array.from(readme.matchAll(/\]\(([^)]+)\)/g), ([, link]) => link ?? "")
    expect(links.filter((link) => !/^https:/.test(link) && !existsSync(`${root}${link}`))).toStrictEqual([])
    expect(links).toContain("examples/hello.ts")
  })

  it("shows every example", () => {
    const examples = readdirSync(`${root}examples`)
    const said = Array.from(readme.matchAll(/\]\(examples\/(\w+\.ts)\)/g), ([, file]) => file ?? "")
    expect(said.sort()).toStrictEqual(examples.sort())
  })
})
