/**
 * The PROXY protocol of one listener: the peers that may send a header, and the reading of the header before the first byte of TLS or
 * HTTP.
 */
import type { Socket } from "node:net"
import * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type { Address } from "../../Address.js"
import type { ProxyProtocol as Options } from "../../Listener.js"
import { clearTimeout, setTimeout } from "../host/hostTimers.js"
import { type ProxyHeader, parseProxyHeader } from "./proxyHeader.js"
import { TrustedNetworks } from "./trustedNetworks.js"

/** Milliseconds for a header by default. */
const defaultTimeout = 10_000

/** A connection, before anything of it was read. */
interface Peer {
  readonly local: Option.Option<Address>
  readonly remote: Option.Option<Address>
}

/** Receives a valid header, and the bytes after it. */
type OnHeader = (header: ProxyHeader, rest: Buffer) => void

/** The reading of one header. */
class HeaderReader {
  private received = Buffer.alloc(0)
  private readonly timer: ReturnType<typeof setTimeout>

  constructor(
    private readonly socket: Socket,
    timeout: number,
    private readonly onHeader: OnHeader,
    private readonly onRefused: (reason: string) => void
  ) {
    this.timer = setTimeout(() => this.refuse("no header in time"), timeout)
    socket.on("data", this.onData)
    socket.on("end", this.onEnd)
    socket.on("close", this.stop)
    socket.resume()
  }

  private readonly onData = (bytes: Buffer): void => {
    this.received = Buffer.concat([this.received, bytes])
    const result = parseProxyHeader(this.received)
    if (result === "NeedMore") return
    if (result._tag === "MalformedHeader") {
      this.refuse(result.reason)
      return
    }
    // Paused, so that the bytes after the header are for the reader that follows.
    this.socket.pause()
    this.stop()
    this.onHeader(result, this.received.subarray(result.length))
  }

  private readonly onEnd = (): void => this.refuse("the peer has ended the connection before its header")

  private readonly stop = (): void => {
    clearTimeout(this.timer)
    this.socket.off("data", this.onData)
    this.socket.off("end", this.onEnd)
    this.socket.off("close", this.stop)
  }

  private refuse(reason: string): void {
    this.stop()
    this.onRefused(reason)
  }
}

export class ProxyProtocol {
  private readonly trusted: TrustedNetworks
  private readonly timeout: number

  constructor(
    { timeout = defaultTimeout, trusted }: Options,
    private readonly onError: (reason: string, peer: Peer["remote"]) => void
  ) {
    this.trusted = new TrustedNetworks(trusted)
    this.timeout = Duration.toMillis(timeout)
  }

  /**
   * Reads the header of a connection. A connection without a valid one is closed, and so is that of any peer that is not
   * trusted: if it were served, the port would be open to clients that the proxy is there to keep away.
   */
  read(socket: Socket, peer: Peer, onHeader: OnHeader): void {
    // Read while the socket is certain to be connected.
    const { remote } = peer
    const refuse = (reason: string): void => {
      this.onError(reason, remote)
      socket.destroy()
    }
    if (this.trusted.includesPeer(peer)) new HeaderReader(socket, this.timeout, onHeader, refuse)
    else refuse("the peer is not trusted")
  }
}
