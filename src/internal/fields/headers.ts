/** The implementation of `HttpHeaders`: a flat list of names and values, decoded lazily for a request. */
import * as Inspectable from "effect/Inspectable"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import { escapeControls } from "../host/escapeControls.js"

export const TypeId: unique symbol = Symbol.for("effect-asynchttpserver/HttpHeaders")

export type TypeId = typeof TypeId

/** Header fields, in order; documented in `HttpHeaders`. */
export interface HttpHeaders
  extends Iterable<readonly [name: string, value: string]>,
    Pipeable,
    Inspectable.Inspectable {
  readonly [TypeId]: TypeId
  /** How many fields there are; a name that was sent twice counts twice. */
  readonly size: number
}

/** Whatever headers can be made from. */
export type Input =
  | HttpHeaders
  | { readonly [name: string]: string | ReadonlyArray<string> }
  | Iterable<readonly [name: string, value: string]>

/** Determines the status of a `KeyError`: a header missing from a request is 400, any other 500. */
export type Origin = "request" | "application"

/** Alternating names and values: `[name, value, name, value …]`, one flat array, since most are read once or never. */
export type Fields = ReadonlyArray<string>

/** Fields that are redacted in logs: the same as in `@effect/platform`. */
const redactedNames: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "proxy-authorization"
])

class HeadersImpl implements HttpHeaders {
  readonly [TypeId]: TypeId = TypeId
  private fields: Fields | (() => Fields)

  constructor(
    fields: Fields | (() => Fields),
    readonly origin: Origin
  ) {
    this.fields = fields
  }

  /** The fields of a request are decoded on first access: most handlers read none. */
  get flat(): Fields {
    if (typeof this.fields === "function") this.fields = this.fields()
    return this.fields
  }

  get size(): number {
    return this.flat.length / 2
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, string]> {
    const flat = this.flat
    for (let i = 0; i < flat.length; i += 2) yield [flat[i]!, flat[i + 1]!]
  }

  toJSON(): unknown {
    const redacted = Array.from(this, ([name, value]) => [
      name,
      redactedNames.has(name.toLowerCase()) ? "<redacted>" : escapeControls(value)
    ])
    return { _id: "HttpHeaders", fields: redacted }
  }

  toString(): string {
    return Inspectable.format(this.toJSON())
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  pipe() {
    // `pipeArguments` reads the variadic `arguments`, as every Pipeable of Effect does.
    // biome-ignore lint/complexity/noArguments: see above
    return pipeArguments(this, arguments)
  }
}

// The interface has this one implementation.
const implOf = (self: HttpHeaders): HeadersImpl => self as HeadersImpl

/** Alternating names and values, without a copy. */
export const rawFieldsOf = (self: HttpHeaders): Fields => implOf(self).flat

export const isHttpHeaders = (u: unknown): u is HttpHeaders => Predicate.hasProperty(u, TypeId)

const isPairs = (input: Input): input is Iterable<readonly [string, string]> => Symbol.iterator in input

/** Converts any accepted input to alternating names and values. */
export const toRawFields = (input: Input): Fields => {
  if (isHttpHeaders(input)) return rawFieldsOf(input)
  const flat: Array<string> = []
  if (isPairs(input)) {
    for (const [name, value] of input) flat.push(name, value)
    return flat
  }
  for (const name of Object.keys(input)) {
    const value = input[name]!
    if (Array.isArray(value)) for (const each of value) flat.push(name, each)
    // A value that is no string, from untyped code, is rejected when it is written.
    else flat.push(name, value as string)
  }
  return flat
}

/** Headers with other fields and the same origin. */
export const withFields = (self: HttpHeaders, fields: Fields): HttpHeaders =>
  new HeadersImpl(fields, implOf(self).origin)

/** Case-insensitive comparison with a name in lower case. */
export const isNamed = (name: string, lower: string): boolean =>
  name.length === lower.length && (name === lower || name.toLowerCase() === lower)

/** The index of the first field of that name, at or after `from`, or -1. */
export const indexOf = (flat: Fields, lower: string, from = 0): number => {
  for (let i = from; i < flat.length; i += 2) {
    if (isNamed(flat[i]!, lower)) return i
  }
  return -1
}

export const originOf = (self: HttpHeaders): Origin => implOf(self).origin

export const make = (fields: Fields, origin: Origin): HttpHeaders => new HeadersImpl(fields, origin)

/** The headers of a request, decoded on first access. */
export const fromRequest = (fields: () => Fields): HttpHeaders => new HeadersImpl(fields, "request")
