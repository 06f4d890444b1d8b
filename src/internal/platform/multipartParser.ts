/**
 * Incremental parser of a multipart body (RFC 2046 §5.1).
 *
 * It parses on demand, so that unread content of a part needs no memory. Field lines are Latin-1, one character per byte: the
 * charset of the names is that of the form. Lines end in CRLF; a bare CR or LF is no line end, and invalid in a field line.
 *
 * Why not `multipasta`, which `@effect/platform` uses: it rejects names with control characters, which browsers send, does
 * not expose the bytes of a name, misses a closing `--` that arrives in two pieces, and cannot be paused. Why not
 * `@fastify/busboy`: it silently drops field lines that are malformed or too many.
 */
import { trimEnd } from "./mediaParameters.js"

/** Maximum of bytes of the field lines of one part: that of Node for the header section of a request. */
export const maxFieldLines = 16 * 1024

/** RFC 2046 §5.1.1. */
const maxBoundary = 70

export type FieldLine = readonly [name: string, value: string]

/** `NeedMore` requests input; `End` and `Malformed` are final. */
export type MultipartEvent =
  | "NeedMore"
  | { readonly _tag: "Part"; readonly fields: ReadonlyArray<FieldLine> }
  | { readonly _tag: "Data"; readonly bytes: Buffer }
  | { readonly _tag: "PartEnd" }
  | { readonly _tag: "End" }
  | Malformed

export interface Malformed {
  readonly _tag: "Malformed"
  readonly reason: "Syntax" | "FieldLinesTooLarge"
  readonly message: string
}

const malformed = (message: string, reason: Malformed["reason"] = "Syntax"): Malformed => ({
  _tag: "Malformed",
  reason,
  message
})

/** Minimum capacity, for bytes that arrive one by one. */
const minBuffer = 256

const partEnd: MultipartEvent = { _tag: "PartEnd" }

const end: MultipartEvent = { _tag: "End" }

const CR = 13

const lineEnd = "\r\n"

const emptyLine = Buffer.from("\r\n\r\n")

const fieldLine = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n]*)$/

/** A line that begins with white space continues the one before it: Python's `email` folds long ones (RFC 5322 §2.2.3). */
const unfold = (text: string): string => text.replace(/\r\n(?=[ \t])/g, "")

const parseFieldLines = (text: string): ReadonlyArray<FieldLine> | undefined => {
  const fields: Array<FieldLine> = []
  for (const line of unfold(text).split(lineEnd)) {
    const match = fieldLine.exec(line)
    if (match === null) return undefined
    fields.push([match[1]!.toLowerCase(), trimEnd(match[2]!)])
  }
  return fields
}

/** The rest of a delimiter's line, and the field lines after it. */
const parsePart = (text: string): MultipartEvent => {
  const at = text.indexOf(lineEnd)
  const padding = at < 0 ? text : text.slice(0, at)
  if (trimEnd(padding) !== "") return malformed("a boundary is followed by other text in its line")
  const fields = at < 0 ? [] : parseFieldLines(text.slice(at + lineEnd.length))
  return fields === undefined ? malformed("a field line of a part is malformed") : { _tag: "Part", fields }
}

export const isBoundary = (boundary: string | undefined): boundary is string =>
  boundary !== undefined && boundary !== "" && boundary.length <= maxBoundary

export class MultipartParser {
  private readonly delimiter: Buffer
  // The first delimiter may be at the very start: a line end is prepended, as it precedes every other one.
  private bytes: Buffer = Buffer.from(lineEnd)
  private length = lineEnd.length
  private position = 0
  /** Where the search for the end of the field lines continues, so that what arrives byte by byte is searched once. */
  private searched = 0
  private state: "Preamble" | "AfterDelimiter" | "FieldLines" | "ContentStart" | "Content" | "End" = "Preamble"
  private failure: Malformed | undefined

  constructor(boundary: string) {
    this.delimiter = Buffer.from(`${lineEnd}--${boundary}`, "latin1")
  }

  /** Appends bytes, which must not be changed afterwards, to the unconsumed ones. */
  feed(piece: Uint8Array): void {
    const rest = this.length - this.position
    if (rest === 0) {
      this.bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
      this.length = piece.length
      this.position = 0
      this.searched = 0
      return
    }
    if (this.bytes.length - this.length < piece.length) this.move(rest, piece.length)
    this.bytes.set(piece, this.length)
    this.length += piece.length
  }

  /** Moves the rest to a buffer of twice the capacity: bytes that were emitted stay unchanged. */
  private move(rest: number, more: number): void {
    const moved = Buffer.allocUnsafe(Math.max(rest + more, 2 * rest, minBuffer))
    this.bytes.copy(moved, 0, this.position, this.length)
    this.bytes = moved
    this.searched = Math.max(0, this.searched - this.position)
    this.length = rest
    this.position = 0
  }

  next(): MultipartEvent {
    if (this.failure !== undefined) return this.failure
    const event = this.read()
    if (event !== "NeedMore" && event._tag === "Malformed") this.failure = event
    return event
  }

  /** Handles the end of the input: `Malformed` unless the form is complete. */
  end(): Malformed | undefined {
    if (this.state === "End") return undefined
    const isFound = this.state !== "Preamble"
    return (this.failure ??= malformed(
      isFound ? "the form ends before its closing boundary" : "the boundary does not occur"
    ))
  }

  private read(): MultipartEvent {
    switch (this.state) {
      case "Preamble":
        return this.readPreamble()
      case "AfterDelimiter":
        return this.readAfterDelimiter()
      case "FieldLines":
        return this.readFieldLines()
      case "ContentStart":
        return this.readContentStart()
      case "Content":
        return this.readContent()
      case "End":
        return end
    }
  }

  private get available(): Buffer {
    return this.bytes.subarray(this.position, this.length)
  }

  private consume(length: number): void {
    this.position += length
  }

  private consumeDelimiter(): void {
    this.consume(this.delimiter.length)
    this.state = "AfterDelimiter"
  }

  private readPreamble(): MultipartEvent {
    const { available } = this
    const found = available.indexOf(this.delimiter)
    this.consume(found < 0 ? available.length - this.delimiterBegunIn(available) : found)
    if (found < 0) return "NeedMore"
    this.consumeDelimiter()
    return this.readAfterDelimiter()
  }

  /** The closing delimiter has two more dashes. What follows it, the epilogue, is not read. */
  private readAfterDelimiter(): MultipartEvent {
    if (this.length - this.position < 2) return "NeedMore"
    const isClosing = this.bytes.toString("latin1", this.position, this.position + 2) === "--"
    this.state = isClosing ? "End" : "FieldLines"
    this.searched = this.position
    return this.read()
  }

  private readFieldLines(): MultipartEvent {
    // Without fields, the line end of the delimiter is the first of the two.
    const found = this.bytes.subarray(0, this.length).indexOf(emptyLine, this.searched)
    const end = found < 0 ? this.length : found
    if (end - this.position > maxFieldLines) {
      return malformed(`a part has more than ${maxFieldLines} bytes of field lines`, "FieldLinesTooLarge")
    }
    if (found < 0) {
      this.searched = Math.max(this.position, this.length - emptyLine.length + 1)
      return "NeedMore"
    }
    const part = parsePart(this.bytes.toString("latin1", this.position, found))
    // The second line end is kept: it begins the delimiter if a part has no content (RFC 2046 §5.1.1).
    this.position = found + lineEnd.length
    this.state = "ContentStart"
    return part
  }

  private readContentStart(): MultipartEvent {
    const begun = this.available.subarray(0, this.delimiter.length)
    if (begun.equals(this.delimiter)) {
      this.consumeDelimiter()
      return partEnd
    }
    if (begun.equals(this.delimiter.subarray(0, begun.length))) return "NeedMore"
    this.consume(lineEnd.length)
    this.state = "Content"
    return this.readContent()
  }

  private readContent(): MultipartEvent {
    const { available } = this
    const found = available.indexOf(this.delimiter)
    if (found === 0) {
      this.consumeDelimiter()
      return partEnd
    }
    const bytes = available.subarray(0, found < 0 ? available.length - this.delimiterBegunIn(available) : found)
    this.consume(bytes.length)
    return bytes.length === 0 ? "NeedMore" : { _tag: "Data", bytes }
  }

  /** The number of trailing bytes that may begin a delimiter, whose only CR is its first byte. */
  private delimiterBegunIn(bytes: Buffer): number {
    const tail = bytes.subarray(Math.max(0, bytes.length - this.delimiter.length + 1))
    const start = tail.lastIndexOf(CR)
    const begun = start < 0 ? tail.subarray(tail.length) : tail.subarray(start)
    return begun.equals(this.delimiter.subarray(0, begun.length)) ? begun.length : 0
  }
}
