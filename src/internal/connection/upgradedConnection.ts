/**
 * A connection after `101` or CONNECT, used by another protocol: as a `Duplex` for fibers, and as a `RawConnection` of
 * plain calls for code without fibers.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Duplex } from "../../Response.js"
import { costs, loopBudget, share } from "../host/eventLoopBudget.js"
import type { RawConnection } from "../message/exchange.js"
import type { ConnectionBase } from "./connectionBase.js"

/**
 * Maximum bytes passed to a protocol's code at once, which handles them synchronously. The smallest WebSocket frame has 6
 * bytes, so a small piece holds up to 350 messages of 3 to 10 µs each. A piece itself costs 7 µs: while pieces hold few
 * messages, their size grows.
 */
const smallPiece = 2 * 1024
const largePiece = 16 * 1024

/** A piece with at least this many messages is followed by a small one. */
const manyMessages = 8

/** The exchange that was upgraded: its backpressure applies to the protocol's writes too. */
export interface UpgradedExchange {
  readonly mustSuspendWriter: () => boolean
  readonly awaitTurnToWrite: Effect.Effect<void>
  /** From now on the close of the connection does not interrupt the handler. */
  readonly expectEnd: () => void
}

export class UpgradedConnection implements RawConnection {
  private trailingData: Uint8Array | undefined
  private pieceSize = smallPiece
  /** Messages of the last piece, and whether it was cut from longer input. */
  private messages = 0
  private wasFull = false

  constructor(
    private readonly connection: ConnectionBase,
    private readonly owner: UpgradedExchange
  ) {
    const bytes = connection.parser.takeTrailingData()
    this.trailingData = bytes.length > 0 ? bytes : undefined
  }

  get duplex(): Duplex {
    const { owner } = this
    return {
      stream: Stream.repeatEffectOption(this.next),
      write: (content) =>
        Effect.suspend(() => {
          this.push(content)
          return owner.mustSuspendWriter() ? owner.awaitTurnToWrite : Effect.void
        })
    }
  }

  private readonly next: Effect.Effect<Uint8Array, Option.Option<never>> = Effect.suspend(() => {
    const { connection } = this
    if (connection.hasUsedShare) return Effect.zipRight(connection.nextShare, this.next)
    const bytes = this.pull()
    if (bytes === "Ended") return Effect.fail(Option.none())
    if (bytes === undefined) return Effect.zipRight(connection.awaitBytes(), this.next)
    connection.spend(costs.request + costs.bytes(bytes.length))
    return Effect.succeed(bytes)
  })

  private pull(): Uint8Array | "Ended" | undefined {
    const { receiveBuffer } = this.connection
    const bytes = this.trailingData ?? receiveBuffer.pull()
    this.trailingData = undefined
    return bytes ?? (receiveBuffer.isEnded ? "Ended" : undefined)
  }

  read(): Uint8Array | "Ended" | undefined {
    if (this.connection.hasUsedShare) return undefined
    const bytes = this.pull()
    if (bytes === undefined || bytes === "Ended") return bytes
    // What the protocol does with a piece is not measured here, so the clock is read after each.
    this.connection.spend(costs.request)
    loopBudget.spend(share)
    const piece = bytes.subarray(0, this.nextPieceSize())
    this.wasFull = piece.length < bytes.length
    if (this.wasFull) this.trailingData = bytes.subarray(piece.length)
    return piece
  }

  /** Doubles after a full piece of few messages: they are large. */
  private nextPieceSize(): number {
    const isLarge = this.wasFull && this.messages < manyMessages
    this.pieceSize = isLarge ? Math.min(2 * this.pieceSize, largePiece) : smallPiece
    this.messages = 0
    return this.pieceSize
  }

  countMessage(): void {
    this.messages++
    this.connection.spend(costs.piece)
  }

  onceReadable(callback: () => void): void {
    if (this.connection.hasUsedShare) this.connection.onceScheduled(callback)
    else this.connection.onceReadable(callback)
  }

  write(content: string | Uint8Array): boolean {
    this.push(content)
    return !this.connection.writeBuffer.isFull()
  }

  onceWritable(callback: () => void): void {
    this.connection.onceWritable(callback)
  }

  end(): void {
    this.owner.expectEnd()
    const { transport, writeBuffer } = this.connection
    writeBuffer.flush()
    transport.end()
  }

  destroy(): void {
    this.owner.expectEnd()
    // What was written in this event-loop turn, as a close frame, is sent if the socket has room for it.
    const { transport, writeBuffer } = this.connection
    writeBuffer.flush()
    transport.destroy()
  }

  private push(content: string | Uint8Array): void {
    const length = typeof content === "string" ? Buffer.byteLength(content) : content.byteLength
    this.connection.spend(costs.piece + costs.bytes(length))
    this.connection.writeBuffer.pushContent(content, length)
  }
}
