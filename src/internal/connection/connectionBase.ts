/**
 * What a connection, its exchanges and their bodies share: the machines, the boxes, and the waits of a handler's fiber.
 *
 * @internal
 */
import type { AsyncResource } from "node:async_hooks"
import * as Effect from "effect/Effect"
import type { Connection } from "../../Connection.js"
import type { ValueError } from "../../Errors.js"
import type { Limits } from "../../Limits.js"
import type { Parser } from "../../RequestParser.js"
import type { Writer } from "../../ResponseWriter.js"
import { costs, loopBudget } from "../host/eventLoopBudget.js"
import { recordMetrics } from "../metrics.js"
import { Signal } from "../runtime/effectInterop.js"
import { connectionContext } from "./asyncContext.js"
import type { ConnectionContext } from "./context.js"
import { errorResponse } from "./errorResponse.js"
import { ReceiveBuffer } from "./receiveBuffer.js"
import { ConnectionTimeouts } from "./timeouts.js"
import { TurnShare } from "./turnShare.js"
import { WriteBuffer } from "./writeBuffer.js"

/** Milliseconds after which what was sent has reached a client that is there, or never will: several round trips. */
const settledAfter = 1000

/** Milliseconds of a handler after which the next request of its connection may have to wait for the others. */
const longHandler = 1

export abstract class ConnectionBase extends TurnShare {
  abstract readonly handler: { readonly shutdownLatch: Effect.Latch }
  readonly limits: Limits
  readonly writer: Writer
  readonly receiveBuffer: ReceiveBuffer
  readonly writeBuffer: WriteBuffer
  readonly timeouts: ConnectionTimeouts
  /** Requests that have been handed to a handler. */
  protected requests = 0
  protected isDraining = false
  /** The system has closed the connection. */
  protected isClosed = false
  /** The time of this turn: asking for it costs as much as a short request line. */
  protected now = 0
  /** `Date` of this turn, made for its first response. */
  private dateOfTurn: string | undefined
  /** The connection's own asynchronous context, kept when it is to go on in an event that may have another. */
  private asyncContext: AsyncResource | undefined
  /** When the last answer was given. */
  protected respondedAt = Number.NEGATIVE_INFINITY
  private currentParser: Parser | undefined
  private received: Signal | undefined
  private sent: Signal | undefined

  constructor(
    readonly connection: Connection,
    readonly context: ConnectionContext
  ) {
    super()
    this.limits = context.limits
    this.writer = context.makeWriter()
    this.receiveBuffer = new ReceiveBuffer(connection, context.limits.maxReadAhead)
    this.writeBuffer = new WriteBuffer(connection)
    this.timeouts = new ConnectionTimeouts(connection, this.writeBuffer, context)
  }

  /** Begins a turn of the event loop's, or goes on after a handler. */
  protected startTurn(): void {
    this.writeBuffer.cork()
    const before = this.now
    this.now = this.context.timer.now()
    this.dateOfTurn = undefined
    if (this.now - before >= longHandler) this.spendLong()
  }

  protected keepContext(): void {
    this.asyncContext ??= connectionContext()
  }

  /** Runs a method of the connection in the connection's own asynchronous context. */
  protected inContext(method: () => void): void {
    ;(this.asyncContext ?? connectionContext()).runInAsyncScope(method, this)
  }

  /** Completes when the server begins to close, or to end what serves this connection. */
  get awaitShutdown(): Effect.Effect<void> {
    return this.handler.shutdownLatch.await
  }

  get parser(): Parser {
    return (this.currentParser ??= this.context.parsers.acquire())
  }

  /** Feeds the parser the next bytes that have come; false when there are none. */
  feedParser(): boolean {
    const bytes = this.receiveBuffer.pull()
    if (bytes === undefined) return false
    loopBudget.spend(costs.bytes(bytes.length))
    this.parser.feed(bytes)
    return true
  }

  /** Whether the client has sent something that has not been looked at. */
  protected get hasUnread(): boolean {
    return !this.receiveBuffer.isEmpty || !this.isBetweenRequests
  }

  /** Continues in a later turn, so that other connections are served before; what was written leaves now. */
  protected continueLater(): "Wait" {
    this.writeBuffer.flush()
    this.writeBuffer.uncork()
    this.defer()
    return "Wait"
  }

  /** Whether nothing of a request has come behind the last one. */
  get isBetweenRequests(): boolean {
    return this.currentParser === undefined || this.currentParser.isIdle()
  }

  /** Whether the server closes, and all that was sent has reached the client by now, or never will. */
  get isDrained(): boolean {
    if (!this.isDraining) return false
    return this.writeBuffer.totalBytes === 0 || this.context.timer.now() - this.respondedAt >= settledAfter
  }

  /** Gives the parser back, if nothing has come that it remembers. */
  protected releaseParser(): void {
    if (this.currentParser?.isPristine() !== true) return
    this.context.parsers.release(this.currentParser)
    this.currentParser = undefined
  }

  /** `Date` for an answer that is written now. */
  date(): string {
    const { timer: deadlines } = this.context
    return this.writeBuffer.isCorked ? (this.dateOfTurn ??= deadlines.date()) : deadlines.date()
  }

  /** Whether the connection may serve another request, as far as the server is concerned. */
  mayKeepAlive(): boolean {
    const { limits, timeouts } = this.context
    return !this.isDraining && this.requests < limits.maxRequestsPerConnection && timeouts.keepAlive > 0
  }

  /** Waits for bytes of a body, at most `bodyTimeout`; who is woken looks again. */
  awaitBody(): Effect.Effect<void> {
    const waiting = this.awaitBytes()
    this.timeouts.startBody()
    return this.timeouts.isReadExpired ? Effect.void : waiting
  }

  /** Waits for bytes as long as it takes: those of another protocol. */
  awaitBytes(): Effect.Effect<void> {
    this.renewShare()
    return (this.received ??= new Signal()).waitOrLeave()
  }

  /** The same for who is no fiber. */
  onceReadable(go: () => void): void {
    this.renewShare()
    ;(this.received ??= new Signal()).unsafeOnce(go)
  }

  /** Calls who is no fiber when the client has read what was written, or has gone. */
  onceWritable(go: () => void): void {
    this.timeouts.startWrite()
    ;(this.sent ??= new Signal()).unsafeOnce(go)
  }

  /** Wakes whoever waits for bytes. */
  wakeReader(): void {
    this.received?.wake()
  }

  /** Waits until the client has read what was written, or has gone. */
  get awaitWritable(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isClosed || !this.writeBuffer.isFull()) return Effect.void
      this.timeouts.startWrite()
      this.renewShare()
      return Effect.flatMap((this.sent ??= new Signal()).waitOrLeave(), () => this.awaitWritable)
    })
  }

  /** Answers what is no request by an error, as the last thing that the server sends. */
  protected sendErrorResponse(error: ValueError): void {
    recordMetrics.responseCompleted(error.status)
    this.writeBuffer.pushText(errorResponse(error, this.writer, { method: this.parser.method(), date: this.date() }))
  }

  protected wakeWriter(): void {
    this.sent?.wake()
  }
}
