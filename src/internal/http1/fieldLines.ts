/**
 * A section of field lines, `field-name ":" OWS field-value OWS CRLF`, up to the empty line that ends it: the header
 * section and the trailer section alike (RFC 9112 §5, §7.1.2).
 *
 * Strategy: one pass, each byte checked where it stands, resumable at any byte; no field is copied. Whoever wants a
 * field is told where it lies as soon as its line has ended.
 *
 * @internal
 */
import { trimmed } from "../lists.js"
import type { Reason } from "../reasons.js"
import { COLON, CR, HTAB, LF, SP, TOKEN, textOf, VALUE } from "./chars.js"
import type { Input } from "./input.js"
import { type Malformed, malformed, type Verdict } from "./verdict.js"

const LineStart = 0
const Name = 1
const BeforeValue = 2
const Value = 3
const ValueLF = 4
const LastLF = 5

/** @internal */
export interface FieldBounds {
  readonly maxLine: number
  readonly maxSection: number
  readonly maxFields: number
  /** What a malformed line, and what too much of them, is called. */
  readonly malformed: Reason
  readonly tooLarge: Reason
}

/** Told of a field: its name is `buf[nameFrom, nameTo)`, its value, without white space around it, follows. @internal */
export type OnField = (buf: Buffer, nameFrom: number, nameTo: number, valueFrom: number, valueTo: number) => void

/** @internal */
export class FieldLines {
  count = 0

  private state = LineStart
  // Relative to the input's base, which stands at the section's first byte.
  private line = 0
  private nameEnd = 0
  private value = 0
  private valueEnd = 0

  constructor(
    private readonly bounds: FieldBounds,
    private readonly onField: OnField
  ) {}

  reset(): void {
    this.state = LineStart
    this.count = 0
    this.line = 0
  }

  /** Reads on; on "Done" the input stands behind the empty line, its base still at the section's first byte. */
  scan(input: Input): Verdict {
    const { base, buf, end } = input
    const { maxFields, maxLine, maxSection } = this.bounds
    const sectionLimit = base + maxSection + 2
    let at = input.at
    for (;;) {
      const limit = Math.min(sectionLimit, base + this.line + maxLine + 2)
      const bound = end < limit ? end : limit
      switch (this.state) {
        case LineStart: {
          if (at === bound) return this.unfinished(input, at, limit)
          const byte = buf[at]!
          if (byte === CR) {
            at++
            this.state = LastLF
            continue
          }
          if (TOKEN[byte] === 0) return this.refuse(buf, at, at + 1)
          if (this.count === maxFields) return malformed(this.bounds.tooLarge, `more than ${maxFields} fields`)
          this.state = Name
          continue
        }
        case Name: {
          while (at < bound && TOKEN[buf[at]!] === 1) at++
          if (at === bound) return this.unfinished(input, at, limit)
          if (buf[at] !== COLON) return this.refuse(buf, base + this.line, at + 1)
          this.nameEnd = at - base
          at++
          this.state = BeforeValue
          continue
        }
        case BeforeValue: {
          while (at < bound && (buf[at] === SP || buf[at] === HTAB)) at++
          if (at === bound) return this.unfinished(input, at, limit)
          this.value = at - base
          this.state = Value
          continue
        }
        case Value: {
          while (at < bound && VALUE[buf[at]!] === 1) at++
          if (at === bound) return this.unfinished(input, at, limit)
          if (buf[at] !== CR) return this.refuse(buf, base + this.line, at + 1)
          let last = at
          while (last > base + this.value && (buf[last - 1] === SP || buf[last - 1] === HTAB)) last--
          this.valueEnd = last - base
          at++
          this.state = ValueLF
          continue
        }
        case ValueLF: {
          if (at === bound) return this.unfinished(input, at, limit)
          if (buf[at] !== LF) return this.refuse(buf, base + this.line, at)
          at++
          this.count++
          this.onField(buf, base + this.line, base + this.nameEnd, base + this.value, base + this.valueEnd)
          this.line = at - base
          this.state = LineStart
          continue
        }
        default: {
          if (at === bound) return this.unfinished(input, at, limit)
          if (buf[at] !== LF) return this.refuse(buf, at - 1, at)
          input.at = at + 1
          return "Done"
        }
      }
    }
  }

  private unfinished(input: Input, at: number, limit: number): "NeedMore" | Malformed {
    input.at = at
    return at < limit ? "NeedMore" : malformed(this.bounds.tooLarge, `${at - input.base} bytes`)
  }

  private refuse(buf: Buffer, from: number, to: number): Malformed {
    return malformed(this.bounds.malformed, textOf(buf, from, to))
  }
}

/**
 * Cuts a section that has been checked into names and values in turn. Only for who reads them: most requests are
 * answered without a look at most of their fields.
 *
 * @internal
 */
export const fieldsOf = (buf: Buffer, from: number, to: number): ReadonlyArray<string> => {
  const text = textOf(buf, from, to)
  const fields: Array<string> = []
  let line = 0
  for (;;) {
    const lineEnd = text.indexOf("\r", line)
    if (lineEnd <= line) return fields
    const colon = text.indexOf(":", line)
    fields.push(text.slice(line, colon), trimmed(text, colon + 1, lineEnd))
    line = lineEnd + 2
  }
}
