/**
 * What a test server has against a test: handlers that failed, and what was left behind.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type { HttpMethod } from "../HttpMethod.js"
import type { RecordedRequest } from "./RecordedRequest.js"

/**
 * A handler that failed: by a defect, by an assertion, or by an error that no status answers.
 *
 * The test fails with `cause` itself, whose errors have the handler's own stack and span; this is what `takeFailure`
 * gives to a test that expects it.
 *
 * @since 0.1.0
 * @category errors
 */
export class HandlerFailure extends Data.TaggedError("HandlerFailure")<{
  readonly cause: Cause.Cause<unknown>
  readonly request: RecordedRequest
}> {
  override get message(): string {
    return `the handler of ${this.request.method} ${this.request.target} failed: ${Cause.pretty(this.cause)}`
  }
}

/**
 * A request that nobody answers: no route, or no reply that is left for it. Its client sees this message, by a 501.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnmatchedRequestError extends Data.TaggedError("UnmatchedRequestError")<{
  readonly method: HttpMethod
  readonly target: string
  /** What would have been answered, line by line; "" when there is nothing to say. */
  readonly expected: string
}> {
  override get message(): string {
    const expected = this.expected === "" ? "" : `:\n${this.expected.replace(/^/gm, "  ")}`
    return `nobody answers ${this.method} ${this.target}${expected}`
  }

  override toJSON(): unknown {
    return this.message
  }
}

/**
 * What was left: a line for each handler, connection or descriptor, which says of what request it was.
 *
 * @since 0.1.0
 * @category errors
 */
export class LeakError extends Data.TaggedError("LeakError")<{ readonly left: ReadonlyArray<string> }> {
  override get message(): string {
    return `the test server has left behind:\n${this.left.map((each) => `  ${each}`).join("\n")}`
  }

  override toJSON(): unknown {
    return this.message
  }
}
