/**
 * What a connection has to send: gathered while there is more to be said in this turn, and sent in one write.
 *
 * The answers to sixteen pipelined requests leave in one system call, which is most of what a small answer costs. While
 * the request loop attends to it, the loop flushes before it waits. While a handler runs, a microtask does: it comes
 * behind the fiber's turn, so whatever a handler waits for, nothing written stays behind.
 *
 * @internal
 */
import type { Connection } from "../../Connection.js"
import { recordMetrics } from "../metrics.js"

/** Beyond it nothing more is gathered: a batch this large gains nothing, and memory is the client's to spend. */
const maxBufferedBytes = 64 * 1024

/** Bytes up to this length are copied into the text around them: one string, one write, no vector. */
const maxCopiedBytes = 2 * 1024

const resolved = Promise.resolve()

/** Text beyond this length is sent as bytes of its own: joined, it could pass what a string can hold. */
const maxJoinedText = 64 * 1024

export class WriteBuffer {
  private text = ""
  /** What stands before the text; most answers are text alone. */
  private parts: Array<string | Uint8Array> | undefined
  private bufferedBytes = 0
  private isScheduled = false
  /** Whether the request loop is at work in this very turn. */
  isCorked = false
  /** Bytes that were ever pushed. */
  totalBytes = 0

  constructor(private readonly connection: Connection) {}

  /** The request loop runs: it will flush. */
  cork(): void {
    this.isCorked = true
  }

  /** Something else runs, and may wait for anything. */
  uncork(): void {
    this.isCorked = false
    if (this.bufferedBytes > 0) this.schedule()
  }

  /** Text that is one byte a character. */
  pushText(text: string): void {
    this.text += text
    this.bufferedBytes += text.length
    this.totalBytes += text.length
    this.pushed()
  }

  pushBytes(bytes: Uint8Array): void {
    if (bytes.length <= maxCopiedBytes) {
      this.text += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
    } else {
      const parts = (this.parts ??= [])
      if (this.text !== "") parts.push(this.text)
      this.text = ""
      parts.push(bytes)
    }
    this.bufferedBytes += bytes.length
    this.totalBytes += bytes.length
    this.pushed()
  }

  /** Content: text that is ASCII stays text, any other becomes its UTF-8. `length` is its length in bytes. */
  pushContent(content: string | Uint8Array, length: number): void {
    if (typeof content !== "string") this.pushBytes(content)
    else if (content.length === length && length <= maxJoinedText) this.pushText(content)
    else this.pushBytes(Buffer.from(content))
  }

  flush(): void {
    if (this.bufferedBytes === 0) return
    const { parts, text } = this
    recordMetrics.bytesSent(this.bufferedBytes)
    if (text !== "") parts?.push(text)
    this.text = ""
    this.parts = undefined
    this.bufferedBytes = 0
    this.connection.write(parts ?? [text])
  }

  /** Whether a writer should wait for the client. */
  isFull(): boolean {
    return this.connection.isFull()
  }

  private pushed(): void {
    if (this.bufferedBytes >= maxBufferedBytes) this.flush()
    else if (!this.isCorked) this.schedule()
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    // Not `queueMicrotask`, which makes a resource to be traced by, at four times the price.
    void resolved.then(() => {
      this.isScheduled = false
      this.flush()
    })
  }
}
