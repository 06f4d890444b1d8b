/** Raw client on a socket or on a connection in memory. */
import type { Duplex } from "node:stream"
import * as Effect from "effect/Effect"
import { OSError } from "../../../Errors.js"
import { escapeControls } from "../../../internal/host/escapeControls.js"
import { Signal } from "../../../internal/runtime/effectInterop.js"
import type { RawClient } from "../../RawClient.js"

/** The client's end of a connection, of either transport. */
export interface ClientSocket extends Duplex {
  readonly resetAndDestroy: () => unknown
}

export class RawSocket implements RawClient {
  private readonly changed = new Signal()
  private received: Buffer = Buffer.alloc(0)
  private parts: Array<Buffer> = []
  private end: "FIN" | "RST" | undefined

  constructor(private readonly socket: ClientSocket) {
    socket.on("data", (bytes: Buffer) => {
      this.parts.push(bytes)
      this.changed.wake()
    })
    socket.on("end", () => this.ended("FIN"))
    socket.on("error", () => this.ended("RST"))
    socket.on("close", () => this.ended("RST"))
  }

  private ended(how: "FIN" | "RST"): void {
    this.end ??= how
    this.changed.wake()
  }

  private get unread(): Buffer {
    if (this.parts.length > 0) this.received = Buffer.concat([this.received, ...this.parts])
    this.parts = []
    return this.received
  }

  private take(): Buffer {
    const { unread } = this
    this.received = Buffer.alloc(0)
    return unread
  }

  readonly send = (bytes: string | Uint8Array): Effect.Effect<void> =>
    Effect.sync(() => {
      if (typeof bytes === "string") this.socket.write(bytes, "latin1")
      else this.socket.write(bytes)
    })

  readonly readUntil = (predicate: (unread: string) => boolean): Effect.Effect<string, OSError> =>
    this.changed.until((): Effect.Effect<string, OSError> | undefined => {
      const unread = this.unread.toString("latin1")
      if (predicate(unread)) return Effect.succeed(this.take().toString("latin1"))
      if (this.end === undefined) return undefined
      const cause = new Error(`The server ended the connection; unread: ${escapeControls(JSON.stringify(unread))}`)
      return new OSError({ code: this.end === "FIN" ? "EOF" : "ECONNRESET", syscall: "read", cause })
    })

  readonly closedWith: Effect.Effect<"FIN" | "RST"> = this.changed.until(() =>
    this.end === undefined ? undefined : Effect.succeed(this.end)
  )

  readonly readToEnd: Effect.Effect<Buffer> = Effect.map(this.closedWith, () => this.take())

  readonly stopReading: Effect.Effect<void> = Effect.sync(() => {
    this.socket.pause()
  })

  readonly resumeReading: Effect.Effect<void> = Effect.sync(() => {
    this.socket.resume()
  })

  readonly halfClose: Effect.Effect<void> = Effect.sync(() => {
    this.socket.end()
  })

  readonly reset: Effect.Effect<void> = Effect.sync(() => {
    this.socket.resetAndDestroy()
  })
}
