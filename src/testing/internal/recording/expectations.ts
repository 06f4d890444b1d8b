/** Expectations, checked when their scope closes, and their reports. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { escapeControls } from "../../../internal/host/escapeControls.js"
import { ExpectationError, type Matcher, type Times } from "../../Expectation.js"
import { type CallSite, withCallSiteStack } from "./callSite.js"
import { reportOnConsole } from "./handlerFailures.js"
import { type CriterionResult, checkCriteria, describeMatcher, isMet } from "./matching.js"
import type { Recorded, Recorder } from "./recorder.js"

/** An expectation, and the call site of `expect`. */
export interface Expected {
  readonly matcher: Matcher
  readonly times: Times
  readonly site: CallSite
}

const matchingRequests = (count: number): string => `${count} matching request${count === 1 ? "" : "s"}`

const boundsOf = (times: Times): { readonly atLeast: number; readonly atMost: number } =>
  typeof times === "number"
    ? { atLeast: times, atMost: times }
    : { atLeast: times.atLeast ?? 0, atMost: times.atMost ?? Number.POSITIVE_INFINITY }

const expectedCount = (times: Times): string => {
  const { atLeast, atMost } = boundsOf(times)
  if (atLeast === atMost) return matchingRequests(atLeast)
  if (atMost === Number.POSITIVE_INFINITY) return `at least ${matchingRequests(atLeast)}`
  return atLeast === 0 ? `at most ${matchingRequests(atMost)}` : `${atLeast} to ${matchingRequests(atMost)}`
}

const outcomeText = ({ knownOutcome }: Recorded): string =>
  knownOutcome === undefined
    ? "no response yet"
    : knownOutcome._tag === "Responded"
      ? String(knownOutcome.status)
      : knownOutcome._tag.toLowerCase()

const bodyLines = ({ recordingExchange: { body } }: Recorded): ReadonlyArray<string> => {
  if (body.size === 0 && body.state === "Complete") return []
  const text = body.bytes.toString("utf8").split("\n")
  return [body.state === "Complete" ? "    body:" : "    body (partial):", ...text.map((line) => `      ${line}`)]
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

/** The requests from index `from` on, with the result of each criterion. */
const matchRequests = (recorder: Recorder, from: number, matcher: Matcher) =>
  recorder.all.slice(from).map((request) => ({ request, results: checkCriteria(matcher, request) }))

const unmet = (recorder: Recorder, from: number, { matcher, site, times }: Expected): ExpectationError | undefined => {
  const all = matchRequests(recorder, from, matcher)
  const met = all.filter(({ results }) => isMet(results)).length
  const { atLeast, atMost } = boundsOf(times)
  if (met >= atLeast && met <= atMost) return undefined
  // The closest match first: it is probably the intended request.
  const misses = (results: ReadonlyArray<CriterionResult>): number =>
    results.filter(({ differences }) => differences.length > 0).length
  const sorted = [...all].sort((a, b) => misses(a.results) - misses(b.results))
  const message = [
    `expected ${expectedCount(times)}, received ${met} (of ${all.length})`,
    // Otherwise the criteria are listed with each request.
    ...(all.length === 0 ? describeMatcher(matcher).map((criterion) => `  expected: ${criterion}`) : []),
    ...sorted.flatMap(({ request, results }) => requestLines(request, results)).map(escapeControls)
  ].join("\n")
  return withCallSiteStack(
    new ExpectationError({ matcher, times, requests: all.map(({ request }) => request), message }),
    site
  )
}

/** Adds a finalizer that checks the expectation; if the test itself has failed, the report is only printed. */
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
        : // A request in transit may be the missing one.
          Effect.flatMap(Effect.zipRight(settle, error), (still) =>
            still === undefined ? Effect.void : Effect.die(still)
          )
    )
    // Without `settle`: an interrupted test must not wait for a server that never settles.
    const reported = Effect.flatMap(error, (still) =>
      still === undefined ? Effect.void : reportOnConsole([String(still)])
    ).pipe(
      // A matcher that throws must not replace the test's own failure.
      Effect.catchAllDefect((defect) => reportOnConsole([String(defect)]))
    )
    return Effect.addFinalizer((exit) => (Exit.isSuccess(exit) ? checked : reported))
  })
