/**
 * The errors of this package, as values: `ValueError`, `OSError` and `KeyError`.
 *
 * They are the typed counterparts of what `std/asynchttpserver` raises. Each knows how it is answered when a handler
 * fails with it (`status`), says what it saw, and leaves the rest to `Effect.catchTags`. This module makes no
 * decision about a connection: which status leaves, and whether the connection survives, is settled where the request
 * is served.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import { hasProperty } from "effect/Predicate"
import { type ErrorReason, errorReasons, excerpt } from "./internal/errorReasons.js"
import { isErrorLike } from "./internal/host/realm.js"

/** What the errors of every instance of this package have, and nothing else: a package may be loaded twice. */
const TypeId: unique symbol = Symbol.for("effect-asynchttpserver/Errors")

/**
 * Why a `ValueError` was made: one word, stable, to match on.
 *
 * Words about reading a request (`RequestLine`, `Host`, `BodyTooLarge` …) carry a 4xx status, or 501 and 505; words
 * about the handler's own answer (`HeaderValue`, `AlreadyResponded` …) carry 500; words about setting a server up
 * (`Port`, `Address`, `AlreadyListening`, `Option`, `Setting`) never reach the wire.
 *
 * @since 0.1.0
 * @category models
 */
export type ValueErrorReason = ErrorReason

/**
 * A value that cannot be right: a malformed request, a header that must not be written, a second answer, a bad port.
 *
 * `reason` says which rule was broken, `actual` quotes what was seen (at most 80 characters, control characters
 * escaped), and `status` is the answer when a handler fails with it.
 *
 * @example
 * ```ts
 * import { Errors } from "effect-asynchttpserver"
 *
 * const error = new Errors.ValueError({ reason: "ContentLength", actual: "1,2" })
 * console.log(error.status, error.message)
 * // 400 Content-Length is not a single decimal number: 1,2
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class ValueError extends Data.TaggedError("ValueError")<{
  readonly reason: ValueErrorReason
  readonly actual: string
  readonly status: number
}> {
  constructor(props: { readonly reason: ValueErrorReason; readonly actual?: string | undefined }) {
    super({ reason: props.reason, actual: excerpt(props.actual ?? ""), status: errorReasons[props.reason].status })
  }

  /** @internal */
  get [TypeId](): "ValueError" {
    return "ValueError"
  }

  override get message(): string {
    const text = errorReasons[this.reason].text
    return this.actual === "" ? text : `${text}: ${this.actual}`
  }
}

/**
 * What the operating system refused, with its own name for it.
 *
 * `code` is the system's (`EADDRINUSE`, `EACCES`, `EMFILE`, `ENOTCONN` …), or `ENOTSUP` for what this runtime cannot
 * do; `syscall` is the call that failed.
 *
 * @example
 * ```ts
 * import { Errors } from "effect-asynchttpserver"
 *
 * const error = new Errors.OSError({ code: "EADDRINUSE", syscall: "listen" })
 * console.log(error.message)
 * // listen: EADDRINUSE
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class OSError extends Data.TaggedError("OSError")<{
  readonly code: string
  readonly syscall: string
  readonly cause?: unknown
}> {
  /** @internal */
  get [TypeId](): "OSError" {
    return "OSError"
  }

  override get message(): string {
    const detail = isErrorLike(this.cause) ? ` (${this.cause.message})` : ""
    return `${this.syscall}: ${this.code}${detail}`
  }
}

/**
 * A header that is not there.
 *
 * `status` is 400 when the header was looked for in a request, and 500 when it was looked for anywhere else.
 *
 * @example
 * ```ts
 * import { Errors } from "effect-asynchttpserver"
 *
 * const error = new Errors.KeyError({ name: "authorization", status: 400 })
 * console.log(error.message)
 * // no such header: authorization
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class KeyError extends Data.TaggedError("KeyError")<{
  readonly name: string
  readonly status: number
}> {
  /** @internal */
  get [TypeId](): "KeyError" {
    return "KeyError"
  }

  override get message(): string {
    return `no such header: ${excerpt(this.name)}`
  }
}

/**
 * The errors a handler may fail with without saying more: the connection answers them by their `status`.
 *
 * @since 0.1.0
 * @category models
 */
export type RespondableError = ValueError | KeyError

const isTagged = (value: unknown, tag: string): boolean => hasProperty(value, TypeId) && value[TypeId] === tag

/**
 * Whether a value is a `ValueError`, of whichever instance of this package: where modules are loaded twice, by a test
 * runner or by two versions of the package, `instanceof` knows only the errors of one of them.
 *
 * @example
 * ```ts
 * import { Errors } from "effect-asynchttpserver"
 *
 * console.log(Errors.isValueError(new Errors.ValueError({ reason: "Port" })), Errors.isValueError(new Error("no")))
 * // true false
 * ```
 *
 * @since 0.1.0
 * @category refinements
 */
export const isValueError = (value: unknown): value is ValueError => isTagged(value, "ValueError")

/**
 * Whether a value is an `OSError`, of whichever instance of this package: see `isValueError`.
 *
 * @since 0.1.0
 * @category refinements
 */
export const isOSError = (value: unknown): value is OSError => isTagged(value, "OSError")

/**
 * Whether a value is a `KeyError`, of whichever instance of this package: see `isValueError`.
 *
 * @since 0.1.0
 * @category refinements
 */
export const isKeyError = (value: unknown): value is KeyError => isTagged(value, "KeyError")
