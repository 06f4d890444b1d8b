/**
 * Where the bytes of an answer go: to the client, or to a fault that stands before him.
 *
 * A fault begins where the writer has ended: it takes bytes as the server would have sent them, and none of the server knows
 * of it. Faults stand one behind the other, the one around all others next to the client.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { clearTimeout, setImmediate, setTimeout } from "../../../internal/host/hostTimers.js"
import { timeSource } from "../../../internal/host/timeSource.js"
import { Signal } from "../../../internal/runtime/effectInterop.js"
import type { Connection } from "../../../Listener.js"

/** How a fault ends a connection: by a FIN, by a reset, or only its own side of it. */
export type Ending = "close" | "reset" | "halfClose"

/** What takes the bytes of an answer. */
export interface ResponseSink {
  readonly write: (bytes: Uint8Array) => void
  /** An interim response, which is no part of the answer. */
  readonly writeInterim: (bytes: Uint8Array) => void
  readonly isFull: () => boolean
  /** Waits until it is not full. */
  readonly hasRoom: Effect.Effect<void>
  /** Ends the connection behind what was written. */
  readonly end: (how: Ending) => Effect.Effect<void>
}

/** Bytes that wait in a fault, behind which a handler that streams has to wait too. */
const capacity = 64 * 1024

/** Milliseconds that a client which was sent a FIN has to end too: as long as the server waits for one by default. */
const lingerMillis = 1000

/** A turn of the event loop's with a timer of Node's shortest kind: between two of them it has looked for bytes. */
const drainPause: Effect.Effect<void> = Effect.async<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 1)
  return Effect.sync(() => clearTimeout(timer))
})

/** What a client reads at once, and how many moments it has for each such piece; some are for what comes first. */
const readSize = 64 * 1024
const minDrainPauses = 3
const maxDrainPauses = 100

/** Interim responses (RFC 9110 §15.2); behind `101` there is no other. */
const isInterim = (bytes: Buffer): boolean => /^HTTP\/1\.1 1(?!01)/.test(bytes.toString("latin1", 0, 12))

/** The client's end of it all. */
export class SocketSink implements ResponseSink {
  /** Nothing that the client sends is listened to any more. */
  ignoresInput = false
  private readonly drained = new Signal()
  private written = 0
  /** Bytes that were written in this turn of the event loop. */
  private writtenInTurn = 0

  constructor(
    private readonly connection: Connection,
    /** Something happens, or is about to. */
    private readonly onActivity: () => void,
    /** Whether bytes go by way of the system. */
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

  /** A client that has left takes all, and in the next turn it is known to have: whoever has no end is to wait for that. */
  isFull(): boolean {
    return this.writtenInTurn > capacity || this.connection.isFull()
  }

  onDrain(): void {
    this.drained.wake()
  }

  readonly hasRoom: Effect.Effect<void> = Effect.suspend(() =>
    this.isFull() ? Effect.zipRight(this.drained.waitOrLeave(), this.hasRoom) : Effect.void
  )

  /**
   * A reset takes with it what has not arrived, and libuv tells one that comes with the last bytes as a FIN. Of neither is there
   * an event, so a client has its moments to read what was sent before.
   */
  private awaitDelivery(moments: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.connection.unsent() === 0 && moments <= 0) return Effect.void
      // A client that does not read is nothing that happens.
      if (moments > 0) this.onActivity()
      return Effect.zipRight(drainPause, this.awaitDelivery(moments - 1))
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

  /** What the client sends is read on and thrown away: unread, it would be answered by a reset. */
  endDiscardingInput(): void {
    this.ignoresInput = true
    this.connection.resume()
    this.connection.end()
  }
}

/** One fault at work on one answer: the bytes that it has been given and has not passed on. */
export class FaultSink implements ResponseSink {
  private buffered: Buffer = Buffer.alloc(0)
  private hasFinalResponse = false
  private isResponseComplete = false
  private ending: Ending | undefined
  private readonly changed = new Signal()
  private readonly drained = new Signal()
  /** Nothing more leaves by it. */
  isClosed = false
  /** Bytes that it has passed on. */
  sent = 0

  constructor(private readonly outer: ResponseSink) {}

  // What comes from above: the server, or another fault.

  /** Bytes of the server: an interim response is always a write of its own, or stands in front of the answer. */
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

  readonly hasRoom: Effect.Effect<void> = Effect.suspend(() =>
    this.isFull() ? Effect.zipRight(this.drained.waitOrLeave(), this.hasRoom) : Effect.void
  )

  end(how: Ending): Effect.Effect<void> {
    return Effect.sync(() => {
      this.ending ??= how
      this.finish()
    })
  }

  /** That was the answer. */
  finish(): void {
    this.isResponseComplete = true
    this.changed.wake()
  }

  // What the fault does.

  /** The next bytes up to a mark, when it has come, or as many as there are when the answer is over without it. */
  takeThrough(mark: string): Effect.Effect<Buffer | undefined> {
    return Effect.suspend(() => {
      const at = this.buffered.indexOf(mark)
      if (at >= 0) return this.take(at + mark.length)
      return this.isResponseComplete ? this.take() : Effect.zipRight(this.changed.waitOrLeave(), this.takeThrough(mark))
    })
  }

  /** At most so many of the next bytes, as soon as there are any; undefined behind the last. */
  take(max = Number.POSITIVE_INFINITY): Effect.Effect<Buffer | undefined> {
    return Effect.suspend(() => {
      const { buffered } = this
      if (buffered.length === 0) {
        return this.isResponseComplete ? Effect.succeed(undefined) : Effect.zipRight(this.changed.waitOrLeave(), this.take(max))
      }
      const bytes = buffered.subarray(0, max)
      this.buffered = buffered.subarray(bytes.length)
      if (!this.isFull()) this.drained.wake()
      return Effect.succeed(bytes)
    })
  }

  /** Passes bytes on, and waits while there is no room for more. */
  send(bytes: string | Uint8Array): Effect.Effect<void> {
    return Effect.suspend(() => {
      const sent = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes
      this.sent += sent.length
      this.outer.write(sent)
      return this.outer.isFull() ? this.outer.hasRoom : Effect.void
    })
  }

  /** Passes the rest on, until the answer is over. */
  readonly sendRest: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(this.take(), (bytes) =>
      bytes === undefined ? Effect.void : Effect.zipRight(this.send(bytes), this.sendRest)
    )
  )

  /** Passes so many bytes on, or all that there are. */
  sendFirst(count: number): Effect.Effect<void> {
    return Effect.suspend(() =>
      count <= 0
        ? Effect.void
        : Effect.flatMap(this.take(count), (bytes) =>
            bytes === undefined ? Effect.void : Effect.zipRight(this.send(bytes), this.sendFirst(count - bytes.length))
          )
    )
  }

  /** Passes nothing on any more; what is still given to it is thrown away. */
  close(): void {
    this.isClosed = true
    this.buffered = Buffer.alloc(0)
  }

  /** Ends the connection; whatever the handler still says is thrown away. */
  endConnection(how: Ending): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.close()
      return this.outer.end(how)
    })
  }

  /** Whoever is behind this fault may have ended the connection, which is passed on behind the bytes. */
  readonly forwardEnd: Effect.Effect<boolean> = Effect.suspend(() =>
    this.ending === undefined ? Effect.succeed(false) : Effect.as(this.endConnection(this.ending), true)
  )

  /** Gives all that it holds out of hand. */
  flush(): void {
    const { buffered } = this
    this.buffered = Buffer.alloc(0)
    if (buffered.length > 0 && !this.isClosed) this.outer.write(buffered)
  }
}
