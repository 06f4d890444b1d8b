/**
 * Decoders of request bodies, by length or chunked (RFC 9112 §6, §7.1).
 *
 * A body is emitted in the pieces in which it arrived, without copying or buffering. The size of a chunk is compared with the
 * limit before its data is read. Every line end of the framing must be CRLF.
 */
import type { Limits } from "../../Limits.js"
import { CR, HEX, LF, latin1Slice } from "./characters.js"
import { Complete, ExtensionsEnd, MalformedExtension, nextExtensionState } from "./chunkExtensions.js"
import { HeaderFieldParser } from "./headerFields.js"
import type { ParseBuffer } from "./parseBuffer.js"
import { type Malformed, malformed } from "./parseResult.js"

/** A piece of a body, as it arrived. */
export interface BodyBytes {
  readonly _tag: "Body"
  readonly bytes: Buffer
}

/** The end of a body, with the trailer fields that are passed to a handler: alternating names and values. */
export interface BodyEnd {
  readonly _tag: "End"
  readonly trailers: ReadonlyArray<string>
}

export type BodyStep = "NeedMore" | BodyBytes | BodyEnd | Malformed

export interface BodyDecoder {
  readonly next: (input: ParseBuffer) => BodyStep
}

const endWithoutTrailers: BodyEnd = { _tag: "End", trailers: [] }

const takeBytes = (input: ParseBuffer, max: number): BodyBytes => {
  const from = input.position
  const to = Math.min(input.end, from + max)
  input.base = input.position = to
  return { _tag: "Body", bytes: input.buf.subarray(from, to) }
}

/** Decoder of a body of known length. */
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
 * Field names that are forbidden in trailers: framing, routing, authentication and control data is taken from the head, and
 * must not change afterwards (RFC 9110 §6.5.1). They are dropped, as that section allows.
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

export const isForbiddenTrailer = (name: string): boolean => forbiddenTrailers.has(name.toLowerCase())

/** RFC 9112 §7.1: recipients MUST prevent overflow; sixteen digits exceed every allowed size. */
const maxSizeDigits = 16

const Size = 0
const Extensions = 1
const SizeLF = 2
const Data = 3
const DataCR = 4
const DataLF = 5
const Trailers = 6

/** Decoder of a chunked body. */
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
      const error = this.framingByte(input.buf[input.position]!)
      if (error !== undefined) return error
      input.base = ++input.position
    }
    const result = this.trailerParser.scan(input)
    if (result !== "Done") return result
    input.base = input.position
    return this.trailers.length === 0 ? endWithoutTrailers : { _tag: "End", trailers: this.trailers }
  }

  private data(input: ParseBuffer): BodyBytes {
    const step = takeBytes(input, this.size)
    this.size -= step.bytes.length
    if (this.size === 0) this.state = DataCR
    return step
  }

  /** Validates framing byte by byte: there are few of them, and request smuggling starts there. */
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
    // Beyond the safe integers a size is no longer exact, whatever the limit.
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
