/**
 * A raw socket for tests: sends raw bytes, and reads responses as strictly as a proxy does.
 *
 * Nothing sleeps: every wait is for bytes or for an end, and a wait without end dies and shows what had arrived.
 */
import * as net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Condition } from "../support/eventually.js"
import { type ParsedResponse, parseResponse } from "./parsedResponse.js"

export interface RawConnection {
  /** The port of this end. */
  readonly localPort: number
  /** Writes bytes to the socket, without waiting until they are sent. */
  readonly send: (bytes: string | Uint8Array) => Effect.Effect<void>
  /** Bytes passed to `send` that are not sent yet. */
  readonly unsent: Effect.Effect<number>
  /** Waits until what has arrived and was not read yet is enough, and takes all of it. */
  readonly readUntil: (isEnough: (seen: string) => boolean) => Effect.Effect<string>
  /** Takes the next response, be it interim or final; `method` is what it answers. */
  readonly readResponse: (method?: string) => Effect.Effect<ParsedResponse>
  /** Waits for the end, and takes all that came before it. */
  readonly readToEnd: Effect.Effect<Buffer>
  /** Waits for the end, and returns how the server ended the connection. */
  readonly closedWith: Effect.Effect<"FIN" | "RST">
  /** Reads no more: the system's buffers fill, and the server's responses wait. */
  readonly stopReading: Effect.Effect<void>
  readonly resumeReading: Effect.Effect<void>
  /** Sends FIN, and continues reading. */
  readonly halfClose: Effect.Effect<void>
  /** Ends at once with RST. */
  readonly reset: Effect.Effect<void>
}

class RawConnectionImpl implements RawConnection {
  private readonly condition = new Condition()
  private received: Buffer = Buffer.alloc(0)
  private parts: Array<Buffer> = []
  private end: "FIN" | "RST" | undefined

  constructor(private readonly socket: net.Socket) {
    socket.on("data", (bytes) => {
      this.parts.push(bytes)
      this.condition.notify()
    })
    socket.on("end", () => this.ended("FIN"))
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET" || error.code === "EPIPE") this.ended("RST")
    })
    socket.on("close", () => this.ended("RST"))
  }

  private ended(how: "FIN" | "RST"): void {
    this.end ??= how
    this.condition.notify()
  }

  private get seen(): Buffer {
    if (this.parts.length > 0) this.received = Buffer.concat([this.received, ...this.parts])
    this.parts = []
    return this.received
  }

  private take(length: number): Buffer {
    const taken = this.seen.subarray(0, length)
    this.received = this.seen.subarray(length)
    return taken
  }

  private until<A>(look: () => A | undefined, what: string): Effect.Effect<A> {
    return this.condition.until(look, () => {
      const { seen } = this
      const text = JSON.stringify(seen.toString("latin1", 0, 400))
      return `${what}; ${seen.length} bytes unread: ${text}; the connection ${this.end === undefined ? "is open" : `ended by ${this.end}`}`
    })
  }

  get localPort(): number {
    return this.socket.localPort ?? 0
  }

  send(bytes: string | Uint8Array): Effect.Effect<void> {
    return Effect.sync(() => {
      if (typeof bytes === "string") this.socket.write(bytes, "latin1")
      else this.socket.write(bytes)
    })
  }

  readonly unsent = Effect.sync(() => this.socket.writableLength)

  readUntil(isEnough: (seen: string) => boolean): Effect.Effect<string> {
    return this.until(() => {
      const seen = this.seen.toString("latin1")
      if (isEnough(seen)) return this.take(this.seen.length).toString("latin1")
      if (this.end !== undefined) throw new Error(`the connection ended; unread: ${JSON.stringify(seen)}`)
      return undefined
    }, "more bytes")
  }

  readResponse(method = "GET"): Effect.Effect<ParsedResponse> {
    return this.until(() => {
      const response = parseResponse(this.seen, method, this.end !== undefined)
      if (response !== undefined) this.take(response.length)
      return response
    }, "an answer")
  }

  readonly readToEnd = Effect.map(
    Effect.suspend(() => this.until(() => this.end, "the end")),
    () => this.take(this.seen.length)
  )

  readonly closedWith = Effect.suspend(() => this.until(() => this.end, "the end"))

  readonly stopReading = Effect.sync(() => {
    this.socket.pause()
  })

  readonly resumeReading = Effect.sync(() => {
    this.socket.resume()
  })

  readonly halfClose = Effect.sync(() => {
    this.socket.end()
  })

  readonly reset = Effect.sync(() => {
    this.socket.resetAndDestroy()
  })
}

/**
 * Connects to a port of this machine; the socket is destroyed with the scope. It answers the server's FIN with its own,
 * unless it stays half-open.
 */
export const connect = (
  port: number,
  host = "127.0.0.1",
  { allowHalfOpen = false }: { readonly allowHalfOpen?: boolean } = {}
): Effect.Effect<RawConnection, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<net.Socket>((resume) => {
        const socket = net.connect({ host, port, noDelay: true, allowHalfOpen })
        const onError = (error: Error): void => resume(Effect.die(error))
        socket.once("error", onError)
        socket.once("connect", () => {
          socket.off("error", onError)
          // What comes after the connection, before the fiber continues, is the wire's.
          socket.on("error", () => {})
          resume(Effect.succeed(socket))
        })
      }),
      (socket) => Effect.sync(() => socket.destroy())
    ),
    (socket): RawConnection => new RawConnectionImpl(socket)
  )

/** The text of a request: a line, `Host`, other fields, and a body that is sent as it is. */
export const requestText = (line: string, fields: ReadonlyArray<string> = [], body = ""): string =>
  `${line} HTTP/1.1\r\nHost: test\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n${body}`

/** A request whose body has a `Content-Length`. */
export const withBody = (line: string, body: string, fields: ReadonlyArray<string> = []): string =>
  requestText(line, [`Content-Length: ${Buffer.byteLength(body, "latin1")}`, ...fields], body)

/** One request on a connection of its own. */
export const ask = (port: number, text: string, method = "GET"): Effect.Effect<ParsedResponse> =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* connect(port)
      yield* client.send(text)
      return yield* client.readResponse(method)
    })
  )

/** `GET` of a path on a connection of its own. */
export const get = (port: number, path = "/"): Effect.Effect<ParsedResponse> => ask(port, requestText(`GET ${path}`))
