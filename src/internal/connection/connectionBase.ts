/**
 * State that a connection shares with its exchanges and their bodies: parser, writer, buffers, timeouts, and the signals
 * that a handler's fiber is suspended on.
 */
import type { AsyncResource } from "node:async_hooks"
import * as Effect from "effect/Effect"
import type { Connection } from "../../Connection.js"
import type { ValueError } from "../../Errors.js"
import type { Limits } from "../../Limits.js"
import type { Parser } from "../../RequestParser.js"
import type { Writer } from "../../ResponseWriter.js"
import { costs, loopBudget } from "../host/eventLoopBudget.js"
import type { MetricRecorder } from "../metrics.js"
import { Signal } from "../runtime/effectInterop.js"
import { connectionContext } from "./asyncContext.js"
import type { ConnectionContext } from "./context.js"
import { errorResponse } from "./errorResponse.js"
import { ReceiveBuffer } from "./receiveBuffer.js"
import { ConnectionTimeouts } from "./timeouts.js"
import { TurnShare } from "./turnShare.js"
import { WriteBuffer } from "./writeBuffer.js"

/** Milliseconds after which a connected client has received what was sent: several round trips. */
const settledAfter = 1000

/** A handler of at least so many milliseconds counts as a share: other connections may be served before its own continues. */
const longHandler = 1

export abstract class ConnectionBase extends TurnShare {
  abstract readonly handler: { readonly shutdownLatch: Effect.Latch }
  readonly limits: Limits
  readonly writer: Writer
  readonly receiveBuffer: ReceiveBuffer
  readonly writeBuffer: WriteBuffer
  readonly timeouts: ConnectionTimeouts
  /** Requests that were passed to the handler. */
  protected requests = 0
  protected isDraining = false
  /** The system has closed the connection. */
  protected isClosed = false
  /** The time of this event-loop turn: to read it costs as much as to parse a short request line. */
  protected now = 0
  /** `Date` of this event-loop turn, made for its first response. */
  private dateOfTurn: string | undefined
  /** The connection's own asynchronous context, kept for a continuation in an event that may have another. */
  private asyncContext: AsyncResource | undefined
  /** When the last response was completed. */
  protected respondedAt = Number.NEGATIVE_INFINITY
  private currentParser: Parser | undefined
  private received: Signal | undefined
  private sent: Signal | undefined

  constructor(
    readonly connection: Connection,
    readonly context: ConnectionContext,
    readonly metrics: MetricRecorder
  ) {
    super()
    this.limits = context.limits
    this.writer = context.makeWriter()
    this.receiveBuffer = new ReceiveBuffer(connection, context.limits.maxReadAhead)
    this.writeBuffer = new WriteBuffer(connection, metrics)
    this.timeouts = new ConnectionTimeouts(connection, this.writeBuffer, context)
  }

  /** Begins work in an event-loop turn, or after a handler. */
  protected startTurn(): void {
    this.writeBuffer.cork()
    const before = this.now
    this.now = this.context.timer.now()
    this.dateOfTurn = undefined
    if (this.now - before >= longHandler) this.spendLongHandler()
  }

  protected keepContext(): void {
    this.asyncContext ??= connectionContext()
  }

  /** Runs a method of the connection in the connection's own asynchronous context. */
  protected inContext(method: () => void): void {
    ;(this.asyncContext ?? connectionContext()).runInAsyncScope(method, this)
  }

  /** Completes when the shutdown of the server, or of the `serve` of this connection, begins. */
  get awaitShutdown(): Effect.Effect<void> {
    return this.handler.shutdownLatch.await
  }

  get parser(): Parser {
    return (this.currentParser ??= this.context.parsers.acquire())
  }

  /** Feeds the parser the next received bytes; false if there are none. */
  feedParser(): boolean {
    const bytes = this.receiveBuffer.pull()
    if (bytes === undefined) return false
    loopBudget.spend(costs.bytes(bytes.length))
    this.parser.feed(bytes)
    return true
  }

  /** True if there is input that was not handled. */
  protected get hasUnread(): boolean {
    return !this.receiveBuffer.isEmpty || !this.isBetweenRequests
  }

  /** Continues in a later event-loop turn, after other connections; flushes what was written. */
  protected continueLater(): "Wait" {
    this.writeBuffer.flush()
    this.writeBuffer.uncork()
    this.defer()
    return "Wait"
  }

  /** True if no byte of another request has been parsed after the last one. */
  get isBetweenRequests(): boolean {
    return this.currentParser === undefined || this.currentParser.isIdle()
  }

  /** True if the server is shutting down and the client has had time to receive all that was sent. */
  get isDrained(): boolean {
    if (!this.isDraining) return false
    return this.writeBuffer.totalBytes === 0 || this.context.timer.now() - this.respondedAt >= settledAfter
  }

  /** Returns the parser to the pool, if it is pristine. */
  protected releaseParser(): void {
    if (this.currentParser?.isPristine() !== true) return
    this.context.parsers.release(this.currentParser)
    this.currentParser = undefined
  }

  /** `Date` of a response that is written now. */
  date(): string {
    const { timer } = this.context
    return this.writeBuffer.isCorked ? (this.dateOfTurn ??= timer.date()) : timer.date()
  }

  /** True if the server allows another request on this connection. */
  mayKeepAlive(): boolean {
    const { limits, timeouts } = this.context
    return !this.isDraining && this.requests < limits.maxRequestsPerConnection && timeouts.keepAlive > 0
  }

  /** Completes when bytes of a body may have arrived, or after `bodyTimeout`; the caller re-checks. */
  awaitBody(): Effect.Effect<void> {
    const received = this.awaitBytes()
    this.timeouts.startBody()
    return this.timeouts.isReadExpired ? Effect.void : received
  }

  /** Completes when bytes may have arrived; without a timeout, for another protocol. */
  awaitBytes(): Effect.Effect<void> {
    this.renewShare()
    return (this.received ??= new Signal()).waitOrLeave()
  }

  /** `awaitBytes` for code without a fiber. */
  onceReadable(callback: () => void): void {
    this.renewShare()
    ;(this.received ??= new Signal()).unsafeOnce(callback)
  }

  /** `awaitWritable` for code without a fiber. */
  onceWritable(callback: () => void): void {
    this.timeouts.startWrite()
    ;(this.sent ??= new Signal()).unsafeOnce(callback)
  }

  /** Resumes the readers that are suspended on bytes. */
  wakeReader(): void {
    this.received?.wake()
  }

  /** Completes when the client has read what was written, or has disconnected. */
  get awaitWritable(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isClosed || !this.writeBuffer.isFull()) return Effect.void
      this.timeouts.startWrite()
      this.renewShare()
      return Effect.flatMap((this.sent ??= new Signal()).waitOrLeave(), () => this.awaitWritable)
    })
  }

  /** Responds to input that is not a request, as the final response of the connection. */
  protected sendErrorResponse(error: ValueError): void {
    this.metrics.responseCompleted(error.status)
    this.writeBuffer.pushText(errorResponse(error, this.writer, { method: this.parser.method(), date: this.date() }))
  }

  protected wakeWriter(): void {
    this.sent?.wake()
  }
}
