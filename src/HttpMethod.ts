/**
 * Request methods: the nine of RFC 9110 and RFC 5789, as in `httpcore`, and any other token (RFC 9110 §9.1).
 *
 * The option `unknownMethods` of a server decides whether a request with another method reaches its handler: `Server`
 * responds `501 Not Implemented` by default, `HttpServer` and the test kit run the handler. Which methods a resource supports
 * is the application's decision (`405 Method Not Allowed`).
 *
 * @since 0.1.0
 */

/**
 * The nine known methods, in `httpcore`'s order.
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
 * A method of the IANA registry of HTTP methods, or one that `node:http` parses: WebDAV, UPnP, caches.
 * The server gives none of them special treatment.
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
 * The method of a request: a known method, an extension method, or any other token. The names are there for completion.
 *
 * @since 0.1.0
 * @category models
 */
export type HttpMethod = KnownMethod | ExtensionMethod | (string & Record<never, never>)

const known: ReadonlySet<string> = new Set(all)

/**
 * Whether a text is one of the nine methods (case-sensitive).
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
 * Whether a collection of methods contains a method: `httpcore`'s `contains`.
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
 * Whether a method is safe, that is read-only: GET, HEAD, OPTIONS and TRACE (RFC 9110 §9.2.1). False for any
 * method beyond the nine, whatever its definition.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isSafe = (method: HttpMethod): boolean =>
  method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE"

/**
 * Whether a method is idempotent: the safe methods, PUT and DELETE (RFC 9110 §9.2.2). False for any
 * method beyond the nine, whatever its definition.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isIdempotent = (method: HttpMethod): boolean => isSafe(method) || method === "PUT" || method === "DELETE"
