/** The exchange of one request and its response on a connection: the operations that `Response` is built on. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ValueError } from "../../Errors.js"
import * as HttpHeaders from "../../HttpHeaders.js"
import type { RequestHead } from "../../RequestParser.js"
import type { Responded } from "../../Response.js"
import type { BodyFraming, WrittenHead } from "../../ResponseWriter.js"
import { fromRequest, rawFieldsOf, toRawFields } from "../fields/headers.js"
import { costs } from "../host/eventLoopBudget.js"
import { isUint8Array } from "../host/realm.js"
import type { Exchange, ResponseBodyWriter, Upgraded } from "../message/exchange.js"
import { responded } from "../message/responded.js"
import type { ConnectionBase } from "./connectionBase.js"
import { shutdownTimeoutOf } from "./lingeringClose.js"
import { RequestBody } from "./requestBody.js"
import { type HandoverOwner, UpgradedConnection } from "./upgradedConnection.js"

const noFields: ReadonlyArray<string> = []

const fieldsOf = (headers: HttpHeaders.Input | undefined): ReadonlyArray<string> =>
  headers === undefined ? noFields : toRawFields(headers)

/** Throws for content of any other type, which types forbid: a defect of the handler, found before anything is written. */
const byteLength = (content: string | Uint8Array): number => {
  if (typeof content === "string") return Buffer.byteLength(content)
  if (isUint8Array(content)) return content.byteLength
  throw new TypeError("the content of a response must be a string or a Uint8Array")
}

/**
 * The error for a field that an interim response or the head of a tunnel must not have: its `Connection` would be untrue
 * (RFC 9112 §9.6), and no protocol can be switched to after it (RFC 9110 §7.8).
 */
const forbiddenConnectionField = (headers: HttpHeaders.Input | undefined): ValueError | undefined => {
  if (headers === undefined) return undefined
  const given = HttpHeaders.make(headers)
  const forbidden = ["Connection", "Upgrade"].find((name) => HttpHeaders.has(given, name))
  return forbidden === undefined ? undefined : new ValueError({ reason: "HeaderForbidden", actual: forbidden })
}

/** What the writer of a streamed response requires of its exchange. */
interface StartedResponse {
  readonly status: number
  readonly framing: BodyFraming
  readonly start: () => ValueError | undefined
  readonly onEnd: (result: Responded) => void
}

/** Writer of a streamed response. The head is sent by `sendHead`, with the first piece at the latest. */
class ResponseBodyWriterImpl implements ResponseBodyWriter {
  private sent = 0
  private isStarted = false
  private isEnded = false

  constructor(
    private readonly connection: ConnectionBase,
    private readonly response: StartedResponse
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

export class ExchangeImpl implements Exchange, HandoverOwner {
  /** State of the response. An error response can be sent only while it is "NotStarted". */
  state: "NotStarted" | "Streaming" | "Complete" = "NotStarted"
  /** True if the connection persists after this response, as its head states. */
  keepAlive = true
  /** True after `101`, or `200` to CONNECT: what follows is not HTTP. */
  isUpgraded = false
  /** True if the content is delimited by the close of the connection. */
  isCloseDelimited = false
  isClientGone = false
  /** True if the handler has ended the upgraded connection: its close then interrupts nothing. */
  isEndExpected = false
  private isClosed = false
  private responded: Responded | undefined
  private requestBody: RequestBody | undefined
  /** True if the whole body had been read when the request ended. */
  private isRead = false

  constructor(
    private readonly connection: ConnectionBase,
    private readonly head: RequestHead
  ) {}

  /** Made on first use; few requests have a body. */
  private get body(): RequestBody {
    if (this.requestBody === undefined) {
      this.requestBody = new RequestBody(this.connection, this.head)
      if (this.isClosed) this.requestBody.close()
    }
    return this.requestBody
  }

  /**
   * Ends the exchange when the handler has ended: later reads and writes of the request fail. True if a fiber may be
   * suspended on the body.
   */
  close(): boolean {
    this.isClosed = true
    this.state = "Complete"
    const { requestBody: body } = this
    if (body === undefined) return false
    this.isRead = body.isDone
    body.close()
    // A reference to the request does not retain its bytes.
    this.requestBody = undefined
    return true
  }

  private get hasBody(): boolean {
    return this.head.framing._tag !== "None"
  }

  /**
   * True if the client sends nothing after this request, as `close` in HTTP/1.1 states (RFC 9112 §9.6). HTTP/1.0 has no
   * such guarantee, and old clients send an empty line after a body; the bytes of a tunnel are no request.
   */
  get clientSentClose(): boolean {
    return !this.head.keepAlive && this.head.version.minor > 0 && !this.isUpgraded
  }

  /** True if bytes of this body are still to be read before the next request. */
  get hasUnreadBody(): boolean {
    return this.hasBody && !(this.requestBody?.isDone ?? this.isRead)
  }

  /** True if the response was completed. */
  get isComplete(): boolean {
    return this.responded !== undefined
  }

  /** True if this is the `Responded` of this very request. */
  isOwnResult(value: Responded | ValueError): boolean {
    return this.responded !== undefined && value === this.responded
  }

  get awaitShutdown(): Effect.Effect<void> {
    return this.connection.awaitShutdown
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
      this.connection.spend(costs.bytes(length))
      this.connection.writeBuffer.pushContent(content, length)
    }
    const result = responded(code, isSent ? length : 0)
    this.complete(result)
    return result
  }

  startResponse(code: number, headers: HttpHeaders.Input | undefined): ResponseBodyWriter | ValueError {
    const written = this.compose(code, headers, undefined)
    if (written._tag === "ValueError") return written
    return new ResponseBodyWriterImpl(this.connection, {
      status: code,
      framing: written.framing,
      start: () => this.start(code, headers),
      onEnd: (result) => this.complete(result)
    })
  }

  private start(code: number, headers: HttpHeaders.Input | undefined): ValueError | undefined {
    // A streamed response may be made from the body, and `100 Continue` cannot follow its head: it is sent now.
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
    const error = forbiddenConnectionField(headers)
    if (error !== undefined) return error
    const text = this.connection.writer.interim(code, fieldsOf(headers))
    if (typeof text !== "string") return new ValueError(text)
    if (this.head.version.minor > 0) this.connection.writeBuffer.pushText(text)
    return undefined
  }

  upgrade(headers: HttpHeaders.Input | undefined): Upgraded | ValueError {
    const given = HttpHeaders.make(headers ?? {})
    // A 101 names the protocol, and no other connection option (RFC 9110 §7.8).
    const chosen = HttpHeaders.values(given, "Upgrade")
    if (chosen.length === 0) return new ValueError({ reason: "HeaderValue", actual: "Upgrade: missing" })
    const fields = rawFieldsOf(HttpHeaders.remove(given, "Connection"))
    return this.switchProtocol(101, this.isOffered(chosen), ["Connection", "Upgrade", ...fields])
  }

  /** A server must not switch to a protocol the client did not offer (RFC 9110 §7.8). */
  private isOffered(protocols: ReadonlyArray<string>): boolean {
    const offer = fromRequest(this.head.fields)
    return this.head.offersUpgrade && protocols.every((protocol) => HttpHeaders.contains(offer, "Upgrade", protocol))
  }

  tunnel(headers: HttpHeaders.Input | undefined): Upgraded | ValueError {
    const error = forbiddenConnectionField(headers)
    if (error !== undefined) return error
    const given = HttpHeaders.make(headers ?? {})
    const date = HttpHeaders.has(given, "Date") ? noFields : ["Date", this.connection.date()]
    return this.switchProtocol(200, this.head.method === "CONNECT", [...date, ...rawFieldsOf(given)])
  }

  /** Sends a head without framing fields: what follows it is not HTTP (RFC 9110 §7.8, §9.3.6). */
  private switchProtocol(status: 101 | 200, isAskedFor: boolean, fields: ReadonlyArray<string>): Upgraded | ValueError {
    if (this.state !== "NotStarted") return new ValueError({ reason: "AlreadyResponded", actual: String(status) })
    const { connection } = this
    const head = connection.writer.interim(status, fields)
    if (typeof head !== "string") return new ValueError(head)
    if (!isAskedFor)
      return new ValueError({
        reason: "NotOffered",
        actual: HttpHeaders.getAll(fromRequest(this.head.fields), "Upgrade").join(", ")
      })
    if (this.hasUnreadBody) return new ValueError({ reason: "NotUpgradable" })
    this.state = "Streaming"
    this.isUpgraded = true
    connection.writeBuffer.pushText(head)
    const finish = (): Responded => {
      const result = responded(status, 0)
      this.complete(result)
      return result
    }
    const upgrade = new UpgradedConnection(connection, this)
    const closeTimeout = shutdownTimeoutOf(Duration.toMillis(connection.limits.lingerTimeout))
    return { duplex: upgrade.duplex, raw: upgrade, finish, closeTimeout }
  }

  expectEnd(): void {
    this.isEndExpected = true
  }

  isBackpressured(): boolean {
    return this.connection.writeBuffer.isFull() || this.connection.hasUsedShare
  }

  get awaitWritable(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.connection.writeBuffer.isFull() ? this.connection.awaitWritable : this.connection.nextShare
    )
  }

  /** True if the next request can be reached past the body of this one. */
  private canReuseAfter(isStreamed: boolean): boolean {
    return !this.hasBody || (isStreamed ? this.body.canBeRead : this.body.canBeDiscarded)
  }

  /** Composes the head of a response, or the error that refuses it; writes nothing. */
  private compose(
    code: number,
    headers: HttpHeaders.Input | undefined,
    length: number | undefined
  ): WrittenHead | ValueError {
    if (this.state !== "NotStarted") return new ValueError({ reason: "AlreadyResponded", actual: String(code) })
    if (!(code >= 200 && code <= 599) || !Number.isInteger(code))
      return new ValueError({ reason: "StatusCode", actual: String(code) })
    const { connection, head } = this
    const isConnect = head.method === "CONNECT"
    // A successful response to CONNECT is a tunnel, without content or framing (RFC 9110 §9.3.6).
    if (isConnect && code < 300) return new ValueError({ reason: "StatusCode", actual: `${code} to CONNECT` })
    const written = connection.writer.head({
      status: code,
      fields: fieldsOf(headers),
      contentLength: length,
      method: head.method,
      minor: head.version.minor,
      keepAlive: head.keepAlive && !isConnect && connection.mayKeepAlive() && this.canReuseAfter(length === undefined),
      keepAliveHint: connection.context.keepAliveHint,
      date: connection.date()
    })
    return written._tag === "Refused" ? new ValueError(written) : written
  }

  private send(written: WrittenHead): void {
    this.keepAlive = written.keepAlive
    this.isCloseDelimited = written.framing._tag === "UntilClose"
    if (this.head.expectsContinue) this.body.skipContinue()
    this.connection.writeBuffer.pushText(written.text)
  }

  private complete(result: Responded): void {
    this.connection.metrics.responseCompleted(result.status)
    this.state = "Complete"
    this.responded = result
  }
}
