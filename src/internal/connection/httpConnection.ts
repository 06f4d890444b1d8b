/**
 * State machine of one HTTP/1.x server connection: feeds the parser, runs the handler, writes responses, decides
 * keep-alive.
 *
 * `run`, the request loop, is plain code: the event of an input calls it, and it returns when the input is used up. It owns
 * the parser in every phase but "Handling", in which `RequestBody` reads the request's body with it. A handler that returns
 * no more than `respond(…)` needs no fiber; any other runs in a fiber of its own (`handlerRun.ts`), at whose end the loop
 * continues.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CloseReason, Connection, ConnectionEvents, ConnectionSummary } from "../../Connection.js"
import { ValueError } from "../../Errors.js"
import type { Request } from "../../Request.js"
import type { Malformed, RequestHead } from "../../RequestParser.js"
import { costs } from "../host/eventLoopBudget.js"
import { makeRequest } from "../message/request.js"
import type { RequestRuntime } from "../runtime/requestRuntime.js"
import { requestResource } from "./asyncContext.js"
import { closeConnection, closeNow } from "./closing.js"
import { ConnectionBase } from "./connectionBase.js"
import type { TrackedConnection } from "./connectionRegistry.js"
import { ExchangeImpl } from "./exchange.js"
import { HandlerRun, respondWithoutFiber } from "./handlerRun.js"
import { refusedTarget } from "./refusedTarget.js"
import type { ServedHandler } from "./servedHandler.js"
import type { ServerState } from "./serverState.js"

/** True if the connection ends because of the client: a disconnect or a timeout. */
const isClientReason = (reason: CloseReason | undefined): boolean => reason === "ClientAborted" || reason === "TimedOut"

/**
 * What the connection does: reads heads, has a request handled, reads what a handler left of a body to reach the next
 * request, is about to close, or has closed its side (the socket may still be open).
 */
type Phase = "Reading" | "Handling" | "Discarding" | "Closing" | "Finished"

export class HttpConnection<E, R> extends ConnectionBase implements ConnectionEvents, TrackedConnection {
  index = -1
  private phase: Phase = "Reading"
  closeReason: CloseReason | undefined
  /** `run` is on the stack: it finds what arrives meanwhile. */
  private isRunning = false
  private discardedBytes = 0
  private currentExchange: ExchangeImpl | undefined
  private handlerRun: HandlerRun<E, R> | undefined
  private runtimeCache: RequestRuntime | undefined
  /** A request that is suspended until the client has read the responses before it. */
  private pendingHead: RequestHead | undefined
  private lingering: ReturnType<typeof closeConnection>
  /** Closes at once, whatever is unsent. */
  private mustCloseNow = false
  /** Resumes the fiber of the connection. */
  private onClosed: ((summary: Effect.Effect<ConnectionSummary>) => void) | undefined

  constructor(
    transport: Connection,
    server: ServerState,
    readonly handler: ServedHandler<E, R>
  ) {
    super(transport, server, handler.metrics)
    server.registry.add(this)
  }

  /** Set before a handler runs, and read only while or after it does. */
  private get exchange(): ExchangeImpl {
    return this.currentExchange!
  }

  // The request loop.

  open(): void {
    this.deadlines.startFirstRequest()
    this.transport.open(this)
  }

  /** Runs as far as the received input reaches. */
  protected run(): void {
    if (this.isRunning || this.isDeferred) return
    this.isRunning = true
    try {
      this.startTurn()
      while (this.phase === "Reading" || this.phase === "Discarding") if (this.step() === "Wait") break
    } catch (defect) {
      // A parser, a writer or a transport of an application has thrown.
      this.runtime.forkUninterruptible(Effect.logError("a connection failed", Cause.die(defect)))
      this.interrupt("ResponseFailed")
    }
    this.isRunning = false
    if (this.isBusy) this.keepAsyncContext()
    if (this.phase === "Closing") this.finish()
  }

  private step(): "Continue" | "Wait" {
    // Backpressure: parse no further request while the write buffer waits for `drain`.
    if (this.deadlines.isWaitingForDrain) return "Wait"
    if (this.hasUsedShare && (this.pendingHead !== undefined || this.hasUnread)) return this.continueLater()
    if (this.pendingHead !== undefined) return this.servePending(this.pendingHead)
    const step = this.parser.next()
    if (step === "NeedMore") {
      if (!this.feedParser()) return this.awaitInput()
    } else if (step._tag === "Head") {
      const refused = refusedTarget(step, this.transport, this.server)
      if (refused !== undefined) this.rejectMalformed(refused)
      else if (this.writeBuffer.isFull()) this.pendingHead = step
      else this.handle(step)
    } else if (step._tag === "Body") this.discard(step.bytes.length)
    else if (step._tag === "End") this.startReading()
    else this.rejectMalformed(step)
    return "Continue"
  }

  /** Serves a request once the client has read the responses before it, which may take any time. */
  private servePending(head: RequestHead): "Continue" | "Wait" {
    this.writeBuffer.flush()
    if (this.isSocketClosed) this.closeWith("ClientAborted")
    else if (this.writeBuffer.isFull()) {
      this.deadlines.startWrite()
      this.writeBuffer.uncork()
      return "Wait"
    } else {
      this.pendingHead = undefined
      this.handle(head)
    }
    return "Continue"
  }

  private handle(head: RequestHead): void {
    // The client left before its request was read: a handler started now would not be interrupted.
    if (this.isSocketClosed || (this.receiveBuffer.isEnded && this.server.onClientEnd === "interrupt")) {
      this.closeWith("ClientAborted")
      return
    }
    this.phase = "Handling"
    this.deadlines.startHandling()
    this.requests++
    this.spend(costs.request)
    const exchange = (this.currentExchange = new ExchangeImpl(this, head))
    const request = makeRequest(head, this.transport, exchange, this.server.proxies)
    if (requestResource().runInAsyncScope(this.runHandler, this, request, exchange)) this.afterResponse()
  }

  /** Calls the handler; false if the response is left to a fiber. */
  private runHandler(request: Request, exchange: ExchangeImpl): boolean {
    const left = respondWithoutFiber(this.handler.handle, request, exchange)
    if (left === undefined) return true
    if (this.receiveBuffer.isEnded) this.probeHalfClose()
    this.writeBuffer.uncork()
    const handling = (this.handlerRun = new HandlerRun(this.handler, this.runtime, request, exchange))
    if (this.closeReason !== undefined) this.interrupt(this.closeReason)
    // A handler that ends without having suspended is called back within `run`, in the connection's own context.
    handling.start(left, () => (this.isRunning ? this.onHandlerEnd() : this.inAsyncContext(this.onHandlerEnd)))
    return false
  }

  /** Made for the first fiber or log: the peer's address, an annotation of both, is a system call. */
  private get runtime(): RequestRuntime {
    return (this.runtimeCache ??= this.handler.runtime.forClient(this.transport))
  }

  private onHandlerEnd(): void {
    this.handlerRun = undefined
    if (this.exchange.state !== "Complete" && isClientReason(this.closeReason)) this.metrics.requestAborted()
    this.startTurn()
    this.afterResponse()
    this.run()
  }

  /** After a response, or its failure: continues with the next request, or closes. */
  private afterResponse(): void {
    const { exchange } = this
    this.respondedAt = this.now
    if (this.closeReason !== undefined) this.closeWith(this.closeReason)
    else if (exchange.state !== "Complete") this.closeWith("ResponseFailed")
    else if (exchange.isUpgraded) this.closeWith("Upgraded")
    else if (!exchange.keepAlive) this.closeWith("ClosedByServer")
    else this.startReading(exchange.hasUnreadBody ? "Discarding" : "Reading")
    this.deadlines.clearInactivity()
    // A reader that still holds the request fails now, instead of waiting for bytes of the next one.
    if (exchange.close()) this.wakeReader()
  }

  private startReading(phase: "Reading" | "Discarding" = "Reading"): void {
    this.phase = phase
    this.discardedBytes = 0
    this.deadlines.reset()
  }

  /** Discards what a handler left of a body, to reach the next request. */
  private discard(bytes: number): void {
    this.spend(costs.step)
    this.discardedBytes += bytes
    if (this.discardedBytes > this.limits.maxDiscardedBody) this.closeWith("ClosedByServer")
  }

  /** The rest of the input cannot be framed: one error response, unless this request has had its response; then close. */
  private rejectMalformed(step: Malformed): void {
    if (this.phase === "Reading") this.sendErrorResponse(new ValueError(step))
    this.closeWith("BadRequest")
  }

  private closeWith(reason: CloseReason): void {
    if (this.phase !== "Finished") this.phase = "Closing"
    this.closeReason ??= reason
  }

  // Closing.

  /** Closes the server's side. The connection is unregistered when the socket has closed. */
  private finish(): void {
    if (this.phase === "Finished") return
    this.phase = "Finished"
    this.cancelDeferred()
    this.pendingHead = undefined
    this.deadlines.clearAll()
    this.writeBuffer.flush()
    const mode = this.closeReason === "ResponseFailed" ? "Failed" : this.mustCloseNow ? "Immediate" : "Graceful"
    const { currentExchange: exchange, isShuttingDown } = this
    this.lingering = closeConnection(this, { mode, exchange, isShuttingDown })
    this.releaseIdle()
    this.unregisterIfClosed()
  }

  /** Completes when the connection has closed. At most one fiber waits for it: the connection's own. */
  get awaitClosed(): Effect.Effect<ConnectionSummary> {
    return Effect.async((resume) => {
      if (this.index < 0) resume(this.summary)
      else this.onClosed = resume
    })
  }

  private get summary(): Effect.Effect<ConnectionSummary> {
    return Exit.succeed({ reason: this.closeReason ?? "Interrupted", requests: this.requests })
  }

  /** Unregisters once the final response was sent and the socket has closed. */
  private unregisterIfClosed(): void {
    if (this.phase !== "Finished" || !this.isSocketClosed) return
    this.lingering?.remove()
    this.unregister()
  }

  private unregister(): void {
    const { registry, timer } = this.server
    registry.remove(this, this.closeReason ?? "Interrupted")
    if (registry.isEmpty) timer.stop()
    // The connection drops its fiber: a dead object in the old generation keeps alive whatever it refers to.
    const { onClosed } = this
    this.onClosed = undefined
    onClosed?.(this.summary)
  }

  // Waiting: for the next request, for a body, for a client that is slow to read.

  /** All input has been read: closes, or suspends until more arrives or a deadline expires. */
  private awaitInput(): "Continue" | "Wait" {
    this.renewShare()
    this.writeBuffer.flush()
    this.writeBuffer.uncork()
    // A client in memory may have sent more within the write.
    if (!this.receiveBuffer.isEmpty) return "Continue"
    const isIdle = this.phase === "Reading" && this.isBetweenRequests
    this.closeAtInputEnd(isIdle)
    if (this.phase !== "Closing") this.startDeadline(isIdle)
    if (isIdle) this.releaseIdle()
    // A deadline that has passed in this event-loop turn may expire as it starts; the next step then closes.
    return this.deadlines.isReadExpired ? "Continue" : "Wait"
  }

  /** Closes if no further input is to be read: after FIN, a reset or a timeout, and in a shutdown. */
  private closeAtInputEnd(isIdle: boolean): void {
    // In the middle of a head, an error response is sent (RFC 9112 §8).
    const isInHead = this.phase === "Reading" && !isIdle
    if (this.isSocketClosed || this.receiveBuffer.isEnded) {
      if (isInHead && !this.isSocketClosed) this.sendErrorResponse(new ValueError({ reason: "IncompleteRequest" }))
      this.closeWith(isIdle ? "ClosedByClient" : "ClientAborted")
    } else if (this.deadlines.isReadExpired) {
      if (isInHead) this.sendErrorResponse(new ValueError({ reason: "Timeout" }))
      this.closeWith("TimedOut")
    } else if (this.isShuttingDown) this.closeWith("ClosedByServer")
  }

  /** The deadline of the client: to read the responses, if the write buffer is full, or to send more. */
  private startDeadline(isIdle: boolean): void {
    if (this.writeBuffer.isFull()) this.deadlines.startWrite()
    else if (!isIdle) this.deadlines.startRest(this.phase === "Reading" ? "Head" : "Body", this.now)
    else if (this.requests === 0) this.deadlines.startFirstRequest(this.now)
    else this.deadlines.startKeepAlive(this.now)
  }

  /** Drops what only a request needs. */
  private releaseIdle(): void {
    if (this.phase !== "Closing" && this.phase !== "Finished") this.currentExchange = undefined
    this.releaseParser()
  }

  // Events: of the socket, of the deadline timer, of the shutdown.

  onBytes(bytes: Buffer): void {
    if (this.lingering !== undefined) this.lingering.hasReceived = true
    if (this.phase === "Closing" || this.phase === "Finished") return
    this.metrics.bytesReceived(bytes.length)
    this.deadlines.clearRead()
    this.receiveBuffer.push(bytes)
    this.resumeReading()
  }

  /**
   * Resumes what reads: the handler in "Handling", otherwise the request loop. It finds what has happened: more input, its
   * end, an expired deadline, or a shutdown.
   */
  private resumeReading(): void {
    if (this.phase === "Handling") this.wakeReader()
    else this.run()
  }

  onEnd(): void {
    this.receiveBuffer.isEnded = true
    const isServing = this.phase === "Handling" && !this.exchange.isUpgraded
    if (isServing && this.server.onClientEnd === "interrupt") this.interrupt("ClientAborted")
    else if (isServing) this.probeHalfClose()
    this.resumeReading()
  }

  /**
   * libuv reports a reset that arrives with the last bytes as a FIN. An empty write distinguishes them: it fails on a
   * connection that was reset, which then closes, and has no effect on one that is half-closed.
   */
  private probeHalfClose(): void {
    this.transport.write([""])
    this.deadlines.startHalfClose()
  }

  onDrain(): void {
    const isAwaited = this.deadlines.isWaitingForDrain
    this.deadlines.clearWrite()
    if (this.phase === "Handling") this.wakeWriter()
    else if (isAwaited) this.inAsyncContext(this.run)
  }

  onClose(): void {
    this.isSocketClosed = true
    this.receiveBuffer.isEnded = true
    this.deadlines.clearWrite()
    if (this.phase === "Handling" && !this.exchange.isEndExpected) this.interrupt("ClientAborted")
    if (this.cancelDeferred()) this.closeWith("ClientAborted")
    this.resumeReading()
    // Fibers that outlive the handler and still wait for the connection continue, and fail.
    this.wakeReader()
    this.wakeWriter()
    this.unregisterIfClosed()
  }

  deadline(): number {
    return this.deadlines.deadline()
  }

  onDeadline(now: number): void {
    if (this.deadlines.expireInactivity(now) && !this.exchange.isUpgraded)
      this.interrupt(this.receiveBuffer.isEnded ? "ClientAborted" : "TimedOut")
    if (this.deadlines.expireRead(now)) this.resumeReading()
    if (this.deadlines.expireWrite(now)) {
      this.closeReason ??= "TimedOut"
      closeNow(this, this.currentExchange)
    }
  }

  /** True while a request is served or is about to be, or while a response waits for its client to read. */
  get isBusy(): boolean {
    return this.phase === "Handling" || this.isDeferred || this.deadlines.isWaitingForDrain
  }

  /** Serves no further request; closes now if none is being served. */
  beginShutdown(): void {
    this.isShuttingDown = true
    if (this.lingering !== undefined) this.lingering.isShuttingDown = true
    this.resumeReading()
  }

  /** Interrupts the handler, and closes the connection. */
  interrupt(reason: CloseReason): void {
    this.closeReason ??= reason
    this.mustCloseNow = true
    if (this.phase === "Handling") this.handlerRun?.interrupt(isClientReason(reason) ? "ClientGone" : "ServerCloses")
    else {
      this.closeWith(reason)
      closeNow(this, this.currentExchange)
      this.finish()
    }
  }

  giveUp(): void {
    this.cancelDeferred()
    closeNow(this, this.currentExchange)
    this.unregister()
  }
}
