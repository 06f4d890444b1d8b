/**
 * The code shown to users: every `ts` block of README.md and of the pages it leads to, and every `@example` of the public modules.
 */
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as ts from "typescript"

export const root = fileURLToPath(new URL("../../", import.meta.url))

/** The condition by which the sources are found instead of what was built from them. */
const condition = "effect-asynchttpserver-source"

const manifest: { readonly exports: Readonly<Record<string, { readonly [condition]?: string } | string | null>> } =
  JSON.parse(readFileSync(`${root}package.json`, "utf8"))

/** The modules of the test kit, which have one entry together. */
const kitModules = readdirSync(`${root}src/testing`)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => `src/testing/${file}`)

/** The files of the public modules, from the root: what `exports` leads to by the condition of the sources, and the kit's. */
export const publicModules: ReadonlyArray<string> = [
  ...Object.values(manifest.exports).flatMap((entry) =>
    entry === null || typeof entry === "string" || entry[condition] === undefined
      ? []
      : [entry[condition].replace(/^\.\//, "")]
  ),
  ...kitModules
]

/** The project's own compiler options. */
export const compilerOptions = (): ts.CompilerOptions => {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
  return ts.parseJsonConfigFileContent(config, ts.sys, root).options
}

export interface Block {
  /** Its place: file and line. */
  readonly where: string
  readonly file: string
  /** The line of its first line of code, from 1. */
  readonly line: number
  readonly code: string
}

/** The `ts` blocks of a text in which every line of code follows `prefix`. */
const blocksIn = (file: string, text: string, prefix: RegExp): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  let open: { readonly line: number; readonly lines: Array<string> } | undefined
  for (const [i, raw] of text.split("\n").entries()) {
    const line = raw.replace(prefix, "")
    if (open === undefined) {
      if (line === "```ts" && prefix.test(raw)) open = { line: i + 2, lines: [] }
    } else if (line === "```") {
      blocks.push({ where: `${file}:${open.line}`, file, line: open.line, code: `${open.lines.join("\n")}\n` })
      open = undefined
    } else open.lines.push(line)
  }
  if (open !== undefined) throw new Error(`${file}:${open.line}: a block that does not end`)
  return blocks
}

const pages = ["README.md", "src/testing/faults.md"]

export const readmeBlocks = (): ReadonlyArray<Block> =>
  pages.flatMap((page) => blocksIn(page, readFileSync(`${root}${page}`, "utf8"), /^/))

/** In a comment `*\/` stands for what would end it. */
export const exampleBlocks = (): ReadonlyArray<Block> =>
  publicModules.flatMap((file) =>
    blocksIn(file, readFileSync(`${root}${file}`, "utf8"), /^ \* ?/).map((block) => ({
      ...block,
      code: block.code.replaceAll("*\\/", "*/")
    }))
  )

/** The run of `//` lines directly after a statement, without their slashes. */
const commentsBehind = (text: string, end: number): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const line of text.slice(end).split("\n").slice(1)) {
    const comment = /^\s*\/\/ ?(.*)$/.exec(line)
    if (comment === null) break
    found.push(comment[1] ?? "")
  }
  return found
}

/** Whether a block prints: only such a block is run. */
export const prints = ({ code }: Block): boolean => code.includes("console.log(")

/** The expected output of a block: the comments after each of its statements that log. */
export const expectedOf = ({ code }: Block): ReadonlyArray<string> =>
  ts
    .createSourceFile("block.ts", code, ts.ScriptTarget.ES2022)
    .statements.filter((statement) => code.slice(statement.pos, statement.end).includes("console.log("))
    .flatMap((statement) => commentsBehind(code, statement.end))
