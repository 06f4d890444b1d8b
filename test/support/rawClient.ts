/**
 * The client of all tests on raw sockets: sends bytes as they are, and parses responses as strictly as a proxy does.
 *
 * Waits are for bytes or for the end of the connection, never for a time; a wait that lasts too long dies with an error
 * that shows the unread bytes. A place is a port of TCP, or an `Endpoint` of TLS or of a Unix domain socket. Use `connect` in tests with Effect; `test/pressure/client.ts` has the same with promises.
 *
 * | to | use |
 * |---|---|
 * | open a connection that the scope closes | `connect(place, host?, options?)` |
 * | send | `send(bytes)`, `unsent` |
 * | receive | `readResponse(method?)`, `readUntil(isEnough)`, `readToEnd`, `readBytes(count)` |
 * | see how the server ended it | `closedWith` |
 * | apply backpressure | `stopReading`, `resumeReading` |
 * | end | `halfClose` (FIN), `reset` (RST), `destroy` |
 * | send one request on a new connection | `get(place, path?)`, `ask(place, text, method?)` |
 * | write a request | `requestText(line, fields?, body?)`, `withBody(line, body, fields?)` |
 */
import * as net from "node:net"
import * as tls from "node:tls"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Condition } from "./eventually.js"
import { type ParsedResponse, parseResponse } from "./parsedResponse.js"

/** How the server ended a connection. */
export type ConnectionEnd = "FIN" | "RST"

export interface RawClientOptions {
  /** Keeps the socket open for writing after the FIN of the server; `false` by default. */
  readonly allowHalfOpen?: boolean
  /** Reads one byte at a time, so that it can leave any later byte unread; `false` by default. */
  readonly readsByByte?: boolean
  /** Counts the bytes received, and discards them; `false` by default. */
  readonly discardsBytes?: boolean
}

/** A place at which a client connects by another transport than TCP. */
export type Endpoint =
  | { readonly _tag: "Tls"; readonly port: number; readonly ca: string }
  | { readonly _tag: "Unix"; readonly path: string }

export const tlsEndpoint = (port: number, ca: string): Endpoint => ({ _tag: "Tls", port, ca })

export const unixEndpoint = (path: string): Endpoint => ({ _tag: "Unix", path })

/** A port of TCP, or the endpoint of another transport. */
export type Place = number | Endpoint

interface Sockets {
  /** That of the application's bytes. */
  readonly socket: net.Socket
  /** That of the system, which is reset. */
  readonly raw: net.Socket
  readonly connected: "connect" | "secureConnect"
}

/** Opens the sockets of a place; `onread` reads each byte by itself. */
const openSockets = (place: Place, host: string, allowHalfOpen: boolean, onread?: net.OnReadOpts): Sockets => {
  const options = { allowHalfOpen, ...(onread === undefined ? {} : { onread }) }
  if (typeof place === "number") {
    const socket = net.connect({ host, port: place, noDelay: true, ...options })
    return { socket, raw: socket, connected: "connect" }
  }
  if (place._tag === "Unix") {
    const socket = net.connect({ path: place.path, ...options })
    return { socket, raw: socket, connected: "connect" }
  }
  const raw = net.connect({ host, port: place.port, noDelay: true, allowHalfOpen: true })
  // A socket over another has no option `onread`: records are read whole.
  const socket = tls.connect({ socket: raw, ca: place.ca, servername: "localhost" })
  socket.allowHalfOpen = allowHalfOpen
  return { socket, raw, connected: "secureConnect" }
}

/** A connection to a server of this machine. Nothing closes it but its methods: `connect` has a scope for it. */
export class RawClient {
  private readonly socket: net.Socket
  private readonly raw: net.Socket
  private readonly condition = new Condition()
  private received: Buffer = Buffer.alloc(0)
  private parts: Array<Buffer> = []
  private isConnected = false
  /** Bytes received, read or not. */
  bytesReceived = 0
  /** How the server ended the connection; `undefined` while it is open. */
  end: ConnectionEnd | undefined
  /** The first error of the socket. */
  error: NodeJS.ErrnoException | undefined

  constructor(
    place: Place,
    host = "127.0.0.1",
    { allowHalfOpen = false, discardsBytes = false, readsByByte = false }: RawClientOptions = {}
  ) {
    const onBytes = (bytes: Buffer): void => {
      this.bytesReceived += bytes.length
      if (!discardsBytes) this.parts.push(bytes)
      this.condition.notify()
    }
    const onread = {
      buffer: Buffer.alloc(1),
      callback: (count: number, buffer: Uint8Array): boolean => {
        onBytes(Buffer.from(buffer.subarray(0, count)))
        return !this.socket.isPaused()
      }
    }
    const readsBytes = readsByByte && (typeof place === "number" || place._tag === "Unix")
    const { connected, raw, socket } = openSockets(place, host, allowHalfOpen, readsBytes ? onread : undefined)
    this.socket = socket
    this.raw = raw
    if (!readsBytes) this.socket.on("data", onBytes)
    this.socket.on(connected, () => {
      this.isConnected = true
      this.condition.notify()
    })
    this.socket.on("end", () => this.ended("FIN"))
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error ??= error
      this.ended("RST")
    })
    this.socket.on("close", () => this.ended("RST"))
  }

  private ended(how: ConnectionEnd): void {
    this.end ??= how
    this.condition.notify()
  }

  private take(length: number): Buffer {
    const { unread } = this
    this.received = unread.subarray(length)
    return unread.subarray(0, length)
  }

  private until<A>(look: () => A | undefined, what: string, milliseconds?: number): Effect.Effect<A> {
    const description = (): string => {
      const { unread } = this
      const text = JSON.stringify(unread.toString("latin1", 0, 400))
      return `${what}; ${unread.length} bytes unread: ${text}; the connection ${this.end === undefined ? "is open" : `ended by ${this.end}`}`
    }
    return this.condition.until(look, description, milliseconds)
  }

  /** The port of this end. */
  get localPort(): number {
    return this.socket.localPort ?? 0
  }

  /** Bytes received that no method has taken. */
  get unread(): Buffer {
    if (this.parts.length > 0) this.received = Buffer.concat([this.received, ...this.parts])
    this.parts = []
    return this.received
  }

  /** Bytes passed to `send` that the system has taken. */
  get bytesSent(): number {
    return this.socket.bytesWritten - this.socket.writableLength
  }

  /** Waits until the connection is open, or could not be opened: then `error` is set. */
  readonly opened = Effect.suspend(() =>
    Effect.asVoid(
      this.until(() => (this.isConnected || this.end !== undefined ? true : undefined), "the connection to open")
    )
  )

  /** Writes bytes to the socket, without waiting until they are sent. */
  send(bytes: string | Uint8Array): Effect.Effect<void> {
    return Effect.sync(() => {
      if (typeof bytes === "string") this.socket.write(bytes, "latin1")
      else this.socket.write(bytes)
    })
  }

  /** Bytes passed to `send` that are not sent yet. */
  readonly unsent = Effect.sync(() => this.socket.writableLength)

  /** Waits until the unread bytes are enough, and takes all of them. */
  readUntil(isEnough: (unread: string) => boolean): Effect.Effect<string> {
    return this.until(() => {
      const text = this.unread.toString("latin1")
      if (isEnough(text)) return this.take(this.unread.length).toString("latin1")
      if (this.end !== undefined) throw new Error(`the connection ended; unread: ${JSON.stringify(text)}`)
      return undefined
    }, "more bytes")
  }

  /** Takes the next response, interim or final; `method` is that of its request. */
  readResponse(method = "GET", milliseconds?: number): Effect.Effect<ParsedResponse> {
    const look = (): ParsedResponse | undefined => {
      const response = parseResponse(this.unread, method, this.end !== undefined)
      if (response !== undefined) this.take(response.length)
      return response
    }
    return this.until(look, "a response", milliseconds)
  }

  /** Waits until so many bytes in total have been received, or the connection has ended. */
  readBytes(count: number, milliseconds?: number): Effect.Effect<void> {
    const isEnough = (): true | undefined => (this.bytesReceived >= count || this.end !== undefined ? true : undefined)
    return Effect.asVoid(this.until(isEnough, `${count} bytes`, milliseconds))
  }

  /** Waits for the end, and returns how the server ended the connection. */
  closedWithin(milliseconds?: number): Effect.Effect<ConnectionEnd> {
    return this.until(() => this.end, "the end", milliseconds)
  }

  /** `closedWithin` the default timeout. */
  readonly closedWith = Effect.suspend(() => this.closedWithin())

  /** Waits for the end, and takes all unread bytes. */
  readonly readToEnd = Effect.map(
    Effect.suspend(() => this.closedWith),
    () => this.take(this.unread.length)
  )

  /** Stops reading: the system's buffers fill, and the server's writes are suspended. */
  readonly stopReading = Effect.sync(() => {
    this.socket.pause()
  })

  readonly resumeReading = Effect.sync(() => {
    this.socket.resume()
  })

  /** Sends FIN, and continues reading. */
  readonly halfClose = Effect.sync(() => {
    this.socket.end()
  })

  /** Ends at once with RST; a Unix domain socket, which has none, is closed. */
  readonly reset = Effect.sync(() => {
    if (this.raw.remotePort === undefined) this.raw.destroy()
    else this.raw.resetAndDestroy()
  })

  /** Closes the socket; if bytes are unread, the system sends RST. */
  readonly destroy = Effect.sync(() => {
    this.socket.destroy()
  })
}

/**
 * Connects to a place of this machine, and destroys the socket with the scope; dies if the server rejects the connection.
 * The client sends FIN after the server's, unless `allowHalfOpen`.
 */
export const connect = (
  place: Place,
  host = "127.0.0.1",
  options: RawClientOptions = {}
): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new RawClient(place, host, options)),
    (client) => client.destroy
  ).pipe(
    Effect.tap((client) => client.opened),
    Effect.tap(({ error }) => (error === undefined ? Effect.void : Effect.die(error)))
  )

/** The text of a request: request line, `Host`, other fields, and a body as it is on the wire. */
export const requestText = (line: string, fields: ReadonlyArray<string> = [], body = ""): string =>
  `${line} HTTP/1.1\r\nHost: test\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n${body}`

/** A request whose body has a `Content-Length`. */
export const withBody = (line: string, body: string, fields: ReadonlyArray<string> = []): string =>
  requestText(line, [`Content-Length: ${Buffer.byteLength(body, "latin1")}`, ...fields], body)

/** Sends one request on a new connection, and returns the response. */
export const ask = (place: Place, text: string, method = "GET"): Effect.Effect<ParsedResponse> =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* connect(place)
      yield* client.send(text)
      return yield* client.readResponse(method)
    })
  )

/** `GET` of a path on a new connection. */
export const get = (place: Place, path = "/"): Effect.Effect<ParsedResponse> => ask(place, requestText(`GET ${path}`))
