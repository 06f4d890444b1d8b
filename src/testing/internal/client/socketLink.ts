/** A client's connection over TCP. Bytes sent before it is connected are buffered by the socket. */
import type { Socket } from "node:net"
import * as Option from "effect/Option"
import type { Address } from "../../../Address.js"
import { setImmediate } from "../../../internal/host/hostTimers.js"
import { reset } from "../../../internal/net/reset.js"
import type { ClientEnd, ClientLink } from "./clientLink.js"

export class SocketLink implements ClientLink {
  readonly local: Option.Option<Address>
  unread = 0
  private isEnded = false
  private error: Error | undefined
  private parts: Array<Buffer> = []
  private isDeliveryScheduled = false
  private readonly client: ClientEnd

  constructor(
    private readonly socket: Socket,
    server: Address,
    makeEnd: (link: ClientLink) => ClientEnd
  ) {
    this.local = Option.some(server)
    this.client = makeEnd(this)
    socket.on("data", (bytes: Buffer) => {
      this.parts.push(bytes)
      this.unread += bytes.length
      this.client.deliver()
      if (this.unread > 0) socket.pause()
    })
    socket.on("end", () => {
      this.isEnded = true
      this.client.deliver()
    })
    socket.on("error", (error) => {
      // After the server's FIN only a write can fail, and the server does not read it.
      if (this.isEnded) return
      this.error ??= error
      this.client.deliver()
    })
  }

  get ending(): ClientLink["ending"] {
    return this.error !== undefined ? "RST" : this.isEnded ? "FIN" : "Open"
  }

  failure(): Error {
    return this.error ?? new Error("the connection has not failed")
  }

  take(): Buffer {
    const { parts } = this
    this.parts = []
    this.unread = 0
    if (this.socket.isPaused()) this.socket.resume()
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  scheduleDelivery(): void {
    if (this.isDeliveryScheduled) return
    this.isDeliveryScheduled = true
    setImmediate(() => {
      this.isDeliveryScheduled = false
      this.client.deliver()
    })
  }

  send(bytes: Buffer, done: () => void): void {
    this.socket.write(bytes, () => done())
  }

  endByClient(how: "FIN" | "RST"): void {
    if (this.socket.destroyed) return
    if (how === "FIN") this.socket.destroySoon()
    else reset(this.socket)
  }
}
