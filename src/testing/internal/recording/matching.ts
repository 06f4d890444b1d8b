/** Matching of requests: for each criterion whether it is met, and if not the actual value. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as HttpHeaders from "../../../HttpHeaders.js"
import { isRegExp } from "../../../internal/host/realm.js"
import type { FieldMatcher, Matcher, TextMatcher } from "../../Expectation.js"
import type { Recorded } from "./recorder.js"

/** A criterion, and the lines that show how a request does not meet it; none if it is met. */
export interface CriterionResult {
  readonly criterion: string
  readonly differences: ReadonlyArray<string>
}

const format = (value: unknown): string =>
  value === undefined ? "(missing)" : (JSON.stringify(value) ?? String(value))

const describe = (matcher: TextMatcher): string =>
  typeof matcher === "string"
    ? format(matcher)
    : isRegExp(matcher)
      ? String(matcher)
      : `${matcher.name || "a predicate"}`

const matches = (matcher: TextMatcher, text: string): boolean => {
  if (typeof matcher === "string") return matcher === text
  // The flags `g` and `y` make a regular expression stateful.
  return isRegExp(matcher) ? new RegExp(matcher.source, matcher.flags.replace(/[gy]/g, "")).test(text) : matcher(text)
}

/** A predicate that throws, for example at an unexpected body, is not met: another request may match. */
const differencesBy = (isMet: () => boolean, describeActual: () => string): ReadonlyArray<string> => {
  try {
    return isMet() ? [] : [describeActual()]
  } catch (error) {
    return [describeActual(), `predicate threw: ${String(error)}`]
  }
}

/** A criterion as text, and the check of a request. */
interface Criterion {
  readonly criterion: string
  readonly differences: (request: Recorded, body: string) => ReadonlyArray<string>
}

type ValuesOf = (request: Recorded, body: string) => ReadonlyArray<string>

const textCriterion = (name: string, matcher: TextMatcher, valuesOf: ValuesOf): Criterion => ({
  criterion: `${name} ${describe(matcher)}`,
  differences: (request, body) => {
    const values = valuesOf(request, body)
    return differencesBy(
      () => values.some((value) => matches(matcher, value)),
      () => `actual: ${values.length === 0 ? "(missing)" : values.map(format).join(", ")}`
    )
  }
})

const fieldCriterion = (name: string, matcher: FieldMatcher, valuesOf: ValuesOf): Criterion =>
  matcher === null
    ? {
        criterion: `${name} absent`,
        differences: (request, body) => {
          const values = valuesOf(request, body)
          return values.length === 0 ? [] : [`actual: ${values.map(format).join(", ")}`]
        }
      }
    : textCriterion(name, matcher, valuesOf)

type Fields = Readonly<Record<string, unknown>>

const isRecord = (value: unknown): value is Fields => typeof value === "object" && value !== null

/** Differences of two JSON values with their paths: `-` is the expected value, `+` the actual one. */
const jsonDifferences = (expected: unknown, actual: unknown, path = "$"): ReadonlyArray<string> => {
  if (isRecord(expected) && isRecord(actual) && Array.isArray(expected) === Array.isArray(actual)) {
    const names = [...new Set([...Object.keys(expected), ...Object.keys(actual)])]
    const step = (name: string): string => (Array.isArray(expected) ? `${path}[${name}]` : `${path}.${name}`)
    return names.flatMap((name) => jsonDifferences(expected[name], actual[name], step(name)))
  }
  return expected === actual ? [] : [`- ${path}: ${format(expected)}`, `+ ${path}: ${format(actual)}`]
}

const parsed = (text: string): Either.Either<unknown, string> =>
  Either.try({ try: (): unknown => JSON.parse(text), catch: (error) => `invalid JSON: ${String(error)}` })

const schemaDifferences = (schema: Schema.Schema.AnyNoContext, json: unknown): ReadonlyArray<string> =>
  Either.match(Schema.decodeUnknownEither(schema, { errors: "all" })(json), {
    onLeft: (error) => ParseResult.TreeFormatter.formatErrorSync(error).split("\n"),
    onRight: () => []
  })

const jsonCriterion = (criterion: string, differences: (json: unknown) => ReadonlyArray<string>): Criterion => ({
  criterion,
  differences: (_, body) =>
    body === "" ? ["no body"] : Either.match(parsed(body), { onLeft: (error) => [error], onRight: differences })
})

/** A value after serialization as JSON: without `undefined` members, with dates as strings. */
const asSent = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? "null")

const criteriaOf = (matcher: Matcher): ReadonlyArray<Criterion> => {
  const criteria: Array<Criterion> = []
  const { headers = {}, method, path, query = {}, schema, text, where } = matcher
  if (method !== undefined) criteria.push(textCriterion("method", method, (request) => [request.method]))
  if (path !== undefined) criteria.push(textCriterion("path", path, (request) => [request.path]))
  for (const [name, each] of Object.entries(query)) {
    criteria.push(fieldCriterion(`query ${name}`, each, (request) => request.query.getAll(name)))
  }
  for (const [name, each] of Object.entries(headers)) {
    criteria.push(fieldCriterion(`header ${name}`, each, (request) => HttpHeaders.getAll(request.headers, name)))
  }
  if (text !== undefined) criteria.push(textCriterion("body", text, (_, body) => [body]))
  if (matcher.json !== undefined) {
    const expected = asSent(matcher.json)
    criteria.push(jsonCriterion(`JSON ${format(expected)}`, (json) => jsonDifferences(expected, json)))
  }
  if (schema !== undefined) {
    criteria.push(jsonCriterion(`JSON by ${String(schema)}`, (json) => schemaDifferences(schema, json)))
  }
  if (where !== undefined) {
    const differences = (request: Recorded, body: string): ReadonlyArray<string> =>
      differencesBy(
        () => where(request, body),
        () => "predicate returned false"
      )
    criteria.push({ criterion: where.name || "where", differences })
  }
  return criteria
}

export const describeMatcher = (matcher: Matcher): ReadonlyArray<string> =>
  criteriaOf(matcher).map(({ criterion }) => criterion)

export const checkCriteria = (matcher: Matcher, request: Recorded): ReadonlyArray<CriterionResult> => {
  const body = request.recordingExchange.body.bytes.toString("utf8")
  return criteriaOf(matcher).map(({ criterion, differences }) => ({
    criterion,
    differences: differences(request, body)
  }))
}

export const isMet = (results: ReadonlyArray<CriterionResult>): boolean =>
  results.every(({ differences }) => differences.length === 0)
