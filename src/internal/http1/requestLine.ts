/**
 * Parser of the request line: `method SP request-target SP HTTP-version CRLF` (RFC 9112 §3).
 *
 * One pass, resumable at any byte. The result depends on the bytes alone, not on how they are segmented: limits are checked
 * before the byte that would violate another rule.
 */
import type { HttpMethod } from "../../HttpMethod.js"
import { CR, cachedLatin1Slice, LF, latin1Slice, SP, scanWhile, TARGET, TOKEN } from "./characters.js"
import type { ParseBuffer } from "./parseBuffer.js"
import { type Malformed, malformed, type ParseResult } from "./parseResult.js"

const Start = 0
const StartLF = 1
const Method = 2
const Target = 3
const Version = 4
const EndLF = 5

/** RFC 9112 §2.2 recommends to accept one empty line before a request; some clients send two. */
const maxEmptyLines = 2

/** Longer than every known method: with `"reject"`, parsing can stop there. */
const maxKnownMethod = 32

const versionPrefix = "HTTP/"
/** `HTTP/1.1` */
const versionLength = 8

/** The nine methods as bytes: no string is created for a known method. */
const methods: ReadonlyArray<readonly [HttpMethod, Buffer]> = (
  ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"] as const
).map((method) => [method, Buffer.from(method)])

const methodOf = (buf: Buffer, from: number, to: number): HttpMethod | undefined => {
  for (let m = 0; m < methods.length; m++) {
    const [method, bytes] = methods[m]!
    if (bytes.length !== to - from) continue
    let i = 0
    while (i < bytes.length && bytes[i] === buf[from + i]) i++
    if (i === bytes.length) return method
  }
  return undefined
}

/** Treatment of a method that is none of the nine. */
export type UnknownMethods = "reject" | "handle"

export class RequestLineParser {
  /**
   * `undefined` for an unknown method with `"reject"`, which is rejected after the rest of the head has been validated.
   */
  method: HttpMethod | undefined
  methodText = ""
  target = ""
  major = 0
  minor = 0

  private state = Start
  private emptyLines = 0
  /** Start of the current part, relative to the base of the input. */
  private part = 0

  constructor(
    private readonly maxLine: number,
    private readonly unknownMethods: UnknownMethods
  ) {}

  /** True if no byte of a request has been parsed. An empty line, as old clients send after a body, does not count. */
  get isIdle(): boolean {
    return this.state === Start
  }

  /** True if not even an empty line has been parsed. */
  get isPristine(): boolean {
    return this.state === Start && this.emptyLines === 0
  }

  reset(): void {
    this.state = Start
    this.emptyLines = 0
    this.method = undefined
  }

  /** Continues parsing. After "Done" the base of the input is after the line. */
  scan(input: ParseBuffer): ParseResult {
    const { buf, end } = input
    for (;;) {
      const limit = input.base + this.maxLine + 2
      const bound = Math.min(end, limit)
      switch (this.state) {
        case Start: {
          if (input.position === end) return "NeedMore"
          const byte = buf[input.position]!
          if (byte === CR) {
            if (this.emptyLines === maxEmptyLines) return malformed("RequestLine", "a third empty line")
            input.position++
            this.state = StartLF
            continue
          }
          if (TOKEN[byte] === 0) return malformed("RequestLine", String.fromCharCode(byte))
          this.state = Method
          continue
        }
        case StartLF: {
          if (input.position === end) return "NeedMore"
          if (buf[input.position] !== LF) return malformed("RequestLine", "a bare CR")
          input.base = ++input.position
          this.emptyLines++
          this.state = Start
          continue
        }
        case Method: {
          const from = input.base
          let at = input.position
          while (at < bound && TOKEN[buf[at]!] === 1) at++
          input.position = at
          if (at - from > maxKnownMethod && this.unknownMethods === "reject") {
            return malformed("MethodUnknown", latin1Slice(buf, from, from + maxKnownMethod))
          }
          if (at === bound) return this.unfinished(input, limit)
          if (buf[at] !== SP) return this.malformedLine(input)
          this.method = methodOf(buf, from, at)
          this.methodText = this.method ?? latin1Slice(buf, from, at)
          if (this.unknownMethods === "handle") this.method = this.methodText
          input.position = at + 1
          this.part = input.position - input.base
          this.state = Target
          continue
        }
        case Target: {
          const from = input.base + this.part
          const at = scanWhile(TARGET, buf, input.position, bound)
          input.position = at
          if (at === bound) return this.unfinished(input, limit)
          if (buf[at] !== SP || at === from) {
            return buf[at] === SP || buf[at] === CR || buf[at] === LF
              ? this.malformedLine(input)
              : malformed("Target", latin1Slice(buf, from, at + 1))
          }
          this.target = cachedLatin1Slice(this.target, buf, from, at)
          input.position = at + 1
          this.part = input.position - input.base
          this.state = Version
          continue
        }
        case Version: {
          const from = input.base + this.part
          while (input.position < bound && input.position - from < versionLength) {
            if (!this.isVersionByte(buf[input.position]!, input.position - from)) return this.malformedLine(input)
            input.position++
          }
          if (input.position === bound) return this.unfinished(input, limit)
          if (buf[input.position] !== CR) return this.malformedLine(input)
          input.position++
          this.state = EndLF
          continue
        }
        default: {
          if (input.position === bound) return this.unfinished(input, limit)
          if (buf[input.position] !== LF) return malformed("RequestLine", "a bare CR")
          input.base = ++input.position
          return this.major === 1 ? "Done" : malformed("Version", `HTTP/${this.major}.${this.minor}`)
        }
      }
    }
  }

  /** `HTTP/`, a digit, a point, a digit: exactly, and case-sensitive (RFC 9112 §2.3). */
  private isVersionByte(byte: number, i: number): boolean {
    if (i < versionPrefix.length) return byte === versionPrefix.charCodeAt(i)
    if (i === versionPrefix.length + 1) return byte === 0x2e
    const digit = byte - 0x30
    if (digit < 0 || digit > 9) return false
    if (i === versionPrefix.length) this.major = digit
    else this.minor = digit
    return true
  }

  private unfinished(input: ParseBuffer, limit: number): "NeedMore" | Malformed {
    return input.position < limit
      ? "NeedMore"
      : malformed("TargetTooLong", latin1Slice(input.buf, input.base, input.position))
  }

  private malformedLine(input: ParseBuffer): Malformed {
    return malformed("RequestLine", latin1Slice(input.buf, input.base, input.position + 1))
  }
}
