/**
 * The protocol version of a message, and the two constants of the wire that `httpcore` gives beside it.
 *
 * A version is what the message said: `HTTP/1.1`, `HTTP/1.0`, or a later 1.x, which is served as 1.1 (RFC 9110 §6.2).
 * Other major versions never become a value: they are answered 505.
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
 * Makes a version from its two digits.
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
 * Tells whether two versions are the same, by their numbers: `httpcore`'s `protocol == HttpVer11`.
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
 * The line end of HTTP: carriage return and line feed (`httpNewLine`).
 *
 * @since 0.1.0
 * @category constants
 */
export const httpNewLine = "\r\n"

/**
 * The number of header fields `httpcore` reads at most. Ours is an option, `maxHeaders` of `Limits`; this is its name
 * and number in the original.
 *
 * @since 0.1.0
 * @category constants
 */
export const headerLimit = 10_000
