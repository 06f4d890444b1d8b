/**
 * A section of field lines, `field-name ":" OWS field-value OWS CRLF`, up to the empty line that ends it: the header
 * section and the trailer section alike (RFC 9112 §5, §7.1.2).
 *
 * Strategy: one pass, each byte checked where it stands, resumable at any byte; no field is copied. Whoever wants a
 * field is told where it lies as soon as its line has ended.
 *
 * @internal
 */

import type { ErrorReason } from "../errorReasons.js"
import { trimOws } from "../fieldList.js"
import { COLON, CR, HTAB, LF, latin1Slice, SP, scanWhile, TOKEN, VALUE } from "./characters.js"
import type { ParseBuffer } from "./parseBuffer.js"
import { type Malformed, malformed, type ParseResult } from "./parseResult.js"

const LineStart = 0
const Name = 1
const BeforeValue = 2
const Value = 3
const ValueLF = 4
const LastLF = 5

/** @internal */
export interface FieldLimits {
  readonly maxLine: number
  readonly maxSection: number
  readonly maxFields: number
  /** What a malformed line, and what too much of them, is called. */
  readonly malformedReason: ErrorReason
  readonly tooLargeReason: ErrorReason
}

/** Told of a field: its name is `buf[nameFrom, nameTo)`, its value, without white space around it, follows. @internal */
export type OnField = (buf: Buffer, nameFrom: number, nameTo: number, valueFrom: number, valueTo: number) => void

/** @internal */
export class HeaderFieldParser {
  count = 0

  private state = LineStart
  // Relative to the input's base, which stands at the section's first byte.
  private line = 0
  private nameEnd = 0
  private value = 0
  private valueEnd = 0

  constructor(
    private readonly bounds: FieldLimits,
    private readonly onField: OnField
  ) {}

  reset(): void {
    this.state = LineStart
    this.count = 0
    this.line = 0
  }

  /**
   * Reads on; on "Done" the input stands behind the empty line, its base still at the section's first byte.
   *
   * What a line consists of stands here in its order, and is entered where the last bytes ended: the parts of a line
   * follow each other without a look at the state, which is a fifth of what a browser's head costs.
   */
  scan(input: ParseBuffer): ParseResult {
    const { base, buf, end } = input
    const { maxFields, maxLine, maxSection } = this.bounds
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
          if (TOKEN[byte] === 0) return this.refuse(buf, at, at + 1)
          if (this.count === maxFields) return malformed(this.bounds.tooLargeReason, `more than ${maxFields} fields`)
          state = Name
        }
      }
      if (state === LastLF) {
        if (at === bound) return this.suspend(input, limit, at, state, line, nameEnd, value, valueEnd)
        if (buf[at] !== LF) return this.refuse(buf, at - 1, at)
        input.position = at + 1
        return "Done"
      }
      if (state === Name) {
        at = scanWhile(TOKEN, buf, at, bound)
        if (at === bound) return this.suspend(input, limit, at, state, line, nameEnd, value, valueEnd)
        if (buf[at] !== COLON) return this.refuse(buf, line, at + 1)
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
        if (buf[at] !== CR) return this.refuse(buf, line, at + 1)
        valueEnd = at++
        while (valueEnd > value && (buf[valueEnd - 1] === SP || buf[valueEnd - 1] === HTAB)) valueEnd--
        state = ValueLF
      }
      if (at === bound) return this.suspend(input, limit, at, state, line, nameEnd, value, valueEnd)
      if (buf[at] !== LF) return this.refuse(buf, line, at)
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
    return at < limit ? "NeedMore" : malformed(this.bounds.tooLargeReason, `${at - base} bytes`)
  }

  private refuse(buf: Buffer, from: number, to: number): Malformed {
    return malformed(this.bounds.malformedReason, latin1Slice(buf, from, to))
  }
}

/**
 * Cuts a section that has been checked into names and values in turn. Only for who reads them: most requests are
 * answered without a look at most of their fields.
 *
 * @internal
 */
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
