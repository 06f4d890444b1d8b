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

const define = (error: Error, name: "message" | "stack", descriptor: PropertyDescriptor): void => {
  Object.defineProperty(error, name, { configurable: true, enumerable: false, ...descriptor })
}

/** The getter of a property in the prototype chain. */
const accessorOf = (error: Error, name: "message"): (() => unknown) | undefined => {
  let prototype: unknown = Object.getPrototypeOf(error)
  while (typeof prototype === "object" && prototype !== null) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
    if (descriptor !== undefined) return descriptor.get
    prototype = Object.getPrototypeOf(prototype)
  }
  return undefined
}

const escapeMessage = (error: Error, escape: (text: string) => string): void => {
  const own = Object.getOwnPropertyDescriptor(error, "message")
  if (own === undefined) {
    // A computed message stays lazy.
    const computed = accessorOf(error, "message")
    if (computed !== undefined) define(error, "message", { get: () => escape(String(computed.call(error))) })
  } else if (own.configurable === true && typeof own.value === "string" && escape(own.value) !== own.value) {
    const { message, stack = "" } = error
    define(error, "message", { value: escape(message), writable: true })
    define(error, "stack", { value: escapeControlsInLines(stack.replace(message, escape(message))), writable: true })
  }
}

/** Escapes a name, or a cause that is a string: both are printed with the message. */
const escapeText = (error: Error, name: "name" | "cause", escape: (text: string) => string): void => {
  const own = Object.getOwnPropertyDescriptor(error, name)
  if (own?.configurable !== true || typeof own.value !== "string") return
  const escapedText = escape(own.value)
  if (escapedText !== own.value) Object.defineProperty(error, name, { ...own, value: escapedText })
}

/**
 * Escapes the messages of an error and its causes in place. By default line breaks are kept; `escape` is `escapeControls` where
 * a message may quote a request.
 */
export const escapeErrorControls = <E>(error: E, escape: (text: string) => string = escapeControlsInLines): E => {
  let each: unknown = error
  for (let depth = 0; depth < 8 && isError(each); depth++) {
    if (Object.isExtensible(each)) {
      escapeMessage(each, escape)
      escapeText(each, "name", escapeControls)
      escapeText(each, "cause", escape)
    }
    each = each.cause
  }
  return error
}
