/**
 * The write buffer of a connection: collects what is written in one event-loop turn, and sends it in one write.
 *
 * The responses to sixteen pipelined requests are sent in one system call, which is most of the cost of a small response.
 * While corked, the request loop flushes before it is suspended. While a handler runs, a microtask flushes: it runs after the
 * fiber has suspended, so nothing written stays in the buffer while a handler waits.
 */
import type { Connection } from "../../Connection.js"
import type { MetricRecorder } from "../metrics.js"

/** At this size the buffer is flushed: a larger batch gains nothing, and would cost memory. */
const maxBufferedBytes = 64 * 1024

/** Bytes up to this length are copied into the text around them: one string, one write, no vector. */
const maxCopiedBytes = 2 * 1024

const resolved = Promise.resolve()

/** Longer text is sent as bytes: concatenated, it could exceed the maximum length of a string. */
const maxJoinedText = 64 * 1024

export class WriteBuffer {
  private text = ""
  /** What precedes `text`; most responses are text alone. */
  private parts: Array<string | Uint8Array> | undefined
  private bufferedBytes = 0
  private isScheduled = false
  /** True while the request loop runs, which flushes. */
  isCorked = false
  totalBytes = 0

  constructor(
    private readonly connection: Connection,
    private readonly metrics: MetricRecorder
  ) {}

  /** Leaves flushing to the request loop. */
  cork(): void {
    this.isCorked = true
  }

  /** Flushes by a microtask from now on. */
  uncork(): void {
    this.isCorked = false
    if (this.bufferedBytes > 0) this.schedule()
  }

  /** Pushes latin1 text: one byte a character. */
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

  /** Pushes content: ASCII text as text, other text as UTF-8. `length` is its length in bytes. */
  pushContent(content: string | Uint8Array, length: number): void {
    if (typeof content !== "string") this.pushBytes(content)
    else if (content.length === length && length <= maxJoinedText) this.pushText(content)
    else this.pushBytes(Buffer.from(content))
  }

  flush(): void {
    if (this.bufferedBytes === 0) return
    const { parts, text } = this
    this.metrics.bytesSent(this.bufferedBytes)
    if (text !== "") parts?.push(text)
    this.text = ""
    this.parts = undefined
    this.bufferedBytes = 0
    this.connection.write(parts ?? [text])
  }

  /** True if a writer should wait for `drain`. */
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
    // Not `queueMicrotask`, which makes an `AsyncResource`, at four times the cost.
    void resolved.then(() => {
      this.isScheduled = false
      this.flush()
    })
  }
}
