/**
 * Rules about the language of src, as plain functions over `{ path, text }`: comments and messages speak of classes,
 * functions, clients and servers, never of persons, and use the terms of RFC 9110, Node and Effect instead of metaphors.
 */
import ts from "typescript"
import type { SourceText } from "./layers.js"

/** Words for persons: the subject of a sentence is a class, a function, the client or the server. */
const persons = /\b(he|him|his|himself|who|whom|whoever|nobody|somebody|anybody)\b/i

/** Words that the field does not use for what they once meant here, with the standard term. */
const metaphors: ReadonlyArray<readonly [word: RegExp, standard: string]> = [
  [/\bbehind\b/i, "after"],
  [/\b(household|house)\b/i, "connection context, module"],
  [/\brooms?\b(?! for\b)/i, "module, service"],
  [/\bstor(y|ies)\b/i, "lifecycle"],
  [/\bpatience\b/i, "timeout"],
  [/\broster\b/i, "registry"],
  [/\bfarewells?\b/i, "lingering close"],
  [/\b(answers?|answered|answering)\b/i, "response, respond"],
  [/\b(told|tells)\b/i, "reports, logs"],
  [/\blast words?\b/i, "final response"],
  [/\bhas its turn\b/i, "is scheduled"],
  [/\bas new\b/i, "reset, pristine"],
  [/\bmakes? (no )?sense\b|\bsenseless\b/i, "invalid"]
]

interface Piece {
  readonly text: string
  readonly line: number
}

/** The comments and the texts of a source, with the line that each begins on. */
export const piecesOf = (source: SourceText): ReadonlyArray<Piece> => {
  const file = ts.createSourceFile(source.path, source.text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.TS)
  const lineOf = (position: number): number => file.getLineAndCharacterOfPosition(position).line + 1
  const chunks: Array<Piece> = []
  const seen = new Set<number>()
  const addComments = (position: number): void => {
    for (const range of ts.getLeadingCommentRanges(source.text, position) ?? []) {
      if (seen.has(range.pos)) continue
      seen.add(range.pos)
      chunks.push({ text: source.text.slice(range.pos, range.end), line: lineOf(range.pos) })
    }
    for (const range of ts.getTrailingCommentRanges(source.text, position) ?? []) {
      if (seen.has(range.pos)) continue
      seen.add(range.pos)
      chunks.push({ text: source.text.slice(range.pos, range.end), line: lineOf(range.pos) })
    }
  }
  const visit = (node: ts.Node): void => {
    addComments(node.getFullStart())
    addComments(node.getEnd())
    const isText =
      ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node)
    const isModule = ts.isImportDeclaration(node.parent ?? node) || ts.isExportDeclaration(node.parent ?? node)
    if (isText && !isModule) chunks.push({ text: node.text, line: lineOf(node.getStart(file)) })
    ts.forEachChild(node, visit)
  }
  visit(file)
  return chunks
}

const lineWithin = ({ line, text }: Piece, index: number): number => line + text.slice(0, index).split("\n").length - 1

/** Every word for a person, and every metaphor, in a comment or a text of src. */
export const checkVocabulary = (sources: ReadonlyArray<SourceText>): ReadonlyArray<string> =>
  sources.flatMap((source) =>
    piecesOf(source).flatMap((chunk) => {
      const problems: Array<string> = []
      const person = persons.exec(chunk.text)
      if (person !== null) {
        const at = `src/${source.path}:${lineWithin(chunk, person.index)}`
        problems.push(
          `${at} "${person[0]}" is a word for a person: name the class, the function, the client or the server`
        )
      }
      for (const [word, standard] of metaphors) {
        const found = word.exec(chunk.text)
        if (found === null) continue
        const at = `src/${source.path}:${lineWithin(chunk, found.index)}`
        problems.push(`${at} "${found[0]}": the field's word is ${standard}`)
      }
      return problems
    })
  )
