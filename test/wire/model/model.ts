/**
 * One connection as a state machine, written from the RFC and the design, knowing nothing of fibers, sockets or parsers:
 * what a client sends goes in as whole pieces, and after each command it says what must have been seen by then.
 */
import { type ErrorReason, errorReasons } from "../../../src/internal/errorReasons.js"
import type { CloseReason } from "../../../src/Server.js"
import type { Ending } from "../../server/memoryConnection.js"
import { type Asked, askedBy, Client, type Item, type Kind, type Sends } from "./client.js"

/** The commands for a handler. */
export const orders = ["respond", "begin", "write", "end", "fail", "die", "read", "handOver"] as const
export type Order = (typeof orders)[number]

export type Command =
  | Sends
  | { readonly _tag: "Fin" | "Reset" | "StopReading" | "ReadSome" | "ReadOn" | "Drain" | "Interrupt" }
  | { readonly _tag: "Order"; readonly order: Order }
  | { readonly _tag: "Advance"; readonly seconds: number }

/** What a server can be made to do otherwise. */
export interface Choices {
  readonly onClientEnd: "continue" | "interrupt"
  readonly connectMethod: "reject" | "handle"
}

export const limits = { maxDiscardedBody: 100 }
const seconds = {
  header: 10,
  body: 30,
  bodyTotal: 300,
  keepAlive: 75,
  keepAliveBuffer: 1,
  halfClose: 30,
  write: 30,
  linger: 1
}

/** Time passes in steps that are shorter than any two deadlines one after the other. */
export const stepsOf = (seconds: number): ReadonlyArray<number> =>
  seconds <= 10 ? [seconds] : [10, ...stepsOf(seconds - 10)]

interface Handling {
  readonly _tag: "Handling"
  readonly asked: Asked
  response: "None" | "Open"
  /** What the head of an open answer has promised. */
  reuse: boolean
  /** The handler waits for the body. */
  isReading: boolean
  /** The handler waits for the client to read. */
  isWriting: boolean
  isDone: boolean
  failed: boolean
  read: number
  continues: boolean
}

/** The handler has the connection: whatever comes is no HTTP. */
interface HandedOver {
  readonly _tag: "HandedOver"
  isWriting: boolean
  received: string
}

type Phase =
  | { readonly _tag: "Idle" | "ReadingHead" | "Lingering" | "Closed" }
  | Handling
  | HandedOver
  | { readonly _tag: "Skipping"; skipped: number }

const never = Number.POSITIVE_INFINITY

const refusal = (status: string, reason: ErrorReason | undefined): string => {
  const text = reason === undefined ? `${status}\n` : `${status}: ${errorReasons[reason].text}\n`
  return `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\n\r\n${text}`
}

export class Model {
  phase: Phase = { _tag: "Idle" }
  /** All that was written, without Date. */
  written = ""
  /** What handlers have seen. */
  readonly log: Array<string> = []
  requests = 0
  /** How the server ended the connection. */
  ending: Ending | undefined
  reason: CloseReason | undefined
  /** Whether the client was the first to break the connection: how the server ends it then is not observable. */
  isReset = false

  private readonly client = new Client()
  /** What it has sent and is unread. */
  private readonly stream: Array<Item> = []
  private now = 0
  private readDue = never
  private totalDue = never
  private writeDue = never
  private halfClosedDue = never
  /** What had been written when that was set: a handler that writes on is given more time. */
  private writtenBefore = ""
  /** The client does not read. */
  private isFull = false
  /** It has read something since the server began to wait for it. */
  private hasRead = false
  /** The server serves nothing more until it does. */
  private isStalled = false
  private isEnded = false
  private isClosed = false
  private isDraining = false
  private answeredAt = Number.NEGATIVE_INFINITY
  private overdue = false
  /** Whether the last request said that none follows. */
  private wasLast = false

  constructor(private readonly choices: Choices) {
    this.go()
  }

  get isOver(): boolean {
    return this.phase._tag === "Lingering" || this.phase._tag === "Closed"
  }

  /** The handler at work, if there is one. */
  private get handler(): Handling | HandedOver | undefined {
    const { phase } = this
    return phase._tag === "Handling" || phase._tag === "HandedOver" ? phase : undefined
  }

  /** What the command meets: for counting what was tried. */
  get state(): string {
    const { handler, phase } = this
    const stalled = this.isStalled || handler?.isWriting ? ", stalled" : ""
    if (phase._tag !== "Handling") return phase._tag + stalled
    const body = phase.isReading ? "reading" : phase.isDone ? "read" : "unread"
    return `Handling ${body} ${phase.response === "Open" ? "open" : "unanswered"}${stalled}`
  }

  canDo(command: Command): boolean {
    switch (command._tag) {
      case "Fin":
        return !this.client.isSilent
      case "Reset":
        return this.phase._tag !== "Closed"
      case "StopReading":
        return !this.isFull && !this.isOver
      case "ReadSome":
      case "ReadOn":
        return this.isFull
      case "Order":
        return this.canOrder(command.order)
      case "Advance":
        return true
      case "Drain":
        return !this.isDraining
      case "Interrupt":
        return !this.isOver
      default:
        return this.client.canSend(command)
    }
  }

  private canOrder(order: Order): boolean {
    const { handler } = this
    if (handler === undefined || handler.isWriting) return false
    if (handler._tag === "HandedOver") return !["respond", "begin", "handOver"].includes(order)
    if (handler.isReading) return false
    if (order === "write" || order === "end") return handler.response === "Open"
    if (order === "respond" || order === "begin") return handler.response === "None"
    return order !== "handOver" || (handler.response === "None" && handler.asked.handedOverBy !== undefined)
  }

  /** Runs a command, and gives the bytes that the client sends by it. */
  run(command: Command): string {
    switch (command._tag) {
      case "Fin":
        this.fin()
        return ""
      case "Reset":
        this.reset()
        return ""
      case "StopReading":
        this.isFull = true
        return ""
      case "ReadSome":
        this.hasRead = true
        return ""
      case "ReadOn":
        this.readOn()
        return ""
      case "Order":
        this.order(command.order)
        return ""
      case "Advance":
        for (const step of stepsOf(command.seconds)) this.advance(step)
        return ""
      case "Drain":
        this.isDraining = true
        this.go()
        return ""
      case "Interrupt":
        this.interrupt("Interrupted")
        return ""
      default:
        return this.sent(this.client.send(command))
    }
  }

  // The client.

  private sent(items: ReadonlyArray<Item>): string {
    if (!this.isOver) {
      for (const item of items) this.push(item)
      this.arrived()
    }
    return items.map(({ text }) => text).join("")
  }

  /** A head that is whole takes the place of its part. */
  private push(item: Item): void {
    const last = this.stream.at(-1)
    if (last?._tag === "PartOfHead") this.stream.pop()
    this.stream.push(last?._tag === "PartOfHead" ? { ...item, text: last.text + item.text } : item)
  }

  /** Bytes have come: a waiting reader waits no more. */
  private arrived(): void {
    this.readDue = never
    this.overdue = false
    this.go()
  }

  private fin(): void {
    this.client.fallSilent()
    this.isEnded = true
    if (this.phase._tag === "Handling") {
      if (this.choices.onClientEnd === "interrupt") this.interrupt("ClientAborted")
      else this.halfClosed()
    }
    this.go()
  }

  private reset(): void {
    this.client.fallSilent()
    this.isReset = this.ending === undefined
    this.gone()
    if (this.isReset) this.ending = undefined
  }

  private readOn(): void {
    this.isFull = false
    this.writeDue = never
    if (this.handler !== undefined) this.handler.isWriting = false
    if (!this.isStalled) return
    this.isStalled = false
    this.go()
  }

  // Time.

  private advance(by: number): void {
    this.now += by
    this.sweep()
  }

  private sweep(): void {
    if (this.writeDue <= this.now) this.stillFull()
    if (this.halfClosedDue <= this.now) this.stillHalfClosed()
    if (this.readDue > this.now) return
    this.readDue = never
    this.overdue = true
    this.go()
  }

  private stall(): void {
    this.hasRead = false
    this.writeDue = this.now + seconds.write
  }

  /** A client that reads something, however slowly, is waited for. */
  private stillFull(): void {
    if (this.hasRead) {
      this.stall()
      return
    }
    this.reason ??= "TimedOut"
    this.ending = this.cut
    this.gone()
  }

  private halfClosed(): void {
    this.writtenBefore = this.written
    this.halfClosedDue = this.now + seconds.halfClose
  }

  private stillHalfClosed(): void {
    if (this.written !== this.writtenBefore || this.writeDue !== never) this.halfClosed()
    else this.interrupt("ClientAborted")
  }

  // How it ends.

  /** Both ways are closed: what had come before is read to its end, but nothing of it is served. */
  private gone(): void {
    this.isClosed = true
    this.isStalled = false
    if (this.handler !== undefined) this.interrupt("ClientAborted")
    this.go()
    this.phase = { _tag: "Closed" }
  }

  /** The handler, if there is one, has no time to respond; a client that still waits gets a 503. */
  private interrupt(reason: CloseReason): void {
    const { handler } = this
    if (handler !== undefined) this.log.push("interrupted")
    if (reason !== "ClientAborted" && handler?._tag === "Handling" && handler.response === "None") {
      this.error("503 Service Unavailable", undefined, false)
    }
    this.end(reason, this.cut)
    this.phase = { _tag: "Closed" }
  }

  private over(reason: CloseReason): void {
    // All that a model's connection writes is little; what is much is looked at elsewhere.
    if (reason === "Upgraded") this.answeredAt = this.now
    const isSettled = this.isDraining && (this.written === "" || this.now - this.answeredAt >= seconds.linger)
    const isSilent = this.isEnded || isSettled || (this.wasLast && reason !== "Upgraded" && this.stream.length === 0)
    this.end(reason, isSilent && !this.isFull ? "close" : "end")
    this.phase = { _tag: this.ending === "end" ? "Lingering" : "Closed" }
  }

  /** What only the connection's end can end would be taken for whole without a reset. */
  private get cut(): Ending {
    const { handler } = this
    return handler?._tag === "Handling" && handler.response === "Open" && handler.asked.minor === 0
      ? "abort"
      : "destroy"
  }

  private break(phase: Handling | HandedOver): void {
    this.end("ResponseFailed", phase._tag === "HandedOver" ? "abort" : this.cut)
    this.phase = { _tag: "Closed" }
  }

  private end(reason: CloseReason, ending: Ending): void {
    this.reason ??= reason
    this.ending ??= ending
    this.readDue = this.writeDue = this.halfClosedDue = never
    this.stream.length = 0
    this.isStalled = false
  }

  // The server.

  /** Goes on until something has to be waited for. */
  private go(): void {
    while (!this.isStalled && !this.isOver) {
      const { phase } = this
      if (phase._tag === "HandedOver") {
        for (const { text } of this.stream.splice(0)) phase.received += text
        return
      }
      if (phase._tag === "Handling") {
        if (phase.isReading) this.readBody(phase)
        if (this.phase === phase) return
        continue
      }
      const [item] = this.stream
      if (item === undefined || item._tag === "PartOfHead") {
        this.awaitMore(item !== undefined)
        return
      }
      this.take(phase, item)
    }
  }

  private take(phase: Exclude<Phase, Handling | HandedOver>, item: Item): void {
    const isRefused =
      item._tag === "Head" && askedBy(item.kind).method === "CONNECT" && this.choices.connectMethod === "reject"
    if (item._tag === "Head" && !isRefused && this.isFull && !this.isClosed) {
      this.isStalled = true
      this.stall()
      return
    }
    this.stream.shift()
    if (phase._tag === "Skipping") this.skip(phase, item)
    else if (isRefused) this.lastWords("501 Not Implemented", "MethodUnknown", "BadRequest")
    else if (item._tag === "Head") this.handle(item.kind, item.target)
    else this.lastWords("400 Bad Request", "RequestLine", "BadRequest")
  }

  private awaitMore(isInHead: boolean): void {
    const isSkipping = this.phase._tag === "Skipping"
    if (!isSkipping) this.phase = { _tag: isInHead ? "ReadingHead" : "Idle" }
    const isIdle = this.phase._tag === "Idle"
    if (this.isEnded || this.isClosed) {
      if (isInHead && !isSkipping && !this.isClosed)
        this.lastWords("400 Bad Request", "IncompleteRequest", "ClientAborted")
      else this.over(isIdle ? "ClosedByClient" : "ClientAborted")
    } else if (this.overdue) {
      if (isInHead && !isSkipping) this.lastWords("408 Request Timeout", "Timeout", "TimedOut")
      else this.over("TimedOut")
    } else if (this.isDraining) this.over("ClosedByServer")
    else if (this.isFull) {
      this.isStalled = true
      this.stall()
    } else this.expect(isIdle, isSkipping)
  }

  private expect(isIdle: boolean, isSkipping: boolean): void {
    if (isIdle) {
      this.totalDue = never
      // What was announced to a client that has been answered is kept a little longer.
      this.readDue = this.now + seconds.keepAlive + (this.requests === 0 ? 0 : seconds.keepAliveBuffer)
    } else {
      if (this.totalDue === never) this.totalDue = this.now + (isSkipping ? seconds.body : seconds.header)
      this.readDue = this.totalDue
    }
    // What had to be there by now was waited for by a client that did not read.
    this.sweep()
  }

  private skip(phase: { skipped: number }, item: Item): void {
    if (item._tag === "Data") {
      phase.skipped += item.length
      if (phase.skipped > limits.maxDiscardedBody) this.over("ClosedByServer")
    } else if (item._tag === "End") this.next({ _tag: "Idle" })
    else this.over("BadRequest")
  }

  private next(phase: Phase): void {
    this.phase = phase
    this.overdue = false
    this.readDue = this.totalDue = this.halfClosedDue = never
  }

  private handle(kind: Kind, target: string): void {
    if (this.isClosed || (this.isEnded && this.choices.onClientEnd === "interrupt")) {
      this.over("ClientAborted")
      return
    }
    const asked = askedBy(kind)
    this.requests++
    this.log.push(`call ${target}`)
    this.next({
      _tag: "Handling",
      asked,
      response: "None",
      reuse: true,
      isReading: false,
      isWriting: false,
      isDone: asked.length === 0,
      failed: false,
      read: 0,
      continues: asked.isPatient
    })
    if (this.isEnded) this.halfClosed()
  }

  // The handler.

  private order(order: Order): void {
    const { phase } = this
    if (phase._tag === "HandedOver") this.orderWithoutHttp(phase, order)
    else if (phase._tag === "Handling") this.orderInHttp(phase, order)
  }

  private orderWithoutHttp(phase: HandedOver, order: Order): void {
    switch (order) {
      case "write":
        this.write(phase, "abc")
        break
      case "read":
        this.log.push(`received ${JSON.stringify(phase.received)}${this.isEnded ? ", and no more" : ""}`)
        break
      case "end":
        this.over("Upgraded")
        break
      default:
        this.break(phase)
    }
  }

  private orderInHttp(phase: Handling, order: Order): void {
    const { asked } = phase
    const isChunked = asked.minor > 0
    switch (order) {
      case "respond":
      case "begin":
        // A tunnel has no content (RFC 9110 §9.3.6): the handler is rejected the response, and fails with that.
        if (asked.method === "CONNECT") this.fail(phase, "500 Internal Server Error", undefined)
        else if (order === "respond") this.response(phase)
        else this.begin(phase)
        break
      case "write":
        this.write(phase, isChunked ? "3\r\nabc\r\n" : "abc")
        break
      case "end":
        if (isChunked) this.written += "0\r\n\r\n"
        this.responded(phase)
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
      case "handOver":
        this.written += asked.handedOverBy
        this.next({ _tag: "HandedOver", isWriting: false, received: "" })
        this.go()
        break
    }
  }

  private response(phase: Handling): void {
    this.head("200 OK", this.mayGoOn(phase, false))
    this.written += "Content-Length: 2\r\n\r\nok"
    this.responded(phase)
  }

  private begin(phase: Handling): void {
    this.goAhead(phase)
    this.head("200 OK", this.mayGoOn(phase, true))
    this.written += phase.asked.minor > 0 ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n"
    phase.response = "Open"
    phase.continues = false
  }

  private write(phase: Handling | HandedOver, text: string): void {
    this.written += text
    phase.isWriting = this.isFull
    if (this.isFull) this.stall()
  }

  private goAhead(phase: Handling): void {
    if (phase.continues) this.written += "HTTP/1.1 100 Continue\r\n\r\n"
    phase.continues = false
  }

  /** Whether the connection may continue after a response: nothing unread may stand in its way. */
  private mayGoOn(phase: Handling, isStreamed: boolean): boolean {
    const { asked } = phase
    const canBeRead = phase.isDone || (!phase.failed && !phase.continues)
    const left = (asked.length ?? 0) - phase.read
    const isUnhindered = canBeRead && (isStreamed || phase.isDone || left <= limits.maxDiscardedBody)
    // In HTTP/1.0 only the end of a connection ends a content whose length is not known.
    const hasEnd = !isStreamed || asked.minor > 0
    phase.reuse = asked.keepsAlive && asked.method !== "CONNECT" && hasEnd && !this.isDraining && isUnhindered
    return phase.reuse
  }

  private head(status: string, reuse: boolean): void {
    const connection = reuse
      ? `Connection: keep-alive\r\nKeep-Alive: timeout=${seconds.keepAlive}\r\n`
      : "Connection: close\r\n"
    this.written += `HTTP/1.1 ${status}\r\n${connection}`
  }

  private error(status: string, reason: ErrorReason | undefined, reuse: boolean): void {
    this.head(status, reuse)
    this.written += refusal(status, reason)
  }

  private lastWords(status: string, reason: ErrorReason, end: CloseReason): void {
    this.error(status, reason, false)
    this.over(end)
  }

  private fail(phase: Handling, status: string, reason: ErrorReason | undefined): void {
    if (phase.response === "Open") {
      this.break(phase)
      return
    }
    this.error(status, reason, this.mayGoOn(phase, false))
    this.responded(phase)
  }

  private responded(phase: Handling): void {
    this.answeredAt = this.now
    this.wasLast = !phase.asked.keepsAlive && phase.asked.minor > 0 && phase.isDone
    if (!phase.reuse) {
      this.over("ClosedByServer")
      return
    }
    this.next(phase.isDone ? { _tag: "Idle" } : { _tag: "Skipping", skipped: 0 })
    this.go()
  }

  private readBody(phase: Handling): void {
    while (!phase.isDone) {
      const item = this.stream.shift()
      if (item === undefined) {
        this.awaitBody(phase)
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

  private awaitBody(phase: Handling): void {
    if (this.isEnded) this.cannotRead(phase, "400 Bad Request", "IncompleteRequest")
    else if (this.overdue) this.cannotRead(phase, "408 Request Timeout", "Timeout")
    else {
      if (this.totalDue === never) this.totalDue = this.now + seconds.bodyTotal
      this.readDue = Math.min(this.totalDue, this.now + seconds.body)
    }
  }

  private cannotRead(phase: Handling, status: string, reason: ErrorReason): void {
    phase.isReading = false
    phase.failed = true
    this.fail(phase, status, reason)
  }
}
