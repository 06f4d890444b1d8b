/**
 * How long one connection waits for its client: for bytes, for what it was sent to be read, for a side it has closed.
 *
 * Four deadlines, of which the sweep sees the nearest. Whoever is waited for is judged here; what becomes of him is the
 * connection's to say.
 *
 * @internal
 */
import type { Connection } from "../../Connection.js"
import type { ConnectionContext } from "./context.js"
import type { WriteBuffer } from "./writeBuffer.js"

const never = Number.POSITIVE_INFINITY

/**
 * Milliseconds that a connection is kept beyond what `Keep-Alive` has announced: a request that its client has sent at the
 * last moment is under way as long as the network takes. `node:http` calls it `keepAliveTimeoutBuffer`, and has 1 s too.
 */
const keepAliveBuffer = 1000

export class ConnectionTimeouts {
  /** The wait for bytes has lasted too long. */
  isReadExpired = false
  /** The client is to read what it was sent, however long that may take. */
  isWaitingForDrain = false
  private readDeadline = never
  private writeDeadline = never
  /** When the header section, a body, or what is skipped of one has to have ended: trickling does not move it. */
  private totalDeadline = never
  /** When a handler that writes nothing is given up. */
  private inactivityDeadline = never
  private isHalfClosed = false
  private totalBytesBefore = 0
  private unsent = 0

  constructor(
    private readonly connection: Connection,
    private readonly writeBuffer: WriteBuffer,
    private readonly context: ConnectionContext
  ) {}

  /** Waits for a first request: without any keep-alive a client still has to bring the one that it came for. */
  startFirstRequest(now = this.context.timer.now()): void {
    const { timeouts } = this.context
    // An empty line may have come before, in two parts: the time of a head does not begin with it.
    this.totalDeadline = never
    this.startRead(now + Math.max(timeouts.keepAlive, timeouts.header))
  }

  /** Waits for another request. */
  startKeepAlive(now: number): void {
    this.totalDeadline = never
    this.startRead(now + this.context.timeouts.keepAlive + keepAliveBuffer)
  }

  /** Waits for the rest of a header section, or of a body that nobody reads. */
  startRest(of: "Head" | "Body", now: number): void {
    const { timeouts } = this.context
    if (this.totalDeadline === never) this.totalDeadline = now + (of === "Head" ? timeouts.header : timeouts.body)
    this.startRead(this.totalDeadline)
  }

  /** Waits for bytes of a body that is being read. */
  startBody(): void {
    const { timer: deadlines, timeouts } = this.context
    const now = deadlines.now()
    if (this.totalDeadline === never) this.totalDeadline = now + timeouts.bodyTotal
    this.startRead(Math.min(this.totalDeadline, now + timeouts.body))
  }

  /** Waits for something of the server's own; `excuse` has to follow. */
  startInactivity(until: number): void {
    this.startRead(until)
  }

  /** The client was not waited for: that time is none of the body's. */
  extendTotal(milliseconds: number): void {
    this.clearRead()
    if (this.totalDeadline !== never) this.totalDeadline += milliseconds
  }

  private startRead(until: number): void {
    this.readDeadline = until
    this.context.timer.schedule(until)
  }

  /** Bytes have come. */
  clearRead(): void {
    this.readDeadline = never
    this.isReadExpired = false
  }

  /** What was waited for is whole. */
  reset(): void {
    this.clearRead()
    this.totalDeadline = never
  }

  /** Waits for the client to read; who writes again while it waits already does not move the deadline. */
  startWrite(): void {
    if (this.isWaitingForDrain) return
    const { timer: deadlines, timeouts } = this.context
    this.isWaitingForDrain = true
    this.unsent = this.connection.unsent()
    this.writeDeadline = deadlines.now() + timeouts.write
    deadlines.schedule(this.writeDeadline)
  }

  clearWrite(): void {
    this.isWaitingForDrain = false
    this.writeDeadline = never
  }

  /**
   * A client that has gone for good sends the same FIN as one that waits for its answer. It is given time for that, and
   * more as long as something is written, which a client that has gone refuses sooner or later.
   */
  startHalfClose(): void {
    this.isHalfClosed = true
    this.startWriting(this.context.timer.now())
  }

  /** A request is handed to its handler, which may be given a time in which something is to happen. */
  startHandling(): void {
    this.reset()
    this.isHalfClosed = false
    if (this.context.timeouts.inactivity !== never) this.startWriting(this.context.timer.now())
  }

  private startWriting(now: number): void {
    const { halfClosed, inactivity } = this.context.timeouts
    this.totalBytesBefore = this.writeBuffer.totalBytes
    this.inactivityDeadline = now + (this.isHalfClosed ? Math.min(halfClosed, inactivity) : inactivity)
    this.context.timer.schedule(this.inactivityDeadline)
  }

  clearHalfClose(): void {
    this.inactivityDeadline = never
  }

  /** Waits for nothing more. */
  clearAll(): void {
    this.isWaitingForDrain = false
    this.readDeadline = this.writeDeadline = this.inactivityDeadline = never
  }

  deadline(): number {
    return Math.min(this.readDeadline, this.writeDeadline, this.inactivityDeadline)
  }

  /** Whether bytes should have come by now. */
  expireRead(now: number): boolean {
    if (this.readDeadline > now) return false
    this.readDeadline = never
    this.isReadExpired = true
    return true
  }

  /** Whether the client reads nothing; one that reads something, however slowly, is waited for. */
  expireWrite(now: number): boolean {
    if (this.writeDeadline > now) return false
    const unsent = this.connection.unsent()
    const isReading = unsent < this.unsent
    this.unsent = unsent
    this.writeDeadline = isReading ? now + this.context.timeouts.write : never
    return !isReading
  }

  /** Whether nothing was written to a client that has closed its side, or that is not kept waiting for ever. */
  expireInactivity(now: number): boolean {
    if (this.inactivityDeadline > now) return false
    // While an answer waits for the client to read, or a body for the client to send, other timeouts judge.
    const isWaiting = this.isWaitingForDrain || this.readDeadline !== never
    const goesOn = isWaiting || this.writeBuffer.totalBytes !== this.totalBytesBefore
    if (goesOn) this.startWriting(now)
    else this.inactivityDeadline = never
    return !goesOn
  }
}
