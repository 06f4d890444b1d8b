/**
 * One connection's story: bytes in, requests, handlers, answers, and how it ends. The only request loop there is.
 *
 * `step` tells it: ask the parser; feed it, or wait; run the handler of a request; go on. It runs in the one fiber of
 * the connection, which begins with the first thing that happens to it, is entered once a wait and never once a byte, and
 * rests when nobody has spoken for a while; or, while that fiber only waits for a request, in the event that brings its
 * bytes, which leaves to the fiber whatever has to be run. Errors are settled in one block, by how far the answer is: not
 * begun, it becomes an error's answer; begun, the connection breaks; whole, it stands.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { KeyError, ValueError } from "../../Errors.js"
import { toString as statusText } from "../../HttpCode.js"
import type { Limits } from "../../Limits.js"
import type { Connection, ConnectionEvents } from "../../Listener.js"
import type { Malformed, Parser, RequestHead } from "../../RequestParser.js"
import type { Responded } from "../../Response.js"
import type { Writer } from "../../ResponseWriter.js"
import { Answering } from "../answering.js"
import { dateOf } from "../http1/date.js"
import { malformed } from "../http1/verdict.js"
import { reasons } from "../reasons.js"
import type { Entry } from "../registry.js"
import { RequestImpl } from "../request.js"
import { Signal, thisFiber, unsafeInterrupt } from "../runtime.js"
import type { Due } from "./deadlines.js"
import { ExchangeImpl } from "./exchange.js"
import type { ConnectionEnd, EndReason, Household, Service } from "./household.js"
import { Inbox } from "./inbox.js"
import type { Line } from "./line.js"
import { Outbox } from "./outbox.js"
import { RequestScope } from "./requestScope.js"
import type { Roster, Served } from "./roster.js"

const never = Number.POSITIVE_INFINITY

/** Bytes that a client receives without having confirmed any: less than the ten segments of RFC 6928. */
const firstFlight = 8 * 1024

const plainText = { "Content-Type": "text/plain; charset=utf-8" }

/** The text of an error's answer: its status, and for the client's mistakes the rule that was broken. No input in it. */
const errorText = (status: number, error: ValueError | KeyError | undefined): string => {
  if (error === undefined || status === 500) return `${statusText(status)}\n`
  return `${statusText(status)}: ${error instanceof ValueError ? reasons[error.reason].text : error.message}\n`
}

/** The error that answers a failure by itself, if the failure is one. */
const answeredBy = (cause: Cause.Cause<unknown>): ValueError | KeyError | undefined => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  return failure instanceof ValueError || failure instanceof KeyError ? failure : undefined
}

export class ServerConnection<E, R> implements ConnectionEvents, Due, Line, Served {
  readonly limits: Limits
  private madeParser: Parser | undefined
  readonly writer: Writer
  readonly inbox: Inbox
  readonly outbox: Outbox

  private phase: "Reading" | "Handling" | "Skipping" | "Over" = "Reading"
  private reason: EndReason | undefined
  /** Whether the fiber waits for the bytes of a request, so that they can be looked at without it. */
  private isParked = false
  /** What an event has found that only the fiber can run. */
  private pending: Effect.Effect<void, never, R> | undefined
  private unreported: Effect.Effect<void, never, R> | undefined
  /** The time of the turn that is being taken: asking for it costs as much as a short request line. */
  private now = 0
  private requests = 0
  private skipped = 0
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  private madeScope: RequestScope | undefined
  /** Whether its fiber may end while nobody asks for anything. */
  private mayRest = true
  /** Whether it has been idle for a while. */
  private isTired = false
  private madeExchange: ExchangeImpl | undefined
  private madeRequest: RequestImpl | undefined

  private readonly watched: Entry<Due>
  private readonly entries: ReadonlyArray<Entry<Served>>
  private unlinger: (() => void) | undefined
  private isDraining = false
  /** The system has closed the connection. */
  private isClosed = false
  /** Its fiber has nothing more to say. */
  private isLeft = false
  private overdue = false
  private readDue = never
  private writeDue = never
  /** When the header section, a body, or what is skipped of one has to have ended: trickling does not move it. */
  private totalDue = never
  /** When a handler whose client has sent FIN is given up. */
  private halfClosedDue = never
  private totalWhenHalfClosed = 0
  private unsent = 0
  private readonly received = new Signal()
  private readonly sent = new Signal()

  constructor(
    private readonly connection: Connection,
    private readonly household: Household,
    private readonly service: Service<E, R>,
    private readonly rosters: ReadonlyArray<Roster>
  ) {
    this.limits = household.limits
    this.writer = household.makeWriter()
    this.inbox = new Inbox(connection, household.limits.maxReadAhead)
    this.outbox = new Outbox(connection)
    this.watched = household.deadlines.watch(this)
    this.entries = rosters.map((roster) => roster.add(this))
  }

  get parser(): Parser {
    return (this.madeParser ??= this.household.makeParser(this.limits))
  }

  // Both are set before a handler runs, and read only while or after it does.
  private get exchange(): ExchangeImpl {
    return this.madeExchange!
  }

  private get request(): RequestImpl {
    return this.madeRequest!
  }

  private get scope(): RequestScope {
    return (this.madeScope ??= new RequestScope(this.service.fibers))
  }

  // The story, in order.

  /** Begins to read; who never speaks costs no fiber. */
  open(): void {
    this.expect(this.household.deadlines.now() + this.firstPatience)
    this.connection.open(this)
  }

  /** `open`, with the fiber at once: it ends when the connection is gone. */
  serve(): Fiber.RuntimeFiber<ConnectionEnd> {
    this.mayRest = false
    const fiber = this.service.fibers.fork(Effect.zipLeft(this.run(), this.gone()))
    this.connection.open(this)
    return fiber
  }

  /**
   * The life of the connection from here on, to its end or its next rest; succeeds with how it ended, whatever happened.
   * Its fiber is born uninterruptible, or an interruption would take the place of that end; what may be interrupted is
   * said here.
   */
  private run(): Effect.Effect<ConnectionEnd, never, R> {
    return thisFiber((fiber) => {
      this.fiber = fiber
      this.scope.install(fiber)
      const requests = Effect.whileLoop({
        while: () => this.fiber === fiber && (this.phase !== "Over" || this.pending !== undefined),
        body: () => this.turn(),
        step: () => {}
      })
      const served = Effect.interruptible(requests)
      return Effect.flatMap(Effect.exit(served), (exit) =>
        this.fiber === fiber ? this.leave(exit) : Effect.succeed(this.ended())
      )
    })
  }

  /** One turn of the fiber: what an event has left to it, or else the next steps, or else a wait. */
  private turn(): Effect.Effect<void, never, R> {
    this.isParked = false
    const next = this.pending ?? this.step()
    this.pending = undefined
    if (this.isTired && next === undefined && this.isIdle) {
      this.fallAsleep()
      return Effect.void
    }
    if (next !== undefined || this.phase === "Over") return next ?? Effect.void
    this.isParked = true
    return this.received.wait()
  }

  /**
   * The same, in the turn of the event that brought bytes: while its fiber only waits for them, a request that needs no
   * fiber is answered without waking it, which is a third of what a small one costs.
   */
  private proceed(): void {
    this.isParked = false
    try {
      this.pending = this.step()
    } catch (defect) {
      this.pending = Effect.die(defect)
    }
    if (this.pending === undefined && this.phase !== "Over") this.isParked = true
    else this.received.wake()
  }

  /** Whether nothing of a request has come, and nothing is left to be said. */
  private get isIdle(): boolean {
    return this.phase === "Reading" && this.parser.isIdle() && this.inbox.isEmpty && !this.outbox.isFull()
  }

  rest(): void {
    if (!this.mayRest || !this.isParked || !this.isIdle) return
    if (!this.isTired) {
      // Once more round: who has just spoken may speak again.
      this.isTired = true
      return
    }
    this.isParked = false
    this.received.wake()
  }

  /** Lets go of all that only a request needs: the fiber, the parser, the last request. The next byte brings others. */
  private fallAsleep(): void {
    this.isTired = false
    this.fiber = this.madeScope = this.madeParser = this.madeExchange = this.madeRequest = undefined
  }

  /** Goes on until something has to be run, which it gives, or until more bytes have to be waited for. */
  private step(): Effect.Effect<void, never, R> | undefined {
    this.takeTurn()
    while (this.phase !== "Over") {
      const step = this.parser.next()
      if (step === "NeedMore") {
        const bytes = this.inbox.pull()
        if (bytes !== undefined) this.parser.feed(bytes)
        else if (this.mustWait()) return this.outbox.isFull() ? this.canWrite : undefined
      } else if (step._tag === "Head" && step.method === "CONNECT" && this.household.onConnect === "refuse") {
        // It asks for a tunnel, and nobody here digs one; what follows it is not HTTP (RFC 9110 §9.3.6).
        this.refuse(malformed("MethodUnknown", "CONNECT"))
      } else if (step._tag === "Head") {
        if (this.outbox.isFull()) return this.handleWhenRead(step)
        const handling = this.handle(step)
        if (handling !== undefined) return handling
      } else if (step._tag === "Body") {
        this.skip(step.bytes.length)
      } else if (step._tag === "End") {
        this.read()
      } else {
        this.refuse(step)
      }
    }
    return undefined
  }

  /** Serves a request when the client has read the answers before it, which may take any time. */
  private handleWhenRead(head: RequestHead): Effect.Effect<void, never, R> {
    this.outbox.leave()
    return Effect.flatMap(this.canWrite, () => {
      this.takeTurn()
      return this.handle(head) ?? Effect.void
    })
  }

  private takeTurn(): void {
    this.outbox.attend()
    this.now = this.household.deadlines.now()
  }

  /** Runs the handler; `undefined` when it has answered in this very turn. */
  private handle(head: RequestHead): Effect.Effect<void, never, R> | undefined {
    // A client that left before its request was read: a handler begun now would never be told of it.
    if (this.isClosed || (this.inbox.isEnded && this.household.onHalfClose === "interrupt")) {
      this.over("Aborted")
      return undefined
    }
    this.phase = "Handling"
    this.readDue = this.totalDue = never
    this.requests++
    this.madeExchange = new ExchangeImpl(this, head)
    this.madeRequest = new RequestImpl(head, this.connection, this.madeExchange)
    const answer = this.answer()
    if (answer instanceof Answering) return this.answerNow(answer)
    // What has failed already, because the handler threw, is the handler's failure.
    if (Exit.isExit(answer) && Exit.isFailure(answer)) return this.failed(answer.cause as Cause.Cause<E>)
    if (this.inbox.isEnded) this.halfClosed()
    this.outbox.leave()
    return Effect.matchCauseEffect(Effect.zipRight(this.scope.begin(), answer), {
      onSuccess: (evidence) => this.settled(evidence) ?? Effect.void,
      onFailure: (cause) => this.failed(cause)
    })
  }

  private answerNow(answer: Answering): Effect.Effect<void, never, R> | undefined {
    try {
      const evidence = answer.unsafeRun()
      return evidence instanceof ValueError ? this.failed(Cause.fail(evidence)) : this.settled(evidence)
    } catch (defect) {
      return this.failed(Cause.die(defect))
    }
  }

  /** A handler may throw before it has made an Effect: that is a defect like any other. */
  private answer(): Effect.Effect<Responded, E, R> {
    try {
      return this.service.handler(this.request)
    } catch (defect) {
      return Exit.die(defect)
    }
  }

  private settled(evidence: Responded): Effect.Effect<void, never, R> | undefined {
    return this.exchange.isEvidence(evidence)
      ? this.conclude(Exit.void)
      : this.failed(Cause.die(new Error("a handler must return the evidence that its own request was answered")))
  }

  /** Every failure ends here: answered while it can be, reported unless it is the client's mistake. */
  private failed(cause: Cause.Cause<E | ValueError>): Effect.Effect<void, never, R> {
    const { exchange, request } = this
    const error = answeredBy(cause)
    const status = error?.status ?? 500
    const isAnswer = exchange.state === "Unanswered"
    if (isAnswer) exchange.respond(status, errorText(status, error), plainText)
    this.outbox.leave()
    const concluded = Effect.suspend(() => this.conclude(Exit.failCause(cause)) ?? Effect.void)
    if (isAnswer && status !== 500) return concluded
    // A status other than 500 is this connection's own, so what is reported is the handler's.
    this.unreported = this.service.report(cause as Cause.Cause<E>, request)
    return Effect.zipRight(this.report(), concluded)
  }

  /** Tells of a failure once, whoever leaves or closes meanwhile. */
  private report(): Effect.Effect<void, never, R> {
    return Effect.uninterruptible(
      Effect.suspend(() => {
        const report = this.unreported
        this.unreported = undefined
        return report ?? Effect.void
      })
    )
  }

  /** Ends the request behind its answer, and goes on; `undefined` when there is nothing to end. */
  private conclude(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, never, R> | undefined {
    const closing = this.scope.close(exit)
    if (closing === undefined) {
      this.goOn()
      return undefined
    }
    this.outbox.leave()
    // The answer stands, whatever its finalizers do; and all of them run, whoever leaves meanwhile.
    const settled = Effect.catchAllCause(closing, (cause) => this.service.report(cause, this.request))
    return Effect.uninterruptible(
      Effect.ensuring(
        settled,
        Effect.sync(() => this.goOn())
      )
    )
  }

  private goOn(): void {
    const { exchange } = this
    if (exchange.state !== "Answered") this.over("Broken")
    else if (exchange.isUpgraded) this.over("Upgraded")
    else if (!exchange.reuse) this.over("ClosedByServer")
    else this.read(exchange.isUnread ? "Skipping" : "Reading")
    this.retire()
  }

  /** Whoever has kept the request finds it over, and does not wait for what is another's. */
  private retire(): void {
    this.halfClosedDue = never
    if (this.exchange.close()) this.received.wake()
  }

  private read(phase: "Reading" | "Skipping" = "Reading"): void {
    this.phase = phase
    this.skipped = 0
    this.overdue = false
    this.readDue = this.totalDue = never
  }

  /** What a handler left of a body, thrown away to reach the next request. */
  private skip(bytes: number): void {
    this.skipped += bytes
    if (this.skipped > this.limits.maxDrain) this.over("ClosedByServer")
  }

  /** Nothing on this connection can be trusted any more: one answer, unless this request has had its own. */
  private refuse(step: Malformed): void {
    if (this.phase === "Reading") this.lastWords(new ValueError(step))
    this.over("Malformed")
  }

  private lastWords(error: ValueError): void {
    const text = errorText(error.status, error)
    const head = this.writer.head({
      status: error.status,
      fields: ["Content-Type", plainText["Content-Type"]],
      contentLength: text.length,
      method: this.parser.method() ?? "GET",
      minor: 1,
      reuse: false,
      date: this.date()
    })
    if (head._tag !== "Written") return
    this.outbox.pushText(head.framing._tag === "None" ? head.text : head.text + text)
  }

  private over(reason: EndReason): void {
    this.phase = "Over"
    this.reason ??= reason
  }

  /** Ends what is left; the descriptor is given back when the client has had its last word. */
  private leave(exit: Exit.Exit<void, never>): Effect.Effect<ConnectionEnd, never, R> {
    const closing = this.phase === "Handling" ? this.scope.close(exit) : undefined
    if (this.phase === "Handling" && this.exchange.state === "Unanswered" && this.reason !== "Aborted") {
      // The server is closing: the client should try again elsewhere.
      this.exchange.respond(503, errorText(503, undefined), { ...plainText, Connection: "close" })
    }
    if (this.phase !== "Over") this.over("Interrupted")
    const farewell = Effect.sync((): ConnectionEnd => {
      if (this.madeExchange !== undefined) this.retire()
      this.readDue = this.writeDue = never
      this.outbox.flush()
      this.end(Exit.isFailure(exit))
      this.isLeft = true
      this.forget()
      return this.ended()
    })
    const closed = closing === undefined ? farewell : Effect.zipRight(Effect.exit(closing), farewell)
    const ended = this.unreported === undefined ? closed : Effect.zipRight(this.report(), closed)
    return Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)
      ? Effect.zipRight(Effect.logError("a connection failed", exit.cause), ended)
      : ended
  }

  private ended(): ConnectionEnd {
    return { reason: this.reason ?? "Interrupted", requests: this.requests }
  }

  private end(isInterrupted: boolean): void {
    const { connection, household } = this
    if (isInterrupted) connection.destroy()
    else if (this.reason === "Broken") this.break()
    else if (this.isSilent() && connection.unsent() === 0) connection.close()
    else {
      this.inbox.discard()
      connection.end()
      this.unlinger = household.lingering.add(connection)
    }
  }

  /** What only the connection's end can end would be taken for whole: by a reset it is not. */
  private break(): void {
    if (this.exchange.isUntilClose || this.exchange.isUpgraded) this.connection.abort()
    else this.connection.destroy()
  }

  /**
   * Whether nothing can come that would be answered by a reset, and so take with it what the client has not read yet: it
   * has ended too, or has said that it will send nothing more, and all that it was sent fits into a first flight.
   */
  private isSilent(): boolean {
    if (this.inbox.isEnded) return true
    const isAnswered = this.madeExchange?.saysClose === true && !this.madeExchange.isUnread
    return isAnswered && this.inbox.isEmpty && this.parser.isIdle() && this.outbox.total <= firstFlight
  }

  /** Who has left, and whose connection has closed, is nobody's any more. */
  private forget(): void {
    if (!this.isLeft || !this.isClosed) return
    this.unlinger?.()
    this.household.deadlines.unwatch(this.watched)
    this.rosters.forEach((roster, i) => {
      roster.remove(this.entries[i]!)
    })
    this.received.wake()
  }

  private gone(): Effect.Effect<void> {
    return Effect.suspend(() => (this.isClosed ? Effect.void : Effect.flatMap(this.received.wait(), () => this.gone())))
  }

  // Waiting: for the next request, for a body, for a client that is slow to read.

  /** All that has come has been read: whether more can be waited for, with a deadline, or why this is the end. */
  private mustWait(): boolean {
    this.outbox.flush()
    this.outbox.leave()
    const isIdle = this.phase === "Reading" && this.parser.isIdle()
    if (this.isClosed || this.inbox.isEnded) this.endedByClient(isIdle)
    else if (this.overdue) this.timedOut(isIdle)
    else if (this.isDraining) this.over("ClosedByServer")
    else {
      if (!this.outbox.isFull()) this.expect(this.dueOf(isIdle))
      // What is due already may have been swept in this very turn, before anybody waited to be told.
      return !this.overdue
    }
    return false
  }

  private dueOf(isIdle: boolean): number {
    const { timeouts } = this.household
    if (isIdle) {
      // An empty line may have come before, in two parts: the time of a head does not begin with it.
      this.totalDue = never
      return this.now + (this.requests === 0 ? this.firstPatience : timeouts.keepAlive)
    }
    if (this.totalDue === never) {
      this.totalDue = this.now + (this.phase === "Reading" ? timeouts.header : timeouts.body)
    }
    return this.totalDue
  }

  /** Without any keep-alive a client still has to bring the request it came for. */
  private get firstPatience(): number {
    const { timeouts } = this.household
    return Math.max(timeouts.keepAlive, timeouts.header)
  }

  private expect(until: number): void {
    this.readDue = until
    this.household.deadlines.notBefore(until)
  }

  private receive(until: number): Effect.Effect<void> {
    this.expect(until)
    return this.overdue ? Effect.void : this.received.wait()
  }

  /** FIN, or a reset: in the middle of a head the former gets an answer (RFC 9112 §8), the latter cannot. */
  private endedByClient(isIdle: boolean): void {
    if (this.phase === "Reading" && !isIdle && !this.isClosed)
      this.lastWords(new ValueError({ reason: "IncompleteRequest" }))
    this.over(isIdle ? "ClosedByClient" : "Aborted")
  }

  private timedOut(isIdle: boolean): void {
    if (this.phase === "Reading" && !isIdle) this.lastWords(new ValueError({ reason: "Timeout" }))
    this.over("TimedOut")
  }

  awaitBody(): Effect.Effect<void> {
    const { deadlines, timeouts } = this.household
    const now = deadlines.now()
    if (this.totalDue === never) this.totalDue = now + timeouts.bodyTotal
    return this.receive(Math.min(this.totalDue, now + timeouts.body))
  }

  awaitBytes(): Effect.Effect<void> {
    return this.received.wait()
  }

  get canWrite(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isClosed || !this.outbox.isFull()) return Effect.void
      const { deadlines, timeouts } = this.household
      // Who writes again while it waits already does not move the deadline.
      if (this.writeDue === never) {
        this.unsent = this.connection.unsent()
        this.writeDue = deadlines.now() + timeouts.write
        deadlines.notBefore(this.writeDue)
      }
      return Effect.flatMap(this.sent.waitOrLeave(), () => this.canWrite)
    })
  }

  isOverdue(): boolean {
    return this.overdue
  }

  date(): string {
    return dateOf(this.outbox.isAttended ? this.now : this.household.deadlines.now())
  }

  mayGoOn(): boolean {
    return (
      !this.isDraining && this.requests < this.limits.maxRequestsPerConnection && this.household.timeouts.keepAlive > 0
    )
  }

  // Events: from the connection, from the sweep of deadlines, from the server that closes.

  readonly onBytes = (bytes: Buffer): void => {
    if (this.phase === "Over") return
    this.readDue = never
    this.overdue = false
    this.isTired = false
    this.inbox.push(bytes)
    if (this.isParked) this.proceed()
    else this.rouse()
  }

  /** Something has happened: whoever waits for it looks, and the fiber that has not begun does. */
  private rouse(): void {
    if (this.fiber === undefined) this.service.fibers.fork(this.run())
    else this.received.wake()
  }

  readonly onEnd = (): void => {
    this.inbox.isEnded = true
    const isServing = this.phase === "Handling" && !this.exchange.isUpgraded
    if (isServing && this.household.onHalfClose === "interrupt") this.interrupt("Aborted")
    else if (isServing) this.halfClosed()
    this.rouse()
  }

  /**
   * A client that has gone for good sends the same FIN as one that waits for its answer. It is given time for that, and
   * more as long as something is written, which a client that has gone refuses sooner or later.
   */
  private halfClosed(): void {
    this.probe()
    this.totalWhenHalfClosed = this.outbox.total
    this.halfClosedDue = this.household.deadlines.now() + this.household.timeouts.halfClosed
    this.household.deadlines.notBefore(this.halfClosedDue)
  }

  private stillHalfClosed(now: number): void {
    if (this.exchange.isUpgraded) return
    // While an answer waits for the client to read, it is `writeTimeout` that judges.
    const isWriting = this.writeDue !== never || this.outbox.total !== this.totalWhenHalfClosed
    this.totalWhenHalfClosed = this.outbox.total
    if (isWriting) this.halfClosedDue = now + this.household.timeouts.halfClosed
    else this.interrupt("Aborted")
  }

  /**
   * libuv tells a reset that comes with the last bytes as a FIN. A connection that was reset refuses to take even
   * nothing, and closes; one that was half-closed does not notice.
   */
  private probe(): void {
    this.connection.write([""])
  }

  readonly onDrain = (): void => {
    this.writeDue = never
    this.sent.wake()
  }

  readonly onClose = (): void => {
    this.isClosed = true
    this.inbox.isEnded = true
    if (this.phase === "Handling") this.interrupt("Aborted")
    this.rouse()
    this.sent.wake()
    this.forget()
  }

  dueAt(): number {
    return Math.min(this.readDue, this.writeDue, this.halfClosedDue)
  }

  onDue(now: number): void {
    if (this.readDue <= now) {
      this.readDue = never
      this.overdue = true
      this.rouse()
    }
    if (this.writeDue <= now) this.writeOverdue(now)
    if (this.halfClosedDue <= now) {
      this.halfClosedDue = never
      this.stillHalfClosed(now)
    }
  }

  /** A client that reads something, however slowly, is waited for. */
  private writeOverdue(now: number): void {
    const unsent = this.connection.unsent()
    if (unsent < this.unsent) {
      this.unsent = unsent
      this.writeDue = now + this.household.timeouts.write
    } else {
      this.writeDue = never
      this.reason ??= "TimedOut"
      this.connection.destroy()
    }
  }

  /** Whether a request is being served, or an answer waits for its client to read. */
  get isBusy(): boolean {
    return this.phase === "Handling" || this.writeDue !== never
  }

  /** Serves no further request; ends now if none is being served. */
  drain(): void {
    this.isDraining = true
    this.rouse()
  }

  /** Ends the handler, and the connection with it. */
  interrupt(reason: EndReason): void {
    this.reason ??= reason
    if (this.fiber !== undefined) unsafeInterrupt(this.fiber)
    if (this.fiber === undefined || this.phase === "Over") this.connection.destroy()
  }
}
