/**
 * Expected requests: criteria, the expected number, and a report of the received requests if the expectation is not met.
 *
 * Criteria are plain values, predicates and Schemas. An expectation belongs to the caller's `Scope`, usually the test's: it
 * is checked when that closes, and fails a test that has not failed already.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

import type * as Schema from "effect/Schema"
import type { HttpMethod } from "../HttpMethod.js"
import type { RecordedRequest } from "./RecordedRequest.js"

/**
 * Matches a text: an equal string, a regular expression or a predicate.
 *
 * @since 0.1.0
 * @category models
 */
export type TextMatcher = string | RegExp | ((text: string) => boolean)

/**
 * Matches one of the values of a field; `null` if the field must be absent.
 *
 * @since 0.1.0
 * @category models
 */
export type FieldMatcher = TextMatcher | null

/**
 * Criteria of a request. All given criteria must be met; omitted ones are not checked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Matcher {
  readonly method?: HttpMethod | undefined
  /** The path without the query, not decoded. */
  readonly path?: TextMatcher | undefined
  /** Query parameters by name: one of the sent values must match. Further parameters are allowed. */
  readonly query?: Readonly<Record<string, FieldMatcher>> | undefined
  /** Header fields by case-insensitive name: one of the sent values must match. Further fields are allowed. */
  readonly headers?: Readonly<Record<string, FieldMatcher>> | undefined
  /** The body as text. */
  readonly text?: TextMatcher | undefined
  /** The body as JSON, equal to this value. */
  readonly json?: unknown
  /** The body as JSON, decodable by this Schema. */
  readonly schema?: Schema.Schema.AnyNoContext | undefined
  /** Any other condition; `body` is the body as text. */
  readonly where?: ((request: RecordedRequest, body: string) => boolean) | undefined
}

/**
 * Number of matching requests: exact, or a range with optional bounds.
 *
 * @since 0.1.0
 * @category models
 */
export type Times = number | { readonly atLeast?: number | undefined; readonly atMost?: number | undefined }

/**
 * An expectation that was not met. Its message is the report: the expected number, and each received request with the
 * result of every criterion and its whole body.
 *
 * @since 0.1.0
 * @category errors
 */
export class ExpectationError extends Data.TaggedError("ExpectationError")<{
  readonly matcher: Matcher
  readonly times: Times
  readonly requests: ReadonlyArray<RecordedRequest>
  readonly message: string
}> {
  /** The report: matchers and requests have no readable JSON. */
  override toJSON(): unknown {
    return this.message
  }
}
