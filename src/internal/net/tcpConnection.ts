/**
 * A `node:net` socket as a `Connection`: events in, plain calls out.
 *
 * @internal
 */
import type { Socket } from "node:net"
import * as Option from "effect/Option"
import { type Address, tcp } from "../../Address.js"
import type { Connection, ConnectionEvents } from "../../Connection.js"
import { setImmediate } from "../host/hostTimers.js"
import { nextConnectionId } from "./connectionId.js"
import { reset } from "./reset.js"
import { makeReader } from "./socketReader.js"

/** An IPv4 address as a socket of both families tells it (RFC 4291 §2.5.5.2). */
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

/** Who is told when a socket's connection is opened, and when its descriptor has been given back to the system. */
export interface ConnectionObserver {
  readonly onOpen: (connection: TcpConnection) => void
  readonly onClose: (connection: TcpConnection, isOpened: boolean) => void
}

/** Bytes that fit into one segment of TCP whatever lies between: what IPv6 guarantees, less the headers. */
const oneSegment = 1200

const connectionKey = Symbol("effect-asynchttpserver/SocketConnection")

/** A socket knows its connection by a property, so that all sockets share their listeners: four closures are 250 bytes. */
interface ObservedSocket extends Socket {
  [connectionKey]?: TcpConnection | undefined
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

export class TcpConnection implements Connection {
  index = -1
  readonly id = nextConnectionId()
  private events: ConnectionEvents | undefined
  private knownLocal: Option.Option<Address> = Option.none()
  private knownRemote: Option.Option<Address> = Option.none()
  private socket: ObservedSocket | undefined
  private hasWritten = false
  private isNagleDisabled = false
  private listensForDrain = false

  constructor(
    socket: Socket,
    private readonly door: ConnectionObserver
  ) {
    const owned: ObservedSocket = socket
    this.socket = owned
    owned[connectionKey] = this
    // Every error of a socket is followed by its close, which is what the connection acts upon.
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
    this.door.onClose(this, events !== undefined)
    events?.onClose()
  }

  /**
   * A closed socket and its connection let go of each other. V8 makes sockets in the old generation when it has seen many
   * of them survive, and there a dead one keeps alive whatever it refers to until the next full collection: with a
   * connection a request, copying its handlers, requests and answers was a quarter of the processor's time.
   */
  private detach(): void {
    if (this.socket !== undefined) this.socket[connectionKey] = undefined
    this.socket = undefined
    this.events = undefined
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
      void Promise.resolve().then(() => events.onClose())
      return
    }
    this.events = events
    this.door.onOpen(this)
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
    let isTaken = true
    for (const part of parts) isTaken = typeof part === "string" ? socket.write(part, "latin1") : socket.write(part)
    if (parts.length > 1) socket.uncork()
    if (isTaken || this.listensForDrain) return
    this.listensForDrain = true
    socket.on("drain", onDrain)
  }

  /**
   * Nagle's algorithm holds a small segment back behind another that is on its way. A connection whose only answer is one
   * segment has no other, and is spared the system call.
   */
  private disableNagle(socket: Socket, parts: ReadonlyArray<string | Uint8Array>): void {
    if (this.isNagleDisabled) return
    this.isNagleDisabled = this.hasWritten || parts.length > 1 || (parts[0]?.length ?? 0) > oneSegment
    this.hasWritten = true
    if (this.isNagleDisabled) socket.setNoDelay(true)
  }

  /**
   * Ends a connection that nobody has opened with an answer that needs no request. What has come by then is read first:
   * closed over it, the socket would reset the answer.
   */
  rejectWith(answer: string): void {
    const { socket } = this
    socket?.resume().end(answer, "latin1", () => setImmediate(() => socket.destroy()))
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

  /** With nothing left to send, the system sends the FIN as it closes: a `shutdown` before it would cost a turn. */
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
