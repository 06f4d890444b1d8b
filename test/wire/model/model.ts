/**
 * One connection as a state machine, written from the RFC and the design, knowing nothing of fibers, sockets or parsers:
 * what a client sends goes in as whole pieces, and after each command it says what must have been seen by then.
 */
import { type Reason, reasons } from "../../../src/internal/reasons.js"
import type { EndReason } from "../../../src/Server.js"

/** What a client may ask for. */
export const kinds = ["get", "close", "short", "long", "chunked", "patient"] as const
export type Kind = (typeof kinds)[number]

/** What a handler may be told to do. */
export const orders = ["answer", "begin", "write", "end", "fail", "die", "read"] as const
export type Order = (typeof orders)[number]

export type Command =
  | { readonly _tag: "Head" | "PartOfHead" | "Pipelined"; readonly kind: Kind }
  | {
      readonly _tag:
        | "RestOfHead"
        | "Body"
        | "LastBody"
        | "BadBody"
        | "Nonsense"
        | "Fin"
        | "Reset"
        | "Drain"
        | "Interrupt"
    }
  | { readonly _tag: "Order"; readonly order: Order }
  | { readonly _tag: "Advance"; readonly seconds: number }

/** Bytes of a body, or `undefined` for chunks. */
export const lengthOf: Readonly<Record<Kind, number | undefined>> = {
  get: 0,
  close: 0,
  short: 10,
  long: 1000,
  chunked: undefined,
  patient: 10
}

/** Bytes of a piece of a body. */
export const pieceOf = (kind: Kind): number => (kind === "long" ? 60 : 5)

export const limits = { maxDrain: 100 }
const seconds = { header: 10, body: 30, bodyTotal: 300, keepAlive: 60, halfClose: 30 }

/** Time passes in steps that are shorter than any two deadlines one behind the other. */
export const stepsOf = (seconds: number): ReadonlyArray<number> =>
  seconds <= 10 ? [seconds] : [10, ...stepsOf(seconds - 10)]

type Item =
  | { readonly _tag: "Head"; readonly kind: Kind; readonly path: string }
  | { readonly _tag: "Data"; readonly length: number }
  | { readonly _tag: "End" | "BadBody" | "Nonsense" | "PartOfHead" }

interface Handling {
  readonly _tag: "Handling"
  readonly kind: Kind
  answer: "None" | "Open"
  /** What the head of an open answer has promised. */
  reuse: boolean
  /** The handler waits for the body. */
  isReading: boolean
  isDone: boolean
  failed: boolean
  read: number
  continues: boolean
}

type Phase =
  | { readonly _tag: "Idle" | "ReadingHead" | "Lingering" | "Closed" }
  | Handling
  | { readonly _tag: "Skipping"; skipped: number }

/** Where the client stands in what it sends. */
type Sending =
  | { readonly _tag: "Between" | "Ended" | "Broken" }
  | { readonly _tag: "InHead"; readonly kind: Kind }
  | { readonly _tag: "InBody"; readonly kind: Kind; left: number | undefined }

const never = Number.POSITIVE_INFINITY

const refusal = (status: string, reason: Reason | undefined): string => {
  const text = reason === undefined ? `${status}\n` : `${status}: ${reasons[reason].text}\n`
  return `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\n\r\n${text}`
}

export class Model {
  phase: Phase = { _tag: "Idle" }
  sending: Sending = { _tag: "Between" }
  /** All that was written, without Date. */
  written = ""
  /** What handlers have seen. */
  readonly log: Array<string> = []
  requests = 0
  /** How the server ended the connection. */
  ending: "end" | "destroy" | undefined
  reason: EndReason | undefined
  /** Whether the client was the first to break the connection: how the server ends it then, nobody sees. */
  isReset = false

  private readonly stream: Array<Item> = []
  private now = 0
  private readDue = never
  private totalDue = never
  private halfClosedDue = never
  /** What had been written when that was set: a handler that writes on is given more time. */
  private writtenBefore = ""
  private isEnded = false
  private isDraining = false
  private overdue = false
  private paths = 0

  constructor() {
    this.go()
  }

  get isOver(): boolean {
    return this.phase._tag === "Lingering" || this.phase._tag === "Closed"
  }

  /** What the command meets: for counting what was tried. */
  get state(): string {
    const { phase } = this
    if (phase._tag !== "Handling") return phase._tag
    const body = phase.isReading ? "reading" : phase.isDone ? "read" : "unread"
    return `Handling ${body} ${phase.answer === "Open" ? "open" : "unanswered"}`
  }

  canDo(command: Command): boolean {
    const { phase, sending } = this
    switch (command._tag) {
      case "Head":
      case "PartOfHead":
      case "Nonsense":
        return sending._tag === "Between"
      case "Pipelined":
        return sending._tag === "Between" && lengthOf[command.kind] === 0
      case "RestOfHead":
        return sending._tag === "InHead"
      case "Body":
        return sending._tag === "InBody" && (sending.left === undefined || sending.left > pieceOf(sending.kind))
      case "LastBody":
        return sending._tag === "InBody"
      case "BadBody":
        return sending._tag === "InBody" && sending.left === undefined
      case "Fin":
        return sending._tag !== "Ended"
      case "Reset":
        return phase._tag !== "Closed"
      case "Order":
        return phase._tag === "Handling" && !phase.isReading && this.canOrder(phase, command.order)
      case "Advance":
        return true
      case "Drain":
        return !this.isDraining
      case "Interrupt":
        return phase._tag !== "Closed" && phase._tag !== "Lingering"
    }
  }

  private canOrder({ answer }: Handling, order: Order): boolean {
    if (order === "write" || order === "end") return answer === "Open"
    return order === "answer" || order === "begin" ? answer === "None" : true
  }

  /** The path of the next request. */
  nextPath(): string {
    return `/${this.paths + 1}`
  }

  run(command: Command): void {
    switch (command._tag) {
      case "Head":
        this.sendHead(command.kind)
        break
      case "Pipelined":
        this.push({ _tag: "Head", kind: "get", path: this.takePath() })
        this.push({ _tag: "Head", kind: command.kind, path: this.takePath() })
        this.arrived()
        break
      case "PartOfHead":
        this.sending = { _tag: "InHead", kind: command.kind }
        this.push({ _tag: "PartOfHead" })
        this.arrived()
        break
      case "RestOfHead":
        this.stream.pop()
        this.sendHead(this.sending._tag === "InHead" ? this.sending.kind : "get")
        break
      case "Body":
      case "LastBody":
        this.sendBody(command._tag === "LastBody")
        break
      case "BadBody":
        this.sending = { _tag: "Broken" }
        this.push({ _tag: "BadBody" })
        this.arrived()
        break
      case "Nonsense":
        this.sending = { _tag: "Broken" }
        this.push({ _tag: "Nonsense" })
        this.arrived()
        break
      case "Fin":
        this.sending = { _tag: "Ended" }
        this.isEnded = true
        if (this.phase._tag === "Handling") this.halfClosed()
        this.go()
        break
      case "Reset":
        this.reset()
        break
      case "Order":
        this.order(command.order)
        break
      case "Advance":
        for (const step of stepsOf(command.seconds)) this.advance(step)
        break
      case "Drain":
        this.isDraining = true
        this.go()
        break
      case "Interrupt":
        this.interrupt()
        break
    }
  }

  // The client.

  private push(item: Item): void {
    if (!this.isOver) this.stream.push(item)
  }

  private takePath(): string {
    return `/${++this.paths}`
  }

  private sendHead(kind: Kind): void {
    const left = lengthOf[kind]
    this.push({ _tag: "Head", kind, path: this.takePath() })
    this.sending = left === 0 ? { _tag: "Between" } : { _tag: "InBody", kind, left }
    this.arrived()
  }

  private sendBody(isLast: boolean): void {
    if (this.sending._tag !== "InBody") return
    const { kind, left } = this.sending
    const length = isLast ? (left ?? 0) : pieceOf(kind)
    if (length > 0) this.push({ _tag: "Data", length })
    if (left !== undefined) this.sending.left = left - length
    if (isLast) {
      this.push({ _tag: "End" })
      this.sending = { _tag: "Between" }
    }
    this.arrived()
  }

  /** Bytes have come: whoever waited for them waits no more. */
  private arrived(): void {
    if (this.isOver) return
    this.readDue = never
    this.overdue = false
    this.go()
  }

  private reset(): void {
    this.sending = { _tag: "Ended" }
    if (this.phase._tag === "Handling") {
      this.log.push("interrupted")
      this.isReset = true
      this.reason ??= "Aborted"
    } else if (!this.isOver) {
      this.isReset = true
      this.reason ??= this.phase._tag === "Idle" ? "ClosedByClient" : "Aborted"
    }
    this.phase = { _tag: "Closed" }
    this.readDue = this.halfClosedDue = never
  }

  private interrupt(): void {
    if (this.phase._tag === "Handling") {
      this.log.push("interrupted")
      if (this.phase.answer === "None") this.error("503 Service Unavailable", undefined, true)
    }
    this.reason = "Interrupted"
    this.halfClosedDue = never
    this.ending = "destroy"
    this.phase = { _tag: "Closed" }
  }

  private advance(by: number): void {
    this.now += by
    if (this.halfClosedDue <= this.now) this.stillHalfClosed()
    if (this.readDue > this.now) return
    this.readDue = never
    this.overdue = true
    this.go()
  }

  private halfClosed(): void {
    this.writtenBefore = this.written
    this.halfClosedDue = this.now + seconds.halfClose
  }

  private stillHalfClosed(): void {
    if (this.written !== this.writtenBefore) {
      this.halfClosed()
      return
    }
    this.log.push("interrupted")
    this.over("Aborted")
    this.ending = "destroy"
    this.phase = { _tag: "Closed" }
  }

  // The server.

  private over(reason: EndReason): void {
    this.reason ??= reason
    this.readDue = this.halfClosedDue = never
    this.ending ??= reason === "Broken" ? "destroy" : "end"
    this.phase = { _tag: reason === "Broken" ? "Closed" : "Lingering" }
    this.stream.length = 0
  }

  /** Goes on until something has to be waited for. */
  private go(): void {
    for (;;) {
      const { phase } = this
      if (phase._tag === "Handling") {
        if (phase.isReading) this.readOn(phase)
        if (this.phase === phase) return
        continue
      }
      if (this.isOver) return
      const [item] = this.stream
      if (item === undefined || item._tag === "PartOfHead") {
        this.awaitMore(item !== undefined)
        return
      }
      this.stream.shift()
      if (phase._tag === "Skipping") this.skip(phase, item)
      else if (item._tag === "Head") this.handle(item.kind, item.path)
      else this.lastWords("RequestLine", "Malformed")
    }
  }

  private awaitMore(isInHead: boolean): void {
    const isSkipping = this.phase._tag === "Skipping"
    if (!isSkipping) this.phase = { _tag: isInHead ? "ReadingHead" : "Idle" }
    const isIdle = this.phase._tag === "Idle"
    if (this.isEnded) {
      if (this.phase._tag === "ReadingHead") this.lastWords("IncompleteRequest", "Aborted")
      else this.over(isIdle ? "ClosedByClient" : "Aborted")
    } else if (this.overdue) {
      if (this.phase._tag === "ReadingHead") this.lastWords("Timeout", "TimedOut")
      else this.over("TimedOut")
    } else if (this.isDraining) this.over("ClosedByServer")
    else if (isIdle) {
      this.totalDue = never
      this.readDue = this.now + seconds.keepAlive
    } else {
      if (this.totalDue === never) this.totalDue = this.now + (isSkipping ? seconds.body : seconds.header)
      this.readDue = this.totalDue
    }
  }

  private skip(phase: { skipped: number }, item: Item): void {
    if (item._tag === "Data") {
      phase.skipped += item.length
      if (phase.skipped > limits.maxDrain) this.over("ClosedByServer")
    } else if (item._tag === "End") this.next({ _tag: "Idle" })
    else this.over("Malformed")
  }

  private next(phase: Phase): void {
    this.phase = phase
    this.overdue = false
    this.readDue = this.totalDue = this.halfClosedDue = never
  }

  private handle(kind: Kind, path: string): void {
    this.requests++
    this.log.push(`call ${path}`)
    this.readDue = this.totalDue = never
    this.phase = {
      _tag: "Handling",
      kind,
      answer: "None",
      reuse: true,
      isReading: false,
      isDone: lengthOf[kind] === 0,
      failed: false,
      read: 0,
      continues: kind === "patient"
    }
    if (this.isEnded) this.halfClosed()
  }

  // The handler.

  private order(order: Order): void {
    const { phase } = this
    if (phase._tag !== "Handling") return
    switch (order) {
      case "answer":
        this.head("200 OK", this.mayGoOn(phase, false))
        this.written += "Content-Length: 2\r\n\r\nok"
        this.answered(phase)
        break
      case "begin":
        this.goAhead(phase)
        this.head("200 OK", this.mayGoOn(phase, true))
        this.written += "Transfer-Encoding: chunked\r\n\r\n"
        phase.answer = "Open"
        phase.continues = false
        break
      case "write":
        this.written += "3\r\nabc\r\n"
        break
      case "end":
        this.written += "0\r\n\r\n"
        this.answered(phase)
        break
      case "fail":
        this.fail(phase, "400 Bad Request", "Json")
        break
      case "die":
        this.fail(phase, "500 Internal Server Error", undefined)
        break
      case "read":
        phase.isReading = true
        this.goAhead(phase)
        this.go()
        break
    }
  }

  private goAhead(phase: Handling): void {
    if (phase.continues) this.written += "HTTP/1.1 100 Continue\r\n\r\n"
    phase.continues = false
  }

  /** Whether the connection may go on behind an answer: nothing unread may stand in its way. */
  private mayGoOn(phase: Handling, isStreamed: boolean): boolean {
    const canBeRead = phase.isDone || (!phase.failed && !phase.continues)
    const left = (lengthOf[phase.kind] ?? 0) - phase.read
    const isUnhindered = canBeRead && (isStreamed || phase.isDone || left <= limits.maxDrain)
    phase.reuse = phase.kind !== "close" && !this.isDraining && isUnhindered
    return phase.reuse
  }

  private head(status: string, reuse: boolean): void {
    this.written += `HTTP/1.1 ${status}\r\n${reuse ? "" : "Connection: close\r\n"}`
  }

  private error(status: string, reason: Reason | undefined, close: boolean): void {
    this.head(status, !close)
    this.written += refusal(status, reason)
  }

  private lastWords(reason: Reason, end: EndReason): void {
    this.error(reason === "Timeout" ? "408 Request Timeout" : "400 Bad Request", reason, true)
    this.over(end)
  }

  private fail(phase: Handling, status: string, reason: Reason | undefined): void {
    if (phase.answer === "Open") {
      this.over("Broken")
      return
    }
    this.error(status, reason, !this.mayGoOn(phase, false))
    this.answered(phase)
  }

  private answered(phase: Handling): void {
    if (!phase.reuse) {
      this.over("ClosedByServer")
      return
    }
    this.next(phase.isDone ? { _tag: "Idle" } : { _tag: "Skipping", skipped: 0 })
    this.go()
  }

  private readOn(phase: Handling): void {
    while (!phase.isDone) {
      const item = this.stream.shift()
      if (item === undefined) {
        if (this.isEnded) {
          this.cannotRead(phase, "400 Bad Request", "IncompleteRequest")
          return
        }
        if (this.overdue) {
          this.cannotRead(phase, "408 Request Timeout", "Timeout")
          return
        }
        if (this.totalDue === never) this.totalDue = this.now + seconds.bodyTotal
        this.readDue = Math.min(this.totalDue, this.now + seconds.body)
        return
      }
      if (item._tag === "Data") phase.read += item.length
      else if (item._tag === "End") phase.isDone = true
      else {
        this.cannotRead(phase, "400 Bad Request", "Chunk")
        return
      }
    }
    phase.isReading = false
    this.log.push(`read ${phase.read}`)
  }

  private cannotRead(phase: Handling, status: string, reason: Reason): void {
    phase.isReading = false
    phase.failed = true
    this.fail(phase, status, reason)
  }
}
