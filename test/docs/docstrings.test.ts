/**
 * Checks that every export of every public module has a description, @since and @category.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as ts from "typescript"
import { describe, expect, it } from "vitest"
import { compilerOptions, publicModules, root } from "./blocks.js"

/** The docstring directly in front of a declaration, or "". */
const docstringOf = (declaration: ts.Declaration): string => {
  // A constant's docstring stands in front of its whole statement.
  const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration
  const { text } = node.getSourceFile()
  const [last] = (ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []).slice(-1)
  // A blank line after it makes it the module's own.
  if (last === undefined || !/^[ \t]*\n?[ \t]*$/.test(text.slice(last.end, node.getStart()))) return ""
  const comment = text.slice(last.pos, last.end)
  return comment.startsWith("/**") ? comment : ""
}

/** What an export's docstrings lack; a type and a value of one name, and overloads, share what one of them says. */
const lacks = (symbol: ts.Symbol): ReadonlyArray<string> => {
  const docstrings = (symbol.declarations ?? []).map(docstringOf).join("\n")
  if (docstrings.trim() === "") return ["a docstring"]
  return [
    ...(/@since \d+\.\d+\.\d+/.test(docstrings) ? [] : ["@since"]),
    ...(/@category \S/.test(docstrings) ? [] : ["@category"])
  ]
}

const programOf = (files: ReadonlyArray<string>): ts.Program =>
  ts.createProgram(files, { ...compilerOptions(), noResolve: true, types: [] })

/** What the exports of a file lack, each by its name. */
const lackingIn = (program: ts.Program, file: string): ReadonlyArray<string> => {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(file)
  const symbol = source === undefined ? undefined : checker.getSymbolAtLocation(source)
  const exported = symbol === undefined ? [] : checker.getExportsOfModule(symbol)
  if (exported.length === 0) throw new Error(`${file} exports nothing`)
  return exported.flatMap((each) => lacks(each).map((lack) => `${each.name} lacks ${lack}`))
}

/** Their exports are modules, each of which says what it is by itself. */
const barrels = ["src/index.ts", "src/Testing.ts"]

const modules = publicModules.filter((file) => !barrels.includes(file))

describe("docstrings", () => {
  const program = programOf(publicModules.map((file) => `${root}${file}`))

  it("there are public modules", () => {
    expect(modules).toContain("src/Server.ts")
    expect(modules.length).toBeGreaterThanOrEqual(14)
  })

  it.each(modules)("%s: every export has one, with @since and @category", (file) => {
    expect(lackingIn(program, `${root}${file}`)).toStrictEqual([])
  })

  it.each(publicModules)("%s opens with what it is, and @since", (file) => {
    const text = program.getSourceFile(`${root}${file}`)?.text ?? ""
    expect(/^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? "").toMatch(/@since \d+\.\d+\.\d+/)
  })

  it("that are missing are named", () => {
    mkdirSync(`${root}.tmp`, { recursive: true })
    const folder = mkdtempSync(`${root}.tmp/docstrings-`)
    try {
      const file = `${folder}/module.ts`
      writeFileSync(
        file,
        [
          "/** The module. @since 0.1.0 */\n",
          "export const a = 1",
          "/** B. @since 0.1.0 */",
          "export const b = 1",
          "/** C. @category models */",
          "export interface C {}",
          "export type {",
          "/** D. @since 0.1.0 @category models */",
          "D, E } from './other.js'",
          "/** F. @since 0.1.0 @category models */",
          "export class F {}"
        ].join("\n")
      )
      expect(lackingIn(programOf([file]), file)).toStrictEqual([
        "a lacks a docstring",
        "b lacks @category",
        "C lacks @since",
        "E lacks a docstring"
      ])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
