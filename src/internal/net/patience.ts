/**
 * How long one connection waits for its client: for bytes, for what it was sent to be read, for a side it has closed.
 *
 * Four deadlines, of which the sweep sees the nearest. Whoever is waited for is judged here; what becomes of him is the
 * connection's to say.
 *
 * @internal
 */
import type { Connection } from "../../Listener.js"
import type { Household } from "./household.js"
import type { Outbox } from "./outbox.js"

const never = Number.POSITIVE_INFINITY

export class Patience {
  /** The wait for bytes has lasted too long. */
  isOverdue = false
  /** The client is to read what it was sent, however long that may take. */
  awaitsDrain = false
  private readDue = never
  private writeDue = never
  /** When the header section, a body, or what is skipped of one has to have ended: trickling does not move it. */
  private totalDue = never
  /** When a handler whose client has sent FIN is given up. */
  private halfClosedDue = never
  private totalWhenHalfClosed = 0
  private unsent = 0

  constructor(
    private readonly connection: Connection,
    private readonly outbox: Outbox,
    private readonly household: Household
  ) {}

  /** Waits for a first request: without any keep-alive a client still has to bring the one that it came for. */
  awaitFirst(now = this.household.deadlines.now()): void {
    const { timeouts } = this.household
    // An empty line may have come before, in two parts: the time of a head does not begin with it.
    this.totalDue = never
    this.await(now + Math.max(timeouts.keepAlive, timeouts.header))
  }

  /** Waits for another request. */
  awaitNext(now: number): void {
    this.totalDue = never
    this.await(now + this.household.timeouts.keepAlive)
  }

  /** Waits for the rest of a header section, or of a body that nobody reads. */
  awaitRest(of: "Head" | "Body", now: number): void {
    const { timeouts } = this.household
    if (this.totalDue === never) this.totalDue = now + (of === "Head" ? timeouts.header : timeouts.body)
    this.await(this.totalDue)
  }

  /** Waits for bytes of a body that is being read. */
  awaitBody(): void {
    const { deadlines, timeouts } = this.household
    const now = deadlines.now()
    if (this.totalDue === never) this.totalDue = now + timeouts.bodyTotal
    this.await(Math.min(this.totalDue, now + timeouts.body))
  }

  /** Waits for something of the server's own; `excuse` has to follow. */
  awaitServer(until: number): void {
    this.await(until)
  }

  /** The client was not waited for: that time is none of the body's. */
  excuse(milliseconds: number): void {
    this.heard()
    if (this.totalDue !== never) this.totalDue += milliseconds
  }

  private await(until: number): void {
    this.readDue = until
    this.household.deadlines.notBefore(until)
  }

  /** Bytes have come. */
  heard(): void {
    this.readDue = never
    this.isOverdue = false
  }

  /** What was waited for is whole. */
  rest(): void {
    this.heard()
    this.totalDue = never
  }

  /** Waits for the client to read; who writes again while it waits already does not move the deadline. */
  awaitDrain(): void {
    if (this.awaitsDrain) return
    const { deadlines, timeouts } = this.household
    this.awaitsDrain = true
    this.unsent = this.connection.unsent()
    this.writeDue = deadlines.now() + timeouts.write
    deadlines.notBefore(this.writeDue)
  }

  drained(): void {
    this.awaitsDrain = false
    this.writeDue = never
  }

  /**
   * A client that has gone for good sends the same FIN as one that waits for its answer. It is given time for that, and
   * more as long as something is written, which a client that has gone refuses sooner or later.
   */
  halfClosed(now = this.household.deadlines.now()): void {
    this.totalWhenHalfClosed = this.outbox.total
    this.halfClosedDue = now + this.household.timeouts.halfClosed
    this.household.deadlines.notBefore(this.halfClosedDue)
  }

  answered(): void {
    this.halfClosedDue = never
  }

  /** Waits for nothing more. */
  end(): void {
    this.awaitsDrain = false
    this.readDue = this.writeDue = this.halfClosedDue = never
  }

  dueAt(): number {
    return Math.min(this.readDue, this.writeDue, this.halfClosedDue)
  }

  /** Whether bytes should have come by now. */
  isReadDue(now: number): boolean {
    if (this.readDue > now) return false
    this.readDue = never
    this.isOverdue = true
    return true
  }

  /** Whether the client reads nothing; one that reads something, however slowly, is waited for. */
  isWriteDue(now: number): boolean {
    if (this.writeDue > now) return false
    const unsent = this.connection.unsent()
    const isReading = unsent < this.unsent
    this.unsent = unsent
    this.writeDue = isReading ? now + this.household.timeouts.write : never
    return !isReading
  }

  /** Whether nothing was written to a client that has closed its side. */
  isHalfClosedDue(now: number): boolean {
    if (this.halfClosedDue > now) return false
    // While an answer waits for the client to read, it is `writeTimeout` that judges.
    const isWriting = this.awaitsDrain || this.outbox.total !== this.totalWhenHalfClosed
    if (isWriting) this.halfClosed(now)
    else this.halfClosedDue = never
    return !isWriting
  }
}
