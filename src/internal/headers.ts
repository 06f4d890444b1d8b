/**
 * The one implementation of `HttpHeaders`: a flat list that a request cuts out of its bytes when somebody looks.
 *
 * @internal
 */
import * as Inspectable from "effect/Inspectable"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import { escapeControls } from "./host/escapeControls.js"

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

/** Where headers came from decides the status of a `KeyError`: the client left it out (400), or we did (500). */
export type Origin = "request" | "application"

/** Names and values in turn: `[name, value, name, value …]`, one flat array, since most are read once or never. */
export type Fields = ReadonlyArray<string>

/** Fields whose values are not for logs; the same as `@effect/platform` keeps out of them. */
const secrets: ReadonlySet<string> = new Set([
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

  /** The fields of a request are cut out of its bytes when somebody first looks: most handlers never do. */
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
    const shown = Array.from(this, ([name, value]) => [
      name,
      secrets.has(name.toLowerCase()) ? "<redacted>" : escapeControls(value)
    ])
    return { _id: "HttpHeaders", fields: shown }
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

// The interface has one implementation, made here alone, and this is the only door to it.
const implOf = (self: HttpHeaders): HeadersImpl => self as HeadersImpl

/** Names and values in turn, without a copy. */
export const rawFieldsOf = (self: HttpHeaders): Fields => implOf(self).flat

export const isHttpHeaders = (u: unknown): u is HttpHeaders => Predicate.hasProperty(u, TypeId)

const isPairs = (input: Input): input is Iterable<readonly [string, string]> => Symbol.iterator in input

/** What may be given for headers, as names and values in turn. */
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
    // What is no string, though types forbid it, is refused by its name when it is written.
    else flat.push(name, value as string)
  }
  return flat
}

/** Other fields, from where these came. */
export const withFields = (self: HttpHeaders, fields: Fields): HttpHeaders =>
  new HeadersImpl(fields, implOf(self).origin)

/** Case-blind comparison against a name that is lower case already. */
export const isNamed = (name: string, lower: string): boolean =>
  name.length === lower.length && (name === lower || name.toLowerCase() === lower)

/** The index of the first field of that name, at or after `from`, or -1. */
export const indexOf = (flat: Fields, lower: string, from = 0): number => {
  for (let i = from; i < flat.length; i += 2) {
    if (isNamed(flat[i]!, lower)) return i
  }
  return -1
}

/** From where headers came. */
export const originOf = (self: HttpHeaders): Origin => implOf(self).origin

export const make = (fields: Fields, origin: Origin): HttpHeaders => new HeadersImpl(fields, origin)

/** The headers of a request, cut out of its bytes when first looked at. */
export const fromRequest = (fields: () => Fields): HttpHeaders => new HeadersImpl(fields, "request")
