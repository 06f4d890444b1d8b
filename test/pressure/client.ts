/**
 * A client that misbehaves as configured: sends bytes as they are, reads as much as it likes, and leaves as it
 * likes. Whole answers are read as strictly as everywhere in these tests.
 */
import { connect as connectSocket, type Socket } from "node:net"
import { type ParsedResponse, parseResponse } from "../wire/parsedResponse.js"
import { within } from "./waiting.js"

export type Ending = "FIN" | "RST"

export interface ClientOptions {
  /** Reads one byte at a time, so that it can leave open any of them. */
  readonly readsByByte?: boolean
  /** Counts what comes, and keeps none of it. */
  readonly keepsNothing?: boolean
}

export class Client {
  private readonly socket: Socket
  private parts: Array<Buffer> = []
  private readonly watchers = new Set<() => void>()
  /** Bytes that have come, taken or not. */
  read = 0
  ending: Ending | undefined
  error: string | undefined
  private isConnected = false

  constructor(
    port: number,
    private readonly options: ClientOptions = {}
  ) {
    const onread = {
      buffer: Buffer.alloc(1),
      callback: (count: number, bytes: Uint8Array): boolean => this.took(Buffer.from(bytes.subarray(0, count)))
    }
    const byByte = options.readsByByte === true
    this.socket = connectSocket({ port, host: "127.0.0.1", noDelay: true, ...(byByte ? { onread } : {}) })
    if (!byByte) this.socket.on("data", (bytes: Buffer) => this.took(bytes))
    this.socket.on("connect", () => {
      this.isConnected = true
      this.changed()
    })
    this.socket.on("end", () => this.ended("FIN"))
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message
      this.ended("RST")
    })
    this.socket.on("close", () => this.ended("RST"))
  }

  private took(bytes: Buffer): boolean {
    this.read += bytes.length
    if (this.options.keepsNothing !== true) this.parts.push(bytes)
    this.changed()
    return !this.socket.isPaused()
  }

  private ended(how: Ending): void {
    this.ending ??= how
    this.changed()
  }

  private changed(): void {
    for (const look of [...this.watchers]) look()
  }

  /** What has come and was not taken. */
  get seen(): Buffer {
    const seen = Buffer.concat(this.parts)
    this.parts = [seen]
    return seen
  }

  private until<A>(look: () => A | undefined, what: string, milliseconds?: number): Promise<A> {
    let watcher = (): void => {}
    const found = new Promise<A>((resolve, reject) => {
      watcher = () => {
        try {
          const found = look()
          if (found !== undefined) resolve(found)
        } catch (error) {
          reject(error)
        }
      }
      this.watchers.add(watcher)
      watcher()
    })
    return within(found, what, milliseconds).finally(() => this.watchers.delete(watcher))
  }

  /** Waits until it is connected, or cannot be. */
  async connected(): Promise<this> {
    await this.until(() => (this.isConnected || this.ending !== undefined ? true : undefined), "connection")
    return this
  }

  send(text: string): this {
    this.socket.write(text, "latin1")
    return this
  }

  /** Bytes that were given to `send` and have left. */
  get sent(): number {
    return this.socket.bytesWritten - this.socket.writableLength
  }

  /** The next response, interim ones among them; one that the connection's end cuts short is an error. */
  async response(method = "GET", milliseconds?: number): Promise<ParsedResponse> {
    const look = (): ParsedResponse | undefined => {
      const response = parseResponse(this.seen, method, this.ending !== undefined)
      if (response !== undefined) this.parts = [this.seen.subarray(response.length)]
      return response
    }
    return this.until(look, "answer", milliseconds)
  }

  /** Waits until that many bytes have come, or none will any more. */
  async bytes(count: number, milliseconds?: number): Promise<void> {
    const isEnough = (): true | undefined => (this.read >= count || this.ending !== undefined ? true : undefined)
    await this.until(isEnough, `${count} bytes`, milliseconds)
  }

  /** Waits until the server has ended the connection. */
  end(milliseconds?: number): Promise<Ending> {
    return this.until(() => this.ending, "end", milliseconds)
  }

  stopReading(): this {
    this.socket.pause()
    return this
  }

  resumeReading(): this {
    this.socket.resume()
    return this
  }

  halfClose(): this {
    this.socket.end()
    return this
  }

  /** Leaves by a reset. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** Leaves; what has come unread makes it a reset too. */
  leave(): void {
    this.socket.destroy()
  }
}

export const connect = (port: number, options?: ClientOptions): Promise<Client> => new Client(port, options).connected()

/** One request on a connection of its own. */
export const ask = async (port: number, text: string, method?: string): Promise<ParsedResponse> => {
  const client = await connect(port)
  try {
    return await client.send(text).response(method)
  } finally {
    client.leave()
  }
}
