/** Decoders of response content (RFC 9112 §6, §7.1), which remove the framing and keep the pieces as received. */
import { type FieldCheck, FieldSection, type Fields } from "./fieldSection.js"
import { chunkLine } from "./grammar.js"
import { type ParseError, parseError } from "./parseError.js"
import type { ParseInput } from "./parseInput.js"

export interface Content {
  readonly _tag: "Content"
  readonly bytes: Buffer
}

export interface End {
  readonly _tag: "End"
  readonly trailers: Readonly<Fields>
}

export interface BodyDecoder {
  readonly next: (input: ParseInput) => "NeedMore" | Content | End | ParseError
}

const noTrailers: Readonly<Fields> = Object.freeze(Object.create(null))

export const endWithoutTrailers: End = { _tag: "End", trailers: noTrailers }

export const emptyBody: BodyDecoder = { next: () => endWithoutTrailers }

/** Content up to the end of the connection, which the parser's owner detects. */
export const closeDelimitedBody: BodyDecoder = {
  next: (input) => (input.isEmpty ? "NeedMore" : { _tag: "Content", bytes: input.take(Number.POSITIVE_INFINITY) })
}

export class LengthBody implements BodyDecoder {
  constructor(private remaining: number) {}

  next(input: ParseInput): "NeedMore" | Content | End {
    if (this.remaining === 0) return endWithoutTrailers
    if (input.isEmpty) return "NeedMore"
    const bytes = input.take(this.remaining)
    this.remaining -= bytes.length
    return { _tag: "Content", bytes }
  }
}

/**
 * Fields on which the meaning of a response depends before its content is read: framing, routing, format, caching,
 * authentication. No trailer section has them (RFC 9110 §6.5.1).
 */
const headerOnly: ReadonlySet<string> = new Set([
  "age",
  "cache-control",
  "connection",
  "content-encoding",
  "content-range",
  "content-type",
  "date",
  "expires",
  "keep-alive",
  "location",
  "proxy-authenticate",
  "retry-after",
  "set-cookie",
  "trailer",
  "upgrade",
  "vary",
  "www-authenticate"
])

const checkTrailer: FieldCheck = (name, value) => {
  const actual = `${name}: ${value}`
  if (name === "content-length") {
    return parseError("HPE_INVALID_CONTENT_LENGTH", "Content-Length in a trailer section", actual)
  }
  if (name === "transfer-encoding") {
    return parseError("HPE_INVALID_TRANSFER_ENCODING", "Transfer-Encoding in a trailer section", actual)
  }
  return headerOnly.has(name)
    ? parseError("HPE_INVALID_HEADER_TOKEN", "Field not allowed in a trailer section", actual)
    : undefined
}

const CR = 0x0d
const LF = 0x0a

/** Bytes of a line with a chunk's size and extensions, as many as Node's client allows the extensions. */
const maxChunkLineSize = 16 * 1024

/** Content in chunks, and the trailer section. */
export class ChunkedBody implements BodyDecoder {
  private state: "Size" | "Data" | "DataCR" | "DataLF" | "Trailers" = "Size"
  private remaining = 0
  private trailers: FieldSection | undefined

  next(input: ParseInput): "NeedMore" | Content | End | ParseError {
    for (;;) {
      const step = this.step(input)
      if (step !== undefined) return step
    }
  }

  private step(input: ParseInput): "NeedMore" | Content | End | ParseError | undefined {
    switch (this.state) {
      case "Size":
        return this.readSize(input)
      case "Data":
        return this.readData(input)
      case "DataCR":
        return this.readDataEnd(input, CR)
      case "DataLF":
        return this.readDataEnd(input, LF)
      case "Trailers":
        return this.readTrailers(input)
    }
  }

  private readSize(input: ParseInput): "NeedMore" | ParseError | undefined {
    const line = input.takeLine(chunkLine, maxChunkLineSize, "HPE_CHUNK_EXTENSIONS_OVERFLOW")
    if (line === undefined) return "NeedMore"
    if (typeof line !== "string") return line
    this.remaining = Number.parseInt(line, 16)
    if (!Number.isSafeInteger(this.remaining)) return parseError("HPE_INVALID_CHUNK_SIZE", "Chunk size overflow", line)
    this.state = this.remaining === 0 ? "Trailers" : "Data"
    return undefined
  }

  private readData(input: ParseInput): "NeedMore" | Content {
    if (input.isEmpty) return "NeedMore"
    const bytes = input.take(this.remaining)
    this.remaining -= bytes.length
    if (this.remaining === 0) this.state = "DataCR"
    return { _tag: "Content", bytes }
  }

  /** Compares bytes: this happens for each chunk, and making a string costs more than the comparison. */
  private readDataEnd(input: ParseInput, expected: number): "NeedMore" | ParseError | undefined {
    const byte = input.takeByte()
    if (byte === undefined) return "NeedMore"
    if (byte !== expected) {
      const code = byte === LF ? "HPE_CR_EXPECTED" : "HPE_STRICT"
      return parseError(code, "Expected CRLF after the data of a chunk", String.fromCharCode(byte))
    }
    this.state = expected === CR ? "DataLF" : "Size"
    return undefined
  }

  private readTrailers(input: ParseInput): "NeedMore" | End | ParseError {
    this.trailers ??= new FieldSection(checkTrailer)
    const step = this.trailers.read(input)
    return step === "Done" ? { _tag: "End", trailers: this.trailers.fields } : step
  }
}
