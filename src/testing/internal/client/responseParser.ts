/**
 * Parser of the responses on one connection, in the order of their requests: status line, fields and content
 * (RFC 9112 §4, §6, §7).
 *
 * Independent of the server: it shares no code with `internal/http1`, and matches whole lines against the grammar where
 * the server's parser is a state machine over bytes, so that a bug of the server's parser or writer is not repeated here.
 * It uses no Effect, no socket and no time, and can be suspended at any byte.
 */
import {
  type BodyDecoder,
  ChunkedBody,
  type Content,
  closeDelimitedBody,
  type End,
  emptyBody,
  endWithoutTrailers,
  LengthBody
} from "./bodyDecoders.js"
import { FieldSection, maxSectionSize } from "./fieldSection.js"
import { firstFieldLine, statusLine } from "./grammar.js"
import { maxShown, type ParseError, parseError } from "./parseError.js"
import { ParseInput } from "./parseInput.js"
import {
  type BodyFraming,
  bodyFraming,
  checkHeader,
  persists,
  type RequestContext,
  type ResponseHead
} from "./responseHead.js"

/** `NeedMore`: nothing until more bytes arrive. */
export type ParseStep = "NeedMore" | ResponseHead | Content | End | ParseError

const bodyOf = (framing: Exclude<BodyFraming, "Interim">): BodyDecoder => {
  switch (framing) {
    case "None":
      return emptyBody
    case "Chunked":
      return new ChunkedBody()
    case "UntilClose":
      return closeDelimitedBody
    default:
      return new LengthBody(framing)
  }
}

export class ResponseParser {
  private readonly input = new ParseInput()
  private state: "Idle" | "StatusLine" | "Fields" | "Body" | ParseError = "Idle"
  private request: RequestContext = { method: "GET", upgrade: undefined }
  private status = 0
  private minor = 1
  private section = new FieldSection(checkHeader)
  private body: BodyDecoder = emptyBody
  private keepAlive = true

  /** Expects the response to a request, after that of the one before has ended. */
  begin(request: RequestContext): void {
    this.request = request
    if (this.state === "Idle") this.state = "StatusLine"
  }

  feed(bytes: Buffer): void {
    this.input.feed(bytes)
  }

  /** The next part of the response. After its end, unsolicited bytes are an error. */
  next(): ParseStep {
    for (;;) {
      const step = this.step()
      if (step === undefined) continue
      if (step !== "NeedMore" && step._tag === "ParseError") this.state = step
      return step
    }
  }

  /** The end of the connection: `End` if it ends the content too, else `undefined`. */
  finish(): End | undefined {
    if (this.state !== "Body" || this.body !== closeDelimitedBody) return undefined
    this.state = "Idle"
    return endWithoutTrailers
  }

  private step(): ParseStep | undefined {
    switch (this.state) {
      case "Idle":
        return this.input.isEmpty ? "NeedMore" : this.unsolicited()
      case "StatusLine":
        return this.readStatusLine()
      case "Fields":
        return this.readFields()
      case "Body":
        return this.readBody()
      default:
        return this.state
    }
  }

  private unsolicited(): ParseError {
    const actual = this.input.take(maxShown).toString("latin1")
    return this.keepAlive
      ? parseError("HPE_INVALID_CONSTANT", "Unsolicited data", actual)
      : parseError("HPE_CLOSED_CONNECTION", "Data after a response with Connection: close", actual)
  }

  private readStatusLine(): "NeedMore" | ParseError | undefined {
    const line = this.input.takeLine(statusLine, maxSectionSize, "HPE_HEADER_OVERFLOW")
    if (line === undefined) return "NeedMore"
    if (typeof line !== "string") return line
    this.minor = Number(line[7])
    this.status = Number(line.slice(9, 12))
    this.section = new FieldSection(checkHeader, firstFieldLine, maxSectionSize - line.length)
    this.state = "Fields"
    return undefined
  }

  private readFields(): "NeedMore" | ResponseHead | ParseError | undefined {
    const read = this.section.read(this.input)
    if (read !== "Done") return read
    const { minor, status } = this
    const { fields: headers, setCookies } = this.section
    const head = { status, minor, fields: headers }
    const framing = bodyFraming(head, this.request)
    if (framing === "Interim") {
      this.state = "StatusLine"
      return undefined
    }
    if (typeof framing === "object") return framing
    this.body = bodyOf(framing)
    this.state = "Body"
    this.keepAlive = persists(head, framing)
    return { _tag: "Head", status, headers, setCookies, keepAlive: this.keepAlive }
  }

  private readBody(): "NeedMore" | Content | End | ParseError {
    const step = this.body.next(this.input)
    if (step === "NeedMore") return step
    if (step._tag === "End") this.state = "Idle"
    // Of the statuses without content, only 205 has framing (RFC 9110 §15.3.6).
    if (step._tag === "Content" && this.status === 205) {
      return parseError("HPE_INVALID_CONSTANT", "Content in a 205", step.bytes.toString("latin1", 0, maxShown))
    }
    return step
  }
}
