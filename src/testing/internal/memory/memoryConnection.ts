/**
 * A connection in memory: a `Duplex` for the client, a `Connection` for the server, and a pipe in each direction.
 *
 * It behaves like TCP on loopback: written bytes arrive in the next turn of the event loop. A sender is suspended above
 * `capacity` unread bytes; FIN and reset follow the bytes. A client that closes sends FIN, or a reset if it leaves bytes
 * unread; the server's next write then causes a reset.
 */
import { AsyncResource } from "node:async_hooks"
import { Duplex } from "node:stream"
import * as Option from "effect/Option"
import type { Address } from "../../../Address.js"
import type { Connection, ConnectionEvents } from "../../../Connection.js"
import { setImmediate } from "../../../internal/host/hostTimers.js"
import { nextConnectionId } from "../../../internal/net/connectionId.js"
import type { ClientEnd, ClientLink } from "../client/clientLink.js"

/** Bytes in transit above which a sender is suspended: as many as `node:net` reads at once. */
const capacity = 64 * 1024

/** An error in the form of a system error, which clients identify by its `code`. */
export const systemError = (code: string, syscall: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${syscall} ${code}`), { code, syscall })

/** Bytes in transit in one direction. */
class Pipe {
  private parts: Array<Buffer> = []
  size = 0
  /** How the sender has ended it, after the bytes. */
  ending: "Open" | "FIN" | "RST" = "Open"

  add(bytes: Buffer): void {
    if (this.ending === "Open") this.append(bytes)
  }

  private append(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.parts.push(bytes)
    this.size += bytes.length
  }

  /** Takes all bytes as one piece. */
  take(): Buffer {
    const { parts } = this
    this.parts = []
    this.size = 0
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  /** Discards the bytes that exceed the capacity: they have not been sent. */
  truncate(): void {
    const bytes = this.take()
    this.append(bytes.subarray(0, capacity))
  }

  get isFull(): boolean {
    return this.size > capacity
  }
}

/** The client's end as a stream, with the methods of `net.Socket` that clients call. */
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
      // The end is a separate event, as on a socket: a client may add its listener when it receives the response.
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
    // Unread bytes cause a reset, as by the system.
    this.link.endByClient(this.readableLength + this.link.toClient.size > 0 ? "RST" : "FIN")
    done(error)
  }

  resetAndDestroy(): this {
    this.link.endByClient("RST")
    return this.destroy()
  }

  // Called by connection pools. Without effect: there is no descriptor, no timeout, and no handle of the event loop.

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

/** The server's end, and the pipes in both directions. */
export class MemoryConnection implements Connection, ClientLink {
  readonly id = nextConnectionId()
  readonly local: Option.Option<Address>
  readonly remote: Option.Option<Address>
  private readonly client: ClientEnd
  readonly toServer = new Pipe()
  readonly toClient = new Pipe()
  private events: ConnectionEvents | undefined
  /** Async context of the server's events, independent of the client or handler that sends. */
  private readonly context = new AsyncResource("MEMORYCONNECTION")
  private isPaused = false
  private isFinReceived = false
  private isClosed = false
  private needsDrain = false
  private isDeliveryScheduled = false
  private isClientGone = false
  /** Callback of the client's last write, while the pipe is full. */
  private pendingWrite: ((error?: Error | null) => void) | undefined

  constructor(
    addresses: { readonly local: Address; readonly remote: Address },
    private readonly onClosed: (connection: MemoryConnection) => void,
    makeEnd: (connection: MemoryConnection) => ClientEnd
  ) {
    this.client = makeEnd(this)
    this.local = Option.some(addresses.local)
    this.remote = Option.some(addresses.remote)
  }

  /**
   * Delivers in the next turn of the event loop: clients add their listeners after sending a request, and a socket never
   * delivers before that.
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

  // Called by the client.

  send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.isClosed) {
      // The bytes are sent, and cause a reset, after what is still to be read.
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

  // Called by the server.

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
      // A write to a client that has closed causes a reset; an empty write sends nothing.
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

  /** Marks it closed, and emits `onClose` in a separate event. */
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
