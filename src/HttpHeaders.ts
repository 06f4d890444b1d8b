/**
 * Header fields: an immutable, ordered list of names and values with case-insensitive lookup.
 *
 * Names and values are kept as they were sent or given: case, order and repetition. Values are split on commas by `values`
 * only. Nothing is validated here: writing a response with an invalid name or value fails with a `ValueError`.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import { KeyError } from "./Errors.js"
import { listMembers } from "./internal/fields/fieldList.js"
import type { HttpHeaders, Input } from "./internal/fields/headers.js"
import * as internal from "./internal/fields/headers.js"

const { indexOf, isNamed, rawFieldsOf, withFields } = internal

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: internal.TypeId = internal.TypeId

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = internal.TypeId

export type {
  /** Header fields, in order. Iterating gives `[name, value]` pairs as they were sent. @since 0.1.0 @category models */
  HttpHeaders,
  /**
   * Anything that is accepted as headers: headers, a record (an array is a field for each of its values), or pairs.
   *
   * @since 0.1.0
   * @category models
   */
  Input
} from "./internal/fields/headers.js"

/**
 * Whether a value is an `HttpHeaders`.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * console.log(HttpHeaders.isHttpHeaders(HttpHeaders.empty), HttpHeaders.isHttpHeaders({}))
 * // true false
 * ```
 *
 * @since 0.1.0
 * @category refinements
 */
export const isHttpHeaders: (u: unknown) => u is HttpHeaders = internal.isHttpHeaders

/**
 * No headers at all.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: HttpHeaders = internal.make([], "application")

/**
 * Creates headers from a record, from pairs, or from headers (which are returned as they are).
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.make({ "Content-Type": "text/plain", "Set-Cookie": ["a=1", "b=2"] })
 * console.log(headers.size)
 * // 3
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (input: Input): HttpHeaders =>
  isHttpHeaders(input) ? input : internal.make(internal.toRawFields(input), "application")

/**
 * The first value of a name; `KeyError` when it is missing (400 for the headers of a request, 500 for others).
 *
 * The result is an `Either`: it can be yielded in `Effect.gen`, and read in plain code.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const program = Effect.gen(function*() {
 *   const headers = HttpHeaders.make({ Accept: "text/html" })
 *   return yield* HttpHeaders.get(headers, "accept")
 * })
 * console.log(Effect.runSync(program))
 * // text/html
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const get: {
  /** The first value of a name. */
  (name: string): (self: HttpHeaders) => Either.Either<string, KeyError>
  (self: HttpHeaders, name: string): Either.Either<string, KeyError>
} = dual(2, (self: HttpHeaders, name: string): Either.Either<string, KeyError> => {
  const fields = rawFieldsOf(self)
  const i = indexOf(fields, name.toLowerCase())
  return i < 0
    ? Either.left(new KeyError({ name, status: internal.originOf(self) === "request" ? 400 : 500 }))
    : Either.right(fields[i + 1]!)
})

/**
 * The first value of a name, or none.
 *
 * @example
 * ```ts
 * import { Option } from "effect"
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.make({ Accept: "text/html" })
 * console.log(Option.getOrNull(HttpHeaders.getOption(headers, "accept")), HttpHeaders.getOption(headers, "host")._tag)
 * // text/html None
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const getOption: {
  /** The first value of a name, or none. */
  (name: string): (self: HttpHeaders) => Option.Option<string>
  (self: HttpHeaders, name: string): Option.Option<string>
} = dual(2, (self: HttpHeaders, name: string): Option.Option<string> => at(self, name, 0))

/**
 * The first value of a name, or a default: `httpcore`'s `getOrDefault`.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * console.log(HttpHeaders.getOrElse(HttpHeaders.empty, "content-type", () => "application/octet-stream"))
 * // application/octet-stream
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const getOrElse: {
  /** The first value of a name, or a default. */
  (name: string, orElse: () => string): (self: HttpHeaders) => string
  (self: HttpHeaders, name: string, orElse: () => string): string
} = dual(3, (self: HttpHeaders, name: string, orElse: () => string): string =>
  Option.getOrElse(at(self, name, 0), orElse)
)

/**
 * The value of the field of that name at index `i`, counted from 0, or none: `httpcore`'s `headers[name, i]`.
 *
 * @example
 * ```ts
 * import { Option } from "effect"
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.make({ "Set-Cookie": ["a=1", "b=2"] })
 * console.log(Option.getOrNull(HttpHeaders.at(headers, "set-cookie", 1)))
 * // b=2
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const at: {
  /** The value of the field of that name at index `i`, counted from 0, or none. */
  (name: string, i: number): (self: HttpHeaders) => Option.Option<string>
  (self: HttpHeaders, name: string, i: number): Option.Option<string>
} = dual(3, (self: HttpHeaders, name: string, i: number): Option.Option<string> => {
  if (i < 0) return Option.none()
  const fields = rawFieldsOf(self)
  const lower = name.toLowerCase()
  let found = indexOf(fields, lower)
  for (let left = i; left > 0 && found >= 0; left--) found = indexOf(fields, lower, found + 2)
  return found < 0 ? Option.none() : Option.some(fields[found + 1]!)
})

/**
 * Every value of a name, field by field, as sent.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.make([["Accept", "text/html, text/plain"], ["accept", "image/png"]])
 * console.log(HttpHeaders.getAll(headers, "accept").join(" | "))
 * // text/html, text/plain | image/png
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const getAll: {
  /** Every value of a name, field by field, as sent. */
  (name: string): (self: HttpHeaders) => ReadonlyArray<string>
  (self: HttpHeaders, name: string): ReadonlyArray<string>
} = dual(2, (self: HttpHeaders, name: string): ReadonlyArray<string> => {
  const fields = rawFieldsOf(self)
  const lower = name.toLowerCase()
  const found: Array<string> = []
  for (let i = indexOf(fields, lower); i >= 0; i = indexOf(fields, lower, i + 2)) found.push(fields[i + 1]!)
  return found
})

/**
 * The members of a list header: every field of that name, split on commas outside quoted strings, empty members left
 * out (RFC 9110 §5.6.1). Not for `Set-Cookie` and dates, whose values have commas of their own: use `getAll`.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.make([["Accept", "text/html, text/plain"], ["accept", "*\/*"]])
 * console.log(HttpHeaders.values(headers, "accept").join(" | "))
 * // text/html | text/plain | *\/*
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const values: {
  /** The members of a list header. */
  (name: string): (self: HttpHeaders) => ReadonlyArray<string>
  (self: HttpHeaders, name: string): ReadonlyArray<string>
} = dual(2, (self: HttpHeaders, name: string): ReadonlyArray<string> => getAll(self, name).flatMap(listMembers))

/**
 * Whether a list header has a member, without regard to case: `"keep-alive" in headers["Connection"]`.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.make({ Connection: "Keep-Alive, Upgrade" })
 * console.log(HttpHeaders.contains(headers, "connection", "upgrade"))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const contains: {
  /** Whether a list header has a member, without regard to case. */
  (name: string, member: string): (self: HttpHeaders) => boolean
  (self: HttpHeaders, name: string, member: string): boolean
} = dual(3, (self: HttpHeaders, name: string, member: string): boolean => {
  const lower = member.toLowerCase()
  return values(self, name).some((each) => isNamed(each, lower))
})

/**
 * Whether there is a field of that name: `httpcore`'s `hasKey`.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * console.log(HttpHeaders.has(HttpHeaders.make({ Host: "a" }), "host"))
 * // true
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const has: {
  /** Whether there is a field of that name. */
  (name: string): (self: HttpHeaders) => boolean
  (self: HttpHeaders, name: string): boolean
} = dual(2, (self: HttpHeaders, name: string): boolean => indexOf(rawFieldsOf(self), name.toLowerCase()) >= 0)

/**
 * The headers without any field of that name: `httpcore`'s `del`.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.make({ Accept: "text/html", Host: "a" }).pipe(HttpHeaders.remove("accept"))
 * console.log(JSON.stringify(Array.from(headers)))
 * // [["Host","a"]]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const remove: {
  /** The headers without any field of that name. */
  (name: string): (self: HttpHeaders) => HttpHeaders
  (self: HttpHeaders, name: string): HttpHeaders
} = dual(2, (self: HttpHeaders, name: string): HttpHeaders => {
  const fields = rawFieldsOf(self)
  const lower = name.toLowerCase()
  const kept: Array<string> = []
  for (let i = 0; i < fields.length; i += 2) {
    if (!isNamed(fields[i]!, lower)) kept.push(fields[i]!, fields[i + 1]!)
  }
  return withFields(self, kept)
})

/**
 * The headers with one more field at their end: `httpcore`'s `add`.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.make({ "Set-Cookie": "a=1" }).pipe(HttpHeaders.append("Set-Cookie", "b=2"))
 * console.log(headers.size)
 * // 2
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const append: {
  /** The headers with one more field at their end. */
  (name: string, value: string): (self: HttpHeaders) => HttpHeaders
  (self: HttpHeaders, name: string, value: string): HttpHeaders
} = dual(
  3,
  (self: HttpHeaders, name: string, value: string): HttpHeaders => withFields(self, [...rawFieldsOf(self), name, value])
)

/**
 * The headers with every field of that name replaced, at the position of the first, by the value or values given; an empty
 * array removes the name, as setting an empty list does in `httpcore`.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.make({ Accept: "text/html", Host: "a" }).pipe(HttpHeaders.set("accept", "image/png"))
 * console.log(JSON.stringify(Array.from(headers)))
 * // [["accept","image/png"],["Host","a"]]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const set: {
  /** The headers with every field of that name replaced, at the position of the first, by the value or values given. */
  (name: string, value: string | ReadonlyArray<string>): (self: HttpHeaders) => HttpHeaders
  (self: HttpHeaders, name: string, value: string | ReadonlyArray<string>): HttpHeaders
} = dual(3, (self: HttpHeaders, name: string, value: string | ReadonlyArray<string>): HttpHeaders => {
  const fields = rawFieldsOf(self)
  const found = indexOf(fields, name.toLowerCase())
  const index = found < 0 ? fields.length : found
  const added = (typeof value === "string" ? [value] : value).flatMap((each) => [name, each])
  const rest = withFields(self, fields.slice(index))
  return withFields(self, [...fields.slice(0, index), ...added, ...rawFieldsOf(remove(rest, name))])
})

/**
 * The same fields with every name written in Title-Case: `httpcore`'s `titleCase = true`.
 *
 * @example
 * ```ts
 * import { HttpHeaders } from "effect-asynchttpserver"
 *
 * const headers = HttpHeaders.titleCase(HttpHeaders.make({ "content-type": "text/plain" }))
 * console.log(Array.from(headers)[0]?.[0])
 * // Content-Type
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const titleCase = (self: HttpHeaders): HttpHeaders =>
  withFields(
    self,
    rawFieldsOf(self).map((text, i) =>
      i % 2 === 0 ? text.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()) : text
    )
  )
