/**
 * What a test expects to be asked: criteria, how often, and a report of what came when it is not met.
 *
 * Criteria are plain values, predicates and Schemas. An expectation belongs to the caller's `Scope`, the test's own: it is
 * looked at when that ends, and fails a test that has not failed already.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

import type * as Schema from "effect/Schema"
import type { HttpMethod } from "../HttpMethod.js"
import type { RecordedRequest } from "./RecordedRequest.js"

/**
 * What a text has to be, or what has to be true of it.
 *
 * @since 0.1.0
 * @category models
 */
export type TextMatcher = string | RegExp | ((text: string) => boolean)

/**
 * What one of the values of a field has to be; `null` when it must not be sent.
 *
 * @since 0.1.0
 * @category models
 */
export type FieldMatcher = TextMatcher | null

/**
 * What a request has to be like. Every criterion that is given has to be met; what is left out is not looked at.
 *
 * @since 0.1.0
 * @category models
 */
export interface Matcher {
  readonly method?: HttpMethod | undefined
  /** The path without its query, not decoded. */
  readonly path?: TextMatcher | undefined
  /** Parameters of the query, by name: one of the values that were sent has to match. Others may be there. */
  readonly query?: Readonly<Record<string, FieldMatcher>> | undefined
  /** Header fields, by name in any case: one of the values that were sent has to match. Others may be there. */
  readonly headers?: Readonly<Record<string, FieldMatcher>> | undefined
  /** The body as text. */
  readonly text?: TextMatcher | undefined
  /** The body as JSON, which has to be equal to this. */
  readonly json?: unknown
  /** The body as JSON, which has to be what this Schema decodes. */
  readonly schema?: Schema.Schema.AnyNoContext | undefined
  /** Anything else; the body is its text. */
  readonly where?: ((request: RecordedRequest, body: string) => boolean) | undefined
}

/**
 * How often: exactly so many times, or between two numbers, each of which may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export type Times = number | { readonly atLeast?: number | undefined; readonly atMost?: number | undefined }

/**
 * An expectation that was not met. Its message is the report: what was expected, each request that came, and of each
 * criterion what was met and what was not, bodies whole.
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
  /** Its report, where a logger asks for JSON: matchers and requests have none that can be read. */
  override toJSON(): unknown {
    return this.message
  }
}
