/**
 * The bytes that a connection has received and that were not parsed yet: `push` by socket events, one Buffer per `pull`.
 *
 * It reads ahead up to `maxReadAhead`, since a paused socket does not detect a disconnect; beyond it the socket is paused
 * until the bytes have been pulled.
 */
import type { Connection } from "../../Connection.js"

/**
 * Buffered pieces up to this length are copied into blocks: each is an object of some 100 bytes, and a client that sends
 * one byte at a time could have 65,536 of them buffered.
 */
const maxCopied = 512

const blockSize = 4 * 1024

/** The block of the last buffer, to which further small pieces are appended. */
interface Tail {
  readonly block: Buffer
  length: number
}

export class ReceiveBuffer {
  /** Usually the only one. */
  private first: Buffer | undefined
  private others: Array<Buffer> | undefined
  private tail: Tail | undefined
  private size = 0
  private isPaused = false
  /** The client has sent FIN, or has disconnected: no more bytes follow. */
  isEnded = false

  constructor(
    private readonly transport: Connection,
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
      this.transport.pause()
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

  /** Drops the buffered bytes, and resumes the socket. */
  discard(): void {
    this.first = this.others = this.tail = undefined
    this.size = 0
    if (this.isPaused) this.resume()
  }

  private resume(): void {
    this.isPaused = false
    this.transport.resume()
  }
}
