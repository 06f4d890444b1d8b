/** The body of one request, read on demand: whole, or as a stream of pieces. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { BodyHolder } from "../../BodyBudget.js"
import { ValueError } from "../../Errors.js"
import type { HttpHeaders } from "../../HttpHeaders.js"
import type { RequestHead } from "../../RequestParser.js"
import { fromRequest } from "../fields/headers.js"
import { costs } from "../host/eventLoopBudget.js"
import type { ConnectionBase } from "./connectionBase.js"

const nothing = Buffer.alloc(0)

/** Maximum pieces in one chunk of the stream: enough to amortize its cost, few enough for backpressure. */
const maxPieces = 16

/** Pieces of at least this length are kept uncopied until the whole is taken: each is a read of its own. */
const ownPieceSize = 4 * 1024

/**
 * Maximum bytes that the body budget grants a body at once: one read of a socket, or a sixteenth of a small budget, so that
 * several bodies can be read concurrently.
 */
const maxGrant = 64 * 1024
const grantsOfBudget = 16

/** Bytes that each body may hold without a grant. */
const maxAllowance = 64 * 1024

/** Smaller pieces are copied into blocks, so that a chunk of one byte costs a byte, and not an object. */
const blockSize = 16 * 1024

/**
 * The pieces of a body. Memory grows with the bytes received, not with `Content-Length`. One growing buffer would copy less
 * and cost more: the system's allocator returns a freed MiB, and its 256 pages have to be mapped anew for the next body
 * (450 µs a MiB, where pieces of 64 KiB take 90).
 */
class BodyBuffer {
  private parts: Array<Buffer> = []
  private block: Buffer = nothing
  private filled = 0

  add(bytes: Buffer): void {
    // Most bodies have one piece.
    if (bytes.length >= ownPieceSize || (this.parts.length === 0 && this.filled === 0)) {
      this.endBlock()
      this.parts.push(bytes)
      return
    }
    if (this.filled + bytes.length > this.block.length) {
      this.endBlock()
      this.block = Buffer.allocUnsafeSlow(blockSize)
    }
    bytes.copy(this.block, this.filled)
    this.filled += bytes.length
  }

  /** The whole body; the same buffer for each call. */
  take(): Buffer {
    this.endBlock()
    const whole = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts)
    this.parts = [whole]
    return whole
  }

  private endBlock(): void {
    if (this.filled > 0) this.parts.push(this.block.subarray(0, this.filled))
    this.block = nothing
    this.filled = 0
  }
}

export class RequestBody implements BodyHolder {
  heldBytes = 0
  order = 0
  isDone: boolean
  private consumer: "None" | "Whole" | "Pieces" = "None"
  private failure: ValueError | undefined
  /** The request has ended. A later read fails; the error is made then, since it costs 2 µs. */
  private isClosed = false
  private trailerFields: ReadonlyArray<string> = []
  private read = 0
  /** Bytes that stay in memory until the request ends: all that has been read, for a body that is read whole. */
  private ownBytes = 0
  /** Fibers that are suspended until the budget grants memory. */
  private waiters = 0
  private awaitsContinue: boolean
  private buffer = new BodyBuffer()
  private pieces: Array<Buffer> = []

  constructor(
    private readonly connection: ConnectionBase,
    private readonly head: RequestHead
  ) {
    this.isDone = head.framing._tag === "None"
    this.awaitsContinue = head.expectsContinue && !this.isDone
  }

  /**
   * True if the unread rest can be discarded to reach the next request: not after a withheld `100 Continue`, where the
   * client may or may not send the body, and not beyond `maxDiscardedBody`.
   */
  get canBeDiscarded(): boolean {
    const { framing } = this.head
    return (
      this.canBeRead &&
      (framing._tag !== "Length" || framing.length - this.read <= this.connection.limits.maxDiscardedBody)
    )
  }

  /** True if the rest is expected and can be framed. This is all that is known while a response is made from it. */
  get canBeRead(): boolean {
    return this.isDone || (this.failure === undefined && !this.isClosed && !this.awaitsContinue)
  }

  /** A final response was sent: `100 Continue` must not follow it. */
  skipContinue(): void {
    this.awaitsContinue = false
  }

  /** The request has ended; later bytes belong to the next request. */
  close(): void {
    this.buffer = new BodyBuffer()
    this.pieces = []
    this.awaitsContinue = false
    this.isClosed = true
    if (this.order > 0 || this.heldBytes > 0) this.budget.unsafeRelease(this)
  }

  /** Reads the whole body, of at most so many bytes. `100 Continue` is not sent for a longer `Content-Length`. */
  readWhole(most: number): Effect.Effect<Buffer, ValueError> {
    if (this.consumer === "Pieces") return new ValueError({ reason: "BodyConsumed" })
    if (this.size > most) return this.tooLarge()
    this.startReading("Whole")
    return this.whole(most)
  }

  /** Lower bound of the body's size: `Content-Length`, or the bytes received. */
  private get size(): number {
    return this.head.framing._tag === "Length" ? this.head.framing.length : this.read
  }

  /** An error of this read alone: the rest can still be discarded, or read by a call with a larger limit. */
  private tooLarge(): ValueError {
    return new ValueError({ reason: "BodyTooLarge", actual: `${this.size} bytes` })
  }

  readPieces(): Effect.Effect<Stream.Stream<Uint8Array, ValueError>, ValueError> {
    if (this.consumer !== "None") return new ValueError({ reason: "BodyConsumed" })
    this.startReading("Pieces")
    return Effect.succeed(Stream.repeatEffectChunkOption(Effect.suspend(() => this.nextPieces())))
  }

  readTrailers(): Effect.Effect<HttpHeaders, ValueError> {
    const read = this.isDone ? Effect.void : this.readWhole(Number.POSITIVE_INFINITY)
    return Effect.map(read, () => fromRequest(() => this.trailerFields))
  }

  private whole(most: number): Effect.Effect<Buffer, ValueError> {
    if (!this.mayKeepMore()) return Effect.flatMap(this.awaitMemory, () => this.whole(most))
    this.readAvailable()
    this.count()
    if (this.failure !== undefined) return this.failure
    if (this.size > most) return this.tooLarge()
    if (this.isDone) return Effect.succeed(this.buffer.take())
    return Effect.flatMap(this.awaitMore, () => this.whole(most))
  }

  private nextPieces(): Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<ValueError>> {
    if (!this.mayKeepMore())
      return Effect.flatMap(Effect.mapError(this.awaitMemory, Option.some), () => this.nextPieces())
    this.readAvailable()
    if (this.pieces.length > 0) {
      this.connection.spend(costs.piece)
      const pieces = this.pieces
      this.pieces = []
      return Effect.succeed(Chunk.unsafeFromArray<Uint8Array>(pieces))
    }
    if (this.failure !== undefined) return Effect.fail(Option.some(this.failure))
    if (this.isDone) return Effect.fail(Option.none())
    return Effect.flatMap(this.awaitMore, () => this.nextPieces())
  }

  /** Completes when there may be more to read: with the next share of the event loop, or with bytes of the client. */
  private get awaitMore(): Effect.Effect<void> {
    return this.connection.hasUsedShare ? this.connection.nextShare : this.connection.awaitBody()
  }

  // The body budget.

  private get budget() {
    return this.connection.context.bodyBudget
  }

  /** Counts bytes of a streamed body that its reader retains; negative for bytes that it no longer retains. */
  keep(bytes: number): void {
    if (this.isClosed) return
    this.ownBytes += bytes
    this.budget.unsafeTake(this, this.ownBytes - this.heldBytes)
  }

  /** Counts the bytes read; returns what was granted beyond them once the body has ended. */
  private count(): void {
    if (this.ownBytes > this.heldBytes || this.isDone) this.budget.unsafeTake(this, this.ownBytes - this.heldBytes)
  }

  get nextBytes(): number {
    const grant = Math.max(1, Math.min(maxGrant, Math.floor(this.budget.max / grantsOfBudget)))
    const { framing } = this.head
    return framing._tag === "Length" ? Math.max(1, Math.min(grant, framing.length - this.read)) : grant
  }

  private mayKeepMore(): boolean {
    if (this.isDone || this.isClosed || this.failure !== undefined) return true
    if (this.consumer !== "Whole" && this.ownBytes === 0) return true
    const allowance = Math.min(maxAllowance, this.connection.limits.maxReadAhead)
    return this.ownBytes <= allowance || this.ownBytes < this.heldBytes || this.budget.unsafeRequest(this)
  }

  onGranted(): void {
    this.connection.wakeReader()
  }

  /** Completes with a grant of memory, within `bufferedBodyTimeout`. The socket is paused: no timeout of the client runs. */
  private get awaitMemory(): Effect.Effect<void, ValueError> {
    return Effect.suspend(() => {
      const { bodyAdmissionLog: log, timer, timeouts } = this.connection.context
      const since = timer.now()
      const waited = Effect.sync(() => {
        this.waiters--
        if (this.isClosed) return
        if (this.waiters === 0) this.budget.unsafeCancel(this)
        this.connection.timeouts.extendTotal(timer.now() - since)
      })
      const opened = Effect.suspend(() => (this.budget.unsafeWaiting() === 0 ? log.logOpened : Effect.void))
      this.waiters++
      return log.logClosed.pipe(
        Effect.zipRight(this.granted(since + timeouts.bufferedBody)),
        Effect.ensuring(waited),
        Effect.zipRight(opened)
      )
    })
  }

  private granted(until: number): Effect.Effect<void, ValueError> {
    return Effect.suspend((): Effect.Effect<void, ValueError> => {
      const { connection } = this
      if (this.mayKeepMore()) return Effect.void
      if (connection.context.timer.now() >= until) {
        connection.metrics.bodyRejected()
        return new ValueError({ reason: "BodyBudget" })
      }
      const received = connection.awaitBytes()
      connection.timeouts.startRead(until)
      return Effect.zipRight(received, this.granted(until))
    })
  }

  private startReading(how: "Whole" | "Pieces"): void {
    this.consumer = how
    this.sendContinue()
  }

  /** Sends `100 Continue` to a client that expects it, once (RFC 9110 §10.1.1). */
  sendContinue(): void {
    if (!this.awaitsContinue) return
    this.awaitsContinue = false
    const interim = this.connection.writer.interim(100, [])
    if (typeof interim === "string") this.connection.writeBuffer.pushText(interim)
  }

  /** Parses what has arrived, within the connection's share of the event loop. */
  private readAvailable(): void {
    if (this.isClosed) {
      this.failure ??= new ValueError({ reason: "BodyConsumed", actual: "the request has ended" })
      return
    }
    const { receiveBuffer, parser } = this.connection
    while (!this.isDone && this.failure === undefined && !this.connection.hasUsedShare) {
      const step = parser.next()
      if (step === "NeedMore") {
        if (this.connection.feedParser()) continue
        if (receiveBuffer.isEnded) this.failure = new ValueError({ reason: "IncompleteRequest" })
        else if (this.connection.timeouts.isReadExpired) this.failure = new ValueError({ reason: "Timeout" })
        return
      }
      if (step._tag === "Body") {
        this.read += step.bytes.length
        this.connection.spend(costs.step)
        if (this.consumer === "Whole") {
          this.ownBytes += step.bytes.length
          this.buffer.add(step.bytes)
        } else this.pieces.push(step.bytes)
      } else if (step._tag === "End") {
        this.trailerFields = step.trailers
        this.isDone = true
      } else if (step._tag === "Malformed") {
        this.failure = new ValueError(step)
      }
      // Backpressure: what the stream has not pulled stays in the receive buffer, which pauses the socket.
      if (this.pieces.length >= maxPieces) return
    }
  }
}
