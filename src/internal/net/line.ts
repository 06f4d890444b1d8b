/**
 * What a connection, its exchanges and their bodies share: the machines, the boxes, and the waits of a handler's fiber.
 *
 * @internal
 */
import type { AsyncResource } from "node:async_hooks"
import * as Effect from "effect/Effect"
import type { ValueError } from "../../Errors.js"
import type { Limits } from "../../Limits.js"
import type { Connection } from "../../Listener.js"
import type { Parser } from "../../RequestParser.js"
import type { Writer } from "../../ResponseWriter.js"
import { costs, loopBudget } from "../loopBudget.js"
import { Signal } from "../runtime.js"
import { tally } from "../tally.js"
import { connectionContext } from "./asyncContext.js"
import type { Household } from "./household.js"
import { Inbox } from "./inbox.js"
import { Outbox } from "./outbox.js"
import { lastWords } from "./ownAnswers.js"
import { Patience } from "./patience.js"
import { TurnShare } from "./turnShare.js"

/** Milliseconds after which what was sent has reached a client that is there, or never will: several round trips. */
const settledAfter = 1000

/** Milliseconds of a handler after which the next request of its connection may have to wait for the others. */
const longHandler = 1

export abstract class Line extends TurnShare {
  abstract readonly service: { readonly shutdown: Effect.Latch }
  readonly limits: Limits
  readonly writer: Writer
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly patience: Patience
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
  protected answeredAt = Number.NEGATIVE_INFINITY
  private madeParser: Parser | undefined
  private received: Signal | undefined
  private sent: Signal | undefined

  constructor(
    readonly connection: Connection,
    readonly household: Household
  ) {
    super()
    this.limits = household.limits
    this.writer = household.makeWriter()
    this.inbox = new Inbox(connection, household.limits.maxReadAhead)
    this.outbox = new Outbox(connection)
    this.patience = new Patience(connection, this.outbox, household)
  }

  /** Begins a turn of the event loop's, or goes on after a handler. */
  protected takeTurn(): void {
    this.outbox.attend()
    const before = this.now
    this.now = this.household.deadlines.now()
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
    return this.service.shutdown.await
  }

  get parser(): Parser {
    return (this.madeParser ??= this.household.parsers.take())
  }

  /** Feeds the parser the next bytes that have come; false when there are none. */
  feedParser(): boolean {
    const bytes = this.inbox.pull()
    if (bytes === undefined) return false
    loopBudget.spend(costs.bytes(bytes.length))
    this.parser.feed(bytes)
    return true
  }

  /** Whether the client has sent something that has not been looked at. */
  protected get hasUnread(): boolean {
    return !this.inbox.isEmpty || !this.isBetween
  }

  /** Continues in a later turn, so that other connections are served before; what was written leaves now. */
  protected continueLater(): "Wait" {
    this.outbox.flush()
    this.outbox.leave()
    this.defer()
    return "Wait"
  }

  /** Whether nothing of a request has come behind the last one. */
  get isBetween(): boolean {
    return this.madeParser === undefined || this.madeParser.isIdle()
  }

  /** Whether the server closes, and all that was sent has reached the client by now, or never will. */
  get isSettled(): boolean {
    if (!this.isDraining) return false
    return this.outbox.total === 0 || this.household.deadlines.now() - this.answeredAt >= settledAfter
  }

  /** Gives the parser back, if nothing has come that it remembers. */
  protected giveParser(): void {
    if (this.madeParser?.isAsNew() !== true) return
    this.household.parsers.give(this.madeParser)
    this.madeParser = undefined
  }

  /** `Date` for an answer that is written now. */
  date(): string {
    const { deadlines } = this.household
    return this.outbox.isAttended ? (this.dateOfTurn ??= deadlines.date()) : deadlines.date()
  }

  /** Whether the connection may serve another request, as far as the server is concerned. */
  mayGoOn(): boolean {
    const { limits, timeouts } = this.household
    return !this.isDraining && this.requests < limits.maxRequestsPerConnection && timeouts.keepAlive > 0
  }

  /** Waits for bytes of a body, at most `bodyTimeout`; who is woken looks again. */
  awaitBody(): Effect.Effect<void> {
    const waiting = this.awaitBytes()
    this.patience.awaitBody()
    return this.patience.isOverdue ? Effect.void : waiting
  }

  /** Waits for bytes as long as it takes: those of another protocol. */
  awaitBytes(): Effect.Effect<void> {
    this.renewShare()
    return (this.received ??= new Signal()).waitOrLeave()
  }

  /** The same for who is no fiber. */
  onceReceived(go: () => void): void {
    this.renewShare()
    ;(this.received ??= new Signal()).unsafeOnce(go)
  }

  /** Calls who is no fiber when the client has read what was written, or has gone. */
  onceSent(go: () => void): void {
    this.patience.awaitDrain()
    ;(this.sent ??= new Signal()).unsafeOnce(go)
  }

  /** Wakes whoever waits for bytes. */
  wakeReader(): void {
    this.received?.wake()
  }

  /** Waits until the client has read what was written, or has gone. */
  get canWrite(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isClosed || !this.outbox.isFull()) return Effect.void
      this.patience.awaitDrain()
      this.renewShare()
      return Effect.flatMap((this.sent ??= new Signal()).waitOrLeave(), () => this.canWrite)
    })
  }

  /** Answers what is no request by an error, as the last thing that the server sends. */
  protected sayLast(error: ValueError): void {
    tally.answered(error.status)
    this.outbox.pushText(lastWords(error, this.writer, { method: this.parser.method(), date: this.date() }))
  }

  protected wakeWriter(): void {
    this.sent?.wake()
  }
}
