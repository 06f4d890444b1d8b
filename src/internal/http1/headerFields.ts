/**
 * Parser of field lines, `field-name ":" OWS field-value OWS CRLF`, up to the empty line that ends a header section or a
 * trailer section (RFC 9112 §5, §7.1.2).
 *
 * One pass, resumable at any byte. Fields are not copied: a callback receives the position of each when its line has ended.
 */

import type { ErrorReason } from "../errorReasons.js"
import { trimOws } from "../fields/fieldList.js"
import { COLON, CR, HTAB, LF, latin1Slice, SP, scanWhile, TOKEN, VALUE } from "./characters.js"
import type { ParseBuffer } from "./parseBuffer.js"
import { type Malformed, malformed, type ParseResult } from "./parseResult.js"

const LineStart = 0
const Name = 1
const BeforeValue = 2
const Value = 3
const ValueLF = 4
const LastLF = 5

interface FieldLimits {
  readonly maxLine: number
  readonly maxSection: number
  readonly maxFields: number
  /** Reasons for a malformed line, and for a section that is too large. */
  readonly malformedReason: ErrorReason
  readonly tooLargeReason: ErrorReason
}

/** Callback with the positions of a field's name, and of its value without surrounding white space. */
type OnField = (buf: Buffer, nameFrom: number, nameTo: number, valueFrom: number, valueTo: number) => void

export class HeaderFieldParser {
  count = 0

  private state = LineStart
  // Relative to the base of the input, which is the first byte of the section.
  private line = 0
  private nameEnd = 0
  private value = 0
  private valueEnd = 0

  constructor(
    private readonly limits: FieldLimits,
    private readonly onField: OnField
  ) {}

  reset(): void {
    this.state = LineStart
    this.count = 0
    this.line = 0
  }

  /**
   * Continues parsing. After "Done" the position of the input is after the empty line, its base still at the first byte of
   * the section.
   *
   * The parts of a line are in the order of the grammar, and entered by the saved state: they follow each other without a
   * dispatch, which saves a fifth of the cost of a browser's head.
   */
  scan(input: ParseBuffer): ParseResult {
    const { base, buf, end } = input
    const { maxFields, maxLine, maxSection } = this.limits
    const sectionLimit = base + maxSection + 2
    let { state } = this
    let line = base + this.line
    let nameEnd = base + this.nameEnd
    let value = base + this.value
    let valueEnd = base + this.valueEnd
    let at = input.position

    for (;;) {
      const lineLimit = line + maxLine + 2
      const limit = sectionLimit < lineLimit ? sectionLimit : lineLimit
      const bound = end < limit ? end : limit
      if (state === LineStart) {
        if (at === bound) return this.suspend(input, limit, at, state, line, nameEnd, value, valueEnd)
        const byte = buf[at]!
        if (byte === CR) {
          at++
          state = LastLF
        } else {
          if (TOKEN[byte] === 0) return this.malformed(buf, at, at + 1)
          if (this.count === maxFields) return malformed(this.limits.tooLargeReason, `more than ${maxFields} fields`)
          state = Name
        }
      }
      if (state === LastLF) {
        if (at === bound) return this.suspend(input, limit, at, state, line, nameEnd, value, valueEnd)
        if (buf[at] !== LF) return this.malformed(buf, at - 1, at)
        input.position = at + 1
        return "Done"
      }
      if (state === Name) {
        at = scanWhile(TOKEN, buf, at, bound)
        if (at === bound) return this.suspend(input, limit, at, state, line, nameEnd, value, valueEnd)
        if (buf[at] !== COLON) return this.malformed(buf, line, at + 1)
        nameEnd = at++
        state = BeforeValue
      }
      if (state === BeforeValue) {
        while (at < bound && (buf[at] === SP || buf[at] === HTAB)) at++
        if (at === bound) return this.suspend(input, limit, at, state, line, nameEnd, value, valueEnd)
        value = at
        state = Value
      }
      if (state === Value) {
        at = scanWhile(VALUE, buf, at, bound)
        if (at === bound) return this.suspend(input, limit, at, state, line, nameEnd, value, valueEnd)
        if (buf[at] !== CR) return this.malformed(buf, line, at + 1)
        valueEnd = at++
        while (valueEnd > value && (buf[valueEnd - 1] === SP || buf[valueEnd - 1] === HTAB)) valueEnd--
        state = ValueLF
      }
      if (at === bound) return this.suspend(input, limit, at, state, line, nameEnd, value, valueEnd)
      if (buf[at] !== LF) return this.malformed(buf, line, at)
      at++
      this.count++
      this.onField(buf, line, nameEnd, value, valueEnd)
      line = at
      state = LineStart
    }
  }

  private suspend(
    input: ParseBuffer,
    limit: number,
    at: number,
    state: number,
    line: number,
    nameEnd: number,
    value: number,
    valueEnd: number
  ): "NeedMore" | Malformed {
    const { base } = input
    this.state = state
    this.line = line - base
    this.nameEnd = nameEnd - base
    this.value = value - base
    this.valueEnd = valueEnd - base
    input.position = at
    return at < limit ? "NeedMore" : malformed(this.limits.tooLargeReason, `${at - base} bytes`)
  }

  private malformed(buf: Buffer, from: number, to: number): Malformed {
    return malformed(this.limits.malformedReason, latin1Slice(buf, from, to))
  }
}

/** Splits a validated section into alternating names and values. On demand: most handlers read few fields. */
export const splitFields = (buf: Buffer, from: number, to: number): ReadonlyArray<string> => {
  const text = latin1Slice(buf, from, to)
  const fields: Array<string> = []
  let line = 0
  for (;;) {
    const lineEnd = text.indexOf("\r", line)
    if (lineEnd <= line) return fields
    const colon = text.indexOf(":", line)
    fields.push(text.slice(line, colon), trimOws(text, colon + 1, lineEnd))
    line = lineEnd + 2
  }
}
