/**
 * The bytes of a request's body, freed of their framing: by length, or chunked (RFC 9112 §6, §7.1).
 *
 * Strategy: a body is handed out in the pieces it arrived in, never copied, never gathered; a chunk's size is compared
 * with what is still allowed before a byte of it is waited for. Every line end inside the framing is CRLF exactly.
 *
 * @internal
 */
import type { Limits } from "../../Limits.js"
import { CR, HEX, LF, latin1Slice } from "./characters.js"
import { Complete, ExtensionsEnd, MalformedExtension, nextExtensionState } from "./chunkExtensions.js"
import { HeaderFieldParser } from "./headerFields.js"
import type { ParseBuffer } from "./parseBuffer.js"
import { type Malformed, malformed } from "./parseResult.js"

/** A piece of a body, as it arrived. @internal */
export interface BodyBytes {
  readonly _tag: "Body"
  readonly bytes: Buffer
}

/** The end of a body, with the trailer fields that may be given to a handler: names and values in turn. @internal */
export interface BodyEnd {
  readonly _tag: "End"
  readonly trailers: ReadonlyArray<string>
}

/** @internal */
export type BodyStep = "NeedMore" | BodyBytes | BodyEnd | Malformed

/** @internal */
export interface BodyDecoder {
  readonly next: (input: ParseBuffer) => BodyStep
}

const endWithoutTrailers: BodyEnd = { _tag: "End", trailers: [] }

const takeBytes = (input: ParseBuffer, most: number): BodyBytes => {
  const from = input.position
  const to = Math.min(input.end, from + most)
  input.base = input.position = to
  return { _tag: "Body", bytes: input.buf.subarray(from, to) }
}

/** A body of a length that is known. @internal */
export class LengthDecoder implements BodyDecoder {
  constructor(private left: number) {}

  next(input: ParseBuffer): BodyStep {
    if (this.left === 0) return endWithoutTrailers
    if (input.position === input.end) return "NeedMore"
    const step = takeBytes(input, this.left)
    this.left -= step.bytes.length
    return step
  }
}

/**
 * Names that a trailer must not have: what frames, routes, authenticates or controls a message was decided from its
 * head, and must not change behind it (RFC 9110 §6.5.1). They are dropped, as that section allows.
 */
const forbiddenTrailers: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "expect",
  "expires",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "keep-alive",
  "location",
  "max-forwards",
  "pragma",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "retry-after",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "warning",
  "www-authenticate",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto"
])

/** @internal */
export const isForbiddenTrailer = (name: string): boolean => forbiddenTrailers.has(name.toLowerCase())

/** RFC 9112 §7.1: recipients MUST prevent overflow; sixteen digits are more than any body allowed. */
const maxSizeDigits = 16

const Size = 0
const Extensions = 1
const SizeLF = 2
const Data = 3
const DataCR = 4
const DataLF = 5
const Trailers = 6

/** A body in chunks. @internal */
export class ChunkedDecoder implements BodyDecoder {
  private state = Size
  private size = 0
  private digits = 0
  private total = 0
  private extension = Complete
  private extensionBytes = 0
  private readonly trailers: Array<string> = []
  private readonly trailerParser: HeaderFieldParser

  constructor(private readonly limits: Limits) {
    this.trailerParser = new HeaderFieldParser(
      {
        maxLine: limits.maxTrailerSection,
        maxSection: limits.maxTrailerSection,
        maxFields: limits.maxTrailers,
        malformedReason: "Trailer",
        tooLargeReason: "TrailersTooLarge"
      },
      (buf, nameFrom, nameTo, from, to) => {
        const name = latin1Slice(buf, nameFrom, nameTo)
        if (!isForbiddenTrailer(name)) this.trailers.push(name, latin1Slice(buf, from, to))
      }
    )
  }

  next(input: ParseBuffer): BodyStep {
    while (this.state !== Trailers) {
      if (input.position === input.end) return "NeedMore"
      if (this.state === Data) return this.data(input)
      const refused = this.framingByte(input.buf[input.position]!)
      if (refused !== undefined) return refused
      input.base = ++input.position
    }
    const verdict = this.trailerParser.scan(input)
    if (verdict !== "Done") return verdict
    input.base = input.position
    return this.trailers.length === 0 ? endWithoutTrailers : { _tag: "End", trailers: this.trailers }
  }

  private data(input: ParseBuffer): BodyBytes {
    const step = takeBytes(input, this.size)
    this.size -= step.bytes.length
    if (this.size === 0) this.state = DataCR
    return step
  }

  /** One byte of framing, each judged where it stands: there are few of them, and they are where smuggling starts. */
  private framingByte(byte: number): Malformed | undefined {
    switch (this.state) {
      case Size:
        return HEX[byte]! < 16 ? this.sizeDigit(HEX[byte]!) : this.afterSize(byte)
      case Extensions:
        return this.extensionByte(byte)
      case SizeLF:
        if (byte !== LF) return malformed("Chunk", "a bare CR")
        this.state = this.size === 0 ? Trailers : Data
        this.digits = 0
        return undefined
      case DataCR:
        if (byte !== CR) return malformed("Chunk", "data longer than its chunk")
        this.state = DataLF
        return undefined
      default:
        if (byte !== LF) return malformed("Chunk", "a bare CR")
        this.state = Size
        return undefined
    }
  }

  private sizeDigit(digit: number): Malformed | undefined {
    if (this.digits === 0) this.size = 0
    if (++this.digits > maxSizeDigits) return malformed("Chunk", "more than 16 digits of size")
    this.size = this.size * 16 + digit
    return undefined
  }

  private afterSize(byte: number): Malformed | undefined {
    if (this.digits === 0) return malformed("Chunk", "no chunk size")
    if (nextExtensionState(Complete, byte) === MalformedExtension) return malformed("Chunk", "no hexadecimal digit")
    this.total += this.size
    // Beyond the safe integers a size is no longer what was sent, however much is allowed.
    if (this.total > this.limits.maxBody || !Number.isSafeInteger(this.total)) {
      return malformed("BodyTooLarge", `${this.total} bytes`)
    }
    if (byte === CR) {
      this.state = SizeLF
      return undefined
    }
    this.state = Extensions
    this.extension = Complete
    return this.extensionByte(byte)
  }

  private extensionByte(byte: number): Malformed | undefined {
    this.extension = nextExtensionState(this.extension, byte)
    if (this.extension === MalformedExtension) return malformed("Chunk", "a malformed chunk extension")
    if (this.extension === ExtensionsEnd) {
      this.state = SizeLF
      return undefined
    }
    return ++this.extensionBytes > this.limits.maxChunkExtensions
      ? malformed("ChunkExtensions", `${this.extensionBytes} bytes`)
      : undefined
  }
}
