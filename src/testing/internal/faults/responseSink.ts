/**
 * Sinks for the bytes of a response: the socket, or a fault before it.
 *
 * A fault receives the bytes after the response writer, as the server would have sent them; the server does not know of
 * it. Nested faults form a chain, of which the outermost is next to the client.
 */
import * as Effect from "effect/Effect"
import type { Connection } from "../../../Connection.js"
import { clearTimeout, setImmediate, setTimeout } from "../../../internal/host/hostTimers.js"
import { timeSource } from "../../../internal/host/timeSource.js"
import { Signal } from "../../../internal/runtime/effectInterop.js"

/** How a fault ends a connection: with FIN and then completely, by reset, or with FIN only. */
export type Ending = "close" | "reset" | "halfClose"

/** Receiver of the bytes of a response. */
interface ResponseSink {
  readonly write: (bytes: Uint8Array) => void
  /** Writes an interim response, which is not counted as part of the response. */
  readonly writeInterim: (bytes: Uint8Array) => void
  readonly isFull: () => boolean
  /** Waits until the sink is not full. */
  readonly awaitWritable: Effect.Effect<void>
  /** Ends the connection after the written bytes. */
  readonly end: (how: Ending) => Effect.Effect<void>
}

/** Bytes in the buffer of a fault above which a streaming handler experiences backpressure. */
const capacity = 64 * 1024

/** Milliseconds that a client has to end after FIN, as by default for the server's own lingering close. */
const lingerMillis = 1000

/** One timer of the shortest kind: between two of them the event loop has polled for bytes. */
const drainPause: Effect.Effect<void> = Effect.async<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 1)
  return Effect.sync(() => clearTimeout(timer))
})

/** Bytes that a client reads at once: it has one pause for each such piece, within these bounds. */
const readSize = 64 * 1024
const minDrainPauses = 3
const maxDrainPauses = 100

/** Whether bytes begin with an interim response (RFC 9110 §15.2); `101` is a final one here. */
const isInterim = (bytes: Buffer): boolean => /^HTTP\/1\.1 1(?!01)/.test(bytes.toString("latin1", 0, 12))

/** The last sink: writes to the connection. */
export class SocketSink implements ResponseSink {
  /** Input of the client is discarded. */
  ignoresInput = false
  private readonly drained = new Signal()
  private written = 0
  /** Bytes written in the current turn of the event loop. */
  private writtenInTurn = 0

  constructor(
    private readonly connection: Connection,
    /** Called for each activity, for `Quiescence`. */
    private readonly onActivity: () => void,
    /** False in memory. */
    private readonly usesSockets: boolean
  ) {}

  write(bytes: Uint8Array): void {
    this.written += bytes.length
    this.onActivity()
    if (this.writtenInTurn === 0) {
      setImmediate(() => {
        this.writtenInTurn = 0
        this.drained.wake()
      })
    }
    this.writtenInTurn += bytes.length
    this.connection.write([bytes])
  }

  writeInterim(bytes: Uint8Array): void {
    this.write(bytes)
  }

  /** Bounded per turn: a client that has disconnected accepts all bytes until that is noticed in the next turn. */
  isFull(): boolean {
    return this.writtenInTurn > capacity || this.connection.isFull()
  }

  onDrain(): void {
    this.drained.wake()
  }

  readonly awaitWritable: Effect.Effect<void> = this.drained.until(() => (this.isFull() ? undefined : Effect.void))

  /**
   * Waits until the client has probably read the written bytes: a reset discards bytes in transit, and libuv reports a reset
   * that arrives with the last bytes as FIN. There is no event for the arrival, so it waits a number of pauses.
   */
  private awaitDelivery(pauses: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.connection.unsent() === 0 && pauses <= 0) return Effect.void
      // A client that does not read is not an activity.
      if (pauses > 0) this.onActivity()
      return Effect.zipRight(drainPause, this.awaitDelivery(pauses - 1))
    })
  }

  private get drainPauses(): number {
    return this.usesSockets && this.written > 0
      ? Math.min(maxDrainPauses, minDrainPauses + Math.ceil(this.written / readSize))
      : 0
  }

  end(how: Ending): Effect.Effect<void> {
    if (how === "reset") {
      return Effect.zipRight(
        Effect.suspend(() => this.awaitDelivery(this.drainPauses)),
        Effect.sync(() => this.connection.abort())
      )
    }
    if (how === "halfClose") return Effect.sync(() => this.connection.end())
    return Effect.sync(() => this.endDiscardingInput()).pipe(
      Effect.zipRight(Effect.flatMap(timeSource, ({ sleep }) => sleep(lingerMillis))),
      Effect.zipRight(Effect.sync(() => this.connection.destroy()))
    )
  }

  /** Sends FIN, and discards further input: unread input would cause a reset. */
  endDiscardingInput(): void {
    this.ignoresInput = true
    this.connection.resume()
    this.connection.end()
  }
}

/** Sink of one fault for one response: buffers the received bytes until the fault sends them. */
export class FaultSink implements ResponseSink {
  private buffered: Buffer = Buffer.alloc(0)
  private hasFinalResponse = false
  private isResponseComplete = false
  private ending: Ending | undefined
  private readonly changed = new Signal()
  private readonly drained = new Signal()
  /** No further bytes are accepted or sent. */
  isClosed = false
  /** Bytes sent to the outer sink. */
  sent = 0

  constructor(private readonly outer: ResponseSink) {}

  // Called by the server or by an inner fault.

  /** Bytes from the server: an interim response is a separate write, or precedes the response. */
  receive(bytes: Buffer): void {
    let rest = bytes
    while (!this.hasFinalResponse && isInterim(rest)) {
      const end = rest.indexOf("\r\n\r\n") + 4
      if (!this.isClosed) this.outer.writeInterim(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    if (rest.length === 0) return
    this.hasFinalResponse = true
    this.write(rest)
  }

  write(bytes: Uint8Array): void {
    if (this.isClosed || this.isResponseComplete) return
    this.buffered = Buffer.concat([this.buffered, bytes])
    this.changed.wake()
  }

  writeInterim(bytes: Uint8Array): void {
    if (!this.isClosed) this.outer.writeInterim(bytes)
  }

  isFull(): boolean {
    return this.isClosed || this.buffered.length > capacity
  }

  readonly awaitWritable: Effect.Effect<void> = this.drained.until(() => (this.isFull() ? undefined : Effect.void))

  end(how: Ending): Effect.Effect<void> {
    return Effect.sync(() => {
      this.ending ??= how
      this.finish()
    })
  }

  /** The response is complete. */
  finish(): void {
    this.isResponseComplete = true
    this.changed.wake()
  }

  // Called by the fault's program.

  /** Takes the next bytes through a mark, once received; all that remain if the response ends without it. */
  takeThrough(mark: string): Effect.Effect<Buffer | undefined> {
    return this.changed.until(() => {
      const at = this.buffered.indexOf(mark)
      if (at >= 0) return this.take(at + mark.length)
      return this.isResponseComplete ? this.take() : undefined
    })
  }

  /** Takes at most `max` of the next bytes, once there are any; `undefined` at the end of the response. */
  take(max = Number.POSITIVE_INFINITY): Effect.Effect<Buffer | undefined> {
    return this.changed.until(() => {
      const { buffered } = this
      if (buffered.length === 0) return this.isResponseComplete ? Effect.succeed(undefined) : undefined
      const bytes = buffered.subarray(0, max)
      this.buffered = buffered.subarray(bytes.length)
      if (!this.isFull()) this.drained.wake()
      return Effect.succeed(bytes)
    })
  }

  /** Sends bytes to the outer sink, and waits while it is full. */
  send(bytes: string | Uint8Array): Effect.Effect<void> {
    return Effect.suspend(() => {
      const sent = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes
      this.sent += sent.length
      this.outer.write(sent)
      return this.outer.isFull() ? this.outer.awaitWritable : Effect.void
    })
  }

  /** Sends the rest of the response. */
  readonly sendRest: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(this.take(), (bytes) =>
      bytes === undefined ? Effect.void : Effect.zipRight(this.send(bytes), this.sendRest)
    )
  )

  /** Sends the next `count` bytes, or all if there are fewer. */
  sendFirst(count: number): Effect.Effect<void> {
    return Effect.suspend(() =>
      count <= 0
        ? Effect.void
        : Effect.flatMap(this.take(count), (bytes) =>
            bytes === undefined ? Effect.void : Effect.zipRight(this.send(bytes), this.sendFirst(count - bytes.length))
          )
    )
  }

  /** Discards all buffered and further bytes. */
  close(): void {
    this.isClosed = true
    this.buffered = Buffer.alloc(0)
  }

  /** Ends the connection; further bytes of the handler are discarded. */
  endConnection(how: Ending): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.close()
      return this.outer.end(how)
    })
  }

  /** Ends the connection after the bytes if an inner fault has requested it; the result is whether it has. */
  readonly forwardEnd: Effect.Effect<boolean> = Effect.suspend(() =>
    this.ending === undefined ? Effect.succeed(false) : Effect.as(this.endConnection(this.ending), true)
  )

  /** Sends all buffered bytes, without backpressure. */
  flush(): void {
    const { buffered } = this
    this.buffered = Buffer.alloc(0)
    if (buffered.length > 0 && !this.isClosed) this.outer.write(buffered)
  }
}
