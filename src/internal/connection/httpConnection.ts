/**
 * One connection's story: bytes in, requests, handlers, answers, and how it ends. The only request loop there is.
 *
 * `proceed` tells it: ask the parser; feed it, or wait; have the request handled; go on. It is plain code that runs in the
 * event that brought something, as far as what has come allows, and is entered once a wait, never once a byte. A handler
 * that only responds is answered in that very turn; any other runs in a fiber of its own (`handling.ts`), and at its end
 * the story goes on.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CloseReason, Connection, ConnectionEvents, ConnectionSummary } from "../../Connection.js"
import { ValueError } from "../../Errors.js"
import type { Malformed, RequestHead } from "../../RequestParser.js"
import { costs } from "../host/eventLoopBudget.js"
import { malformed } from "../http1/parseResult.js"
import { RequestImpl } from "../message/request.js"
import { recordMetrics } from "../metrics.js"
import type { RequestRuntime } from "../runtime/requestRuntime.js"
import { requestContext } from "./asyncContext.js"
import { closeGracefully, closeNow, type LingeringConnection } from "./closing.js"
import { ConnectionBase } from "./connectionBase.js"
import type { TrackedConnection } from "./connectionRegistry.js"
import type { ConnectionContext, RequestHandler } from "./context.js"
import { ExchangeImpl } from "./exchange.js"
import { HandlerFiber, runSynchronously } from "./handlerFiber.js"

/** Whether it is the client who has left, or who is no longer waited for. */
const isClientReason = (reason: CloseReason | undefined): boolean => reason === "ClientAborted" || reason === "TimedOut"

export class HttpConnection<E, R> extends ConnectionBase implements ConnectionEvents, TrackedConnection {
  index = -1
  private phase: "Reading" | "Handling" | "Skipping" | "Over" = "Reading"
  closeReason: CloseReason | undefined
  /** The story is being told in this very turn: what comes meanwhile is found by it. */
  private isRunning = false
  private discardedBytes = 0
  private currentExchange: ExchangeImpl | undefined
  private handlerFiber: HandlerFiber<E, R> | undefined
  private runtimeCache: RequestRuntime | undefined
  /** A request that is served when its client has read the answers before it. */
  private pendingHead: RequestHead | undefined

  private lingering: LingeringConnection | undefined
  /** It is to end at once, whatever is unsent. */
  private mustCloseNow = false
  /** The server has nothing more to say on it. */
  private isFinished = false
  private onClosed: ((summary: Effect.Effect<ConnectionSummary>) => void) | undefined

  constructor(
    connection: Connection,
    context: ConnectionContext,
    readonly handler: RequestHandler<E, R>
  ) {
    super(connection, context)
    context.registry.add(this)
  }

  /** Set before a handler runs, and read only while or after it does. */
  private get exchange(): ExchangeImpl {
    return this.currentExchange!
  }

  // The story, in order.

  /** Begins to read. */
  open(): void {
    this.timeouts.startFirstRequest()
    this.connection.open(this)
  }

  /** Goes on in this very turn, as far as what has come allows. */
  protected run(): void {
    if (this.isRunning || this.isDeferred) return
    this.isRunning = true
    try {
      this.startTurn()
      while (this.phase === "Reading" || this.phase === "Skipping") if (this.step() === "Wait") break
    } catch (defect) {
      // A room of somebody else's has thrown: a parser, a writer, a transport.
      this.handler.runtime.forkUninterruptible(Effect.logError("a connection failed", Cause.die(defect)))
      this.interrupt("ResponseFailed")
    }
    this.isRunning = false
    if (this.isBusy) this.keepContext()
    if (this.phase === "Over") this.finish()
  }

  private step(): "GoOn" | "Wait" {
    // Who does not read what it has asked for is not listened to.
    if (this.timeouts.isWaitingForDrain) return "Wait"
    if (this.hasUsedShare && (this.pendingHead !== undefined || this.hasUnread)) return this.continueLater()
    if (this.pendingHead !== undefined) return this.servePending(this.pendingHead)
    const step = this.parser.next()
    if (step === "NeedMore") {
      if (!this.feedParser()) return this.awaitInput()
    } else if (step._tag === "Head") {
      if (step.method === "CONNECT" && this.context.connectMethod === "reject") {
        // It asks for a tunnel, and nobody here digs one; what follows it is not HTTP (RFC 9110 §9.3.6).
        this.rejectMalformed(malformed("MethodUnknown", "CONNECT"))
      } else if (this.writeBuffer.isFull()) this.pendingHead = step
      else this.handle(step)
    } else if (step._tag === "Body") {
      this.discard(step.bytes.length)
    } else if (step._tag === "End") {
      this.startReading()
    } else {
      this.rejectMalformed(step)
    }
    return "GoOn"
  }

  /** Serves a request when the client has read the answers before it, which may take any time. */
  private servePending(head: RequestHead): "GoOn" | "Wait" {
    this.writeBuffer.flush()
    if (this.isClosed) this.closeWith("ClientAborted")
    else if (this.writeBuffer.isFull()) {
      this.timeouts.startWrite()
      this.writeBuffer.uncork()
      return "Wait"
    } else {
      this.pendingHead = undefined
      this.handle(head)
    }
    return "GoOn"
  }

  private handle(head: RequestHead): void {
    // A client that left before its request was read: a handler begun now would never be told of it.
    if (this.isClosed || (this.receiveBuffer.isEnded && this.context.onClientEnd === "interrupt")) {
      this.closeWith("ClientAborted")
      return
    }
    this.phase = "Handling"
    this.timeouts.startHandling()
    this.requests++
    this.spend(costs.request)
    const exchange = (this.currentExchange = new ExchangeImpl(this, head))
    const request = new RequestImpl(head, this.connection, exchange)
    if (requestContext().runInAsyncScope(this.runHandler, this, request, exchange)) this.afterResponse()
  }

  /** Runs the handler as far as it goes without waiting; whether it did no more than respond. */
  private runHandler(request: RequestImpl, exchange: ExchangeImpl): boolean {
    const left = runSynchronously(this.handler.handler, request, exchange)
    if (left === undefined) return true
    if (this.receiveBuffer.isEnded) this.onHalfClose()
    this.writeBuffer.uncork()
    const handling = (this.handlerFiber = new HandlerFiber(this.handler, request, exchange))
    if (this.closeReason !== undefined) this.interrupt(this.closeReason)
    // By a handler that has not waited for anything: the request loop is at work, in its own context.
    handling.run(left, this.runtime, () => (this.isRunning ? this.onHandlerEnd() : this.inContext(this.onHandlerEnd)))
    return false
  }

  /** Made for the first request that needs a fiber: to ask for the peer's address is a system call. */
  private get runtime(): RequestRuntime {
    return (this.runtimeCache ??= this.handler.runtime.forClient(this.connection))
  }

  private onHandlerEnd(): void {
    this.handlerFiber = undefined
    if (this.exchange.state !== "Complete" && isClientReason(this.closeReason)) recordMetrics.requestAborted()
    this.startTurn()
    this.afterResponse()
    this.run()
  }

  /** Behind an answer, or what became of it: to the next request, or to the end. */
  private afterResponse(): void {
    const { exchange } = this
    this.respondedAt = this.now
    if (this.closeReason !== undefined) this.closeWith(this.closeReason)
    else if (exchange.state !== "Complete") this.closeWith("ResponseFailed")
    else if (exchange.isUpgraded) this.closeWith("Upgraded")
    else if (!exchange.keepAlive) this.closeWith("ClosedByServer")
    else this.startReading(exchange.hasUnreadBody ? "Skipping" : "Reading")
    this.timeouts.clearHalfClose()
    // Whatever has kept the request finds it over, and does not wait for what is another's.
    if (exchange.close()) this.wakeReader()
  }

  private startReading(phase: "Reading" | "Skipping" = "Reading"): void {
    this.phase = phase
    this.discardedBytes = 0
    this.timeouts.reset()
  }

  /** What a handler left of a body, thrown away to reach the next request. */
  private discard(bytes: number): void {
    this.spend(costs.step)
    this.discardedBytes += bytes
    if (this.discardedBytes > this.limits.maxDiscardedBody) this.closeWith("ClosedByServer")
  }

  /** Nothing on this connection can be trusted any more: one answer, unless this request has had its own. */
  private rejectMalformed(step: Malformed): void {
    if (this.phase === "Reading") this.sayLast(new ValueError(step))
    this.closeWith("BadRequest")
  }

  private closeWith(reason: CloseReason): void {
    this.phase = "Over"
    this.closeReason ??= reason
  }

  // The end.

  /** Ends what is left; the descriptor is given back when the client has had its last word. */
  private finish(): void {
    if (this.isFinished) return
    this.isFinished = true
    this.cancelDeferred()
    this.pendingHead = undefined
    this.timeouts.clearAll()
    this.writeBuffer.flush()
    const how = this.closeReason === "ResponseFailed" ? "Failed" : this.mustCloseNow ? "Immediate" : "Graceful"
    this.lingering = closeGracefully(this, {
      mode: how,
      exchange: this.currentExchange,
      isShuttingDown: this.isDraining
    })
    this.releaseIdle()
    this.unregisterIfClosed()
  }

  /** Completes when the connection has closed, with how it ended: for its fiber, and no other. */
  get awaitClosed(): Effect.Effect<ConnectionSummary> {
    return Effect.async((resume) => {
      if (this.index < 0) resume(this.summary)
      else this.onClosed = resume
    })
  }

  private get summary(): Effect.Effect<ConnectionSummary> {
    return Exit.succeed({ reason: this.closeReason ?? "Interrupted", requests: this.requests })
  }

  /** Who has left, and whose connection has closed, is nobody's any more. */
  private unregisterIfClosed(): void {
    if (!this.isFinished || !this.isClosed) return
    this.lingering?.remove()
    this.unregister()
  }

  /** Nobody waits for it any more. */
  private unregister(): void {
    const { timer: deadlines, registry } = this.context
    registry.remove(this, this.closeReason ?? "Interrupted")
    if (registry.isEmpty) deadlines.stop()
    // The fiber lets go of the connection, and the connection of its fiber, whichever the garbage collector finds first.
    const { onClosed } = this
    this.onClosed = undefined
    onClosed?.(this.summary)
  }

  // Waiting: for the next request, for a body, for a client that is slow to read.

  /** All that has come has been read: waits for more, with a deadline, unless this is the end. */
  private awaitInput(): "GoOn" | "Wait" {
    this.renewShare()
    this.writeBuffer.flush()
    this.writeBuffer.uncork()
    // The client may have answered within the write.
    if (!this.receiveBuffer.isEmpty) return "GoOn"
    const isIdle = this.phase === "Reading" && this.isBetweenRequests
    if (this.isClosed || this.receiveBuffer.isEnded) this.onInputEnd(isIdle)
    else if (this.timeouts.isReadExpired) this.onReadTimeout(isIdle)
    else if (this.isDraining) this.closeWith("ClosedByServer")
    else if (this.writeBuffer.isFull()) this.timeouts.startWrite()
    else this.startReadTimeout(isIdle)
    if (isIdle) this.releaseIdle()
    // What is due already may have been swept in this very turn.
    return this.timeouts.isReadExpired ? "GoOn" : "Wait"
  }

  /** Lets go of all that only a request needs. */
  private releaseIdle(): void {
    if (this.phase !== "Over") this.currentExchange = undefined
    this.releaseParser()
  }

  private startReadTimeout(isIdle: boolean): void {
    if (!isIdle) this.timeouts.startRest(this.phase === "Reading" ? "Head" : "Body", this.now)
    else if (this.requests === 0) this.timeouts.startFirstRequest(this.now)
    else this.timeouts.startKeepAlive(this.now)
  }

  /** FIN, or a reset: in the middle of a head the former gets an answer (RFC 9112 §8), the latter cannot. */
  private onInputEnd(isIdle: boolean): void {
    if (this.phase === "Reading" && !isIdle && !this.isClosed)
      this.sayLast(new ValueError({ reason: "IncompleteRequest" }))
    this.closeWith(isIdle ? "ClosedByClient" : "ClientAborted")
  }

  private onReadTimeout(isIdle: boolean): void {
    if (this.phase === "Reading" && !isIdle) this.sayLast(new ValueError({ reason: "Timeout" }))
    this.closeWith("TimedOut")
  }

  // Events: from the connection, from the sweep of deadlines, from the server that closes.

  onBytes(bytes: Buffer): void {
    this.lingering?.onReceived()
    if (this.phase === "Over") return
    recordMetrics.bytesReceived(bytes.length)
    this.timeouts.clearRead()
    this.receiveBuffer.push(bytes)
    this.onInput()
  }

  /** Something has happened: the handler that waits for it looks, or else the story goes on. */
  private onInput(): void {
    if (this.phase === "Handling") this.wakeReader()
    else this.run()
  }

  onEnd(): void {
    this.receiveBuffer.isEnded = true
    const isServing = this.phase === "Handling" && !this.exchange.isUpgraded
    if (isServing && this.context.onClientEnd === "interrupt") this.interrupt("ClientAborted")
    else if (isServing) this.onHalfClose()
    this.onInput()
  }

  /**
   * libuv tells a reset that comes with the last bytes as a FIN. A connection that was reset refuses to take even
   * nothing, and closes; one that was half-closed does not notice.
   */
  private onHalfClose(): void {
    this.connection.write([""])
    this.timeouts.startHalfClose()
  }

  onDrain(): void {
    const isAwaited = this.timeouts.isWaitingForDrain
    this.timeouts.clearWrite()
    if (this.phase === "Handling") this.wakeWriter()
    else if (isAwaited) this.inContext(this.run)
  }

  onClose(): void {
    this.isClosed = true
    this.receiveBuffer.isEnded = true
    this.timeouts.clearWrite()
    if (this.phase === "Handling" && !this.exchange.isEndExpected) this.interrupt("ClientAborted")
    if (this.cancelDeferred()) this.closeWith("ClientAborted")
    this.onInput()
    // Whoever was left behind by a handler that has ended learns it here.
    this.wakeReader()
    this.wakeWriter()
    this.unregisterIfClosed()
  }

  deadline(): number {
    return this.timeouts.deadline()
  }

  onDeadline(now: number): void {
    if (this.timeouts.expireInactivity(now) && !this.exchange.isUpgraded)
      this.interrupt(this.receiveBuffer.isEnded ? "ClientAborted" : "TimedOut")
    if (this.timeouts.expireRead(now)) this.onInput()
    if (this.timeouts.expireWrite(now)) {
      this.closeReason ??= "TimedOut"
      closeNow(this, this.currentExchange)
    }
  }

  /** Whether a request is being served or is about to be, or an answer waits for its client to read. */
  get isBusy(): boolean {
    return this.phase === "Handling" || this.isDeferred || this.timeouts.isWaitingForDrain
  }

  /** Serves no further request; ends now if none is being served. */
  drain(): void {
    this.isDraining = true
    this.lingering?.shorten()
    this.onInput()
  }

  /** Ends the handler, and the connection with it. */
  interrupt(reason: CloseReason): void {
    this.closeReason ??= reason
    this.mustCloseNow = true
    if (this.phase === "Handling") {
      this.handlerFiber?.interrupt(isClientReason(reason) ? "ClientGone" : "ServerCloses")
      return
    }
    this.closeWith(reason)
    closeNow(this, this.currentExchange)
    this.finish()
  }

  giveUp(): void {
    this.cancelDeferred()
    closeNow(this, this.currentExchange)
    this.unregister()
  }
}
