/** The header section or the trailer section of a response: field lines up to an empty line (RFC 9112 §5, §7.1.2). */
import { fieldLine, trimOws } from "./grammar.js"
import type { ParseError } from "./parseError.js"
import type { ParseInput } from "./parseInput.js"

/** Names in lower case; the values of a repeated field are joined by commas (RFC 9110 §5.3). */
export type Fields = Record<string, string>

/** Rejects a field, given the ones before it. */
export type FieldCheck = (name: string, value: string, before: Fields) => ParseError | undefined

/** Bytes of a status line with its fields, and of a trailer section: the default of Node's client (`http.maxHeaderSize`). */
export const maxSectionSize = 16 * 1024

const lineEnd = "\r\n"

export class FieldSection {
  // Without a prototype: `constructor` and `__proto__` are field names like any other.
  readonly fields: Fields = Object.create(null)
  readonly setCookies: Array<string> = []

  constructor(
    private readonly check: FieldCheck,
    /** The syntax of the next line. */
    private syntax = fieldLine,
    /** Bytes that the section may still have. */
    private remaining = maxSectionSize
  ) {}

  /** Reads on; `Done` after the empty line. */
  read(input: ParseInput): "NeedMore" | "Done" | ParseError {
    for (;;) {
      const line = input.takeLine(this.syntax, this.remaining, "HPE_HEADER_OVERFLOW")
      if (line === undefined) return "NeedMore"
      if (typeof line !== "string") return line
      if (line === lineEnd) return "Done"
      const error = this.add(line)
      if (error !== undefined) return error
      this.remaining -= line.length
      this.syntax = fieldLine
    }
  }

  private add(line: string): ParseError | undefined {
    const colon = line.indexOf(":")
    const name = line.slice(0, colon).toLowerCase()
    const value = trimOws(line, colon + 1, line.length - lineEnd.length)
    const error = this.check(name, value, this.fields)
    if (error !== undefined) return error
    const before = this.fields[name]
    this.fields[name] = before === undefined ? value : `${before}, ${value}`
    if (name === "set-cookie") this.setCookies.push(value)
    return undefined
  }
}
