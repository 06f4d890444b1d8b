/**
 * What a connection, its exchanges and their bodies share: the machines, the boxes, and the waits of a handler's fiber.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { Limits } from "../../Limits.js"
import type { Connection } from "../../Listener.js"
import type { Parser } from "../../RequestParser.js"
import type { Writer } from "../../ResponseWriter.js"
import { dateOf } from "../http1/date.js"
import { Signal } from "../runtime.js"
import type { Household } from "./household.js"
import { Inbox } from "./inbox.js"
import { Outbox } from "./outbox.js"
import { Patience } from "./patience.js"

/** Milliseconds after which what was sent has reached a client that is there, or never will: several round trips. */
const settledAfter = 1000

export class Line {
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
  /** When the last answer was given. */
  protected answeredAt = Number.NEGATIVE_INFINITY
  private madeParser: Parser | undefined
  private received: Signal | undefined
  private sent: Signal | undefined

  constructor(
    readonly connection: Connection,
    readonly household: Household
  ) {
    this.limits = household.limits
    this.writer = household.makeWriter()
    this.inbox = new Inbox(connection, household.limits.maxReadAhead)
    this.outbox = new Outbox(connection)
    this.patience = new Patience(connection, this.outbox, household)
  }

  /** Begins a turn of the event loop's. */
  protected takeTurn(): void {
    this.outbox.attend()
    this.now = this.household.deadlines.now()
  }

  get parser(): Parser {
    return (this.madeParser ??= this.household.parsers.take())
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
    return dateOf(this.outbox.isAttended ? this.now : this.household.deadlines.now())
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
    return (this.received ??= new Signal()).waitOrLeave()
  }

  /** The same for who is no fiber. */
  onceReceived(go: () => void): void {
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
      return Effect.flatMap((this.sent ??= new Signal()).waitOrLeave(), () => this.canWrite)
    })
  }

  protected wakeWriter(): void {
    this.sent?.wake()
  }
}
