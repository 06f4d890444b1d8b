/**
 * A `node:net` socket as a `Connection`: events in, plain calls out.
 *
 * @internal
 */
import type { Socket } from "node:net"
import * as Option from "effect/Option"
import { type Address, tcp } from "../../Address.js"
import type { Connection, ConnectionEvents } from "../../Listener.js"

let lastId = 0

const addressOf = (
  hostname: string | undefined,
  port: number | undefined,
  family: string | undefined
): Option.Option<Address> =>
  hostname === undefined || port === undefined
    ? Option.none()
    : Option.some(tcp(hostname, port, family === "IPv6" ? "IPv6" : "IPv4"))

export class SocketConnection implements Connection {
  readonly id = ++lastId
  private events: ConnectionEvents | undefined
  private knownLocal: Option.Option<Address> = Option.none()
  private knownRemote: Option.Option<Address> = Option.none()
  private isClosed = false

  /** `onClose` is told when the descriptor has been given back to the system, however that came about. */
  constructor(
    private readonly socket: Socket,
    onClose: (connection: SocketConnection) => void
  ) {
    // Every error of a socket is followed by its close, which is what the connection acts upon.
    socket.on("error", () => {})
    socket.on("close", () => {
      this.isClosed = true
      onClose(this)
      this.events?.onClose()
    })
  }

  /** Whether somebody has started to read. */
  get isOpened(): boolean {
    return this.events !== undefined
  }

  // Asking for an address is a system call, and most requests are answered without it.
  get local(): Option.Option<Address> {
    const { localAddress, localFamily, localPort } = this.socket
    if (Option.isNone(this.knownLocal)) this.knownLocal = addressOf(localAddress, localPort, localFamily)
    return this.knownLocal
  }

  get remote(): Option.Option<Address> {
    const { remoteAddress, remoteFamily, remotePort } = this.socket
    if (Option.isNone(this.knownRemote)) this.knownRemote = addressOf(remoteAddress, remotePort, remoteFamily)
    return this.knownRemote
  }

  open(events: ConnectionEvents): void {
    this.events = events
    const { socket } = this
    if (this.isClosed) {
      queueMicrotask(events.onClose)
      return
    }
    socket.on("data", events.onBytes)
    socket.on("end", events.onEnd)
    socket.on("drain", events.onDrain)
    socket.resume()
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  write(parts: ReadonlyArray<string | Uint8Array>): void {
    const { socket } = this
    if (!socket.writable) return
    if (parts.length > 1) socket.cork()
    for (const part of parts) {
      if (typeof part === "string") socket.write(part, "latin1")
      else socket.write(part)
    }
    if (parts.length > 1) socket.uncork()
  }

  isFull(): boolean {
    return this.socket.writableNeedDrain
  }

  unsent(): number {
    return this.socket.writableLength
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }
}
