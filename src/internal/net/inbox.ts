/**
 * What a connection has received and nobody has asked for yet: system events in, one Buffer a pull.
 *
 * It reads ahead up to a bound, since a paused socket does not see that its client has gone; beyond it the socket is
 * paused until the bytes have been pulled.
 *
 * @internal
 */
import type { Connection } from "../../Listener.js"

export class Inbox {
  /** Nearly always the only one. */
  private first: Buffer | undefined
  private others: Array<Buffer> | undefined
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
    else if (this.others === undefined) this.others = [bytes]
    else this.others.push(bytes)
    this.size += bytes.length
    if (this.size > this.maxReadAhead && !this.isPaused) {
      this.isPaused = true
      this.connection.pause()
    }
  }

  get isEmpty(): boolean {
    return this.first === undefined
  }

  pull(): Buffer | undefined {
    const bytes = this.first
    if (bytes === undefined) return undefined
    this.first = this.others?.shift()
    if (this.first === undefined) this.others = undefined
    this.size -= bytes.length
    if (this.isPaused && (this.size <= this.maxReadAhead || this.first === undefined)) this.resume()
    return bytes
  }

  /** Throws away what is here, and reads on without an end. */
  discard(): void {
    this.first = this.others = undefined
    this.size = 0
    if (this.isPaused) this.resume()
  }

  private resume(): void {
    this.isPaused = false
    this.connection.resume()
  }
}
