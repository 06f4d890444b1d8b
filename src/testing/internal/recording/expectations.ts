/**
 * Expectations until their scope ends, and the report of one that was not met.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { escapeControls } from "../../../internal/host/escapeControls.js"
import { ExpectationError, type Matcher, type Times } from "../../Expectation.js"
import { type CallSite, withCallSiteStack } from "./callSite.js"
import { reportOnConsole } from "./handlerFailures.js"
import { describeMatcher, isMet, type CriterionResult, checkCriteria } from "./matching.js"
import type { Recorded, Recorder } from "./recorder.js"

/** What was expected, how often, and where that was said. */
export interface Expected {
  readonly matcher: Matcher
  readonly times: Times
  readonly site: CallSite
}

const requests = (count: number): string => `${count} request${count === 1 ? "" : "s"}`

const boundsOf = (times: Times): { readonly atLeast: number; readonly atMost: number } =>
  typeof times === "number"
    ? { atLeast: times, atMost: times }
    : { atLeast: times.atLeast ?? 0, atMost: times.atMost ?? Number.POSITIVE_INFINITY }

const expectedCount = (times: Times): string => {
  const { atLeast, atMost } = boundsOf(times)
  if (atLeast === atMost) return requests(atLeast)
  if (atMost === Number.POSITIVE_INFINITY) return `at least ${requests(atLeast)}`
  return atLeast === 0 ? `at most ${requests(atMost)}` : `${atLeast} to ${requests(atMost)}`
}

const outcomeText = ({ knownOutcome }: Recorded): string =>
  knownOutcome === undefined
    ? "not answered yet"
    : knownOutcome._tag === "Responded"
      ? String(knownOutcome.status)
      : knownOutcome._tag.toLowerCase()

const bodyLines = ({ recordingExchange: { body } }: Recorded): ReadonlyArray<string> => {
  if (body.size === 0 && body.state === "Complete") return []
  const text = body.bytes.toString("utf8").split("\n")
  return [
    body.state === "Complete" ? "    body:" : "    body, as far as it was read:",
    ...text.map((line) => `      ${line}`)
  ]
}

const verdictLines = ({ criterion, differences }: CriterionResult): ReadonlyArray<string> =>
  differences.length === 0
    ? [`    ✓ ${criterion}`]
    : [`    ✗ ${criterion}`, ...differences.map((difference) => `        ${difference}`)]

const requestLines = (request: Recorded, results: ReadonlyArray<CriterionResult>): ReadonlyArray<string> => [
  `  ${request.method} ${request.target} (connection ${request.connection}, exchange ${request.exchangeIndex}): ${outcomeText(request)}`,
  ...results.flatMap(verdictLines),
  ...bodyLines(request)
]

/** Requests that came from `from` on, each beside the matcher. */
const matchRequests = (recorder: Recorder, from: number, matcher: Matcher) =>
  recorder.all.slice(from).map((request) => ({ request, results: checkCriteria(matcher, request) }))

const unmet = (recorder: Recorder, from: number, { matcher, site, times }: Expected): ExpectationError | undefined => {
  const all = matchRequests(recorder, from, matcher)
  const met = all.filter(({ results }) => isMet(results)).length
  const { atLeast, atMost } = boundsOf(times)
  if (met >= atLeast && met <= atMost) return undefined
  // Nearest first: a reader looks for the one that was meant.
  const misses = (results: ReadonlyArray<CriterionResult>): number =>
    results.filter(({ differences }) => differences.length > 0).length
  const nearest = [...all].sort((a, b) => misses(a.results) - misses(b.results))
  const message = [
    `expected ${expectedCount(times)}, got ${met} of the ${all.length} that came`,
    // Beside a request that came each criterion stands anyway.
    ...(all.length === 0 ? describeMatcher(matcher).map((criterion) => `  wanted: ${criterion}`) : []),
    ...nearest.flatMap(({ request, results }) => requestLines(request, results)).map(escapeControls)
  ].join("\n")
  return withCallSiteStack(new ExpectationError({ matcher, times, requests: all.map(({ request }) => request), message }), site)
}

/** Looked at when the scope ends; a test that has failed by itself is told of it besides. */
export const makeExpectations = (
  recorder: Recorder,
  settle: Effect.Effect<void>,
  expected: Expected
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const from = recorder.all.length
    const error = Effect.sync(() => unmet(recorder, from, expected))
    const checked = Effect.flatMap(error, (first) =>
      first === undefined
        ? Effect.void
        : // What is on its way may be what is missing.
          Effect.flatMap(Effect.zipRight(settle, error), (still) =>
            still === undefined ? Effect.void : Effect.die(still)
          )
    )
    // A test that was interrupted is not to wait for what never settles.
    const told = Effect.flatMap(error, (still) =>
      still === undefined ? Effect.void : reportOnConsole([String(still)])
    ).pipe(
      // A matcher that cannot be looked at would take the place of the test's own failure.
      Effect.catchAllDefect((defect) => reportOnConsole([String(defect)]))
    )
    return Effect.addFinalizer((exit) => (Exit.isSuccess(exit) ? checked : told))
  })
