/**
 * The errors of this package, as values: `ValueError`, `OSError`, `KeyError` and `SslError`.
 *
 * They are the typed counterparts of what `std/asynchttpserver` raises. `ValueError` and `KeyError` have the status of the
 * response to a handler that fails with them; all can be handled with `Effect.catchTags`. This module makes no decision about
 * a connection: the status that is sent, and whether the connection is kept, are decided where the request is served.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import { type Address, toAuthority } from "./Address.js"
import { type ErrorReason, errorReasons, excerpt } from "./internal/errorReasons.js"
import { isErrorLike } from "./internal/host/realm.js"

/** Brand shared by the errors of all instances of this package: it may be loaded twice. */
const TypeId: unique symbol = Symbol.for("effect-asynchttpserver/Errors")

/**
 * Reason of a `ValueError`: a stable identifier to match on.
 *
 * Reasons about a request (`RequestLine`, `Host`, `BodyTooLarge` …) have a 4xx status, or 501, 503 and 505. Reasons about the
 * response of a handler (`HeaderValue`, `AlreadyResponded` …) have 500. Reasons about the setup of a server (`Port`,
 * `Address`, `AlreadyListening`, `Option`, `Setting`) are never sent.
 *
 * @since 0.1.0
 * @category models
 */
export type ValueErrorReason = ErrorReason

/**
 * An invalid value: a malformed request, a header that must not be written, a second response, a bad port.
 *
 * `reason` is the violated rule, `actual` the invalid value (at most 80 characters, control characters escaped), and
 * `status` the status of the response when a handler fails with the error.
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
 * Error of the operating system.
 *
 * `code` is that of the system (`EADDRINUSE`, `EACCES`, `EMFILE`, `ENOTCONN` …), or `ENOTSUP` for what this runtime does not
 * support; `syscall` is the call that failed.
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
 * An error of TLS: a key or a certificate that cannot be used, or a handshake that failed.
 *
 * `code` is that of OpenSSL or Node (`ERR_SSL_NO_SHARED_CIPHER`, `ERR_OSSL_X509_KEY_VALUES_MISMATCH` …), of the system where a
 * file cannot be read (`ENOENT` …), or `ETIMEDOUT` for a handshake that did not complete in time. `peer` is the address of the
 * client of a handshake. `listen` fails with it for the server's own certificates; a failed handshake fails nothing: it is
 * counted (`Metrics.tlsHandshakeErrors`) and reported (`Tls.Options.onHandshakeError`).
 *
 * @example
 * ```ts
 * import { Errors } from "effect-asynchttpserver"
 *
 * const error = new Errors.SslError({ code: "ENOENT", cause: new Error("no such file: key.pem") })
 * console.log(error.message)
 * // TLS: ENOENT (no such file: key.pem)
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class SslError extends Data.TaggedError("SslError")<{
  readonly code: string
  readonly peer: Option.Option<Address>
  readonly cause?: unknown
}> {
  constructor(props: {
    readonly code: string
    readonly peer?: Option.Option<Address> | undefined
    readonly cause?: unknown
  }) {
    super({ code: props.code, peer: props.peer ?? Option.none(), cause: props.cause })
  }

  /** @internal */
  get [TypeId](): "SslError" {
    return "SslError"
  }

  override get message(): string {
    const detail = isErrorLike(this.cause) ? ` (${excerpt(this.cause.message)})` : ""
    const peer = Option.match(this.peer, { onNone: () => "", onSome: (address) => `, client ${toAuthority(address)}` })
    return `TLS: ${this.code}${detail}${peer}`
  }
}

/**
 * A missing header.
 *
 * `status` is 400 for the headers of a request, and 500 for any other.
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
 * Errors that a handler may fail with by default: the server responds with their `status`.
 *
 * @since 0.1.0
 * @category models
 */
export type RespondableError = ValueError | KeyError

const isTagged = (value: unknown, tag: string): boolean => hasProperty(value, TypeId) && value[TypeId] === tag

/**
 * Whether a value is a `ValueError` of any instance of this package. Where modules are loaded twice, by a test runner or by
 * two versions of the package, `instanceof` recognizes the errors of one instance only.
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
 * Whether a value is an `OSError` of any instance of this package: see `isValueError`.
 *
 * @since 0.1.0
 * @category refinements
 */
export const isOSError = (value: unknown): value is OSError => isTagged(value, "OSError")

/**
 * Whether a value is a `KeyError` of any instance of this package: see `isValueError`.
 *
 * @since 0.1.0
 * @category refinements
 */
export const isKeyError = (value: unknown): value is KeyError => isTagged(value, "KeyError")

/**
 * Whether a value is an `SslError` of any instance of this package: see `isValueError`.
 *
 * @since 0.1.0
 * @category refinements
 */
export const isSslError = (value: unknown): value is SslError => isTagged(value, "SslError")
