/**
 * Text of a request as it may stand in a log line: what a terminal, a viewer or an editor would obey is shown instead.
 *
 * Controls (C0, DEL, C1) move the cursor, change colours and titles; line breaks forge lines; marks and overrides of the
 * direction (Unicode UAX #9) show text in another order. HTAB is harmless.
 *
 * @internal
 */
import { isError } from "./realm.js"

/** What is harmless between the lines of a text of several. */
const controls = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff"

const inLines = new RegExp(`[${controls}]`, "g")
const inOneLine = new RegExp(`[\\n${controls}]`, "g")

const escaped = (control: string): string => {
  if (control === "\n") return "\\n"
  return control === "\r" ? "\\r" : `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`
}

/** In one line. @internal */
export const escapeControls = (text: string): string => text.replace(inOneLine, escaped)

/** In as many lines as it has. @internal */
export const escapeControlsInLines = (text: string): string => text.replace(inLines, escaped)

/** All texts in a value that is printed. @internal */
export const escapeControlsIn = (value: unknown): unknown => {
  if (typeof value === "string") return escapeControls(value)
  if (Array.isArray(value)) return value.map(escapeControlsIn)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [escapeControls(name), escapeControlsIn(each)]))
}

const define = (error: Error, name: "message" | "stack", descriptor: PropertyDescriptor): void => {
  Object.defineProperty(error, name, { configurable: true, enumerable: false, ...descriptor })
}

/** What a class computes a property by: its own accessor, or that of a class above it. */
const accessorOf = (error: Error, name: "message"): (() => unknown) | undefined => {
  let prototype: unknown = Object.getPrototypeOf(error)
  while (typeof prototype === "object" && prototype !== null) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
    if (descriptor !== undefined) return descriptor.get
    prototype = Object.getPrototypeOf(prototype)
  }
  return undefined
}

const escapeMessage = (error: Error, show: (text: string) => string): void => {
  const own = Object.getOwnPropertyDescriptor(error, "message")
  if (own === undefined) {
    // A message that is computed is computed for those alone that read it.
    const computed = accessorOf(error, "message")
    if (computed !== undefined) define(error, "message", { get: () => show(String(computed.call(error))) })
  } else if (own.configurable === true && typeof own.value === "string" && show(own.value) !== own.value) {
    const { message, stack = "" } = error
    define(error, "message", { value: show(message), writable: true })
    define(error, "stack", { value: escapeControlsInLines(stack.replace(message, show(message))), writable: true })
  }
}

/** A name, or a cause that is text, which is printed beside the message. */
const escapeText = (error: Error, name: "name" | "cause", show: (text: string) => string): void => {
  const own = Object.getOwnPropertyDescriptor(error, name)
  if (own?.configurable !== true || typeof own.value !== "string") return
  const shown = show(own.value)
  if (shown !== own.value) Object.defineProperty(error, name, { ...own, value: shown })
}

/**
 * Changes an error, and those that caused it, so that their messages can be printed. A message that is the text of a request
 * is one line, and any other has as many as it likes. @internal
 */
export const escapeErrorControls = <E>(error: E, show: (text: string) => string = escapeControlsInLines): E => {
  let each: unknown = error
  for (let depth = 0; depth < 8 && isError(each); depth++) {
    if (Object.isExtensible(each)) {
      escapeMessage(each, show)
      escapeText(each, "name", escapeControls)
      escapeText(each, "cause", show)
    }
    each = each.cause
  }
  return error
}
