/** The `Connection` of a `node:net` socket: of TCP, or of a Unix domain socket. */
import type { Socket } from "node:net"
import * as Option from "effect/Option"
import { type Address, tcp } from "../../Address.js"
import type { Connection, ConnectionEvents } from "../../Connection.js"
import { setImmediate } from "../host/hostTimers.js"
import { nextConnectionId } from "./connectionId.js"
import type { ProxyProtocol } from "./proxyProtocol.js"
import { reset } from "./reset.js"
import { serviceUnavailable } from "./serviceUnavailable.js"
import { makeReader } from "./socketReader.js"
import { unsentBytes, writeBytes } from "./writeProgress.js"

/** An IPv4-mapped IPv6 address, as dual-stack sockets report IPv4 (RFC 4291 §2.5.5.2). */
const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

const addressOf = (
  hostname: string | undefined,
  port: number | undefined,
  family: string | undefined
): Option.Option<Address> => {
  if (hostname === undefined || port === undefined) return Option.none()
  const ipv4 = family === "IPv6" ? mapped.exec(hostname)?.[1] : hostname
  return Option.some(ipv4 === undefined ? tcp(hostname, port, "IPv6") : tcp(ipv4, port, "IPv4"))
}

const localOf = ({ localAddress, localFamily, localPort }: Socket) => addressOf(localAddress, localPort, localFamily)

const remoteOf = ({ remoteAddress, remoteFamily, remotePort }: Socket) =>
  addressOf(remoteAddress, remotePort, remoteFamily)

/** Notified when a connection is opened, and when its socket and descriptor are closed. */
export interface ConnectionObserver {
  /** The local address of its connections where it is a Unix domain socket, whose peers have no address. */
  readonly unixAddress: Option.Option<Address>
  /** Set if each connection begins with a header of the PROXY protocol. */
  readonly proxyProtocol?: ProxyProtocol | undefined
  readonly onOpen: (connection: SocketConnection) => void
  readonly onClose: (connection: SocketConnection, isOpened: boolean) => void
}

/** Bytes that fit into one TCP segment on any path: the minimum MTU of IPv6, less the headers. */
const minSegment = 1200

export const connectionKey = Symbol("effect-asynchttpserver/SocketConnection")

/** A socket refers to its connection by a property, so that all sockets share their listeners: four closures take 250 bytes. */
export interface ObservedSocket extends Socket {
  [connectionKey]?: SocketConnection | undefined
}

const onError = (): void => {}

const startReading = makeReader(function (this: ObservedSocket, bytes) {
  this[connectionKey]?.onBytes(bytes)
})

function onEnd(this: ObservedSocket): void {
  this[connectionKey]?.onEnd()
}

function onDrain(this: ObservedSocket): void {
  this[connectionKey]?.onDrain()
}

function onClose(this: ObservedSocket): void {
  this[connectionKey]?.onClose()
}

export class SocketConnection implements Connection {
  index = -1
  readonly id = nextConnectionId()
  protected events: ConnectionEvents | undefined
  private isProxiedSecurely = false
  private localCache: Option.Option<Address> = Option.none()
  private remoteCache: Option.Option<Address> = Option.none()
  protected socket: ObservedSocket | undefined
  private hasWritten = false
  private isNagleDisabled = false
  private hasDrainListener = false

  constructor(
    socket: Socket,
    protected readonly observer: ConnectionObserver
  ) {
    const observed: ObservedSocket = socket
    this.socket = observed
    observed[connectionKey] = this
    // Every socket error is followed by `close`, which the connection handles.
    socket.on("error", onError)
    socket.on("close", onClose)
  }

  onBytes(bytes: Buffer): void {
    this.events?.onBytes(bytes)
  }

  onEnd(): void {
    this.events?.onEnd()
  }

  onDrain(): void {
    this.events?.onDrain()
  }

  onClose(): void {
    const { events } = this
    this.detach()
    this.observer.onClose(this, events !== undefined)
    events?.onClose()
  }

  /**
   * Drops the references between a closed socket and its connection. V8 allocates sockets in the old generation once many
   * have survived, where a dead one retains whatever it refers to until the next full collection: with one request per
   * connection, copying handlers, requests and responses was a quarter of the processor time.
   */
  protected detach(): void {
    if (this.socket !== undefined) this.socket[connectionKey] = undefined
    this.socket = undefined
    this.events = undefined
  }

  // An address is a system call, which most requests do not need.
  get local(): Option.Option<Address> {
    if (Option.isNone(this.localCache) && this.socket !== undefined) {
      this.localCache = Option.orElse(localOf(this.socket), () => this.observer.unixAddress)
    }
    return this.localCache
  }

  get remote(): Option.Option<Address> {
    if (Option.isNone(this.remoteCache) && this.socket !== undefined) {
      this.remoteCache = remoteOf(this.socket)
    }
    return this.remoteCache
  }

  /** The scheme of its requests: that of a proxy's client, if the proxy has ended its TLS. */
  get scheme(): "http" | "https" {
    return this.isProxiedSecurely ? "https" : "http"
  }

  open(events: ConnectionEvents): void {
    const { socket } = this
    // A connection that has closed or was opened before reports `onClose` alone.
    if (socket === undefined || this.events !== undefined) {
      void Promise.resolve().then(() => events.onClose())
      return
    }
    this.events = events
    this.observer.onOpen(this)
    const { proxyProtocol } = this.observer
    if (proxyProtocol === undefined) this.begin(socket)
    else
      proxyProtocol.read(socket, this, ({ addresses, isSecure }, rest) => {
        this.isProxiedSecurely = isSecure
        if (addresses !== undefined) {
          this.localCache = Option.some(addresses.local)
          this.remoteCache = Option.some(addresses.remote)
        }
        this.begin(socket, rest)
      })
  }

  /** Begins with what the client sends, of which a part may have been read. */
  protected begin(socket: ObservedSocket, received?: Buffer): void {
    this.startReading(socket)
    if (received !== undefined && received.length > 0) this.onBytes(received)
  }

  protected startReading(socket: ObservedSocket): void {
    startReading(socket)
    socket.on("end", onEnd)
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
    this.disableNagle(socket, parts)
    if (parts.length > 1) socket.cork()
    let isAccepted = true
    for (const part of parts)
      isAccepted = typeof part === "string" ? socket.write(part, "latin1") : writeBytes(socket, part)
    if (parts.length > 1) socket.uncork()
    if (isAccepted || this.hasDrainListener) return
    this.hasDrainListener = true
    socket.on("drain", onDrain)
  }

  /**
   * Disables Nagle's algorithm, which delays a small segment until the one before it is acknowledged. A connection whose only
   * response is one segment saves the system call.
   */
  private disableNagle(socket: Socket, parts: ReadonlyArray<string | Uint8Array>): void {
    if (this.isNagleDisabled) return
    this.isNagleDisabled = this.hasWritten || parts.length > 1 || (parts[0]?.length ?? 0) > minSegment
    this.hasWritten = true
    if (this.isNagleDisabled) socket.setNoDelay(true)
  }

  /**
   * Sends 503 on a connection that was not opened, and closes it. Input is read before: a socket closed with unread bytes
   * sends a reset, which discards the response.
   */
  reject(): void {
    const { socket } = this
    socket?.resume().end(serviceUnavailable(), "latin1", () => setImmediate(() => socket.destroy()))
  }

  isFull(): boolean {
    return this.socket?.writableNeedDrain ?? false
  }

  unsent(): number {
    return this.socket === undefined ? 0 : unsentBytes(this.socket)
  }

  end(): void {
    this.socket?.end()
  }

  /** With nothing unsent, closing the descriptor sends the FIN: a `shutdown` before it would cost an event-loop turn. */
  close(): void {
    if (this.socket?.writableLength === 0) this.socket.destroy()
    else this.socket?.destroySoon()
  }

  abort(): void {
    if (this.socket !== undefined) reset(this.socket)
  }

  destroy(): void {
    this.socket?.destroy()
  }
}
