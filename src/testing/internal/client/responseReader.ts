/**
 * Responses out of the bytes of one connection: status line, fields and body, by the machines that requests are read by.
 *
 * Its reader is in the middle of one response at a time, and is as new behind each. It knows no Effect, no socket and no
 * time; what it refuses is named as Node's own parser names it, since tests look at that.
 *
 * @internal
 */
import { type BodyDecoder, ChunkedDecoder, LengthDecoder } from "../../../internal/http1/bodyDecoder.js"
import { textOf } from "../../../internal/http1/chars.js"
import { FieldLines } from "../../../internal/http1/fieldLines.js"
import { Input } from "../../../internal/http1/input.js"
import type { Malformed } from "../../../internal/http1/verdict.js"
import { partsOf } from "../../../internal/lists.js"
import * as Limits from "../../../Limits.js"

/** What came before a body, but for what only interim responses say. */
export interface Head {
  readonly _tag: "Head"
  readonly status: number
  /** Names in lower case, the values of a repeated one joined. */
  readonly headers: Record<string, string>
  readonly setCookies: ReadonlyArray<string>
  /** Whether another request may follow on the connection. */
  readonly isKept: boolean
}

/** A piece of a body. */
export interface Piece {
  readonly _tag: "Body"
  readonly bytes: Buffer
}

export interface End {
  readonly _tag: "End"
}

/** No response begins like that, or goes on like that. */
export interface Broken {
  readonly _tag: "Broken"
  readonly code: string
  readonly saw: string
}

export type Step = "NeedMore" | Head | Piece | End | Broken

const end: End = { _tag: "End" }

const broken = (code: string, saw: string): Broken => ({ _tag: "Broken", code, saw })

/** Far beyond what a test means to send: only what never ends is to be stopped. */
const maxLine = 64 * 1024

const bounds = {
  maxLine,
  maxSection: 1024 * 1024,
  maxFields: 10_000,
  malformed: "HeaderField",
  tooLarge: "HeadersTooLarge"
} as const

const bodyLimits: Limits.Limits = {
  ...Limits.defaults,
  maxBody: Number.POSITIVE_INFINITY,
  maxChunkExtensions: Number.POSITIVE_INFINITY
}

/** Node's names for what its parser refuses. */
const codes: Partial<Record<Malformed["reason"], string>> = {
  HeaderField: "HPE_INVALID_HEADER_TOKEN",
  HeadersTooLarge: "HPE_HEADER_OVERFLOW",
  TrailersTooLarge: "HPE_HEADER_OVERFLOW",
  Trailer: "HPE_INVALID_HEADER_TOKEN",
  Chunk: "HPE_INVALID_CHUNK_SIZE"
}

const refused = ({ reason, saw }: Malformed): Broken => broken(codes[reason] ?? "HPE_INTERNAL", saw)

/** Until the connection ends, which is for its owner to see. */
const untilClose: BodyDecoder = {
  next: (input) => {
    if (input.at === input.end) return "NeedMore"
    return { _tag: "Body", bytes: input.takeRest() }
  }
}

const protocol = "HTTP/1."
const statusLine = /^HTTP\/1\.([0-9]) ([1-9][0-9]{2})(?: [^\0\r\n]*)?$/

export class ResponseReader {
  private readonly input = new Input()
  private state: "Line" | "Fields" | "Body" = "Line"
  private status = 0
  private minor = 1
  private headers: Record<string, string> = {}
  private setCookies: Array<string> = []
  private lengths: Array<string> = []
  private decoder: BodyDecoder = untilClose

  private readonly lines = new FieldLines(bounds, (buf, nameFrom, nameTo, from, to) => {
    this.field(textOf(buf, nameFrom, nameTo).toLowerCase(), textOf(buf, from, to))
  })

  feed(bytes: Buffer): void {
    this.input.feed(bytes)
  }

  /** Whether bytes have come that no response has. */
  get hasRest(): boolean {
    return this.input.base < this.input.end
  }

  /** Whether the end of the connection is the body's. */
  get isUntilClose(): boolean {
    return this.state === "Body" && this.decoder === untilClose
  }

  /** Reads on in the response to a request of that method. */
  next(method: string): Step {
    for (;;) {
      if (this.state === "Body") return this.body()
      const refusal = this.state === "Line" ? this.line() : undefined
      if (refusal !== undefined) return refusal
      const verdict = this.lines.scan(this.input)
      if (verdict === "NeedMore") return verdict
      if (verdict !== "Done") return refused(verdict)
      this.input.base = this.input.at
      const head = this.head(method)
      if (head !== undefined) return head
    }
  }

  private body(): Step {
    const step = this.decoder.next(this.input)
    if (step === "NeedMore" || step._tag === "Body") return step
    if (step._tag === "Malformed") return refused(step)
    this.state = "Line"
    return end
  }

  private line(): "NeedMore" | Broken | undefined {
    const { input } = this
    const { base, buf } = input
    const lf = buf.subarray(0, input.end).indexOf(0x0a, input.at)
    if (lf < 0) {
      const begun = textOf(buf, base, Math.min(input.end, base + protocol.length))
      if (!protocol.startsWith(begun)) return broken("HPE_INVALID_CONSTANT", begun)
      input.at = input.end
      return input.end - base > maxLine ? broken("HPE_HEADER_OVERFLOW", `${input.end - base} bytes`) : "NeedMore"
    }
    const text = textOf(buf, base, lf)
    const [, minor, status] = (text.endsWith("\r") && statusLine.exec(text.slice(0, -1))) || []
    if (minor === undefined || status === undefined) return broken("HPE_INVALID_CONSTANT", text)
    this.minor = Number(minor)
    this.status = Number(status)
    this.headers = {}
    this.setCookies = []
    this.lengths = []
    this.lines.reset()
    this.state = "Fields"
    input.base = input.at = lf + 1
    return undefined
  }

  private field(name: string, value: string): void {
    if (name === "set-cookie") this.setCookies.push(value)
    else if (name === "content-length") this.lengths.push(value)
    const before = Object.hasOwn(this.headers, name) ? this.headers[name] : undefined
    this.headers[name] = before === undefined ? value : `${before}, ${value}`
  }

  /** What the head says of what follows it (RFC 9112 §6.3); nothing, when it is an interim one. */
  private head(method: string): Head | Broken | undefined {
    const { headers, status } = this
    if (status < 200 && status !== 101) {
      this.state = "Line"
      return undefined
    }
    const framing = this.framing(method)
    if ("_tag" in framing) return framing
    this.decoder = framing
    this.state = "Body"
    const { connection = "" } = headers
    const said = partsOf(connection.toLowerCase())
    const isKept = framing !== untilClose && (this.minor > 0 ? !said.includes("close") : said.includes("keep-alive"))
    return { _tag: "Head", status, headers, setCookies: this.setCookies, isKept }
  }

  private framing(method: string): BodyDecoder | Broken {
    const { lengths, status } = this
    const codings = this.headers["transfer-encoding"]
    if (status === 101) return untilClose
    if (codings !== undefined && lengths.length > 0) {
      return broken("HPE_INVALID_CONTENT_LENGTH", "Content-Length beside Transfer-Encoding")
    }
    const [length = "0", another] = lengths
    if (another !== undefined || !/^[0-9]+$/.test(length) || !Number.isSafeInteger(Number(length))) {
      return broken("HPE_INVALID_CONTENT_LENGTH", lengths.join(", "))
    }
    if (method === "HEAD" || status === 204 || status === 304) return new LengthDecoder(0)
    if (codings !== undefined) {
      return partsOf(codings.toLowerCase()).at(-1) === "chunked" ? new ChunkedDecoder(bodyLimits) : untilClose
    }
    return lengths.length === 0 ? untilClose : new LengthDecoder(Number(length))
  }
}
