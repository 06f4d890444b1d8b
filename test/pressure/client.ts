/** `RawClient` with promises and method chains, for the scenarios. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ParsedResponse } from "../support/parsedResponse.js"
import { type ConnectionEnd, RawClient, type RawClientOptions } from "../support/rawClient.js"
import { defaultTimeout } from "./waiting.js"

export type ClientOptions = Omit<RawClientOptions, "allowHalfOpen">

/** Rejects with the defect itself, as the scenarios tell a timeout from another failure by its class. */
const run = async <A>(effect: Effect.Effect<A>): Promise<A> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

export class Client {
  private readonly raw: RawClient

  constructor(port: number, options: ClientOptions = {}) {
    this.raw = new RawClient(port, "127.0.0.1", options)
  }

  /** Waits until it is connected, or could not be: then `error` is set. */
  async connected(): Promise<this> {
    await run(this.raw.opened)
    return this
  }

  /** How the server ended the connection; `undefined` while it is open. */
  get ending(): ConnectionEnd | undefined {
    return this.raw.end
  }

  /** The code of the socket's error. */
  get error(): string | undefined {
    return this.raw.error?.code ?? this.raw.error?.message
  }

  /** Bytes received, taken or not. */
  get received(): number {
    return this.raw.bytesReceived
  }

  /** Bytes passed to `send` that the system has taken. */
  get sent(): number {
    return this.raw.bytesSent
  }

  /** Bytes received and not taken. */
  get unread(): Buffer {
    return this.raw.unread
  }

  private act(effect: Effect.Effect<void>): this {
    Effect.runSync(effect)
    return this
  }

  send(text: string): this {
    return this.act(this.raw.send(text))
  }

  stopReading(): this {
    return this.act(this.raw.stopReading)
  }

  resumeReading(): this {
    return this.act(this.raw.resumeReading)
  }

  halfClose(): this {
    return this.act(this.raw.halfClose)
  }

  reset(): this {
    return this.act(this.raw.reset)
  }

  /** Closes the socket; if bytes are unread, the system sends RST. */
  destroy(): this {
    return this.act(this.raw.destroy)
  }

  /** Takes the next response, interim or final; rejects if the connection ends within it. */
  response(method = "GET", milliseconds = defaultTimeout): Promise<ParsedResponse> {
    return run(this.raw.readResponse(method, milliseconds))
  }

  /** Waits until so many bytes in total have been received, or the connection has ended. */
  bytes(count: number, milliseconds = defaultTimeout): Promise<void> {
    return run(this.raw.readBytes(count, milliseconds))
  }

  /** Waits until the server has ended the connection. */
  end(): Promise<ConnectionEnd> {
    return run(this.raw.closedWithin(defaultTimeout))
  }
}

export const connect = (port: number, options?: ClientOptions): Promise<Client> => new Client(port, options).connected()

/** Sends one request on a new connection, and returns the response. */
export const ask = async (port: number, text: string, method?: string): Promise<ParsedResponse> => {
  const client = await connect(port)
  try {
    return await client.send(text).response(method)
  } finally {
    client.destroy()
  }
}
