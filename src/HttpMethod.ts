/**
 * The request methods this server knows: the nine of RFC 9110 and RFC 5789, as in `httpcore`.
 *
 * A request with any other method is answered `501 Not Implemented` before a handler sees it. This module does not
 * decide which methods a resource has; that is the application's `405 Method Not Allowed`.
 *
 * @since 0.1.0
 */

/**
 * Every method, in `httpcore`'s order.
 *
 * @since 0.1.0
 * @category constants
 */
export const all = ["HEAD", "GET", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"] as const

/**
 * One of the nine methods, upper case. RFC 9110 §9: methods are case-sensitive.
 *
 * @since 0.1.0
 * @category models
 */
export type HttpMethod = (typeof all)[number]

const known: ReadonlySet<string> = new Set(all)

/**
 * Tells whether a text is one of the nine methods, exactly as written.
 *
 * @example
 * ```ts
 * import { HttpMethod } from "effect-asynchttpserver"
 *
 * console.log(HttpMethod.isHttpMethod("GET"), HttpMethod.isHttpMethod("get"))
 * // true false
 * ```
 *
 * @since 0.1.0
 * @category refinements
 */
export const isHttpMethod = (text: string): text is HttpMethod => known.has(text)

/**
 * Tells whether a set of methods holds the method a text names, as `httpcore`'s `contains` does.
 *
 * @example
 * ```ts
 * import { HttpMethod } from "effect-asynchttpserver"
 *
 * console.log(HttpMethod.contains(["GET", "HEAD"], "GET"))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const contains = (methods: Iterable<HttpMethod>, text: string): boolean => {
  for (const method of methods) {
    if (method === text) return true
  }
  return false
}

/**
 * Tells whether a method asks for nothing to change: GET, HEAD, OPTIONS and TRACE (RFC 9110 §9.2.1).
 *
 * @since 0.1.0
 * @category predicates
 */
export const isSafe = (method: HttpMethod): boolean =>
  method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE"

/**
 * Tells whether doing it twice is the same as once: the safe methods, PUT and DELETE (RFC 9110 §9.2.2).
 *
 * @since 0.1.0
 * @category predicates
 */
export const isIdempotent = (method: HttpMethod): boolean => isSafe(method) || method === "PUT" || method === "DELETE"
