/**
 * Checks that every code block shown to users compiles under the project's options, and prints what its comments state.
 */
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { promisify } from "node:util"
import * as ts from "typescript"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Block, compilerOptions, exampleBlocks, expectedOf, prints, readmeBlocks, root } from "./blocks.js"

const timeout = 180_000

const blocks: ReadonlyArray<Block> = [...readmeBlocks(), ...exampleBlocks()]

/** Within the package, so that it finds itself by its own name. */
let folder = ""

const fileOf = (block: Block): string => `${folder}/${blocks.indexOf(block)}.ts`

beforeAll(() => {
  mkdirSync(`${root}.tmp`, { recursive: true })
  folder = mkdtempSync(`${root}.tmp/docs-`)
  for (const block of blocks) writeFileSync(fileOf(block), block.code)
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** A diagnostic, placed where the block stands. */
const placed = (diagnostic: ts.Diagnostic): string => {
  const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n")
  const block = blocks.find((each) => diagnostic.file !== undefined && fileOf(each) === diagnostic.file.fileName)
  if (block === undefined || diagnostic.file === undefined) return `${diagnostic.file?.fileName ?? ""}: ${text}`
  const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0)
  return `${block.file}:${block.line + line}: ${text}`
}

describe("the blocks of README.md and the examples of the public modules", () => {
  it("are found", () => {
    expect(readmeBlocks().length).toBeGreaterThan(5)
    expect(exampleBlocks().length).toBeGreaterThan(20)
  })

  it(
    "compile, under the strict options of the project",
    () => {
      const program = ts.createProgram(blocks.map(fileOf), compilerOptions())
      const diagnostics = [
        ...program.getOptionsDiagnostics(),
        ...blocks.flatMap((block) => {
          const source = program.getSourceFile(fileOf(block))
          return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
        })
      ]
      expect(diagnostics.map(placed)).toStrictEqual([])
    },
    timeout
  )

  it("silence no compiler", () => {
    expect(blocks.filter(({ code }) => /@ts-|\bany\b|biome-ignore/.test(code)).map(({ where }) => where)).toStrictEqual(
      []
    )
  })

  it(
    "print what they say",
    async () => {
      const printing = blocks.filter(prints)
      const flags = ["--conditions=effect-asynchttpserver-source", "--import", "tsx", "test/docs/runBlocks.ts"]
      const { stderr, stdout } = await promisify(execFile)(process.execPath, [...flags, ...printing.map(fileOf)], {
        cwd: root,
        timeout
      })
      expect(stderr).toBe("")
      const seen: ReadonlyArray<{ readonly lines: ReadonlyArray<string>; readonly error?: string }> = JSON.parse(stdout)
      expect(printing.map(({ where }, i) => ({ where, ...seen[i] }))).toStrictEqual(
        printing.map((block) => ({ where: block.where, lines: expectedOf(block) }))
      )
    },
    timeout
  )

  it("say what they print", () => {
    const silent = blocks.filter((block) => prints(block) && expectedOf(block).length === 0)
    expect(silent.map(({ where }) => where)).toStrictEqual([])
  })

  it("README.md starts with examples/hello.ts", () => {
    const hello = readFileSync(`${root}examples/hello.ts`, "utf8").replace(/^\/\*\*[\s\S]*?\*\/\n/, "")
    expect(readmeBlocks()[0]?.code).toBe(hello)
  })
})
