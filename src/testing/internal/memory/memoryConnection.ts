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
import { setImmediate } from "../../../internal/host/hostTimers.js"
import { nextConnectionId } from "../../../internal/net/connectionId.js"
import type { Connection, ConnectionEvents } from "../../../Listener.js"
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
    if (this.ending === "Open") this.append(bytes)
  }

  private append(bytes: Buffer): void {
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
  truncate(): void {
    const bytes = this.take()
    this.append(bytes.subarray(0, capacity))
  }

  get isFull(): boolean {
    return this.size > capacity
  }
}

/** The client's end as a stream. Has what clients call on a `net.Socket`, as far as it means anything here. */
export class MemorySocket extends Duplex implements ClientEnd {
  private needsData = false

  constructor(private readonly link: MemoryConnection) {
    super({ allowHalfOpen: false })
  }

  deliver(): void {
    const { toClient } = this.link
    if (!this.needsData || this.destroyed) return
    if (toClient.size > 0) {
      this.needsData = this.push(this.link.take())
      // The end is an event of its own, as it is on a socket: who has just been told of an answer listens for it.
      if (this.needsData && toClient.ending !== "Open") this.link.scheduleDelivery()
      return
    }
    if (toClient.ending === "RST") this.destroy(this.link.failure())
    else if (toClient.ending === "FIN") {
      this.needsData = false
      this.push(null)
    }
  }

  override _read(): void {
    this.needsData = true
    this.link.scheduleDelivery()
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.link.send(bytes, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.link.endToServer("FIN")
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Who leaves bytes unread resets, as the system does for him.
    this.link.endByClient(this.readableLength + this.link.toClient.size > 0 ? "RST" : "FIN")
    done(error)
  }

  /** Ends at once by a reset. */
  resetAndDestroy(): this {
    this.link.endByClient("RST")
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
  readonly toServer = new Pipe()
  readonly toClient = new Pipe()
  private events: ConnectionEvents | undefined
  /** What the server receives is an event of this connection, whatever a client or a handler has sent it in. */
  private readonly context = new AsyncResource("MEMORYCONNECTION")
  private isPaused = false
  private isFinReceived = false
  private isClosed = false
  private needsDrain = false
  private isDeliveryScheduled = false
  private isClientGone = false
  /** The client's writer, while the way is full. */
  private pendingWrite: ((error?: Error | null) => void) | undefined

  constructor(
    addresses: { readonly local: Address; readonly remote: Address },
    private readonly onClosed: (link: MemoryConnection) => void,
    makeEnd: (link: MemoryConnection) => ClientEnd
  ) {
    this.client = makeEnd(this)
    this.local = Option.some(addresses.local)
    this.remote = Option.some(addresses.remote)
  }

  /**
   * Whatever is to be delivered is, in the event loop's next turn: clients listen for an answer behind having asked, and
   * no socket's could come before they do.
   */
  scheduleDelivery(): void {
    if (this.isDeliveryScheduled) return
    this.isDeliveryScheduled = true
    setImmediate(() => {
      this.isDeliveryScheduled = false
      this.client.deliver()
      this.context.runInAsyncScope(this.receive, this)
    })
  }

  private receive(): void {
    if (this.events === undefined || this.isPaused || this.isClosed) return
    if (this.toServer.size > 0) {
      const bytes = this.toServer.take()
      const { pendingWrite } = this
      this.pendingWrite = undefined
      pendingWrite?.()
      this.events.onBytes(bytes)
      this.scheduleDelivery()
      return
    }
    if (this.toServer.ending === "RST") this.markClosed()
    else if (this.toServer.ending === "FIN" && !this.isFinReceived) {
      this.isFinReceived = true
      this.events.onEnd()
      if (this.toClient.ending !== "Open") this.markClosed()
    }
  }

  // What the client does.

  send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.isClosed) {
      // It leaves, and comes back as a reset, behind what is still to be read.
      this.toClient.ending = "RST"
      this.scheduleDelivery()
      done()
      return
    }
    this.toServer.add(bytes)
    this.scheduleDelivery()
    if (this.toServer.isFull) this.pendingWrite = done
    else done()
  }

  endToServer(how: "FIN" | "RST"): void {
    if (this.toServer.ending !== "RST") this.toServer.ending = how
    this.scheduleDelivery()
  }

  endByClient(how: "FIN" | "RST"): void {
    this.isClientGone = true
    this.endToServer(this.toServer.ending === "FIN" && how === "FIN" ? "FIN" : how)
  }

  get unread(): number {
    return this.toClient.size
  }

  get ending(): ClientLink["ending"] {
    return this.toClient.ending
  }

  failure(): Error {
    return systemError("ECONNRESET", "read")
  }

  take(): Buffer {
    const bytes = this.toClient.take()
    if (this.needsDrain) {
      this.needsDrain = false
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
    this.scheduleDelivery()
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.scheduleDelivery()
  }

  write(parts: ReadonlyArray<string | Uint8Array>): void {
    if (this.isClosed || this.toClient.ending !== "Open") return
    if (this.isClientGone) {
      // What is written to a client that has gone comes back as a reset; nothing at all does not leave.
      if (parts.some((part) => part.length > 0)) this.endToServer("RST")
      return
    }
    for (const part of parts) {
      this.toClient.add(
        typeof part === "string"
          ? Buffer.from(part, "latin1")
          : Buffer.from(part.buffer, part.byteOffset, part.byteLength)
      )
    }
    if (this.toClient.isFull) this.needsDrain = true
    this.scheduleDelivery()
  }

  isFull(): boolean {
    return this.toClient.isFull
  }

  unsent(): number {
    return Math.max(0, this.toClient.size - capacity)
  }

  end(): void {
    if (this.toClient.ending === "Open") this.toClient.ending = "FIN"
    this.scheduleDelivery()
    if (this.isFinReceived || this.isClientGone) this.markClosed()
  }

  close(): void {
    this.closeWith(this.toServer.size > 0 ? "RST" : "FIN")
  }

  abort(): void {
    this.toClient.truncate()
    this.closeWith("RST")
  }

  destroy(): void {
    this.toClient.truncate()
    this.closeWith(this.toServer.size > 0 ? "RST" : "FIN")
  }

  private closeWith(how: "FIN" | "RST"): void {
    if (this.toClient.ending !== "RST") this.toClient.ending = how
    this.scheduleDelivery()
    this.markClosed()
  }

  /** Closed, which its owner learns in an event of its own. */
  private markClosed(): void {
    if (this.isClosed) return
    this.isClosed = true
    const { pendingWrite } = this
    this.pendingWrite = undefined
    pendingWrite?.(systemError("ECONNRESET", "write"))
    this.onClosed(this)
    setImmediate(() => this.events?.onClose())
  }
}
