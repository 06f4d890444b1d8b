/** The writer of a streamed response. The head is sent by `sendHead`, with the first piece at the latest. */
import { ValueError } from "../../Errors.js"
import type * as HttpHeaders from "../../HttpHeaders.js"
import type { Responded } from "../../Response.js"
import type { BodyFraming } from "../../ResponseWriter.js"
import { toRawFields } from "../fields/headers.js"
import { costs } from "../host/eventLoopBudget.js"
import { isUint8Array } from "../host/realm.js"
import type { ResponseBodyWriter } from "../message/exchange.js"
import { responded } from "../message/responded.js"
import type { ConnectionBase } from "./connectionBase.js"

const noFields: ReadonlyArray<string> = []

export const fieldsOf = (headers: HttpHeaders.Input | undefined): ReadonlyArray<string> =>
  headers === undefined ? noFields : toRawFields(headers)

/** Throws for content of any other type, which types forbid: a defect of the handler, found before anything is written. */
export const byteLength = (content: string | Uint8Array): number => {
  if (typeof content === "string") return Buffer.byteLength(content)
  if (isUint8Array(content)) return content.byteLength
  throw new TypeError("the content of a response must be a string or a Uint8Array")
}

/** What the writer of a streamed response requires of its exchange. */
interface StreamedResponse {
  readonly status: number
  readonly framing: BodyFraming
  /** Sends the head. */
  readonly start: () => ValueError | undefined
  readonly onEnd: (result: Responded) => void
}

export class ResponseBodyWriterImpl implements ResponseBodyWriter {
  private sent = 0
  private isStarted = false
  private isEnded = false

  constructor(
    private readonly connection: ConnectionBase,
    private readonly response: StreamedResponse
  ) {}

  private get framing(): BodyFraming {
    return this.response.framing
  }

  sendHead(): ValueError | undefined {
    if (this.isStarted) return undefined
    const error = this.response.start()
    this.isStarted = error === undefined
    return error
  }

  get acceptsContent(): boolean {
    return this.framing._tag !== "None"
  }

  write(content: string | Uint8Array): ValueError | undefined {
    if (this.isEnded) return new ValueError({ reason: "AlreadyResponded", actual: "write after end" })
    const {
      framing,
      connection: { writeBuffer, writer }
    } = this
    const length = byteLength(content)
    // An empty piece has a cost too: a stream may emit them endlessly.
    this.connection.spend(costs.piece + costs.bytes(length))
    const error = this.sendHead()
    if (error !== undefined || length === 0 || framing._tag === "None") return error
    if (framing._tag === "Length" && this.sent + length > framing.length) {
      return new ValueError({ reason: "ContentTooLong", actual: `${this.sent + length} of ${framing.length} bytes` })
    }
    this.sent += length
    if (framing._tag === "Chunked") writeBuffer.pushText(writer.chunkHead(length))
    writeBuffer.pushContent(content, length)
    if (framing._tag === "Chunked") writeBuffer.pushText("\r\n")
    return undefined
  }

  end(trailers: HttpHeaders.Input | undefined): Responded | ValueError {
    if (this.isEnded) return new ValueError({ reason: "AlreadyResponded", actual: "end called twice" })
    const {
      framing,
      connection: { writeBuffer, writer }
    } = this
    if (framing._tag === "Length" && this.sent < framing.length) {
      return new ValueError({ reason: "ContentTooShort", actual: `${this.sent} of ${framing.length} bytes` })
    }
    const error = this.sendHead()
    if (error !== undefined) return error
    if (framing._tag === "Chunked") {
      const lastChunk = writer.lastChunk(fieldsOf(trailers))
      if (typeof lastChunk !== "string") return new ValueError(lastChunk)
      writeBuffer.pushText(lastChunk)
    }
    this.isEnded = true
    const result = responded(this.response.status, this.sent)
    this.response.onEnd(result)
    return result
  }
}
