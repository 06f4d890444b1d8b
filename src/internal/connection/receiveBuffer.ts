/**
 * What a connection has received and nobody has asked for yet: system events in, one Buffer a pull.
 *
 * It reads ahead up to a bound, since a paused socket does not see that its client has gone; beyond it the socket is
 * paused until the bytes have been pulled.
 *
 * @internal
 */
import type { Connection } from "../../Connection.js"

/**
 * Pieces up to this length are copied together while they wait: each is an object of some 100 bytes, and a client that
 * sends one byte at a time could have 65,536 of them waiting.
 */
const maxCopied = 512

const blockSize = 4 * 1024

/** Small pieces that have been copied together, as far as they are in the last of the buffers that wait. */
interface Tail {
  readonly block: Buffer
  length: number
}

export class ReceiveBuffer {
  /** Nearly always the only one. */
  private first: Buffer | undefined
  private others: Array<Buffer> | undefined
  private tail: Tail | undefined
  private size = 0
  private isPaused = false
  /** The client has sent FIN: nothing follows what is here. */
  isEnded = false

  constructor(
    private readonly connection: Connection,
    private readonly maxReadAhead: number
  ) {}

  push(bytes: Buffer): void {
    if (this.first === undefined) this.first = bytes
    else if (bytes.length <= maxCopied) this.append(bytes)
    else {
      this.tail = undefined
      ;(this.others ??= []).push(bytes)
    }
    this.size += bytes.length
    if (this.size > this.maxReadAhead && !this.isPaused) {
      this.isPaused = true
      this.connection.pause()
    }
  }

  private append(bytes: Buffer): void {
    const others = (this.others ??= [])
    const { tail } = this
    const isLast = tail !== undefined && others.length > 0
    if (isLast && tail.length + bytes.length <= blockSize) {
      bytes.copy(tail.block, tail.length)
      tail.length += bytes.length
      others[others.length - 1] = tail.block.subarray(0, tail.length)
      return
    }
    const block = Buffer.allocUnsafeSlow(blockSize)
    bytes.copy(block)
    this.tail = { block, length: bytes.length }
    others.push(block.subarray(0, bytes.length))
  }

  get isEmpty(): boolean {
    return this.first === undefined
  }

  pull(): Buffer | undefined {
    const bytes = this.first
    if (bytes === undefined) return undefined
    this.first = this.others?.shift()
    if (this.first === undefined) this.others = this.tail = undefined
    this.size -= bytes.length
    if (this.isPaused && (this.size <= this.maxReadAhead || this.first === undefined)) this.resume()
    return bytes
  }

  /** Throws away what is here, and reads on without an end. */
  discard(): void {
    this.first = this.others = this.tail = undefined
    this.size = 0
    if (this.isPaused) this.resume()
  }

  private resume(): void {
    this.isPaused = false
    this.connection.resume()
  }
}
