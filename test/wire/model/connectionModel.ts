/** A connection as a state machine, up to its handler: bytes, time, order of requests, and how it ends. */
import type { ErrorReason } from "../../../src/internal/errorReasons.js"
import type { CloseReason } from "../../../src/Server.js"
import type { Ending } from "../../server/memoryConnection.js"
import { askedBy, Client, type Item, type Kind } from "./client.js"

import {
  type Choices,
  type Command,
  type HandedOver,
  type Handling,
  limits,
  never,
  type Order,
  type Phase,
  refusal,
  seconds,
  stepsOf
} from "./states.js"

/** The connection without its handler: what the client sends, time, and how it ends. */
export abstract class ConnectionModel {
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

  protected readonly client = new Client()
  /** What it has sent and is unread. */
  protected readonly stream: Array<Item> = []
  protected now = 0
  protected readDue = never
  protected totalDue = never
  protected writeDue = never
  protected halfClosedDue = never
  /** What had been written when that was set: a handler that writes on is given more time. */
  protected writtenBefore = ""
  /** The client does not read. */
  protected isFull = false
  /** It has read something since the server began to wait for it. */
  protected hasRead = false
  /** The server serves nothing more until it does. */
  protected isStalled = false
  protected isEnded = false
  protected isClosed = false
  protected isDraining = false
  protected respondedAt = Number.NEGATIVE_INFINITY
  protected overdue = false
  /** Whether the last request said that none follows. */
  protected wasLast = false

  constructor(protected readonly choices: Choices) {}

  get isOver(): boolean {
    return this.phase._tag === "Lingering" || this.phase._tag === "Closed"
  }

  /** The handler at work, if there is one. */
  protected get handler(): Handling | HandedOver | undefined {
    const { phase } = this
    return phase._tag === "Handling" || phase._tag === "HandedOver" ? phase : undefined
  }

  /** What the command meets: for counting what was tried. */
  get state(): string {
    const { handler, phase } = this
    const stalled = this.isStalled || handler?.isWriting ? ", stalled" : ""
    if (phase._tag !== "Handling") return phase._tag + stalled
    const body = phase.isReading ? "reading" : phase.isDone ? "read" : "unread"
    return `Handling ${body} ${phase.response === "Open" ? "open" : "unresponded"}${stalled}`
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

  protected canOrder(order: Order): boolean {
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

  protected sent(items: ReadonlyArray<Item>): string {
    if (!this.isOver) {
      for (const item of items) this.push(item)
      this.arrived()
    }
    return items.map(({ text }) => text).join("")
  }

  /** A head that is whole takes the place of its part. */
  protected push(item: Item): void {
    const last = this.stream.at(-1)
    if (last?._tag === "PartOfHead") this.stream.pop()
    this.stream.push(last?._tag === "PartOfHead" ? { ...item, text: last.text + item.text } : item)
  }

  /** Bytes have come: a waiting reader waits no more. */
  protected arrived(): void {
    this.readDue = never
    this.overdue = false
    this.go()
  }

  protected fin(): void {
    this.client.fallSilent()
    this.isEnded = true
    if (this.phase._tag === "Handling") {
      if (this.choices.onClientEnd === "interrupt") this.interrupt("ClientAborted")
      else this.halfClosed()
    }
    this.go()
  }

  protected reset(): void {
    this.client.fallSilent()
    this.isReset = this.ending === undefined
    this.gone()
    if (this.isReset) this.ending = undefined
  }

  protected readOn(): void {
    this.isFull = false
    this.writeDue = never
    if (this.handler !== undefined) this.handler.isWriting = false
    if (!this.isStalled) return
    this.isStalled = false
    this.go()
  }

  // Time.

  protected advance(by: number): void {
    this.now += by
    this.sweep()
  }

  protected sweep(): void {
    if (this.writeDue <= this.now) this.stillFull()
    if (this.halfClosedDue <= this.now) this.stillHalfClosed()
    if (this.readDue > this.now) return
    this.readDue = never
    this.overdue = true
    this.go()
  }

  protected stall(): void {
    this.hasRead = false
    this.writeDue = this.now + seconds.write
  }

  /** A client that reads something, however slowly, is waited for. */
  protected stillFull(): void {
    if (this.hasRead) {
      this.stall()
      return
    }
    this.reason ??= "TimedOut"
    this.ending = this.cut
    this.gone()
  }

  protected halfClosed(): void {
    this.writtenBefore = this.written
    this.halfClosedDue = this.now + seconds.halfClose
  }

  protected stillHalfClosed(): void {
    if (this.written !== this.writtenBefore || this.writeDue !== never) this.halfClosed()
    else this.interrupt("ClientAborted")
  }

  // How it ends.

  /** Both ways are closed: what had come before is read to its end, but nothing of it is served. */
  protected gone(): void {
    this.isClosed = true
    this.isStalled = false
    if (this.handler !== undefined) this.interrupt("ClientAborted")
    this.go()
    this.phase = { _tag: "Closed" }
  }

  /** The handler, if there is one, has no time to respond; a client that still waits gets a 503. */
  protected interrupt(reason: CloseReason): void {
    const { handler } = this
    if (handler !== undefined) this.log.push("interrupted")
    if (reason !== "ClientAborted" && handler?._tag === "Handling" && handler.response === "None") {
      this.error("503 Service Unavailable", undefined, false)
    }
    this.end(reason, this.cut)
    this.phase = { _tag: "Closed" }
  }

  protected over(reason: CloseReason): void {
    // All that a model's connection writes is little; what is much is looked at elsewhere.
    if (reason === "Upgraded") this.respondedAt = this.now
    const isSettled = this.isDraining && (this.written === "" || this.now - this.respondedAt >= seconds.linger)
    const isSilent = this.isEnded || isSettled || (this.wasLast && reason !== "Upgraded" && this.stream.length === 0)
    this.end(reason, isSilent && !this.isFull ? "close" : "end")
    this.phase = { _tag: this.ending === "end" ? "Lingering" : "Closed" }
  }

  /** What only the connection's end can end would be taken for whole without a reset. */
  protected get cut(): Ending {
    const { handler } = this
    return handler?._tag === "Handling" && handler.response === "Open" && handler.asked.minor === 0
      ? "abort"
      : "destroy"
  }

  protected break(phase: Handling | HandedOver): void {
    this.end("ResponseFailed", phase._tag === "HandedOver" ? "abort" : this.cut)
    this.phase = { _tag: "Closed" }
  }

  protected end(reason: CloseReason, ending: Ending): void {
    this.reason ??= reason
    this.ending ??= ending
    this.readDue = this.writeDue = this.halfClosedDue = never
    this.stream.length = 0
    this.isStalled = false
  }

  // The server.

  /** Goes on until something has to be waited for. */
  protected go(): void {
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

  protected take(phase: Exclude<Phase, Handling | HandedOver>, item: Item): void {
    const isRefused =
      item._tag === "Head" && askedBy(item.kind).method === "CONNECT" && this.choices.connectMethod === "reject"
    if (item._tag === "Head" && !isRefused && this.isFull && !this.isClosed) {
      this.isStalled = true
      this.stall()
      return
    }
    this.stream.shift()
    if (phase._tag === "Skipping") this.skip(phase, item)
    else if (isRefused) this.finalError("501 Not Implemented", "MethodUnknown", "BadRequest")
    else if (item._tag === "Head") this.handle(item.kind, item.target)
    else this.finalError("400 Bad Request", "RequestLine", "BadRequest")
  }

  protected awaitMore(isInHead: boolean): void {
    const isSkipping = this.phase._tag === "Skipping"
    if (!isSkipping) this.phase = { _tag: isInHead ? "ReadingHead" : "Idle" }
    const isIdle = this.phase._tag === "Idle"
    if (this.isEnded || this.isClosed) {
      if (isInHead && !isSkipping && !this.isClosed)
        this.finalError("400 Bad Request", "IncompleteRequest", "ClientAborted")
      else this.over(isIdle ? "ClosedByClient" : "ClientAborted")
    } else if (this.overdue) {
      if (isInHead && !isSkipping) this.finalError("408 Request Timeout", "Timeout", "TimedOut")
      else this.over("TimedOut")
    } else if (this.isDraining) this.over("ClosedByServer")
    else if (this.isFull) {
      this.isStalled = true
      this.stall()
    } else this.expect(isIdle, isSkipping)
  }

  protected expect(isIdle: boolean, isSkipping: boolean): void {
    if (isIdle) {
      this.totalDue = never
      // What was announced to a client that has got its response is kept a little longer.
      this.readDue = this.now + seconds.keepAlive + (this.requests === 0 ? 0 : seconds.keepAliveBuffer)
    } else {
      if (this.totalDue === never) this.totalDue = this.now + (isSkipping ? seconds.body : seconds.header)
      this.readDue = this.totalDue
    }
    // What had to be there by now was waited for by a client that did not read.
    this.sweep()
  }

  protected skip(phase: { skipped: number }, item: Item): void {
    if (item._tag === "Data") {
      phase.skipped += item.length
      if (phase.skipped > limits.maxDiscardedBody) this.over("ClosedByServer")
    } else if (item._tag === "End") this.next({ _tag: "Idle" })
    else this.over("BadRequest")
  }

  protected next(phase: Phase): void {
    this.phase = phase
    this.overdue = false
    this.readDue = this.totalDue = this.halfClosedDue = never
  }

  protected handle(kind: Kind, target: string): void {
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

  protected abstract order(order: Order): void

  protected abstract readBody(phase: Handling): void

  // What is written.

  protected head(status: string, reuse: boolean): void {
    const connection = reuse
      ? `Connection: keep-alive\r\nKeep-Alive: timeout=${seconds.keepAlive}\r\n`
      : "Connection: close\r\n"
    this.written += `HTTP/1.1 ${status}\r\n${connection}`
  }

  protected error(status: string, reason: ErrorReason | undefined, reuse: boolean): void {
    this.head(status, reuse)
    this.written += refusal(status, reason)
  }

  protected finalError(status: string, reason: ErrorReason, end: CloseReason): void {
    this.error(status, reason, false)
    this.over(end)
  }
}
