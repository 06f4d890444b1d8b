/**
 * Conversion of the fields of a request to `Headers` of `@effect/platform`: a record of lower-case names, one string each.
 */
import * as Headers from "@effect/platform/Headers"
import type { Request } from "../../Request.js"
import { rawFieldsOf } from "../fields/headers.js"
import { hasTrustedProxies } from "../message/request.js"

/** Singleton fields: of several, the first one counts, as in `node:http`. */
const singular: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "content-length",
  "content-type",
  "etag",
  "expires",
  "from",
  "host",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "referer",
  "retry-after",
  "server",
  "user-agent"
])

/** A constructor, since its objects share a hidden class, unlike those of `Object.create`. */
function makeRecord(): void {}
makeRecord.prototype = Object.getPrototypeOf(Headers.empty)
// Not a class: its prototype would have a `constructor`, which may be the name of a field, too.
const HeaderRecord = makeRecord as unknown as new () => Record<string, string>

/** Joins repeated fields: `; ` for cookies, `, ` for others (RFC 9110 §5.3, RFC 6265 §5.4). */
const recordOf = (fields: ReadonlyArray<string>): Record<string, string> => {
  const headers = new HeaderRecord()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    const value = fields[i + 1]!
    // Ignores properties of `Object.prototype`.
    const before = Object.hasOwn(headers, name) ? headers[name] : undefined
    if (before === undefined) headers[name] = value
    else if (!singular.has(name)) headers[name] = `${before}${name === "cookie" ? "; " : ", "}${value}`
  }
  return headers
}

const proto = "x-forwarded-proto"

/**
 * The headers of a request, of which two are true whatever was sent, since `HttpServerRequest.toURL` makes the URL of them:
 * `host`, and `x-forwarded-proto`, which is set for `https`, and corrected for `http` where the server says which proxies it
 * trusts. Without `trustedProxies` and TLS it is any client's, as in `NodeHttpServer`, since a proxy may end TLS.
 */
export const effectiveHeadersOf = (request: Request): Headers.Headers => {
  const { headers: sent, host, scheme } = request
  const headers = recordOf(rawFieldsOf(sent))
  if (host !== "" && headers.host !== host) headers.host = host
  if (scheme === "https" || (headers[proto] !== undefined && hasTrustedProxies(request))) headers[proto] = scheme
  // It has the prototype of every `Headers`.
  return headers as Headers.Headers
}
