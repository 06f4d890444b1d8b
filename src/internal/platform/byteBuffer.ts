/** Growable byte buffer, which doubles its capacity: pieces of one byte cost a byte each, and no object. */
export class ByteBuffer {
  private bytes = new Uint8Array(0)
  length = 0

  add(piece: Uint8Array): void {
    const length = this.length + piece.length
    if (length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.bytes.length))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
    }
    this.bytes.set(piece, this.length)
    this.length = length
  }

  /** Removes and returns all bytes, in an array of exactly their length. */
  take(): Uint8Array {
    const { bytes, length } = this
    this.bytes = new Uint8Array(0)
    this.length = 0
    return length === bytes.length ? bytes : bytes.slice(0, length)
  }
}
