import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const sources = fileURLToPath(new URL("./", import.meta.url))

/**
 * The bench as plain JavaScript, in a folder of this package: a peer is run by Node alone, since a loader of TypeScript
 * in its process would be a thread and some 30 MB of memory that are not the server's.
 */
export const compileInto = (folder: string): void => {
  for (const file of readdirSync(sources, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts") || file.endsWith(".test.ts")) continue
    const { outputText } = ts.transpileModule(readFileSync(join(sources, file), "utf8"), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true }
    })
    const target = join(folder, file.replace(/ts$/, "js"))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, outputText)
  }
}
