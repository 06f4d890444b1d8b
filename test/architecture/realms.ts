/**
 * Rules about what the host offers, as plain functions over `{ path, text }`: no `instanceof` of what another realm, or
 * another instance of this package, has too; and no timer or clock that a test runner replaces.
 */
import ts from "typescript"
import type { SourceText } from "./layers.js"

/**
 * Classes that may be asked for by `instanceof`: what another instance of this package has made of them is an ordinary
 * Effect or span, and treated as one.
 */
const ownClasses = new Set(["RespondEffect", "AdapterEffect", "LazySpan"])

/** The one module that looks the host's timers up, once. */
const hostModule = "internal/host/hostTimers.ts"

const timers = new Set([
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
  "clearImmediate",
  "queueMicrotask",
  "performance"
])

/** Members of globals by which time is asked for or waited for. */
const members = new Map([
  ["Date", new Set(["now"])],
  ["process", new Set(["nextTick", "hrtime", "uptime"])],
  ["AbortSignal", new Set(["timeout"])],
  ["Effect", new Set(["delay", "sleep", "timeout", "timeoutFail", "timeoutFailCause", "timeoutOption", "timeoutTo"])],
  ["Clock", new Set(["sleep", "currentTimeMillis"])]
])

/** What a fault of the test kit waits for goes by the `Clock` of the test, which may well be its fake timers. */
const byClock = new Set(["testing/Fault.ts", "testing/internal/faults/faults.ts"])

const modules = new Set(["timers", "timers/promises", "perf_hooks"])

const parsed = ({ path, text }: SourceText): ts.SourceFile =>
  ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.TS)

const nodesOf = (file: ts.SourceFile): ReadonlyArray<ts.Node> => {
  const nodes: Array<ts.Node> = []
  const visit = (node: ts.Node): void => {
    nodes.push(node)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return nodes
}

const problemsOf = (
  sources: ReadonlyArray<SourceText>,
  problemOf: (node: ts.Node, source: SourceText) => string | undefined
): ReadonlyArray<string> =>
  sources.flatMap((source) => {
    const file = parsed(source)
    return nodesOf(file).flatMap((node) => {
      const problem = problemOf(node, source)
      if (problem === undefined) return []
      const line = file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1
      return [`src/${source.path}:${line} ${problem}`]
    })
  })

/** A class of the same file, for values that never leave it, or one of Node's modules, which every realm shares. */
const isLocal = (right: ts.Expression, file: ts.SourceFile): boolean =>
  file.statements.some((statement) => {
    if (ts.isClassDeclaration(statement)) return statement.name?.text === right.getText()
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) return false
    const bindings = statement.importClause?.namedBindings
    const isNamed = bindings !== undefined && ts.isNamedImports(bindings)
    return (
      isNamed &&
      statement.moduleSpecifier.text.startsWith("node:") &&
      bindings.elements.some(({ name }) => name.text === right.getText())
    )
  })

/** `instanceof` is asked of no class that there may be twice. */
export const checkInstances = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> =>
  problemsOf(sources, (node) => {
    if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.InstanceOfKeyword) return undefined
    const right = node.right.getText()
    return ownClasses.has(right) || isLocal(node.right, node.getSourceFile())
      ? undefined
      : `asks for "instanceof ${right}": another realm, or another instance of this package, has a class of its own; ` +
          "use a predicate of internal/host/realm.ts, or a tag"
  })

/** The names that a file imports, which are not the globals. */
const importedBy = (file: ts.SourceFile): ReadonlySet<string> =>
  new Set(
    nodesOf(file).flatMap((node) =>
      ts.isImportSpecifier(node) || ts.isNamespaceImport(node) || ts.isImportClause(node)
        ? node.name === undefined
          ? []
          : [node.name.text]
        : []
    )
  )

/** A name where it is a value by itself: neither a member, nor a name that is given, nor a type. */
const isValue = (node: ts.Identifier): boolean => {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
  if (ts.isPropertyAssignment(parent) || ts.isBindingElement(parent)) return parent.name !== node
  const isDeclared =
    ts.isMethodDeclaration(parent) ||
    ts.isPropertyDeclaration(parent) ||
    ts.isPropertySignature(parent) ||
    ts.isMethodSignature(parent) ||
    ts.isImportSpecifier(parent) ||
    ts.isQualifiedName(parent) ||
    ts.isTypeNode(parent)
  return !isDeclared
}

/** Timers and clocks of the host come from `internal/host/hostTimers.ts`, which has taken them before any test replaces them. */
export const checkTimers = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> =>
  sources
    .filter(({ path }) => path !== hostModule)
    .flatMap((source) => {
      const imported = importedBy(parsed(source))
      return problemsOf([source], (node, { path }) => {
        if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
          const name = node.moduleSpecifier.text.replace(/^node:/, "")
          return modules.has(name) ? `imports "${name}": only src/${hostModule} may` : undefined
        }
        if (ts.isPropertyAccessExpression(node)) {
          const owner = node.expression.getText().replace(/^globalThis\./, "")
          const isForbidden =
            members.get(owner)?.has(node.name.text) === true || (owner === "globalThis" && timers.has(node.name.text))
          if (!isForbidden || (byClock.has(path) && owner === "Effect")) return undefined
          return `uses ${node.getText()}: take time from internal/host/timeSource.ts or internal/host/hostTimers.ts`
        }
        return ts.isIdentifier(node) && timers.has(node.text) && isValue(node) && !imported.has(node.text)
          ? `uses the global ${node.text}: take it from internal/host/hostTimers.ts`
          : undefined
      })
    })
