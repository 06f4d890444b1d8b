/**
 * The body of one request: read when it is asked for, whole or piece by piece.
 *
 * @internal
 */
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
import { recordMetrics } from "../metrics.js"
import type { ConnectionBase } from "./connectionBase.js"

const nothing = Buffer.alloc(0)

/** Pieces given out in one chunk of a stream: enough to spread its cost, few enough to hold back a fast sender. */
const maxPieces = 16

/** Pieces from this length on stay where they arrived until the whole is asked for: each is a read of its own. */
const ownPieceSize = 4 * 1024

/**
 * What a body is granted at once when it has to ask for memory, at most: one read of a socket. A sixteenth of a small budget,
 * so that several bodies can be read beside each other.
 */
const maxGrant = 64 * 1024
const grantsOfBudget = 16

/** The most that every body may hold without asking. */
const maxAllowance = 64 * 1024

/** Smaller ones are copied together, so that a byte in a chunk of its own costs a byte, and not an object. */
const blockSize = 16 * 1024

/**
 * Bytes that come in pieces: what is held grows with what has come, not with what was announced. One buffer that grows
 * would be copied less, and cost more: the system's allocator gives a freed MiB back, and its 256 pages have to be mapped
 * anew for the next body (450 µs a MiB, by itself, where pieces of 64 KiB take 90).
 */
class BodyBuffer {
  private parts: Array<Buffer> = []
  private block: Buffer = nothing
  private filled = 0

  add(bytes: Buffer): void {
    // The first piece is most bodies' only one.
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

  /** The whole; the same buffer however often it is asked for. */
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
  /** The end of the body has been read. */
  isDone: boolean
  private consumer: "Nobody" | "Whole" | "Pieces" = "Nobody"
  private failure: ValueError | undefined
  /** The request is over. That is a failure for whoever asks still, and no sooner: to make one costs 2 µs. */
  private isOver = false
  private trailerFields: ReadonlyArray<string> = []
  private read = 0
  /** Bytes that stay in memory until the request ends: all that has been read of a body that is read whole. */
  private ownBytes = 0
  /** Fibers that wait for memory. */
  private waiters = 0
  private awaitsContinue: boolean
  private buffer = new BodyBuffer()
  private pieces: Array<Buffer> = []

  constructor(
    private readonly line: ConnectionBase,
    private readonly head: RequestHead
  ) {
    this.isDone = head.framing._tag === "None"
    this.awaitsContinue = head.expectsContinue && !this.isDone
  }

  /**
   * Whether what is unread can be read and thrown away to reach the next request: not when the client was never told to
   * go on, since nobody knows whether it will, and not when it is too much.
   */
  get canBeDiscarded(): boolean {
    const { framing } = this.head
    return (
      this.canBeRead && (framing._tag !== "Length" || framing.length - this.read <= this.line.limits.maxDiscardedBody)
    )
  }

  /** Whether the rest will come, and can be understood: all that is known while an answer is still being made from it. */
  get canBeRead(): boolean {
    return this.isDone || (this.failure === undefined && !this.isOver && !this.awaitsContinue)
  }

  /** A final answer has left: `100 Continue` may not follow it. */
  skipContinue(): void {
    this.awaitsContinue = false
  }

  /** The request is over: what follows on the connection is another's, and so is what is said on it. */
  close(): void {
    this.buffer = new BodyBuffer()
    this.pieces = []
    this.awaitsContinue = false
    this.isOver = true
    if (this.order > 0 || this.heldBytes > 0) this.budget.unsafeRelease(this)
  }

  /** The whole, of at most so many bytes. A client that waits to be told is not told to send more than that. */
  readWhole(most: number): Effect.Effect<Buffer, ValueError> {
    if (this.consumer === "Pieces") return new ValueError({ reason: "BodyConsumed" })
    if (this.size > most) return this.tooLarge()
    this.startReading("Whole")
    return this.whole(most)
  }

  /** Bytes that there are at least: what was announced, or has come. */
  private get size(): number {
    return this.head.framing._tag === "Length" ? this.head.framing.length : this.read
  }

  /** Of one reader, not of the body: what is left of it may still be skipped, or read by who takes more. */
  private tooLarge(): ValueError {
    return new ValueError({ reason: "BodyTooLarge", actual: `${this.size} bytes` })
  }

  readPieces(): Effect.Effect<Stream.Stream<Uint8Array, ValueError>, ValueError> {
    if (this.consumer !== "Nobody") return new ValueError({ reason: "BodyConsumed" })
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
    return Effect.flatMap(this.mayBeMore, () => this.whole(most))
  }

  private nextPieces(): Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<ValueError>> {
    if (!this.mayKeepMore())
      return Effect.flatMap(Effect.mapError(this.awaitMemory, Option.some), () => this.nextPieces())
    this.readAvailable()
    if (this.pieces.length > 0) {
      this.line.spend(costs.piece)
      const pieces = this.pieces
      this.pieces = []
      return Effect.succeed(Chunk.unsafeFromArray<Uint8Array>(pieces))
    }
    if (this.failure !== undefined) return Effect.fail(Option.some(this.failure))
    if (this.isDone) return Effect.fail(Option.none())
    return Effect.flatMap(this.mayBeMore, () => this.nextPieces())
  }

  /** Waits for what there is to read: for another share of the event loop, or for the client. */
  private get mayBeMore(): Effect.Effect<void> {
    return this.line.hasUsedShare ? this.line.nextShare : this.line.awaitBody()
  }

  // The memory that it takes.

  private get budget() {
    return this.line.context.bodyBudget
  }

  /** Counts bytes of a body that is streamed, and that what reads it keeps, or no longer keeps if they are negative. */
  keep(bytes: number): void {
    if (this.isOver) return
    this.ownBytes += bytes
    this.budget.unsafeTake(this, this.ownBytes - this.heldBytes)
  }

  /** What has been granted beyond what came is given back when nothing more comes. */
  private count(): void {
    if (this.ownBytes > this.heldBytes || this.isDone) this.budget.unsafeTake(this, this.ownBytes - this.heldBytes)
  }

  get nextBytes(): number {
    const grant = Math.max(1, Math.min(maxGrant, Math.floor(this.budget.max / grantsOfBudget)))
    const { framing } = this.head
    return framing._tag === "Length" ? Math.max(1, Math.min(grant, framing.length - this.read)) : grant
  }

  private mayKeepMore(): boolean {
    if (this.isDone || this.isOver || this.failure !== undefined) return true
    if (this.consumer !== "Whole" && this.ownBytes === 0) return true
    const allowance = Math.min(maxAllowance, this.line.limits.maxReadAhead)
    return this.ownBytes <= allowance || this.ownBytes < this.heldBytes || this.budget.unsafeRequest(this)
  }

  onGranted(): void {
    this.line.wakeReader()
  }

  /** Waits for memory, at most `bufferedBodyTimeout`. The client is not waited for meanwhile: its socket is paused. */
  private get awaitMemory(): Effect.Effect<void, ValueError> {
    return Effect.suspend(() => {
      const { bodyAdmissionLog: bodyLog, timer: deadlines, timeouts } = this.line.context
      const since = deadlines.now()
      const waited = Effect.sync(() => {
        this.waiters--
        if (this.isOver) return
        if (this.waiters === 0) this.budget.unsafeCancel(this)
        this.line.timeouts.extendTotal(deadlines.now() - since)
      })
      const opened = Effect.suspend(() => (this.budget.unsafeWaiting() === 0 ? bodyLog.logOpened : Effect.void))
      this.waiters++
      return bodyLog.logClosed.pipe(
        Effect.zipRight(this.granted(since + timeouts.bufferedBody)),
        Effect.ensuring(waited),
        Effect.zipRight(opened)
      )
    })
  }

  private granted(until: number): Effect.Effect<void, ValueError> {
    return Effect.suspend((): Effect.Effect<void, ValueError> => {
      const { line } = this
      if (this.mayKeepMore()) return Effect.void
      if (line.context.timer.now() >= until) {
        recordMetrics.bodyRejected()
        return new ValueError({ reason: "BodyBudget" })
      }
      const woken = line.awaitBytes()
      line.timeouts.startInactivity(until)
      return Effect.zipRight(woken, this.granted(until))
    })
  }

  private startReading(how: "Whole" | "Pieces"): void {
    this.consumer = how
    this.sendContinue()
  }

  /** Tells a client that waits for it to send the body, once (RFC 9110 §10.1.1). */
  sendContinue(): void {
    if (!this.awaitsContinue) return
    this.awaitsContinue = false
    const interim = this.line.writer.interim(100, [])
    if (typeof interim === "string") this.line.writeBuffer.pushText(interim)
  }

  /** Takes in what has arrived, as far as the connection's share of the event loop goes. */
  private readAvailable(): void {
    if (this.isOver) {
      this.failure ??= new ValueError({ reason: "BodyConsumed", actual: "the request is over" })
      return
    }
    const { receiveBuffer, parser } = this.line
    while (!this.isDone && this.failure === undefined && !this.line.hasUsedShare) {
      const step = parser.next()
      if (step === "NeedMore") {
        if (this.line.feedParser()) continue
        if (receiveBuffer.isEnded) this.failure = new ValueError({ reason: "IncompleteRequest" })
        else if (this.line.timeouts.isReadExpired) this.failure = new ValueError({ reason: "Timeout" })
        return
      }
      if (step._tag === "Body") {
        this.read += step.bytes.length
        this.line.spend(costs.step)
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
      // A slow stream is not read ahead: what it has not asked for stays in the inbox, which pauses the socket.
      if (this.pieces.length >= maxPieces) return
    }
  }
}
