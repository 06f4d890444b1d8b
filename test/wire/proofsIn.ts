/**
 * Which requirements a test file proves: the first argument of each call of `proves` and its kin, read from the syntax,
 * so that an id in a comment or in a string of its own proves nothing.
 */
import ts from "typescript"

/** What asks the native server alone. */
const provers: ReadonlySet<string> = new Set(["proves", "provesInTestTime"])

/** What asks every subject: the native server, and the drop-in. */
const proversOfEach: ReadonlySet<string> = new Set(["provesOfEach", "provesOfEachInTestTime", "provesByRows"])

const withoutTypes = (node: ts.Expression): ts.Expression =>
  ts.isAsExpression(node) || ts.isSatisfiesExpression(node) || ts.isParenthesizedExpression(node)
    ? withoutTypes(node.expression)
    : node

const elementsOf = (node: ts.Expression): ReadonlyArray<ts.Expression> => {
  const array = withoutTypes(node)
  return ts.isArrayLiteralExpression(array) ? array.elements : []
}

/** What a loop gives to a name, one expression a turn; `undefined` when it binds another. */
const boundBy = (loop: ts.ForOfStatement, name: string): ReadonlyArray<ts.Expression> | undefined => {
  if (!ts.isVariableDeclarationList(loop.initializer)) return undefined
  const bound = loop.initializer.declarations[0]?.name
  if (bound === undefined) return undefined
  if (ts.isIdentifier(bound)) return bound.text === name ? elementsOf(loop.expression) : undefined
  const at = bound.elements.findIndex(
    (each) => ts.isBindingElement(each) && ts.isIdentifier(each.name) && each.name.text === name
  )
  return at < 0 ? undefined : elementsOf(loop.expression).flatMap((each) => elementsOf(each)[at] ?? [])
}

/** The texts that an expression can have there: its own, or those of the nearest loop that binds the name. */
const textsOf = (node: ts.Expression): ReadonlyArray<string> => {
  if (ts.isStringLiteral(node)) return [node.text]
  for (let outer: ts.Node = node; ts.isIdentifier(node) && !ts.isSourceFile(outer); outer = outer.parent) {
    const bound = ts.isForOfStatement(outer) ? boundBy(outer, node.text) : undefined
    if (bound !== undefined && bound.length > 0) return bound.flatMap(textsOf)
  }
  throw new Error(`which requirement ${node.getText()} is cannot be seen`)
}

export interface Proof {
  readonly id: string
  /** Whether every subject is asked. */
  readonly isOfEach: boolean
}

export const proofsIn = (text: string): ReadonlyArray<Proof> => {
  const proofs: Array<Proof> = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
      const isOfEach = proversOfEach.has(node.expression.text)
      const [id] = node.arguments
      if (id !== undefined && (isOfEach || provers.has(node.expression.text))) {
        for (const each of textsOf(id)) proofs.push({ id: each, isOfEach })
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile("proofs.ts", text, ts.ScriptTarget.Latest, true))
  return proofs
}
