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
import { type CallSite, madeAt } from "./callSite.js"
import { attachAlsoRecorded } from "./handlerFailures.js"
import { described, isMet, type Verdict, verdictsOf } from "./matching.js"
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

const outcomeText = ({ known }: Recorded): string =>
  known === undefined
    ? "not answered yet"
    : known._tag === "Responded"
      ? String(known.status)
      : known._tag.toLowerCase()

const bodyLines = ({ exchanged: { body } }: Recorded): ReadonlyArray<string> => {
  if (body.size === 0 && body.state === "Whole") return []
  const text = body.bytes.toString("utf8").split("\n")
  return [
    body.state === "Whole" ? "    body:" : "    body, as far as it was read:",
    ...text.map((line) => `      ${line}`)
  ]
}

const verdictLines = ({ criterion, differences }: Verdict): ReadonlyArray<string> =>
  differences.length === 0
    ? [`    ✓ ${criterion}`]
    : [`    ✗ ${criterion}`, ...differences.map((difference) => `        ${difference}`)]

const requestLines = (request: Recorded, verdicts: ReadonlyArray<Verdict>): ReadonlyArray<string> => [
  `  ${request.method} ${request.target} (connection ${request.connection}, exchange ${request.exchangeIndex}): ${outcomeText(request)}`,
  ...verdicts.flatMap(verdictLines),
  ...bodyLines(request)
]

/** Requests that came from `from` on, each beside the matcher. */
const checkExpectation = (recorder: Recorder, from: number, matcher: Matcher) =>
  recorder.all.slice(from).map((request) => ({ request, verdicts: verdictsOf(matcher, request) }))

const unmet = (recorder: Recorder, from: number, { matcher, site, times }: Expected): ExpectationError | undefined => {
  const all = checkExpectation(recorder, from, matcher)
  const met = all.filter(({ verdicts }) => isMet(verdicts)).length
  const { atLeast, atMost } = boundsOf(times)
  if (met >= atLeast && met <= atMost) return undefined
  // Nearest first: a reader looks for the one that was meant.
  const misses = (verdicts: ReadonlyArray<Verdict>): number =>
    verdicts.filter(({ differences }) => differences.length > 0).length
  const nearest = [...all].sort((a, b) => misses(a.verdicts) - misses(b.verdicts))
  const message = [
    `expected ${expectedCount(times)}, got ${met} of the ${all.length} that came`,
    // Beside a request that came each criterion stands anyway.
    ...(all.length === 0 ? described(matcher).map((criterion) => `  wanted: ${criterion}`) : []),
    ...nearest.flatMap(({ request, verdicts }) => requestLines(request, verdicts)).map(escapeControls)
  ].join("\n")
  return madeAt(new ExpectationError({ matcher, times, requests: all.map(({ request }) => request), message }), site)
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
      still === undefined ? Effect.void : attachAlsoRecorded([String(still)])
    ).pipe(
      // A matcher that cannot be looked at would take the place of the test's own failure.
      Effect.catchAllDefect((defect) => attachAlsoRecorded([String(defect)]))
    )
    return Effect.addFinalizer((exit) => (Exit.isSuccess(exit) ? checked : told))
  })
