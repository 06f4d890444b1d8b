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

const ignore = (): void => {}

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
  private socket: Socket | undefined
  /** Told when somebody starts to read. */
  onOpen: (() => void) | undefined

  /** `onClose` is told when the descriptor has been given back to the system, however that came about. */
  constructor(socket: Socket, onClose: (isOpened: boolean) => void) {
    this.socket = socket
    // Every error of a socket is followed by its close, which is what the connection acts upon.
    socket.on("error", ignore)
    socket.on("close", () => {
      const { events } = this
      this.forget()
      onClose(events !== undefined)
      events?.onClose()
    })
  }

  /**
   * A closed connection holds on to nothing: the accept stream's last chunks linger in the old generation, and with
   * them a socket and all of its connection did, at half of the processor's time for a connection a request.
   */
  private forget(): void {
    this.socket = undefined
    this.events = undefined
    this.onOpen = undefined
  }

  // Asking for an address is a system call, and most requests are answered without it.
  get local(): Option.Option<Address> {
    if (Option.isNone(this.knownLocal) && this.socket !== undefined) {
      const { localAddress, localFamily, localPort } = this.socket
      this.knownLocal = addressOf(localAddress, localPort, localFamily)
    }
    return this.knownLocal
  }

  get remote(): Option.Option<Address> {
    if (Option.isNone(this.knownRemote) && this.socket !== undefined) {
      const { remoteAddress, remoteFamily, remotePort } = this.socket
      this.knownRemote = addressOf(remoteAddress, remotePort, remoteFamily)
    }
    return this.knownRemote
  }

  open(events: ConnectionEvents): void {
    const { socket } = this
    // A connection that has closed, or that somebody else has opened, is over for whoever comes now.
    if (socket === undefined || this.events !== undefined) {
      queueMicrotask(events.onClose)
      return
    }
    this.events = events
    this.onOpen?.()
    socket.on("data", events.onBytes)
    socket.on("end", events.onEnd)
    socket.on("drain", events.onDrain)
    socket.resume()
  }

  pause(): void {
    this.socket?.pause()
  }

  resume(): void {
    this.socket?.resume()
  }

  write(parts: ReadonlyArray<string | Uint8Array>): void {
    const { socket } = this
    if (socket === undefined || !socket.writable) return
    if (parts.length > 1) socket.cork()
    for (const part of parts) {
      if (typeof part === "string") socket.write(part, "latin1")
      else socket.write(part)
    }
    if (parts.length > 1) socket.uncork()
  }

  isFull(): boolean {
    return this.socket?.writableNeedDrain ?? false
  }

  /** A write that is under way counts whole until it is done; the system's own queue tells how far it is. */
  unsent(): number {
    const { socket } = this
    if (socket === undefined || socket.writableLength === 0) return 0
    // Not public, but what node:net's own timeout looks at; without it only whole writes are progress.
    const handle = (socket as { readonly _handle?: { readonly writeQueueSize?: number } })._handle
    return socket.writableLength + (handle?.writeQueueSize ?? 0)
  }

  end(): void {
    this.socket?.end()
  }

  close(): void {
    this.socket?.destroySoon()
  }

  /**
   * `resetAndDestroy` sends a FIN first, which is what has to be avoided. The flag is what it sets, and not public; without
   * it this is `destroy`.
   */
  abort(): void {
    const { socket } = this
    if (socket === undefined) return
    Object.assign(socket, { resetAndClosing: true })
    socket.destroy()
  }

  destroy(): void {
    this.socket?.destroy()
  }
}
