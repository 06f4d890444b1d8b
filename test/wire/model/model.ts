/**
 * One connection as a state machine, written from the RFC and the design, knowing nothing of fibers, sockets or parsers:
 * what a client sends goes in as whole pieces, and after each command it states what must have been seen by then.
 */
import type { ErrorReason } from "../../../src/internal/errorReasons.js"

import { ConnectionModel } from "./connectionModel.js"
import { type Choices, type HandedOver, type Handling, limits, never, type Order, seconds } from "./states.js"

export { type Choices, type Command, limits, type Order, orders, stepsOf } from "./states.js"

/** The connection with its handler. */
export class Model extends ConnectionModel {
  constructor(choices: Choices) {
    super(choices)
    this.go()
  }

  protected override order(order: Order): void {
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

  private fail(phase: Handling, status: string, reason: ErrorReason | undefined): void {
    if (phase.response === "Open") {
      this.break(phase)
      return
    }
    this.error(status, reason, this.mayGoOn(phase, false))
    this.responded(phase)
  }

  private responded(phase: Handling): void {
    this.respondedAt = this.now
    this.wasLast = !phase.asked.keepsAlive && phase.asked.minor > 0 && phase.isDone
    if (!phase.reuse) {
      this.over("ClosedByServer")
      return
    }
    this.next(phase.isDone ? { _tag: "Idle" } : { _tag: "Skipping", skipped: 0 })
    this.go()
  }

  protected override readBody(phase: Handling): void {
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
