/**
 * A listener without sockets: connections in memory, with the test or the fuzzer as the client. Every write, pause and
 * end of the server is seen one by one, and no time passes but the clock's that the server was given. Nothing here is
 * vitest's, which the fuzzer runs without.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Address from "../../src/Address.js"
import * as DescriptorBudget from "../../src/DescriptorBudget.js"
import * as Listener from "../../src/Listener.js"
import * as RequestParser from "../../src/RequestParser.js"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import * as Server from "../../src/Server.js"
import { Condition } from "../support/eventually.js"
import { type ParsedResponse, parseResponse } from "../wire/parsedResponse.js"

const server = Address.tcp("192.0.2.1", 80, "IPv4")
const client = Address.tcp("192.0.2.7", 4711, "IPv4")

let lastId = 0

/** How the server ended a connection. */
export type Ending = "end" | "close" | "abort" | "destroy"

export interface Manner {
  /** Bytes that were sent while the server did not run arrive together, or one piece per event-loop turn. */
  readonly arrival?: "together" | "piecemeal"
  /** Called once, when the connection has closed. */
  readonly onGone?: () => void
}

export class MemoryConnection implements Listener.Connection {
  readonly id = ++lastId
  readonly local = Option.none()
  readonly remote = Option.some(client)

  /** What each call of `write` sent, as latin1. */
  readonly writes: Array<string> = []
  pauses = 0
  resumes = 0
  /** How the server ended it at first. */
  ending: Ending | undefined
  /** True if the client responds to the server's FIN with its own, as clients do. */
  endsToo = true

  private readonly condition = new Condition()
  private events: Listener.ConnectionEvents | undefined
  private readonly incoming: Array<() => void> = []
  private isDelivering = false
  private isPaused = false
  private isClosed = false
  private full = false
  private read = 0

  constructor(private readonly manner: Manner = {}) {}

  // The client's side.

  /** Sends bytes, which must not be changed afterwards; they wait while the server does not read. */
  send(bytes: string | Uint8Array): void {
    const buffer =
      typeof bytes === "string"
        ? Buffer.from(bytes, "latin1")
        : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.arrive(() => this.events?.onBytes(buffer))
  }

  /** FIN. */
  halfClose(): void {
    this.arrive(() => this.events?.onEnd())
  }

  /** RST: received at once, unless the server does not read. */
  reset(): void {
    this.arrive(() => this.gone())
  }

  /** From now on what is written waits for the client, or no longer does. */
  setFull(full: boolean): void {
    const drains = this.full && !full
    this.full = full
    if (drains) this.events?.onDrain()
  }

  get written(): string {
    return this.writes.join("")
  }

  /** The next response. */
  response(method = "GET"): Effect.Effect<ParsedResponse> {
    return this.condition.until(
      () => {
        const bytes = Buffer.from(this.written, "latin1").subarray(this.read)
        const response = parseResponse(bytes, method, this.ending !== undefined)
        if (response !== undefined) this.read += response.length
        return response
      },
      () => `a response; written: ${JSON.stringify(this.written)}`
    )
  }

  /** Waits for the server to end it. */
  readonly ended: Effect.Effect<Ending> = this.condition.until(
    () => this.ending,
    () => `an end; written: ${JSON.stringify(this.written)}`
  )

  readonly opened: Effect.Effect<void> = Effect.asVoid(
    this.condition.until(
      () => this.events,
      () => "the connection to be opened"
    )
  )

  /** Waits until the server has written something. */
  readonly writing: Effect.Effect<void> = Effect.asVoid(
    this.condition.until(
      () => this.writes[0],
      () => "something to be written"
    )
  )

  // The server's side.

  open(events: Listener.ConnectionEvents): void {
    this.events = events
    this.condition.notify()
    this.deliver()
  }

  pause(): void {
    this.pauses++
    this.isPaused = true
    this.condition.notify()
  }

  resume(): void {
    this.resumes++
    this.isPaused = false
    this.deliver()
  }

  write(parts: ReadonlyArray<string | Uint8Array>): void {
    this.writes.push(
      parts.map((part) => (typeof part === "string" ? part : Buffer.from(part).toString("latin1"))).join("")
    )
    this.condition.notify()
  }

  isFull(): boolean {
    return this.full
  }

  unsent(): number {
    return this.full ? 1 : 0
  }

  end(): void {
    this.endedBy("end")
    if (this.endsToo) this.arrive(() => this.gone())
  }

  close(): void {
    this.closedBy("close")
  }

  abort(): void {
    this.closedBy("abort")
  }

  destroy(): void {
    this.closedBy("destroy")
  }

  private endedBy(ending: Ending): void {
    this.ending ??= ending
    this.condition.notify()
  }

  private closedBy(ending: Ending): void {
    this.endedBy(ending)
    queueMicrotask(() => this.gone())
  }

  private arrive(event: () => void): void {
    this.incoming.push(event)
    this.deliver()
  }

  private deliver(): void {
    if (this.isDelivering) return
    this.isDelivering = true
    queueMicrotask(() => {
      this.isDelivering = false
      while (this.events !== undefined && !this.isPaused && !this.isClosed) {
        const event = this.incoming.shift()
        if (event === undefined) return
        event()
        if (this.manner.arrival === "piecemeal") {
          this.deliver()
          return
        }
      }
    })
  }

  private gone(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.events?.onClose()
    this.condition.notify()
    this.manner.onGone?.()
  }
}

export interface InMemory {
  readonly server: Server.Server
  /** A connection comes, whatever its client has sent by then. */
  readonly arrive: (connection: MemoryConnection) => void
  /** A connection that has been opened by the server. */
  readonly connect: Effect.Effect<MemoryConnection>
}

/** A server with connections that the test makes. */
export const makeInMemory = (options: Server.Options = {}): Effect.Effect<InMemory, never, Scope.Scope> =>
  Effect.gen(function* () {
    const arrivals = yield* Queue.unbounded<Listener.Connection>()
    const bound: Listener.BoundListener = {
      address: server,
      accept: Queue.take(arrivals),
      acceptWhile: Listener.acceptWhileBy(Queue.take(arrivals)),
      pending: Queue.size(arrivals),
      rejected: Effect.succeed(0)
    }
    const dependencies = Layer.mergeAll(
      Layer.succeed(Listener.Listener, { listen: () => Effect.succeed(bound) }),
      RequestParser.layer,
      ResponseWriter.layer,
      DescriptorBudget.layer({ max: 1000 })
    )
    const live = Layer.provide(Server.layerWithoutDependencies({ drainTimeout: 0, ...options }), dependencies)
    const context = yield* Layer.build(live)
    const arrive = (connection: MemoryConnection): void => {
      Queue.unsafeOffer(arrivals, connection)
    }
    const connect = Effect.suspend(() => {
      const connection = new MemoryConnection()
      arrive(connection)
      return Effect.as(connection.opened, connection)
    })
    return { server: Context.get(context, Server.Server), arrive, connect }
  })
