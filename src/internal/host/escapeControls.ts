/**
 * Escaping of control characters, for text of requests in log lines.
 *
 * Controls (C0, DEL, C1) move the cursor, change colours and titles; line breaks forge log lines; directional marks and
 * overrides (Unicode UAX #9) reorder text. HTAB is harmless.
 */
import { isError } from "./realm.js"

/** All but LF, which is harmless in text of several lines. */
const controls = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff"

const inLines = new RegExp(`[${controls}]`, "g")
const inOneLine = new RegExp(`[\\n${controls}]`, "g")

const escaped = (control: string): string => {
  if (control === "\n") return "\\n"
  return control === "\r" ? "\\r" : `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`
}

/** Escapes controls and line breaks. */
export const escapeControls = (text: string): string => text.replace(inOneLine, escaped)

/** Escapes controls, but keeps line breaks. */
export const escapeControlsInLines = (text: string): string => text.replace(inLines, escaped)

/** Escapes all strings in a value. */
export const escapeControlsIn = (value: unknown): unknown => {
  if (typeof value === "string") return escapeControls(value)
  if (Array.isArray(value)) return value.map(escapeControlsIn)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [escapeControls(name), escapeControlsIn(each)]))
}

/** Copies of errors with escaped text, and the errors that they copy. */
const originals = new WeakMap<object, object>()

/** The error that an escaped copy was made of; any other value itself. @internal */
export const originalOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null ? (originals.get(error) ?? error) : error

const property = (value: unknown): PropertyDescriptor => ({
  value,
  configurable: true,
  enumerable: false,
  writable: true
})

/** By which Effect finds the span in which an error was raised. It is not an own property of the error. */
const spanSymbol = Symbol.for("effect/SpanAnnotation")

/** The own name: one of a prototype is code. */
const ownName = (error: Error): string => {
  const name: unknown = Object.getOwnPropertyDescriptor(error, "name")?.value
  return typeof name === "string" ? name : ""
}

/** A getter may throw. */
const messageOf = (error: Error): string => {
  try {
    return String(error.message)
  } catch {
    return ""
  }
}

const escapedAtDepth = <E>(error: E, escape: (text: string) => string, depth: number): E => {
  if (depth === 0 || !isError(error)) return error
  const { cause } = error
  const message = messageOf(error)
  const escapedMessage = escape(message)
  const escapedCause = typeof cause === "string" ? escape(cause) : escapedAtDepth(cause, escape, depth - 1)
  const name = ownName(error)
  if (escapedMessage === message && escapedCause === cause && escapeControls(name) === name) return error
  const isComputed = Object.getOwnPropertyDescriptor(error, "message")?.value === undefined
  const properties: PropertyDescriptorMap = {
    ...Object.getOwnPropertyDescriptors(error),
    // Getters of a prototype may require the object itself: they are called on the original.
    name: property(name === "" ? error.name : escapeControls(name)),
    message: isComputed ? { configurable: true, get: () => escape(messageOf(error)) } : property(escapedMessage),
    stack: property(escapeControlsInLines(String(error.stack ?? "").replace(message, () => escapedMessage)))
  }
  if (cause !== undefined) properties.cause = property(escapedCause)
  if (spanSymbol in error) properties[spanSymbol] = property(Reflect.get(error, spanSymbol))
  const copy: E & object = Object.create(Object.getPrototypeOf(error), properties)
  originals.set(copy, originalOf(error) as object)
  return copy
}

/**
 * A copy of an error with its message, its name, its stack and its causes escaped; the error itself if they contain nothing to
 * escape. By default line breaks are kept; `escape` is `escapeControls` where a message may quote a request.
 */
export const escapeErrorControls = <E>(error: E, escape: (text: string) => string = escapeControlsInLines): E =>
  // Bounded: causes may be cyclic.
  escapedAtDepth(error, escape, 8)
