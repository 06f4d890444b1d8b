/**
 * Input buffer of the parsers: one window over the bytes that have arrived and are still needed.
 *
 * `base` is the first byte still needed, `position` the next one to parse. Parsers keep their saved positions relative to
 * `base`, so that an unfinished line can move to another buffer. A finished line never moves: the lazily read parts of a head
 * keep referring to the buffer in which they arrived.
 */

const nothing = Buffer.alloc(0)

/** Minimum capacity for an unfinished rest: a head that arrives in small pieces is copied a few times, not once a byte. */
const minCapacity = 1024

export class ParseBuffer {
  buf: Buffer = nothing
  base = 0
  position = 0
  end = 0

  /** Appends bytes to those that are still needed. */
  feed(bytes: Buffer): void {
    const pending = this.end - this.base
    if (pending === 0) {
      this.buf = bytes
      this.base = this.position = 0
      this.end = bytes.length
    } else {
      this.append(bytes, pending)
    }
  }

  /** Drops the reference to a consumed buffer: an idle connection may last long. */
  release(): void {
    if (this.base !== this.end) return
    this.buf = this.owned = nothing
    this.base = this.position = this.end = 0
  }

  /** Removes and returns the bytes that are not parsed yet. */
  takeTrailingData(): Buffer {
    const rest = this.buf.subarray(this.position, this.end)
    this.position = this.base = this.end
    return rest
  }

  private append(bytes: Buffer, pending: number): void {
    const needed = pending + bytes.length
    if (this.base + needed > this.capacity) {
      const grown = Buffer.allocUnsafeSlow(Math.max(minCapacity, needed * 2))
      this.buf.copy(grown, 0, this.base, this.end)
      this.position -= this.base
      this.base = 0
      this.end = pending
      this.owned = this.buf = grown
    }
    bytes.copy(this.buf, this.end)
    this.end += bytes.length
  }

  /** The buffer allocated here, if any: only after its end may bytes be written. */
  private owned: Buffer = nothing

  private get capacity(): number {
    return this.buf === this.owned ? this.buf.length : 0
  }
}
