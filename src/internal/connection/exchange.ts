/**
 * One request and its one answer: what `Response` asks for, done on the connection's line.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ValueError } from "../../Errors.js"
import * as HttpHeaders from "../../HttpHeaders.js"
import type { RequestHead } from "../../RequestParser.js"
import type { Responded } from "../../Response.js"
import type { BodyFraming, InvalidResponse, WrittenHead } from "../../ResponseWriter.js"
import { fromRequest, rawFieldsOf, toRawFields } from "../fields/headers.js"
import { costs } from "../host/eventLoopBudget.js"
import { isUint8Array } from "../host/realm.js"
import type { Exchange, ResponseBodyWriter, Upgraded } from "../message/exchange.js"
import { responded } from "../message/responded.js"
import { recordMetrics } from "../metrics.js"
import type { ConnectionBase } from "./connectionBase.js"
import { shutdownTimeoutOf } from "./lingeringClose.js"
import { RequestBody } from "./requestBody.js"
import { type HandoverOwner, UpgradedConnection } from "./upgradedConnection.js"

const noFields: ReadonlyArray<string> = []

const fieldsOf = (headers: HttpHeaders.Input | undefined): ReadonlyArray<string> =>
  headers === undefined ? noFields : toRawFields(headers)

/** What is neither text nor bytes, which types forbid, is the handler's defect, found before anything is written. */
const byteLength = (content: string | Uint8Array): number => {
  if (typeof content === "string") return Buffer.byteLength(content)
  if (isUint8Array(content)) return content.byteLength
  throw new TypeError("the content of an answer is a string or a Uint8Array")
}

const valueErrorOf = (invalid: InvalidResponse): ValueError => new ValueError(invalid)

/**
 * What an interim answer or a tunnel's head says of the connection would be untrue (RFC 9112 §9.6), and no protocol can
 * be changed to behind it (RFC 9110 §7.8).
 */
const forbiddenConnectionField = (headers: HttpHeaders.Input | undefined): ValueError | undefined => {
  if (headers === undefined) return undefined
  const given = HttpHeaders.make(headers)
  const forbidden = ["Connection", "Upgrade"].find((name) => HttpHeaders.has(given, name))
  return forbidden === undefined ? undefined : new ValueError({ reason: "HeaderForbidden", actual: forbidden })
}

/** What an open answer needs of its exchange. */
interface StartedResponse {
  readonly status: number
  readonly framing: BodyFraming
  readonly start: () => ValueError | undefined
  readonly onEnd: (evidence: Responded) => void
}

/** An answer in pieces: its head leaves when it is started, with its first piece at the latest. */
class ResponseBodyWriterImpl implements ResponseBodyWriter {
  private sent = 0
  private isStarted = false
  private isEnded = false

  constructor(
    private readonly line: ConnectionBase,
    private readonly response: StartedResponse
  ) {}

  private get framing(): BodyFraming {
    return this.response.framing
  }

  sendHead(): ValueError | undefined {
    if (this.isStarted) return undefined
    const refusal = this.response.start()
    this.isStarted = refusal === undefined
    return refusal
  }

  get acceptsContent(): boolean {
    return this.framing._tag !== "None"
  }

  write(content: string | Uint8Array): ValueError | undefined {
    if (this.isEnded) return new ValueError({ reason: "AlreadyResponded", actual: "a write behind the end" })
    const {
      framing,
      line: { writeBuffer, writer }
    } = this
    const length = byteLength(content)
    // An empty piece too: a stream may give them without end.
    this.line.spend(costs.piece + costs.bytes(length))
    const refusal = this.sendHead()
    if (refusal !== undefined || length === 0 || framing._tag === "None") return refusal
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
    if (this.isEnded) return new ValueError({ reason: "AlreadyResponded", actual: "a second end" })
    const {
      framing,
      line: { writeBuffer, writer }
    } = this
    if (framing._tag === "Length" && this.sent < framing.length) {
      return new ValueError({ reason: "ContentTooShort", actual: `${this.sent} of ${framing.length} bytes` })
    }
    const refusal = this.sendHead()
    if (refusal !== undefined) return refusal
    if (framing._tag === "Chunked") {
      const last = writer.lastChunk(fieldsOf(trailers))
      if (typeof last !== "string") return valueErrorOf(last)
      writeBuffer.pushText(last)
    }
    this.isEnded = true
    const evidence = responded(this.response.status, this.sent)
    this.response.onEnd(evidence)
    return evidence
  }
}

export class ExchangeImpl implements Exchange, HandoverOwner {
  /** How far the answer is. Only "NotStarted" can still become an error's answer. */
  state: "NotStarted" | "Streaming" | "Complete" = "NotStarted"
  /** Whether the connection goes on behind this answer, as its head has told the client. */
  keepAlive = true
  /** Whether the answer is `101`, and HTTP is over. */
  isUpgraded = false
  /** Whether the end of the connection is what ends the content. */
  isCloseDelimited = false
  isClientGone = false
  /** This side has ended the connection that it was handed: that it closes then is no surprise. */
  isEndExpected = false
  private isOver = false
  private responded: Responded | undefined
  private requestBody: RequestBody | undefined
  /** Whether the whole body had been read when the request was over. */
  private isRead = false

  constructor(
    private readonly line: ConnectionBase,
    private readonly head: RequestHead
  ) {}

  /** Made when somebody asks for it; few requests have one. */
  private get body(): RequestBody {
    if (this.requestBody === undefined) {
      this.requestBody = new RequestBody(this.line, this.head)
      if (this.isOver) this.requestBody.close()
    }
    return this.requestBody
  }

  /**
   * The handler is done: whoever kept the request gets nothing more from the connection, and writes nothing to it. Says
   * whether somebody may be waiting for the body.
   */
  close(): boolean {
    this.isOver = true
    this.state = "Complete"
    const { requestBody: madeBody } = this
    if (madeBody === undefined) return false
    this.isRead = madeBody.isDone
    madeBody.close()
    // Whatever holds on to the request does not hold on to its bytes.
    this.requestBody = undefined
    return true
  }

  private get hasBody(): boolean {
    return this.head.framing._tag !== "None"
  }

  /**
   * Whether the client has promised to send nothing behind this request: by `close` in HTTP/1.1 (RFC 9112 §9.6). HTTP/1.0
   * promises nothing, and old clients send an empty line behind a body; and a tunnel is no request.
   */
  get clientSentClose(): boolean {
    return !this.head.keepAlive && this.head.version.minor > 0 && !this.isUpgraded
  }

  /** Whether bytes of this request are still to come before the next one. */
  get hasUnreadBody(): boolean {
    return this.hasBody && !(this.requestBody?.isDone ?? this.isRead)
  }

  /** Whether the answer was given to its end. */
  get isComplete(): boolean {
    return this.responded !== undefined
  }

  /** Whether this is the evidence that this very request was answered. */
  isEvidence(value: Responded | ValueError): boolean {
    return this.responded !== undefined && value === this.responded
  }

  get awaitShutdown(): Effect.Effect<void> {
    return this.line.awaitShutdown
  }

  readBody(most: number): Effect.Effect<Buffer, ValueError> {
    return Effect.suspend(() => this.body.readWhole(most))
  }

  get bodyStream(): Stream.Stream<Uint8Array, ValueError> {
    return Stream.unwrap(Effect.suspend(() => this.body.readPieces()))
  }

  keep(bytes: number): void {
    this.body.keep(bytes)
  }

  get trailers(): Effect.Effect<HttpHeaders.HttpHeaders, ValueError> {
    return Effect.suspend(() => this.body.readTrailers())
  }

  respond(code: number, content: string | Uint8Array, headers: HttpHeaders.Input | undefined): Responded | ValueError {
    const length = byteLength(content)
    const written = this.compose(code, headers, length)
    if (written._tag === "ValueError") return written
    this.send(written)
    const isSent = written.framing._tag === "Length"
    if (isSent && length > 0) {
      this.line.spend(costs.bytes(length))
      this.line.writeBuffer.pushContent(content, length)
    }
    const evidence = responded(code, isSent ? length : 0)
    this.complete(evidence)
    return evidence
  }

  startResponse(code: number, headers: HttpHeaders.Input | undefined): ResponseBodyWriter | ValueError {
    const written = this.compose(code, headers, undefined)
    if (written._tag === "ValueError") return written
    return new ResponseBodyWriterImpl(this.line, {
      status: code,
      framing: written.framing,
      start: () => this.start(code, headers),
      onEnd: (evidence) => this.complete(evidence)
    })
  }

  private start(code: number, headers: HttpHeaders.Input | undefined): ValueError | undefined {
    // An answer in pieces may be made from the body, which cannot be asked for behind its head: it is asked for now.
    if (this.state === "NotStarted" && this.head.expectsContinue) this.body.sendContinue()
    const written = this.compose(code, headers, undefined)
    if (written._tag === "ValueError") return written
    this.send(written)
    this.state = "Streaming"
    return undefined
  }

  sendInformational(code: number, headers: HttpHeaders.Input | undefined): ValueError | undefined {
    if (this.state !== "NotStarted") return new ValueError({ reason: "AlreadyResponded", actual: String(code) })
    if (code !== 102 && code !== 103) return new ValueError({ reason: "StatusCode", actual: String(code) })
    const refusal = forbiddenConnectionField(headers)
    if (refusal !== undefined) return refusal
    const interim = this.line.writer.interim(code, fieldsOf(headers))
    if (typeof interim !== "string") return valueErrorOf(interim)
    if (this.head.version.minor > 0) this.line.writeBuffer.pushText(interim)
    return undefined
  }

  upgrade(headers: HttpHeaders.Input | undefined): Upgraded | ValueError {
    const given = HttpHeaders.make(headers ?? {})
    // A 101 names the protocol, and lists no other option of the connection (RFC 9110 §7.8).
    const chosen = HttpHeaders.values(given, "Upgrade")
    if (chosen.length === 0) return new ValueError({ reason: "HeaderValue", actual: "Upgrade: missing" })
    const fields = rawFieldsOf(HttpHeaders.remove(given, "Connection"))
    return this.switchProtocol(101, this.isOffered(chosen), ["Connection", "Upgrade", ...fields])
  }

  /** Nobody is switched to a protocol that was not offered (RFC 9110 §7.8). */
  private isOffered(protocols: ReadonlyArray<string>): boolean {
    const offer = fromRequest(this.head.fields)
    return this.head.offersUpgrade && protocols.every((protocol) => HttpHeaders.contains(offer, "Upgrade", protocol))
  }

  tunnel(headers: HttpHeaders.Input | undefined): Upgraded | ValueError {
    const refusal = forbiddenConnectionField(headers)
    if (refusal !== undefined) return refusal
    const given = HttpHeaders.make(headers ?? {})
    const date = HttpHeaders.has(given, "Date") ? noFields : ["Date", this.line.date()]
    return this.switchProtocol(200, this.head.method === "CONNECT", [...date, ...rawFieldsOf(given)])
  }

  /** Neither head has a framing: what follows it is not HTTP (RFC 9110 §7.8, §9.3.6). */
  private switchProtocol(status: 101 | 200, isAskedFor: boolean, fields: ReadonlyArray<string>): Upgraded | ValueError {
    if (this.state !== "NotStarted") return new ValueError({ reason: "AlreadyResponded", actual: String(status) })
    const { line } = this
    const head = line.writer.interim(status, fields)
    if (typeof head !== "string") return valueErrorOf(head)
    if (!isAskedFor)
      return new ValueError({
        reason: "NotOffered",
        actual: HttpHeaders.getAll(fromRequest(this.head.fields), "Upgrade").join(", ")
      })
    if (this.hasUnreadBody) return new ValueError({ reason: "NotUpgradable" })
    this.state = "Streaming"
    this.isUpgraded = true
    line.writeBuffer.pushText(head)
    const finish = (): Responded => {
      const evidence = responded(status, 0)
      this.complete(evidence)
      return evidence
    }
    const upgrade = new UpgradedConnection(line, this)
    const closeTimeout = shutdownTimeoutOf(Duration.toMillis(line.limits.lingerTimeout))
    return { duplex: upgrade.duplex, raw: upgrade, finish, closeTimeout }
  }

  expectEnd(): void {
    this.isEndExpected = true
  }

  isBackpressured(): boolean {
    return this.line.writeBuffer.isFull() || this.line.hasUsedShare
  }

  get awaitWritable(): Effect.Effect<void> {
    return Effect.suspend(() => (this.line.writeBuffer.isFull() ? this.line.awaitWritable : this.line.nextShare))
  }

  /** Whether the body will not stand between this answer and the next request. */
  private canReuseAfter(isStreamed: boolean): boolean {
    return !this.hasBody || (isStreamed ? this.body.canBeRead : this.body.canBeDiscarded)
  }

  /** The head of an answer, or why there cannot be one like this; nothing is written yet. */
  private compose(
    code: number,
    headers: HttpHeaders.Input | undefined,
    length: number | undefined
  ): WrittenHead | ValueError {
    if (this.state !== "NotStarted") return new ValueError({ reason: "AlreadyResponded", actual: String(code) })
    if (!(code >= 200 && code <= 599) || !Number.isInteger(code))
      return new ValueError({ reason: "StatusCode", actual: String(code) })
    const { head, line } = this
    const isConnect = head.method === "CONNECT"
    // A successful answer to CONNECT is a tunnel, without content and without framing (RFC 9110 §9.3.6).
    if (isConnect && code < 300) return new ValueError({ reason: "StatusCode", actual: `${code} to CONNECT` })
    const written = line.writer.head({
      status: code,
      fields: fieldsOf(headers),
      contentLength: length,
      method: head.method,
      minor: head.version.minor,
      keepAlive: head.keepAlive && !isConnect && line.mayKeepAlive() && this.canReuseAfter(length === undefined),
      keepAliveHint: line.context.keepAliveHint,
      date: line.date()
    })
    return written._tag === "Refused" ? valueErrorOf(written) : written
  }

  private send(written: WrittenHead): void {
    this.keepAlive = written.keepAlive
    this.isCloseDelimited = written.framing._tag === "UntilClose"
    if (this.head.expectsContinue) this.body.skipContinue()
    this.line.writeBuffer.pushText(written.text)
  }

  private complete(evidence: Responded): void {
    recordMetrics.responseCompleted(evidence.status)
    this.state = "Complete"
    this.responded = evidence
  }
}
