/**
 * Status codes by name, their reason phrases, and the five classes.
 *
 * Any whole number from 100 to 599 is a code; registered ones are constants, as in `httpcore` (`Http404`). The phrases are
 * those of RFC 9110 and of the IANA registry. `Response` decides which codes a handler may send.
 *
 * @since 0.1.0
 */

/**
 * A status code: a whole number, 100 to 599 on the wire.
 *
 * @since 0.1.0
 * @category models
 */
export type HttpCode = number

const phrases: { readonly [code: number]: string } = {
  100: "Continue",
  101: "Switching Protocols",
  102: "Processing",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  305: "Use Proxy",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a teapot",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  510: "Not Extended",
  511: "Network Authentication Required"
}

/**
 * The reason phrase of a code, or `undefined` for a code without a name.
 *
 * @example
 * ```ts
 * import { HttpCode } from "effect-asynchttpserver"
 *
 * console.log(HttpCode.phrase(404), HttpCode.phrase(299))
 * // Not Found undefined
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const phrase = (code: HttpCode): string | undefined => phrases[code]

/**
 * The code as text, as `httpcore`'s `$`: with its phrase, or the bare number for a code without a name.
 *
 * @example
 * ```ts
 * import { HttpCode } from "effect-asynchttpserver"
 *
 * console.log(HttpCode.toString(404), HttpCode.toString(299))
 * // 404 Not Found 299
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const toString = (code: HttpCode): string => {
  const text = phrases[code]
  return text === undefined ? String(code) : `${code} ${text}`
}

/**
 * Whether a raw status text such as `"404 Not Found"` starts with this code: `httpcore`'s `==`.
 *
 * @example
 * ```ts
 * import { HttpCode } from "effect-asynchttpserver"
 *
 * console.log(HttpCode.matches("404 Nothing here", HttpCode.Http404))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const matches = (raw: string, code: HttpCode): boolean => raw.slice(0, 3) === String(code)

/**
 * Whether a code is informational: 100 to 199.
 *
 * @since 0.1.0
 * @category predicates
 */
export const is1xx = (code: HttpCode): boolean => code >= 100 && code <= 199

/**
 * Whether a code is successful: 200 to 299.
 *
 * @since 0.1.0
 * @category predicates
 */
export const is2xx = (code: HttpCode): boolean => code >= 200 && code <= 299

/**
 * Whether a code is a redirection: 300 to 399.
 *
 * @since 0.1.0
 * @category predicates
 */
export const is3xx = (code: HttpCode): boolean => code >= 300 && code <= 399

/**
 * Whether a code is the client's error: 400 to 499.
 *
 * @since 0.1.0
 * @category predicates
 */
export const is4xx = (code: HttpCode): boolean => code >= 400 && code <= 499

/**
 * Whether a code is the server's error: 500 to 599.
 *
 * @since 0.1.0
 * @category predicates
 */
export const is5xx = (code: HttpCode): boolean => code >= 500 && code <= 599

/**
 * All codes with a name, in order.
 *
 * @since 0.1.0
 * @category constants
 */
export const all: ReadonlyArray<HttpCode> = Object.keys(phrases).map(Number)

/** `100 Continue`. @since 0.1.0 @category codes */
export const Http100 = 100
/** `101 Switching Protocols`. @since 0.1.0 @category codes */
export const Http101 = 101
/** `102 Processing`. @since 0.1.0 @category codes */
export const Http102 = 102
/** `103 Early Hints`. @since 0.1.0 @category codes */
export const Http103 = 103
/** `200 OK`. @since 0.1.0 @category codes */
export const Http200 = 200
/** `201 Created`. @since 0.1.0 @category codes */
export const Http201 = 201
/** `202 Accepted`. @since 0.1.0 @category codes */
export const Http202 = 202
/** `203 Non-Authoritative Information`. @since 0.1.0 @category codes */
export const Http203 = 203
/** `204 No Content`. @since 0.1.0 @category codes */
export const Http204 = 204
/** `205 Reset Content`. @since 0.1.0 @category codes */
export const Http205 = 205
/** `206 Partial Content`. @since 0.1.0 @category codes */
export const Http206 = 206
/** `207 Multi-Status`. @since 0.1.0 @category codes */
export const Http207 = 207
/** `208 Already Reported`. @since 0.1.0 @category codes */
export const Http208 = 208
/** `226 IM Used`. @since 0.1.0 @category codes */
export const Http226 = 226
/** `300 Multiple Choices`. @since 0.1.0 @category codes */
export const Http300 = 300
/** `301 Moved Permanently`. @since 0.1.0 @category codes */
export const Http301 = 301
/** `302 Found`. @since 0.1.0 @category codes */
export const Http302 = 302
/** `303 See Other`. @since 0.1.0 @category codes */
export const Http303 = 303
/** `304 Not Modified`. @since 0.1.0 @category codes */
export const Http304 = 304
/** `305 Use Proxy`. @since 0.1.0 @category codes */
export const Http305 = 305
/** `307 Temporary Redirect`. @since 0.1.0 @category codes */
export const Http307 = 307
/** `308 Permanent Redirect`. @since 0.1.0 @category codes */
export const Http308 = 308
/** `400 Bad Request`. @since 0.1.0 @category codes */
export const Http400 = 400
/** `401 Unauthorized`. @since 0.1.0 @category codes */
export const Http401 = 401
/** `402 Payment Required`. @since 0.1.0 @category codes */
export const Http402 = 402
/** `403 Forbidden`. @since 0.1.0 @category codes */
export const Http403 = 403
/** `404 Not Found`. @since 0.1.0 @category codes */
export const Http404 = 404
/** `405 Method Not Allowed`. @since 0.1.0 @category codes */
export const Http405 = 405
/** `406 Not Acceptable`. @since 0.1.0 @category codes */
export const Http406 = 406
/** `407 Proxy Authentication Required`. @since 0.1.0 @category codes */
export const Http407 = 407
/** `408 Request Timeout`. @since 0.1.0 @category codes */
export const Http408 = 408
/** `409 Conflict`. @since 0.1.0 @category codes */
export const Http409 = 409
/** `410 Gone`. @since 0.1.0 @category codes */
export const Http410 = 410
/** `411 Length Required`. @since 0.1.0 @category codes */
export const Http411 = 411
/** `412 Precondition Failed`. @since 0.1.0 @category codes */
export const Http412 = 412
/** `413 Content Too Large`. @since 0.1.0 @category codes */
export const Http413 = 413
/** `414 URI Too Long`. @since 0.1.0 @category codes */
export const Http414 = 414
/** `415 Unsupported Media Type`. @since 0.1.0 @category codes */
export const Http415 = 415
/** `416 Range Not Satisfiable`. @since 0.1.0 @category codes */
export const Http416 = 416
/** `417 Expectation Failed`. @since 0.1.0 @category codes */
export const Http417 = 417
/** `418 I'm a teapot`. @since 0.1.0 @category codes */
export const Http418 = 418
/** `421 Misdirected Request`. @since 0.1.0 @category codes */
export const Http421 = 421
/** `422 Unprocessable Content`. @since 0.1.0 @category codes */
export const Http422 = 422
/** `423 Locked`. @since 0.1.0 @category codes */
export const Http423 = 423
/** `424 Failed Dependency`. @since 0.1.0 @category codes */
export const Http424 = 424
/** `425 Too Early`. @since 0.1.0 @category codes */
export const Http425 = 425
/** `426 Upgrade Required`. @since 0.1.0 @category codes */
export const Http426 = 426
/** `428 Precondition Required`. @since 0.1.0 @category codes */
export const Http428 = 428
/** `429 Too Many Requests`. @since 0.1.0 @category codes */
export const Http429 = 429
/** `431 Request Header Fields Too Large`. @since 0.1.0 @category codes */
export const Http431 = 431
/** `451 Unavailable For Legal Reasons`. @since 0.1.0 @category codes */
export const Http451 = 451
/** `500 Internal Server Error`. @since 0.1.0 @category codes */
export const Http500 = 500
/** `501 Not Implemented`. @since 0.1.0 @category codes */
export const Http501 = 501
/** `502 Bad Gateway`. @since 0.1.0 @category codes */
export const Http502 = 502
/** `503 Service Unavailable`. @since 0.1.0 @category codes */
export const Http503 = 503
/** `504 Gateway Timeout`. @since 0.1.0 @category codes */
export const Http504 = 504
/** `505 HTTP Version Not Supported`. @since 0.1.0 @category codes */
export const Http505 = 505
/** `506 Variant Also Negotiates`. @since 0.1.0 @category codes */
export const Http506 = 506
/** `507 Insufficient Storage`. @since 0.1.0 @category codes */
export const Http507 = 507
/** `508 Loop Detected`. @since 0.1.0 @category codes */
export const Http508 = 508
/** `510 Not Extended`. @since 0.1.0 @category codes */
export const Http510 = 510
/** `511 Network Authentication Required`. @since 0.1.0 @category codes */
export const Http511 = 511
