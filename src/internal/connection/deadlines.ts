/**
 * The deadlines of one connection: read, total, write and inactivity (half-close included).
 *
 * This class only keeps them, and gives the `DeadlineTimer` the earliest; `HttpConnection` acts when one expires.
 */
import type { Connection } from "../../Connection.js"
import type { ServerState } from "./serverState.js"
import type { WriteBuffer } from "./writeBuffer.js"

const never = Number.POSITIVE_INFINITY

/**
 * Milliseconds that a connection is kept beyond the announced `Keep-Alive: timeout=`, for a request that the client sent at
 * the last moment. This is `keepAliveTimeoutBuffer` of `node:http`, which is 1 s too.
 */
const keepAliveBuffer = 1000

export class ConnectionDeadlines {
  isReadExpired = false
  /** The connection is suspended until the client reads (`drain`). */
  isWaitingForDrain = false
  private readDeadline = never
  private writeDeadline = never
  /** Deadline of a whole header section, body or discarded rest: received bytes do not move it. */
  private totalDeadline = never
  /** When a handler is interrupted unless bytes are written. */
  private inactivityDeadline = never
  private isHalfClosed = false
  private totalBytesBefore = 0
  private unsent = 0

  constructor(
    private readonly transport: Connection,
    private readonly writeBuffer: WriteBuffer,
    private readonly server: ServerState
  ) {}

  /** Starts the timeout of the first request, which applies even with a `keepAliveTimeout` of 0. */
  startFirstRequest(now = this.server.timer.now()): void {
    const { durations } = this.server
    // An empty line may precede the request, in two parts: the header timeout does not start with it.
    this.totalDeadline = never
    this.startRead(now + Math.max(durations.keepAlive, durations.header))
  }

  startKeepAlive(now: number): void {
    this.totalDeadline = never
    this.startRead(now + this.server.durations.keepAlive + keepAliveBuffer)
  }

  /** Starts the timeout of the rest of a header section, or of a body that is discarded. */
  startRest(of: "Head" | "Body", now: number): void {
    const { durations } = this.server
    if (this.totalDeadline === never) this.totalDeadline = now + (of === "Head" ? durations.header : durations.body)
    this.startRead(this.totalDeadline)
  }

  /** Starts the timeouts of a body that is being read. */
  startBody(): void {
    const { timer, durations } = this.server
    const now = timer.now()
    if (this.totalDeadline === never) this.totalDeadline = now + durations.bodyTotal
    this.startRead(Math.min(this.totalDeadline, now + durations.body))
  }

  /** Starts the timeout of a grant of memory instead of the read timeout, until `endGrant`. */
  startGrant(until: number): void {
    this.startRead(until)
  }

  /** Ends the timeout of a grant; extends the total timeout by the time in which the server did not read. */
  endGrant(milliseconds: number): void {
    this.clearRead()
    if (this.totalDeadline !== never) this.totalDeadline += milliseconds
  }

  private startRead(until: number): void {
    this.readDeadline = until
    this.server.timer.schedule(until)
  }

  /** Clears the read timeout: bytes have arrived. */
  clearRead(): void {
    this.readDeadline = never
    this.isReadExpired = false
  }

  /** Clears the read and total timeouts: a head or a body is complete. */
  reset(): void {
    this.clearRead()
    this.totalDeadline = never
  }

  /** Starts the write timeout, unless it runs: another write does not move the deadline. */
  startWrite(): void {
    if (this.isWaitingForDrain) return
    const { timer, durations } = this.server
    this.isWaitingForDrain = true
    this.unsent = this.transport.unsent()
    this.writeDeadline = timer.now() + durations.write
    timer.schedule(this.writeDeadline)
  }

  clearWrite(): void {
    this.isWaitingForDrain = false
    this.writeDeadline = never
  }

  /**
   * Starts the half-close timeout. A client that has disconnected sends the same FIN as one that still reads its response.
   * Writes extend the timeout: those to a disconnected client fail sooner or later.
   */
  startHalfClose(): void {
    this.isHalfClosed = true
    this.startInactivity(this.server.timer.now())
  }

  /** Starts the inactivity timeout of a handler, if there is one. */
  startHandling(): void {
    this.reset()
    this.isHalfClosed = false
    if (this.server.durations.inactivity !== never) this.startInactivity(this.server.timer.now())
  }

  private startInactivity(now: number): void {
    const { halfClosed, inactivity } = this.server.durations
    this.totalBytesBefore = this.writeBuffer.totalBytes
    this.inactivityDeadline = now + (this.isHalfClosed ? Math.min(halfClosed, inactivity) : inactivity)
    this.server.timer.schedule(this.inactivityDeadline)
  }

  /** Clears the inactivity and half-close timeouts. */
  clearInactivity(): void {
    this.inactivityDeadline = never
  }

  clearAll(): void {
    this.isWaitingForDrain = false
    this.readDeadline = this.writeDeadline = this.inactivityDeadline = never
  }

  deadline(): number {
    return Math.min(this.readDeadline, this.writeDeadline, this.inactivityDeadline)
  }

  expireRead(now: number): boolean {
    if (this.readDeadline > now) return false
    this.readDeadline = never
    this.isReadExpired = true
    return true
  }

  /** True if the write timeout has passed without progress; progress, however slow, extends it. */
  expireWrite(now: number): boolean {
    if (this.writeDeadline > now) return false
    const unsent = this.transport.unsent()
    const isReading = unsent < this.unsent
    this.unsent = unsent
    this.writeDeadline = isReading ? now + this.server.durations.write : never
    return !isReading
  }

  /** True if the inactivity or half-close timeout has passed without a write; a write extends it. */
  expireInactivity(now: number): boolean {
    if (this.inactivityDeadline > now) return false
    // While the client is to read the response or to send the body, the write or read timeout applies instead.
    const isWaiting = this.isWaitingForDrain || this.readDeadline !== never
    const isActive = isWaiting || this.writeBuffer.totalBytes !== this.totalBytesBefore
    if (isActive) this.startInactivity(now)
    else this.inactivityDeadline = never
    return !isActive
  }
}
