/** A client's connection, with one request at a time, and the pool of a client's connections. */
import { escapeControls } from "../../../internal/host/escapeControls.js"
import { systemError } from "../memory/memoryConnection.js"
import type { ClientEnd, ClientLink } from "./clientLink.js"
import type { ParseError } from "./parseError.js"
import { ResponseBody, type ResponseSource } from "./responseBody.js"
import type { RequestContext } from "./responseHead.js"
import { ResponseParser } from "./responseParser.js"

/** An error with the message and the code that Node's client gives it. */
const nodeError = (message: string, code: string): Error => Object.assign(new Error(message), { code })

const parseFailure = ({ actual, code, reason }: ParseError): Error =>
  Object.assign(nodeError(`Parse Error: ${reason}: ${escapeControls(JSON.stringify(actual))}`, code), { reason })

const hungUp = (): Error => nodeError("socket hang up", "ECONNRESET")

const aborted = (): Error => nodeError("aborted", "ECONNRESET")

/** A request whose response is awaited. */
export interface PendingRequest extends RequestContext {
  /** Called with the response once its head has been received. */
  readonly onResponse: (response: ResponseBody) => void
  /** Called instead if there is no response. */
  readonly onFailure: (error: Error) => void
  /** Called last: neither side sends more of this exchange. */
  readonly onEnd: () => void
}

export class ClientConnection implements ClientEnd, ResponseSource {
  private readonly parser = new ResponseParser()
  private pending: PendingRequest | undefined
  private response: ResponseBody | undefined
  private isHandedOver = false
  private isSending = false
  private keepAlive = true
  private isClosed = false

  constructor(
    private readonly link: ClientLink,
    private readonly pool: ConnectionPool
  ) {}

  /** Whether it takes another request: the server has neither ended it nor sent anything unread. */
  get isUsable(): boolean {
    return !this.isClosed && this.link.ending === "Open" && this.link.unread === 0
  }

  get remote(): ClientLink["local"] {
    return this.link.local
  }

  /** Begins an exchange; `sent` ends its request. */
  begin(pending: PendingRequest, keepAlive: boolean): void {
    this.parser.begin(pending)
    this.pending = pending
    this.response = undefined
    this.isHandedOver = false
    this.keepAlive = keepAlive
    this.isSending = true
  }

  send(bytes: Buffer, done: () => void = () => {}): void {
    if (this.isClosed) done()
    else this.link.send(bytes, done)
  }

  sent(): void {
    this.isSending = false
    if (this.pending === undefined) this.release()
  }

  deliver(): void {
    const { link } = this
    if (this.isClosed || this.response?.isFull === true) return
    if (link.unread > 0) {
      this.received(link.take())
      if (link.ending !== "Open") link.scheduleDelivery()
    } else if (link.ending === "RST") this.lost(link.failure())
    else if (link.ending === "FIN") this.ended()
  }

  resume(): void {
    if (this.link.unread > 0 || this.link.ending !== "Open") this.link.scheduleDelivery()
  }

  reset(cause: () => Error): void {
    this.close("RST", cause)
  }

  private received(bytes: Buffer): void {
    const { parser } = this
    this.pool.onDelivered()
    parser.feed(bytes)
    let isComplete = false
    for (let step = parser.next(); step !== "NeedMore"; step = parser.next()) {
      switch (step._tag) {
        case "Head":
          this.keepAlive &&= step.keepAlive
          this.response = new ResponseBody(step, this)
          break
        case "Content":
          this.response?.add(step.bytes)
          break
        case "End":
          isComplete = true
          break
        case "ParseError":
          this.rejected(step, isComplete)
          return
      }
    }
    this.handOver()
    if (isComplete) this.complete()
  }

  /**
   * The response is handed over after all bytes received with it: what follows a complete response fails its request,
   * also where nothing reads the content, as after HEAD.
   */
  private rejected(error: ParseError, isComplete: boolean): void {
    const cause = (): Error => parseFailure(error)
    if (this.pending === undefined) this.pool.reject(cause())
    else if (!isComplete) this.handOver()
    this.close("RST", cause)
  }

  private handOver(): void {
    if (this.response === undefined || this.isHandedOver) return
    this.isHandedOver = true
    this.pending?.onResponse(this.response)
  }

  private complete(): void {
    const { pending, response } = this
    this.pending = undefined
    this.response = undefined
    response?.finish("Complete")
    if (!this.keepAlive) this.close("FIN", hungUp)
    else if (!this.isSending) this.release()
    pending?.onEnd()
  }

  private release(): void {
    if (!this.isClosed) this.pool.release(this)
  }

  /** The server has sent FIN. */
  private ended(): void {
    if (this.pending === undefined) this.close("FIN", hungUp)
    else if (this.parser.finish() !== undefined) this.complete()
    else this.lost(hungUp())
  }

  /** The connection has ended before the response: after its head, Node reports only that it was aborted. */
  private lost(error: Error): void {
    this.close("RST", () => (this.isHandedOver ? aborted() : error))
  }

  /** The cause is made only if there is a request to fail: an error costs a stack trace. */
  private close(how: "FIN" | "RST", cause: () => Error): void {
    if (this.isClosed) return
    this.isClosed = true
    this.link.endByClient(how)
    this.pool.forget(this)
    const { pending, response } = this
    this.pending = undefined
    if (pending === undefined) return
    if (this.isHandedOver) response?.finish(cause())
    else pending.onFailure(cause())
    pending.onEnd()
  }
}

/** The connections of one client, all to one port. */
export class ConnectionPool {
  private readonly open = new Set<ClientConnection>()
  private idle: Array<ClientConnection> = []
  private rejected: Error | undefined

  constructor(
    /** Makes a connection for an end; false if nothing listens on the port. */
    private readonly dial: (makeEnd: (link: ClientLink) => ClientEnd) => boolean,
    /** Called when bytes have arrived. */
    readonly onDelivered: () => void
  ) {}

  /** An idle connection, or a new one; an error if there can be none, or if a server has sent what was not asked for. */
  take(): ClientConnection | Error {
    const { rejected } = this
    this.rejected = undefined
    if (rejected !== undefined) return rejected
    for (let last = this.idle.pop(); last !== undefined; last = this.idle.pop()) {
      if (last.isUsable) return last
    }
    let made: ClientConnection | undefined
    const isOpen = this.dial((link) => {
      made = new ClientConnection(link, this)
      this.open.add(made)
      return made
    })
    return isOpen && made !== undefined ? made : systemError("ECONNREFUSED", "connect")
  }

  /** Makes a connection available to the next request. */
  release(connection: ClientConnection): void {
    this.idle.push(connection)
  }

  /** Fails the next request: data has arrived on a connection without one, which fails none otherwise. */
  reject(error: Error): void {
    this.rejected ??= error
  }

  forget(connection: ClientConnection): void {
    this.open.delete(connection)
    this.idle = this.idle.filter((each) => each !== connection)
  }

  destroy(): void {
    for (const connection of this.open) connection.reset(hungUp)
  }
}
