/**
 * The protocol version of a message, and two constants of `httpcore`.
 *
 * A version is that of the message: `HTTP/1.1`, `HTTP/1.0`, or a later 1.x, which is served as 1.1 (RFC 9110 §6.2). Requests
 * of other major versions never reach a handler: the response is 505.
 *
 * @since 0.1.0
 */

/**
 * A version as it was sent: the text itself, and its two numbers.
 *
 * @since 0.1.0
 * @category models
 */
export interface HttpVersion {
  readonly original: string
  readonly major: number
  readonly minor: number
}

/**
 * Creates a version from its two digits.
 *
 * @example
 * ```ts
 * import { HttpVersion } from "effect-asynchttpserver"
 *
 * console.log(HttpVersion.make(1, 1).original)
 * // HTTP/1.1
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (major: number, minor: number): HttpVersion => ({
  original: `HTTP/${major}.${minor}`,
  major,
  minor
})

/**
 * HTTP/1.1 (RFC 9112).
 *
 * @since 0.1.0
 * @category constants
 */
export const HttpVer11: HttpVersion = make(1, 1)

/**
 * HTTP/1.0 (RFC 1945).
 *
 * @since 0.1.0
 * @category constants
 */
export const HttpVer10: HttpVersion = make(1, 0)

/**
 * Whether two versions have equal numbers: `httpcore`'s `protocol == HttpVer11`.
 *
 * @example
 * ```ts
 * import { HttpVersion } from "effect-asynchttpserver"
 *
 * console.log(HttpVersion.equals(HttpVersion.make(1, 0), HttpVersion.HttpVer10))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const equals = (self: HttpVersion, that: HttpVersion): boolean =>
  self.major === that.major && self.minor === that.minor

/**
 * The line terminator of HTTP: carriage return and line feed (`httpNewLine`).
 *
 * @since 0.1.0
 * @category constants
 */
export const httpNewLine = "\r\n"

/**
 * The maximum number of header fields in `httpcore`, by its name there. The limit of this server is `maxHeaders` of
 * `Limits`.
 *
 * @since 0.1.0
 * @category constants
 */
export const headerLimit = 10_000
