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
import { ValueError } from "../../Errors.js"
import type { Connection, ConnectionEvents } from "../../Listener.js"
import type { Malformed, RequestHead } from "../../RequestParser.js"
import type { EndReason } from "../endReason.js"
import { malformed } from "../http1/verdict.js"
import { costs } from "../loopBudget.js"
import { RequestImpl } from "../request.js"
import { Signal } from "../runtime.js"
import { tally } from "../tally.js"
import { requestContext } from "./asyncContext.js"
import { ExchangeImpl } from "./exchange.js"
import { cut, type Farewell, part } from "./farewell.js"
import { Handling, leftOf } from "./handling.js"
import type { ConnectionEnd, Household, Service } from "./household.js"
import { Line } from "./line.js"
import type { RequestFibers } from "./requestFibers.js"
import type { Served } from "./roster.js"

/** Whether it is the client who has left, or who is no longer waited for. */
const isClients = (reason: EndReason | undefined): boolean => reason === "Aborted" || reason === "TimedOut"

export class ServerConnection<E, R> extends Line implements ConnectionEvents, Served {
  at = -1
  private phase: "Reading" | "Handling" | "Skipping" | "Over" = "Reading"
  reason: EndReason | undefined
  /** The story is being told in this very turn: what comes meanwhile is found by it. */
  private isProceeding = false
  private skipped = 0
  private madeExchange: ExchangeImpl | undefined
  private handling: Handling<E, R> | undefined
  private madeFibers: RequestFibers | undefined
  /** A request that is served when its client has read the answers before it. */
  private held: RequestHead | undefined

  private farewell: Farewell | undefined
  /** It is to end at once, whatever is unsent. */
  private isCut = false
  /** The server has nothing more to say on it. */
  private isLeft = false
  private ended: Signal | undefined

  constructor(
    connection: Connection,
    household: Household,
    readonly service: Service<E, R>
  ) {
    super(connection, household)
    household.roster.add(this)
  }

  /** Set before a handler runs, and read only while or after it does. */
  private get exchange(): ExchangeImpl {
    return this.madeExchange!
  }

  // The story, in order.

  /** Begins to read. */
  open(): void {
    this.patience.awaitFirst()
    this.connection.open(this)
  }

  /** Goes on in this very turn, as far as what has come allows. */
  protected proceed(): void {
    if (this.isProceeding || this.isDeferred) return
    this.isProceeding = true
    try {
      this.takeTurn()
      while (this.phase === "Reading" || this.phase === "Skipping") if (this.step() === "Wait") break
    } catch (defect) {
      // A room of somebody else's has thrown: a parser, a writer, a transport.
      this.service.fibers.forkUninterruptible(Effect.logError("a connection failed", Cause.die(defect)))
      this.interrupt("Broken")
    }
    this.isProceeding = false
    if (this.isBusy) this.keepContext()
    if (this.phase === "Over") this.leave()
  }

  private step(): "GoOn" | "Wait" {
    // Who does not read what it has asked for is not listened to.
    if (this.patience.awaitsDrain) return "Wait"
    if (this.hasUsedShare && (this.held !== undefined || this.hasUnread)) return this.continueLater()
    if (this.held !== undefined) return this.serveHeld(this.held)
    const step = this.parser.next()
    if (step === "NeedMore") {
      if (!this.feedParser()) return this.pause()
    } else if (step._tag === "Head") {
      if (step.method === "CONNECT" && this.household.onConnect === "refuse") {
        // It asks for a tunnel, and nobody here digs one; what follows it is not HTTP (RFC 9110 §9.3.6).
        this.refuse(malformed("MethodUnknown", "CONNECT"))
      } else if (this.outbox.isFull()) this.held = step
      else this.handle(step)
    } else if (step._tag === "Body") {
      this.skip(step.bytes.length)
    } else if (step._tag === "End") {
      this.read()
    } else {
      this.refuse(step)
    }
    return "GoOn"
  }

  /** Serves a request when the client has read the answers before it, which may take any time. */
  private serveHeld(head: RequestHead): "GoOn" | "Wait" {
    this.outbox.flush()
    if (this.isClosed) this.over("Aborted")
    else if (this.outbox.isFull()) {
      this.patience.awaitDrain()
      this.outbox.leave()
      return "Wait"
    } else {
      this.held = undefined
      this.handle(head)
    }
    return "GoOn"
  }

  private handle(head: RequestHead): void {
    // A client that left before its request was read: a handler begun now would never be told of it.
    if (this.isClosed || (this.inbox.isEnded && this.household.onHalfClose === "interrupt")) {
      this.over("Aborted")
      return
    }
    this.phase = "Handling"
    this.patience.handling()
    this.requests++
    this.spend(costs.request)
    const exchange = (this.madeExchange = new ExchangeImpl(this, head))
    const request = new RequestImpl(head, this.connection, exchange)
    if (requestContext().runInAsyncScope(this.isAnswered, this, request, exchange)) this.goOn()
  }

  /** Runs the handler as far as it goes without waiting; whether it did no more than respond. */
  private isAnswered(request: RequestImpl, exchange: ExchangeImpl): boolean {
    const left = leftOf(this.service.handler, request, exchange)
    if (left === undefined) return true
    if (this.inbox.isEnded) this.halfClosed()
    this.outbox.leave()
    const handling = (this.handling = new Handling(this.service, request, exchange))
    if (this.reason !== undefined) this.interrupt(this.reason)
    // By a handler that has not waited for anything: the request loop is at work, in its own context.
    handling.run(left, this.fibers, () => (this.isProceeding ? this.afterHandler() : this.inContext(this.afterHandler)))
    return false
  }

  /** Made for the first request that needs a fiber: to ask for the peer's address is a system call. */
  private get fibers(): RequestFibers {
    return (this.madeFibers ??= this.service.fibers.forClient(this.connection))
  }

  private afterHandler(): void {
    this.handling = undefined
    if (this.exchange.state !== "Answered" && isClients(this.reason)) tally.aborted()
    this.takeTurn()
    this.goOn()
    this.proceed()
  }

  /** Behind an answer, or what became of it: to the next request, or to the end. */
  private goOn(): void {
    const { exchange } = this
    this.answeredAt = this.now
    if (this.reason !== undefined) this.over(this.reason)
    else if (exchange.state !== "Answered") this.over("Broken")
    else if (exchange.isUpgraded) this.over("Upgraded")
    else if (!exchange.reuse) this.over("ClosedByServer")
    else this.read(exchange.isUnread ? "Skipping" : "Reading")
    this.patience.answered()
    // Whatever has kept the request finds it over, and does not wait for what is another's.
    if (exchange.close()) this.wakeReader()
  }

  private read(phase: "Reading" | "Skipping" = "Reading"): void {
    this.phase = phase
    this.skipped = 0
    this.patience.rest()
  }

  /** What a handler left of a body, thrown away to reach the next request. */
  private skip(bytes: number): void {
    this.spend(costs.step)
    this.skipped += bytes
    if (this.skipped > this.limits.maxDrain) this.over("ClosedByServer")
  }

  /** Nothing on this connection can be trusted any more: one answer, unless this request has had its own. */
  private refuse(step: Malformed): void {
    if (this.phase === "Reading") this.sayLast(new ValueError(step))
    this.over("Malformed")
  }

  private over(reason: EndReason): void {
    this.phase = "Over"
    this.reason ??= reason
  }

  // The end.

  /** Ends what is left; the descriptor is given back when the client has had its last word. */
  private leave(): void {
    if (this.isLeft) return
    this.isLeft = true
    this.cancelDeferred()
    this.held = undefined
    this.patience.end()
    this.outbox.flush()
    const how = this.reason === "Broken" ? "Broken" : this.isCut ? "Cut" : "Said"
    this.farewell = part(this, { how, exchange: this.madeExchange, isHurried: this.isDraining })
    this.rest()
    this.forget()
  }

  /** Waits until nothing of it is left, and tells how it ended. */
  get gone(): Effect.Effect<ConnectionEnd> {
    return Effect.suspend(() => {
      if (this.at < 0) return Effect.succeed({ reason: this.reason ?? "Interrupted", requests: this.requests })
      return Effect.flatMap((this.ended ??= new Signal()).wait(), () => this.gone)
    })
  }

  /** Who has left, and whose connection has closed, is nobody's any more. */
  private forget(): void {
    if (!this.isLeft || !this.isClosed) return
    this.farewell?.remove()
    this.depart()
  }

  /** Nobody waits for it any more. */
  private depart(): void {
    const { deadlines, roster } = this.household
    roster.remove(this, this.reason ?? "Interrupted")
    if (roster.isEmpty) deadlines.stop()
    this.ended?.wake()
  }

  // Waiting: for the next request, for a body, for a client that is slow to read.

  /** All that has come has been read: waits for more, with a deadline, unless this is the end. */
  private pause(): "GoOn" | "Wait" {
    this.renewShare()
    this.outbox.flush()
    this.outbox.leave()
    // The client may have answered within the write.
    if (!this.inbox.isEmpty) return "GoOn"
    const isIdle = this.phase === "Reading" && this.isBetween
    if (this.isClosed || this.inbox.isEnded) this.endedByClient(isIdle)
    else if (this.patience.isOverdue) this.timedOut(isIdle)
    else if (this.isDraining) this.over("ClosedByServer")
    else if (this.outbox.isFull()) this.patience.awaitDrain()
    else this.awaitMore(isIdle)
    if (isIdle) this.rest()
    // What is due already may have been swept in this very turn.
    return this.patience.isOverdue ? "GoOn" : "Wait"
  }

  /** Lets go of all that only a request needs. */
  private rest(): void {
    if (this.phase !== "Over") this.madeExchange = undefined
    this.giveParser()
  }

  private awaitMore(isIdle: boolean): void {
    if (!isIdle) this.patience.awaitRest(this.phase === "Reading" ? "Head" : "Body", this.now)
    else if (this.requests === 0) this.patience.awaitFirst(this.now)
    else this.patience.awaitNext(this.now)
  }

  /** FIN, or a reset: in the middle of a head the former gets an answer (RFC 9112 §8), the latter cannot. */
  private endedByClient(isIdle: boolean): void {
    if (this.phase === "Reading" && !isIdle && !this.isClosed)
      this.sayLast(new ValueError({ reason: "IncompleteRequest" }))
    this.over(isIdle ? "ClosedByClient" : "Aborted")
  }

  private timedOut(isIdle: boolean): void {
    if (this.phase === "Reading" && !isIdle) this.sayLast(new ValueError({ reason: "Timeout" }))
    this.over("TimedOut")
  }

  // Events: from the connection, from the sweep of deadlines, from the server that closes.

  onBytes(bytes: Buffer): void {
    this.farewell?.received()
    if (this.phase === "Over") return
    tally.received(bytes.length)
    this.patience.heard()
    this.inbox.push(bytes)
    this.happened()
  }

  /** Something has happened: the handler that waits for it looks, or else the story goes on. */
  private happened(): void {
    if (this.phase === "Handling") this.wakeReader()
    else this.proceed()
  }

  onEnd(): void {
    this.inbox.isEnded = true
    const isServing = this.phase === "Handling" && !this.exchange.isUpgraded
    if (isServing && this.household.onHalfClose === "interrupt") this.interrupt("Aborted")
    else if (isServing) this.halfClosed()
    this.happened()
  }

  /**
   * libuv tells a reset that comes with the last bytes as a FIN. A connection that was reset refuses to take even
   * nothing, and closes; one that was half-closed does not notice.
   */
  private halfClosed(): void {
    this.connection.write([""])
    this.patience.halfClosed()
  }

  onDrain(): void {
    const isAwaited = this.patience.awaitsDrain
    this.patience.drained()
    if (this.phase === "Handling") this.wakeWriter()
    else if (isAwaited) this.inContext(this.proceed)
  }

  onClose(): void {
    this.isClosed = true
    this.inbox.isEnded = true
    this.patience.drained()
    if (this.phase === "Handling" && !this.exchange.hasEnded) this.interrupt("Aborted")
    if (this.cancelDeferred()) this.over("Aborted")
    this.happened()
    // Whoever was left behind by a handler that has ended learns it here.
    this.wakeReader()
    this.wakeWriter()
    this.forget()
  }

  dueAt(): number {
    return this.patience.dueAt()
  }

  onDue(now: number): void {
    if (this.patience.isSilenceDue(now) && !this.exchange.isUpgraded)
      this.interrupt(this.inbox.isEnded ? "Aborted" : "TimedOut")
    if (this.patience.isReadDue(now)) this.happened()
    if (this.patience.isWriteDue(now)) {
      this.reason ??= "TimedOut"
      cut(this, this.madeExchange)
    }
  }

  /** Whether a request is being served or is about to be, or an answer waits for its client to read. */
  get isBusy(): boolean {
    return this.phase === "Handling" || this.isDeferred || this.patience.awaitsDrain
  }

  /** Serves no further request; ends now if none is being served. */
  drain(): void {
    this.isDraining = true
    this.farewell?.hurry()
    this.happened()
  }

  /** Ends the handler, and the connection with it. */
  interrupt(reason: EndReason): void {
    this.reason ??= reason
    this.isCut = true
    if (this.phase === "Handling") {
      this.handling?.interrupt(isClients(reason) ? "ClientGone" : "ServerCloses")
      return
    }
    this.over(reason)
    cut(this, this.madeExchange)
    this.leave()
  }

  abandon(): void {
    this.cancelDeferred()
    cut(this, this.madeExchange)
    this.depart()
  }
}
