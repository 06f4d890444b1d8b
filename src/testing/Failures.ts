/**
 * Errors by which a test server fails a test: handler failures, unmatched requests and leaks.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type { HttpMethod } from "../HttpMethod.js"
import type { RecordedRequest } from "./RecordedRequest.js"

/**
 * A handler that failed: by a defect, an assertion, or an error without a status.
 *
 * The test fails with `cause` itself, whose errors have the handler's own stack and span; a test that expects the failure
 * receives this error from `takeFailure`.
 *
 * @since 0.1.0
 * @category errors
 */
export class HandlerFailure extends Data.TaggedError("HandlerFailure")<{
  readonly cause: Cause.Cause<unknown>
  readonly request: RecordedRequest
}> {
  override get message(): string {
    return `Handler of ${this.request.method} ${this.request.target} failed: ${Cause.pretty(this.cause)}`
  }
}

/**
 * A request without a route or a reply. Its client receives this message in a 501 response.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnmatchedRequestError extends Data.TaggedError("UnmatchedRequestError")<{
  readonly method: HttpMethod
  readonly target: string
  /** The expected requests, one per line; "" if there are none to show. */
  readonly expected: string
}> {
  override get message(): string {
    const expected = this.expected === "" ? "" : `, expected:\n${this.expected.replace(/^/gm, "  ")}`
    return `Unhandled request: ${this.method} ${this.target}${expected}`
  }

  override toJSON(): unknown {
    return this.message
  }
}

/**
 * Handlers, connections or descriptors that were not released: a line for each, with its request.
 *
 * @since 0.1.0
 * @category errors
 */
export class LeakError extends Data.TaggedError("LeakError")<{ readonly left: ReadonlyArray<string> }> {
  override get message(): string {
    return this.left.map((each) => `Leaked: ${each}`).join("\n")
  }

  override toJSON(): unknown {
    return this.message
  }
}
