/**
 * The architecture of src as rules: as plain functions over `{ path, text }`; imports.test.ts runs them over the real tree and
 * over bad trees made in memory. Paths are relative to src, with forward slashes.
 */
import { posix } from "node:path"
import ts from "typescript"

export interface SourceText {
  readonly path: string
  readonly text: string
}

export interface ImportRef {
  readonly specifier: string
  /** True for `import type`, `export type ... from` and `import("x").T`: nothing of it is left at run time. */
  readonly typeOnly: boolean
  readonly line: number
}

export const maxLines = 300

/** The condition by which the sources are found instead of what was built from them: no other package's name for it. */
const sourceCondition = "effect-asynchttpserver-source"

const packageName = "effect-asynchttpserver"

/** The layers, the lowest last; src/README.md says what each is for. */
const layers: ReadonlyArray<readonly [layer: number, pattern: RegExp]> = [
  [8, /^(index|Testing|HttpServer)\.ts$/],
  [8, /^testing\/.+\.ts$/],
  [8, /^internal\/platform\/.+\.ts$/],
  [7, /^Server\.ts$/],
  [7, /^internal\/server\/.+\.ts$/],
  [6, /^internal\/connection\/.+\.ts$/],
  [5, /^TcpListener\.ts$/],
  [5, /^internal\/net\/.+\.ts$/],
  [4, /^(Listener|RequestParser|ResponseWriter|DescriptorBudget|BodyBudget)\.ts$/],
  [4, /^internal\/(budget|runtime)\/.+\.ts$/],
  [3, /^(Request|Response)\.ts$/],
  [3, /^internal\/message\/.+\.ts$/],
  [2, /^internal\/http1\/.+\.ts$/],
  [1, /^(Address|Connection|Errors|HttpCode|HttpHeaders|HttpMethod|HttpVersion|Limits|Metrics|Tls)\.ts$/],
  [1, /^internal\/((host|fields)\/)?[^/]+\.ts$/]
]

export const layerOf = (path: string): number | undefined => layers.find(([, pattern]) => pattern.test(path))?.[0]

const literalText = (node: ts.Node | undefined): string | undefined =>
  node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined

/** Every module a source names: imports, re-exports, dynamic imports, `require` and import types. */
export const importsOf = (source: SourceText): ReadonlyArray<ImportRef> => {
  const file = ts.createSourceFile(source.path, source.text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.TS)
  const found: Array<ImportRef> = []
  const add = (at: ts.Node, specifier: string | undefined, typeOnly: boolean): void => {
    if (specifier === undefined) return
    const line = file.getLineAndCharacterOfPosition(at.getStart(file)).line + 1
    found.push({ specifier, typeOnly, line })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node, literalText(node.moduleSpecifier), node.importClause?.isTypeOnly === true)
    } else if (ts.isExportDeclaration(node)) {
      add(node, literalText(node.moduleSpecifier), node.isTypeOnly)
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node, literalText(node.moduleReference.expression), node.isTypeOnly)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node, literalText(node.argument.literal), true)
    } else if (
      ts.isCallExpression(node) &&
      (node.expression.kind === ts.SyntaxKind.ImportKeyword ||
        (ts.isIdentifier(node.expression) && node.expression.text === "require"))
    ) {
      add(node, literalText(node.arguments[0]), false)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

const isRelative = (specifier: string): boolean => specifier.startsWith("./") || specifier.startsWith("../")

const isEffect = (specifier: string): boolean =>
  specifier === "effect" || specifier.startsWith("effect/") || specifier.startsWith("@effect/")

/** The file of src that a relative specifier of `from` leads to; a `.js` specifier names the `.ts` file beside it. */
const targetOf = (from: string, specifier: string): string =>
  posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, ".ts")

const at = (source: SourceText, ref: ImportRef): string => `src/${source.path}:${ref.line}`

/** Every file has a layer, so a new file is placed on purpose. */
export const checkPlaces = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> =>
  sources
    .filter(({ path }) => layerOf(path) === undefined)
    .map(({ path }) => `src/${path} has no layer: add it to the layers in test/architecture/layers.ts`)

/** A file imports from its own layer or from a lower one, by a relative `.js` specifier of a file that is there. */
export const checkLayers = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> => {
  const paths = new Set(sources.map(({ path }) => path))
  const problems: Array<string> = []
  for (const source of sources) {
    for (const ref of importsOf(source)) {
      if (ref.specifier === packageName || ref.specifier.startsWith(`${packageName}/`)) {
        problems.push(`${at(source, ref)} imports its own package by name ("${ref.specifier}"): use a relative path`)
      }
      if (!isRelative(ref.specifier)) continue
      const target = targetOf(source.path, ref.specifier)
      if (!ref.specifier.endsWith(".js") || !paths.has(target)) {
        problems.push(`${at(source, ref)} imports "${ref.specifier}", which is no file of src named with .js`)
        continue
      }
      const [from, to] = [layerOf(source.path), layerOf(target)]
      if (from !== undefined && to !== undefined && to > from) {
        problems.push(`${at(source, ref)} (layer ${from}) imports src/${target} (layer ${to}), which is higher`)
      }
    }
  }
  return problems
}

/**
 * Sockets stay in internal/net; node's own HTTP is used nowhere. The clients of the test kit are on the other side of the
 * wire: what they speak with has to be another's.
 */
export const checkNode = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> =>
  sources.flatMap((source) =>
    importsOf(source).flatMap((ref) => {
      if (source.path.startsWith("testing/internal/")) return []
      const name = ref.specifier.replace(/^node:/, "")
      if (name === "http" || name === "https" || name === "http2") {
        return [`${at(source, ref)} imports "${ref.specifier}": this package is the HTTP server, no file may import it`]
      }
      if ((name === "net" || name === "tls") && !source.path.startsWith("internal/net/")) {
        return [`${at(source, ref)} imports "${ref.specifier}": only src/internal/net may`]
      }
      return []
    })
  )

const barrels = new Set(["effect", "effect/index", "@effect/platform", "@effect/platform-node"])

/** Effect is imported by its deep modules ("effect/Effect"), never by a barrel. */
export const checkBarrels = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> =>
  sources.flatMap((source) =>
    importsOf(source)
      .filter((ref) => barrels.has(ref.specifier))
      .map((ref) => `${at(source, ref)} imports the barrel "${ref.specifier}": import the module, as "effect/Effect"`)
  )

/** The imports of each file that are looked for, as files of src. */
const edgesOf = (
  sources: ReadonlyArray<SourceText>,
  isWanted: (ref: ImportRef) => boolean
): ReadonlyMap<string, ReadonlyArray<string>> => {
  const paths = new Set(sources.map(({ path }) => path))
  return new Map(
    sources.map((source) => [
      source.path,
      importsOf(source)
        .filter((ref) => isWanted(ref) && isRelative(ref.specifier))
        .map((ref) => targetOf(source.path, ref.specifier))
        .filter((target) => paths.has(target))
    ])
  )
}

/** What is left at run time. */
const valueEdges = (sources: ReadonlyArray<SourceText>): ReadonlyMap<string, ReadonlyArray<string>> =>
  edgesOf(sources, (ref) => !ref.typeOnly)

/** The shortest chain of value imports from a file to one that is asked for, itself included. */
const chainTo = (
  edges: ReadonlyMap<string, ReadonlyArray<string>>,
  start: string,
  isTarget: (path: string) => boolean
): ReadonlyArray<string> | undefined => {
  const chains: Array<ReadonlyArray<string>> = [[start]]
  const seen = new Set([start])
  for (let chain = chains.shift(); chain !== undefined; chain = chains.shift()) {
    const last = chain[chain.length - 1] ?? start
    if (isTarget(last)) return chain
    for (const next of edges.get(last) ?? []) {
      if (seen.has(next)) continue
      seen.add(next)
      chains.push([...chain, next])
    }
  }
  return undefined
}

/** The octet machines of internal/http1 run without Effect, whether named there or reached by a value import. */
export const checkHttp1 = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> => {
  const edges = valueEdges(sources)
  const usesEffect = new Set(
    sources
      .filter((source) => importsOf(source).some((ref) => !ref.typeOnly && isEffect(ref.specifier)))
      .map(({ path }) => path)
  )
  return sources
    .filter(({ path }) => path.startsWith("internal/http1/"))
    .flatMap(({ path }) => {
      const chain = chainTo(edges, path, (each) => usesEffect.has(each))
      return chain === undefined
        ? []
        : [`src/${path} must run without effect, but imports it: ${[...chain, "effect"].join(" -> ")}`]
    })
}

const isKitClient = (path: string): boolean => path.startsWith("testing/internal/client/")

/** What the server parses and writes messages by. */
const isServerCodec = (path: string): boolean =>
  path.startsWith("internal/http1/") || /^(RequestParser|ResponseWriter)\.ts$/.test(path)

/** Modules of the server that the test kit's client uses: what it takes of Effect and of the host, and how a socket is reset. */
const sharedWithKitClient = new Set([
  "internal/host/escapeControls.ts",
  "internal/host/hostTimers.ts",
  "internal/host/realm.ts",
  "internal/runtime/effectInterop.ts",
  "internal/net/reset.ts"
])

/**
 * The test kit's client parses responses by code of its own: a fault of the server's parser or writer would be invisible
 * to a client that shares it. So it imports no internal module of the server but the few that have nothing to do with
 * messages, not even a type, and reaches the server's codec by no chain of value imports.
 */
export const checkKitClient = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> => {
  const edges = valueEdges(sources)
  return sources
    .filter(({ path }) => isKitClient(path))
    .flatMap((source) => {
      const direct = importsOf(source).flatMap((ref) => {
        const target = targetOf(source.path, ref.specifier)
        const isForbidden =
          isServerCodec(target) || (target.startsWith("internal/") && !sharedWithKitClient.has(target))
        return isRelative(ref.specifier) && isForbidden
          ? [`${at(source, ref)} imports src/${target}: the test kit's client shares no code with the server`]
          : []
      })
      const chain = chainTo(edges, source.path, isServerCodec)
      return chain === undefined || direct.length > 0
        ? direct
        : [`src/${source.path} reaches the server's codec: ${chain.join(" -> ")}`]
    })
}

/** No file reaches itself by imports, those of types included. */
export const checkCycles = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> => {
  const edges = edgesOf(sources, () => true)
  const done = new Set<string>()
  const problems: Array<string> = []
  const walk = (path: string, trail: ReadonlyArray<string>): void => {
    const back = trail.indexOf(path)
    if (back >= 0) {
      problems.push(`import cycle: ${[...trail.slice(back), path].join(" -> ")}`)
      return
    }
    if (done.has(path)) return
    for (const next of edges.get(path) ?? []) walk(next, [...trail, path])
    done.add(path)
  }
  for (const { path } of sources) walk(path, [])
  return problems
}

/** Lines with code on them: what is documented well is not too long for it. */
const codeLines = (text: string): number => {
  const file = ts.createSourceFile("lines.ts", text, ts.ScriptTarget.ES2022, true)
  const lines = new Set<number>()
  const visit = (node: ts.Node): void => {
    // The leaves of the tree: a scanner alone takes what follows a template for a part of it.
    if (node.getChildCount(file) > 0 && !ts.isJSDoc(node)) {
      node.getChildren(file).forEach(visit)
      return
    }
    if (ts.isJSDoc(node) || node.getWidth(file) === 0) return
    const [first, last] = [node.getStart(file), node.getEnd()].map((at) => file.getLineAndCharacterOfPosition(at).line)
    for (let line = first ?? 0; line <= (last ?? 0); line++) lines.add(line)
  }
  visit(file)
  return lines.size
}

/** A file that has grown beyond about 300 lines of code has more than one thing to say. */
export const checkLength = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> =>
  sources.flatMap(({ path, text }) => {
    const lines = codeLines(text)
    return lines <= maxLines ? [] : [`src/${path} has ${lines} lines of code: keep it to ${maxLines}`]
  })

const publicName = (path: string): string | undefined => /^(?!index\.ts$)([^/]+)\.ts$/.exec(path)?.[1]

/** The namespaces that an index re-exports: `export * as Name from "./Name.js"`. */
const namespacesOf = (index: SourceText): ReadonlyArray<string> => {
  const file = ts.createSourceFile(index.path, index.text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.TS)
  return file.statements.flatMap((node) =>
    ts.isExportDeclaration(node) &&
    !node.isTypeOnly &&
    node.exportClause !== undefined &&
    ts.isNamespaceExport(node.exportClause) &&
    literalText(node.moduleSpecifier) === `./${node.exportClause.name.text}.js`
      ? [node.exportClause.name.text]
      : []
  )
}

/** Modules with an entry of their own that the index leaves out, so that importing the index does not load them. */
const outsideIndex = new Set(["HttpServer", "Testing"])

/** Every public module has an `exports` entry and, as a namespace, a line in src/index.ts; no entry is left over. */
export const checkPublic = (
  sources: ReadonlyArray<SourceText>,
  exports: Readonly<Record<string, unknown>>
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const names = sources.flatMap(({ path }) => publicName(path) ?? [])
  const index = sources.find(({ path }) => path === "index.ts")
  const namespaces = index === undefined ? [] : namespacesOf(index)
  const expected = new Map([[".", "index"]])
  for (const name of names) expected.set(name === "Testing" ? "./testing" : `./${name}`, name)
  for (const [subpath, name] of expected) {
    const entry = {
      types: { [sourceCondition]: `./src/${name}.ts`, default: `./dist/${name}.d.ts` },
      [sourceCondition]: `./src/${name}.ts`,
      default: `./dist/${name}.js`
    }
    if (JSON.stringify(exports[subpath]) !== JSON.stringify(entry)) {
      problems.push(`package.json: exports["${subpath}"] should be ${JSON.stringify(entry)}`)
    }
  }
  for (const [subpath, entry] of Object.entries(exports)) {
    if (entry !== null && subpath !== "./package.json" && !expected.has(subpath)) {
      problems.push(`package.json: exports["${subpath}"] names no module of src`)
    }
  }
  for (const name of names) {
    if (outsideIndex.has(name)) {
      if (namespaces.includes(name)) problems.push(`src/index.ts must leave ${name} out: it has an entry of its own`)
    } else if (!namespaces.includes(name)) {
      problems.push(`src/index.ts lacks: export * as ${name} from "./${name}.js"`)
    }
  }
  return problems
}

/** Directly under `internal` are only the few modules that every layer uses. */
export const checkFolders = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> => {
  const files = sources.filter(({ path }) => /^internal\/[^/]+\.ts$/.test(path)).map(({ path }) => `src/${path}`)
  return files.length <= 4 ? [] : [`${files.length} files directly under src/internal, at most 4: ${files.join(", ")}`]
}
