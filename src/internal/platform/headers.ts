/**
 * The fields of a request as `@effect/platform` has them: a record of lower-case names, one string each.
 *
 * @internal
 */
import * as Headers from "@effect/platform/Headers"

/** Fields that mean one thing: of two, the first is what `node:http` gives, and what its users expect. */
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

/** A constructor's objects share a shape, which those of `Object.create` do not. */
function makeRecord(): void {}
makeRecord.prototype = Object.getPrototypeOf(Headers.empty)
// No class: the prototype of one is its own, and has a `constructor` that a field may be called, too.
const HeaderRecord = makeRecord as unknown as new () => Record<string, string>

/** Joins what was sent more than once: `; ` between cookies, `, ` between all else (RFC 9110 §5.3, RFC 6265 §5.4). */
export const headersOf = (fields: ReadonlyArray<string>): Headers.Headers => {
  const headers = new HeaderRecord()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    const value = fields[i + 1]!
    // Not what `Object.prototype` has by that name.
    const before = Object.hasOwn(headers, name) ? headers[name] : undefined
    if (before === undefined) headers[name] = value
    else if (!singular.has(name)) headers[name] = `${before}${name === "cookie" ? "; " : ", "}${value}`
  }
  // Its prototype is that of every `Headers`, of which this is a record.
  return headers as Headers.Headers
}
