/**
 * A connection that has been handed over to another protocol: as a stream and a `write` for fibers, and as calls for
 * code that knows none.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Duplex } from "../../Response.js"
import { costs, loopBudget, share } from "../host/eventLoopBudget.js"
import type { RawConnection } from "../message/exchange.js"
import type { ConnectionBase } from "./connectionBase.js"

/**
 * Bytes that another protocol's code is given at once, and handles before it returns. The smallest frame of a WebSocket has 6
 * bytes, so that the smaller piece is 350 messages, of which one costs 3 to 10 µs. A piece costs 7 µs by itself: when
 * pieces bring few messages they become larger.
 */
const smallPiece = 2 * 1024
const largePiece = 16 * 1024

/** Messages of a piece from which on the next one is small again. */
const manyMessages = 8

/** What is asked of whoever hands over: the wait for a client that is slow to read is an answer's. */
export interface HandoverOwner {
  readonly isBackpressured: () => boolean
  readonly awaitWritable: Effect.Effect<void>
  /** From now on the end of the connection is no surprise, and interrupts nobody. */
  readonly expectEnd: () => void
}

export class UpgradedConnection implements RawConnection {
  private trailingData: Uint8Array | undefined
  private pieceSize = smallPiece
  /** Messages of the last piece, and whether there was more than fitted into it. */
  private messages = 0
  private wasFull = false

  constructor(
    private readonly line: ConnectionBase,
    private readonly owner: HandoverOwner
  ) {
    const rest = line.parser.takeTrailingData()
    this.trailingData = rest.length > 0 ? rest : undefined
  }

  get duplex(): Duplex {
    const { owner: giver } = this
    return {
      stream: Stream.repeatEffectOption(this.next),
      write: (content) =>
        Effect.suspend(() => {
          this.push(content)
          return giver.isBackpressured() ? giver.awaitWritable : Effect.void
        })
    }
  }

  private readonly next: Effect.Effect<Uint8Array, Option.Option<never>> = Effect.suspend(() => {
    const { line } = this
    if (line.hasUsedShare) return Effect.zipRight(line.nextShare, this.next)
    const bytes = this.pull()
    if (bytes === "Ended") return Effect.fail(Option.none())
    if (bytes === undefined) return Effect.zipRight(line.awaitBytes(), this.next)
    line.spend(costs.request + costs.bytes(bytes.length))
    return Effect.succeed(bytes)
  })

  private pull(): Uint8Array | "Ended" | undefined {
    const { receiveBuffer } = this.line
    const bytes = this.trailingData ?? receiveBuffer.pull()
    this.trailingData = undefined
    return bytes ?? (receiveBuffer.isEnded ? "Ended" : undefined)
  }

  read(): Uint8Array | "Ended" | undefined {
    if (this.line.hasUsedShare) return undefined
    const bytes = this.pull()
    if (bytes === undefined || bytes === "Ended") return bytes
    // What is made of a piece is not seen from here, so each is worth a look at the clock.
    this.line.spend(costs.request)
    loopBudget.spend(share)
    const piece = bytes.subarray(0, this.nextPieceSize())
    this.wasFull = piece.length < bytes.length
    if (this.wasFull) this.trailingData = bytes.subarray(piece.length)
    return piece
  }

  /** Larger than the last one, if that was full and few messages ended in it: they are large. */
  private nextPieceSize(): number {
    const isLarge = this.wasFull && this.messages < manyMessages
    this.pieceSize = isLarge ? Math.min(2 * this.pieceSize, largePiece) : smallPiece
    this.messages = 0
    return this.pieceSize
  }

  countMessage(): void {
    this.messages++
    this.line.spend(costs.piece)
  }

  onceReadable(go: () => void): void {
    if (this.line.hasUsedShare) this.line.onceScheduled(go)
    else this.line.onceReadable(go)
  }

  write(content: string | Uint8Array): boolean {
    this.push(content)
    return !this.line.writeBuffer.isFull()
  }

  onceWritable(go: () => void): void {
    this.line.onceWritable(go)
  }

  end(): void {
    this.owner.expectEnd()
    this.line.writeBuffer.flush()
    this.line.connection.end()
  }

  destroy(): void {
    this.owner.expectEnd()
    // What was said in this very turn is a goodbye, and the system takes it if the client reads at all.
    this.line.writeBuffer.flush()
    this.line.connection.destroy()
  }

  private push(content: string | Uint8Array): void {
    const length = typeof content === "string" ? Buffer.byteLength(content) : content.byteLength
    this.line.spend(costs.piece + costs.bytes(length))
    this.line.writeBuffer.pushContent(content, length)
  }
}
