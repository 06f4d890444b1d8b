/**
 * The bytes a parser looks at: one window over what has arrived and is still needed.
 *
 * `base` is the first byte still needed, `at` the next one to look at. What the machines remember across windows they
 * keep relative to `base`, so that an unfinished line may move to another buffer. A finished one never moves: the
 * lazily read parts of a head keep pointing at the buffer they arrived in.
 *
 * @internal
 */

const nothing = Buffer.alloc(0)

/** The least that a kept rest is given room for: a head that trickles in is copied a few times, not once a byte. */
const leastRoom = 1024

/** @internal */
export class ParseBuffer {
  buf: Buffer = nothing
  base = 0
  position = 0
  end = 0

  /** Takes more bytes; what is still needed of the old ones is kept in front of them. */
  feed(bytes: Buffer): void {
    const kept = this.end - this.base
    if (kept === 0) {
      this.buf = bytes
      this.base = this.position = 0
      this.end = bytes.length
    } else {
      this.append(bytes, kept)
    }
  }

  /** Holds on to nothing that has been looked at and is no longer needed: who waits may wait for long. */
  release(): void {
    if (this.base !== this.end) return
    this.buf = this.own = nothing
    this.base = this.position = this.end = 0
  }

  /** The bytes that have arrived and that no machine has looked at. */
  takeTrailingData(): Buffer {
    const rest = this.buf.subarray(this.position, this.end)
    this.position = this.base = this.end
    return rest
  }

  private append(bytes: Buffer, kept: number): void {
    const needed = kept + bytes.length
    if (this.base + needed > this.room) {
      const grown = Buffer.allocUnsafeSlow(Math.max(leastRoom, needed * 2))
      this.buf.copy(grown, 0, this.base, this.end)
      this.position -= this.base
      this.base = 0
      this.end = kept
      this.own = this.buf = grown
    }
    bytes.copy(this.buf, this.end)
    this.end += bytes.length
  }

  /** The buffer made here, if any: only behind its end may bytes be written. */
  private own: Buffer = nothing

  private get room(): number {
    return this.buf === this.own ? this.buf.length : 0
  }
}
