/**
 * One connection in memory: a `Duplex` for its client, a `Connection` for its server, and what is on its way between them.
 *
 * It behaves as a TCP connection on loopback does: what was written arrives in the event loop's next turn. A sender waits behind `capacity` bytes that nobody has read; FIN comes behind the bytes, and a reset too; a client
 * that goes sends a FIN, or a reset when it leaves bytes unread, and the server learns the rest when it writes on.
 *
 * @internal
 */
import { AsyncResource } from "node:async_hooks"
import { Duplex } from "node:stream"
import * as Option from "effect/Option"
import type { Address } from "../../../Address.js"
import type { Connection, ConnectionEvents } from "../../../Connection.js"
import { setImmediate } from "../../../internal/host/hostTimers.js"
import { nextConnectionId } from "../../../internal/net/connectionId.js"
import type { ClientEnd, ClientLink } from "../client/clientLink.js"

/** Bytes on their way in one direction that nobody waits for: as much as `node:net` reads at once. */
const capacity = 64 * 1024

/** An error as the system reports it, which clients look at by its `code`. */
export const systemError = (code: string, syscall: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${syscall} ${code}`), { code, syscall })

/** What is on its way in one direction. */
class Pipe {
  private parts: Array<Buffer> = []
  size = 0
  /** How the sender has ended it, behind the bytes. */
  ending: "Open" | "FIN" | "RST" = "Open"

  add(bytes: Buffer): void {
    if (this.ending === "Open") this.put(bytes)
  }

  private put(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.parts.push(bytes)
    this.size += bytes.length
  }

  /** All that is on its way, in one piece. */
  take(): Buffer {
    const { parts } = this
    this.parts = []
    this.size = 0
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  /** What does not fit into the way never leaves. */
  cut(): void {
    const bytes = this.take()
    this.put(bytes.subarray(0, capacity))
  }

  get isFull(): boolean {
    return this.size > capacity
  }
}

/** The client's end as a stream. Has what clients call on a `net.Socket`, as far as it means anything here. */
export class MemorySocket extends Duplex implements ClientEnd {
  private wants = false

  constructor(private readonly link: MemoryConnection) {
    super({ allowHalfOpen: false })
  }

  deliver(): void {
    const { down } = this.link
    if (!this.wants || this.destroyed) return
    if (down.size > 0) {
      this.wants = this.push(this.link.take())
      // The end is an event of its own, as it is on a socket: who has just been told of an answer listens for it.
      if (this.wants && down.ending !== "Open") this.link.look()
      return
    }
    if (down.ending === "RST") this.destroy(this.link.failure())
    else if (down.ending === "FIN") {
      this.wants = false
      this.push(null)
    }
  }

  override _read(): void {
    this.wants = true
    this.link.look()
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.link.send(bytes, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.link.endUp("FIN")
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Who leaves bytes unread resets, as the system does for him.
    this.link.clientGone(this.readableLength + this.link.down.size > 0 ? "RST" : "FIN")
    done(error)
  }

  /** Ends at once by a reset. */
  resetAndDestroy(): this {
    this.link.clientGone("RST")
    return this.destroy()
  }

  // What a pool of connections calls on a socket; nothing here has a descriptor, holds the process, or is slow.

  setKeepAlive(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setTimeout(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

/** The server's end, and the way in both directions. */
export class MemoryConnection implements Connection, ClientLink {
  readonly id = nextConnectionId()
  readonly local: Option.Option<Address>
  readonly remote: Option.Option<Address>
  private readonly client: ClientEnd
  readonly up = new Pipe()
  readonly down = new Pipe()
  private events: ConnectionEvents | undefined
  /** What the server receives is an event of this connection, whatever a client or a handler has sent it in. */
  private readonly context = new AsyncResource("MEMORYCONNECTION")
  private isPaused = false
  private isFinSeen = false
  private isClosed = false
  private hasSaidFull = false
  private isLooking = false
  private isClientGone = false
  /** The client's writer, while the way is full. */
  private sender: ((error?: Error | null) => void) | undefined

  constructor(
    addresses: { readonly local: Address; readonly remote: Address },
    private readonly onGone: (link: MemoryConnection) => void,
    endOf: (link: MemoryConnection) => ClientEnd
  ) {
    this.client = endOf(this)
    this.local = Option.some(addresses.local)
    this.remote = Option.some(addresses.remote)
  }

  /**
   * Whatever is to be delivered is, in the event loop's next turn: clients listen for an answer behind having asked, and
   * no socket's could come before they do.
   */
  look(): void {
    if (this.isLooking) return
    this.isLooking = true
    setImmediate(() => {
      this.isLooking = false
      this.client.deliver()
      this.context.runInAsyncScope(this.receive, this)
    })
  }

  private receive(): void {
    if (this.events === undefined || this.isPaused || this.isClosed) return
    if (this.up.size > 0) {
      const bytes = this.up.take()
      const { sender } = this
      this.sender = undefined
      sender?.()
      this.events.onBytes(bytes)
      this.look()
      return
    }
    if (this.up.ending === "RST") this.gone()
    else if (this.up.ending === "FIN" && !this.isFinSeen) {
      this.isFinSeen = true
      this.events.onEnd()
      if (this.down.ending !== "Open") this.gone()
    }
  }

  // What the client does.

  send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.isClosed) {
      // It leaves, and comes back as a reset, behind what is still to be read.
      this.down.ending = "RST"
      this.look()
      done()
      return
    }
    this.up.add(bytes)
    this.look()
    if (this.up.isFull) this.sender = done
    else done()
  }

  endUp(how: "FIN" | "RST"): void {
    if (this.up.ending !== "RST") this.up.ending = how
    this.look()
  }

  clientGone(how: "FIN" | "RST"): void {
    this.isClientGone = true
    this.endUp(this.up.ending === "FIN" && how === "FIN" ? "FIN" : how)
  }

  get unread(): number {
    return this.down.size
  }

  get ending(): ClientLink["ending"] {
    return this.down.ending
  }

  failure(): Error {
    return systemError("ECONNRESET", "read")
  }

  take(): Buffer {
    const bytes = this.down.take()
    if (this.hasSaidFull) {
      this.hasSaidFull = false
      this.events?.onDrain()
    }
    return bytes
  }

  // What the server does.

  open(events: ConnectionEvents): void {
    if (this.isClosed || this.events !== undefined) {
      void Promise.resolve().then(() => events.onClose())
      return
    }
    this.events = events
    this.look()
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.look()
  }

  write(parts: ReadonlyArray<string | Uint8Array>): void {
    if (this.isClosed || this.down.ending !== "Open") return
    if (this.isClientGone) {
      // What is written to a client that has gone comes back as a reset; nothing at all does not leave.
      if (parts.some((part) => part.length > 0)) this.endUp("RST")
      return
    }
    for (const part of parts) {
      this.down.add(
        typeof part === "string"
          ? Buffer.from(part, "latin1")
          : Buffer.from(part.buffer, part.byteOffset, part.byteLength)
      )
    }
    if (this.down.isFull) this.hasSaidFull = true
    this.look()
  }

  isFull(): boolean {
    return this.down.isFull
  }

  unsent(): number {
    return Math.max(0, this.down.size - capacity)
  }

  end(): void {
    if (this.down.ending === "Open") this.down.ending = "FIN"
    this.look()
    if (this.isFinSeen || this.isClientGone) this.gone()
  }

  close(): void {
    this.leave(this.up.size > 0 ? "RST" : "FIN")
  }

  abort(): void {
    this.down.cut()
    this.leave("RST")
  }

  destroy(): void {
    this.down.cut()
    this.leave(this.up.size > 0 ? "RST" : "FIN")
  }

  private leave(how: "FIN" | "RST"): void {
    if (this.down.ending !== "RST") this.down.ending = how
    this.look()
    this.gone()
  }

  /** Closed, which its owner learns in an event of its own. */
  private gone(): void {
    if (this.isClosed) return
    this.isClosed = true
    const { sender } = this
    this.sender = undefined
    sender?.(systemError("ECONNRESET", "write"))
    this.onGone(this)
    setImmediate(() => this.events?.onClose())
  }
}
