/**
 * Bytes that arrive in pieces, gathered: in a buffer that grows by doubling, so that a byte in a piece of its own costs a
 * byte and not an object.
 *
 * @internal
 */
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

  /** All of them, in a buffer of just their length; the next begins anew. */
  take(): Uint8Array {
    const { bytes, length } = this
    this.bytes = new Uint8Array(0)
    this.length = 0
    return length === bytes.length ? bytes : bytes.slice(0, length)
  }
}
