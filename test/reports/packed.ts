/**
 * The package as it is published, in a separate folder, with the peers that are asked for and no others.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const root = fileURLToPath(new URL("../../", import.meta.url))

export const manifest: {
  readonly exports: Readonly<Record<string, unknown>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

/** What `tsc` makes of the sources but for the types, which nothing loads. */
const compile = (dist: string): void => {
  for (const path of readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })) {
    if (!path.endsWith(".ts")) continue
    const text = readFileSync(join(root, "src", path), "utf8")
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true
      }
    })
    const to = join(dist, path.replace(/\.ts$/, ".js"))
    mkdirSync(dirname(to), { recursive: true })
    writeFileSync(to, outputText)
  }
}

let dist: string | undefined

/** Compiled once, and copied from there. */
const compiled = (): string => {
  if (dist === undefined) {
    const made = mkdtempSync(join(tmpdir(), "asynchttpserver-dist-"))
    dist = made
    compile(made)
    process.once("exit", () => rmSync(made, { recursive: true, force: true }))
  }
  return dist
}

export interface Folder {
  readonly path: string
  /** Writes a file of the user's, and gives its path. */
  readonly write: (name: string, text: string) => string
  readonly remove: () => void
}

/**
 * A folder in which the package is installed, with these packages of this checkout beside it; and whatever `prepare` has
 * installed there before.
 */
export const installed = (packages: ReadonlyArray<string>, prepare: (path: string) => void = () => {}): Folder => {
  const path = mkdtempSync(join(tmpdir(), "asynchttpserver-"))
  prepare(path)
  const modules = join(path, "node_modules")
  const own = join(modules, "effect-asynchttpserver")
  mkdirSync(own, { recursive: true })
  cpSync(join(root, "package.json"), join(own, "package.json"))
  cpSync(compiled(), join(own, "dist"), { recursive: true })
  for (const name of [...Object.keys(manifest.dependencies), ...packages]) {
    const link = join(modules, name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, "node_modules", name), link, "junction")
  }
  const write = (name: string, text: string): string => {
    const file = join(path, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    return file
  }
  write("package.json", JSON.stringify({ name: "user", private: true, type: "module" }))
  return { path, write, remove: () => rmSync(path, { recursive: true, force: true }) }
}
