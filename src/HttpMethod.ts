/**
 * Request methods: the nine of RFC 9110 and RFC 5789, as in `httpcore`, and any other token (RFC 9110 §9.1).
 *
 * Whether a request with another method reaches its handler is an option of the server, `unknownMethods`: `Server` responds
 * `501 Not Implemented` by default, the entry `HttpServer` and the test kit hand it over. This module does not decide
 * which methods a resource has; that is the application's `405 Method Not Allowed`.
 *
 * @since 0.1.0
 */

/**
 * The nine methods that the server knows, in `httpcore`'s order.
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
export type KnownMethod = (typeof all)[number]

/**
 * A method with a name in IANA's registry of HTTP methods, or among those that `node:http` reads: WebDAV, UPnP, caches.
 * The server gives none of them a meaning of its own.
 *
 * @since 0.1.0
 * @category models
 */
export type ExtensionMethod =
  | "ACL"
  | "BASELINE-CONTROL"
  | "BIND"
  | "CHECKIN"
  | "CHECKOUT"
  | "COPY"
  | "LABEL"
  | "LINK"
  | "LOCK"
  | "M-SEARCH"
  | "MERGE"
  | "MKACTIVITY"
  | "MKCALENDAR"
  | "MKCOL"
  | "MKREDIRECTREF"
  | "MKWORKSPACE"
  | "MOVE"
  | "NOTIFY"
  | "ORDERPATCH"
  | "PROPFIND"
  | "PROPPATCH"
  | "PURGE"
  | "QUERY"
  | "REBIND"
  | "REPORT"
  | "SEARCH"
  | "SOURCE"
  | "SUBSCRIBE"
  | "UNBIND"
  | "UNCHECKOUT"
  | "UNLINK"
  | "UNLOCK"
  | "UNSUBSCRIBE"
  | "UPDATE"
  | "UPDATEREDIRECTREF"
  | "VERSION-CONTROL"

/**
 * The method of a request: one of the nine, one that has a name elsewhere, or any other token. An editor offers the names.
 *
 * @since 0.1.0
 * @category models
 */
export type HttpMethod = KnownMethod | ExtensionMethod | (string & Record<never, never>)

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
export const isHttpMethod = (text: string): text is KnownMethod => known.has(text)

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
 * Tells whether a method asks for nothing to change: GET, HEAD, OPTIONS and TRACE (RFC 9110 §9.2.1). False for any
 * method beyond the nine, whatever its own definition says.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isSafe = (method: HttpMethod): boolean =>
  method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE"

/**
 * Tells whether doing it twice is the same as once: the safe methods, PUT and DELETE (RFC 9110 §9.2.2). False for any
 * method beyond the nine, whatever its own definition says.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isIdempotent = (method: HttpMethod): boolean => isSafe(method) || method === "PUT" || method === "DELETE"
