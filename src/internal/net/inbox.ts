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
  private queue: Array<Buffer> = []
  private size = 0
  private isPaused = false
  /** The client has sent FIN: nothing follows what is here. */
  isEnded = false

  constructor(
    private readonly connection: Connection,
    private readonly maxReadAhead: number
  ) {}

  push(bytes: Buffer): void {
    this.queue.push(bytes)
    this.size += bytes.length
    if (this.size > this.maxReadAhead && !this.isPaused) {
      this.isPaused = true
      this.connection.pause()
    }
  }

  get isEmpty(): boolean {
    return this.queue.length === 0
  }

  pull(): Buffer | undefined {
    const bytes = this.queue.shift()
    if (bytes === undefined) return undefined
    this.size -= bytes.length
    if (this.isPaused && (this.size <= this.maxReadAhead || this.queue.length === 0)) {
      this.isPaused = false
      this.connection.resume()
    }
    return bytes
  }

  /** Throws away what is here, and reads on without an end. */
  discard(): void {
    this.queue = []
    this.size = 0
    if (this.isPaused) this.connection.resume()
    this.isPaused = false
  }
}
