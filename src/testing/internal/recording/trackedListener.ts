/** Listener that tracks its connections: their number, state and activity. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Address } from "../../../Address.js"
import type { Connection, ConnectionEvents } from "../../../Connection.js"
import { schemeOf } from "../../../internal/message/request.js"
import type { BoundListener, Listener } from "../../../Listener.js"
import type { Session } from "../../../Tls.js"
import { type Ending, type FaultSink, SocketSink } from "../faults/responseSink.js"
import type { Quiescence } from "./quiescence.js"

/** How connections are ended when accepted, and for how many more. */
interface AcceptFault {
  readonly how: Ending
  remaining: number
}

const bytesOf = (part: string | Uint8Array): Uint8Array =>
  typeof part === "string" ? Buffer.from(part, "latin1") : part

/** An accepted connection, until it has closed. */
export class TrackedConnection implements Connection, ConnectionEvents {
  private events: ConnectionEvents | undefined
  /** The client has sent FIN, or the connection has closed: an interruption is now caused by the client. */
  isClientGone = false
  requests = 0
  /** Receives the server's writes, while a fault is active. */
  faultSink: FaultSink | undefined
  readonly socketSink: SocketSink
  /** Set by `stopReading`: `resume` has no effect. */
  private isReadingStopped = false

  constructor(
    private readonly inner: Connection,
    /** Index among the connections of its server, from 0. */
    readonly index: number,
    private readonly registry: TrackedConnections,
    /** How it is ended when accepted, if so. */
    private readonly acceptFault: Ending | undefined
  ) {
    this.socketSink = new SocketSink(inner, registry.quiescence.onActivity, registry.usesSockets)
  }

  get id(): number {
    return this.inner.id
  }

  get local(): Option.Option<Address> {
    return this.inner.local
  }

  get remote(): Option.Option<Address> {
    return this.inner.remote
  }

  get tls(): Option.Option<Session> {
    return this.inner.tls ?? Option.none()
  }

  get scheme(): "http" | "https" {
    return schemeOf(this.inner)
  }

  readonly open = (events: ConnectionEvents): void => {
    this.events = events
    this.inner.open(this)
    if (this.acceptFault === "reset") this.abort()
    else if (this.acceptFault === "close") this.socketSink.endDiscardingInput()
  }

  stopReading(): void {
    this.isReadingStopped = true
    this.inner.pause()
  }

  readonly pause = (): void => this.inner.pause()

  readonly resume = (): void => {
    this.registry.quiescence.onActivity()
    if (!this.isReadingStopped) this.inner.resume()
  }

  readonly write = (parts: ReadonlyArray<string | Uint8Array>): void => {
    this.registry.quiescence.onActivity()
    const { faultSink } = this
    // The server writes empty parts to check whether the client is still connected.
    if (faultSink === undefined || parts.every((part) => part.length === 0)) this.inner.write(parts)
    else faultSink.receive(Buffer.concat(parts.map(bytesOf)))
  }

  readonly isFull = (): boolean => this.inner.isFull()

  readonly unsent = (): number => this.inner.unsent()

  readonly end = (): void => this.endBy(this.inner.end)

  readonly close = (): void => this.endBy(this.inner.close)

  readonly abort = (): void => this.endBy(this.inner.abort)

  readonly destroy = (): void => this.endBy(this.inner.destroy)

  private endBy(end: () => void): void {
    this.registry.quiescence.onActivity()
    end.call(this.inner)
  }

  onBytes(bytes: Buffer): void {
    this.registry.quiescence.onReceived(this)
    if (!this.socketSink.ignoresInput) this.events?.onBytes(bytes)
  }

  onEnd(): void {
    this.registry.quiescence.onReceived(this)
    this.isClientGone = true
    // Both sides have sent FIN.
    if (this.socketSink.ignoresInput) this.destroy()
    else this.events?.onEnd()
  }

  onDrain(): void {
    this.registry.quiescence.onActivity()
    this.socketSink.onDrain()
    this.events?.onDrain()
  }

  onClose(): void {
    this.registry.quiescence.onReceived(this)
    this.isClientGone = true
    this.registry.remove(this)
    this.events?.onClose()
  }
}

export class TrackedConnections {
  private readonly byId = new Map<number, TrackedConnection>()
  private acceptedCount = 0
  private acceptFaults: AcceptFault | undefined

  constructor(
    readonly quiescence: Quiescence,
    /** False in memory, where no first byte is awaited: a client that sends nothing does not intend to. */
    readonly usesSockets: boolean
  ) {}

  get open(): ReadonlyArray<TrackedConnection> {
    return Array.from(this.byId.values())
  }

  readonly unsent = (): number => this.open.reduce((sum, connection) => sum + connection.unsent(), 0)

  /** The connection of a request, which is open when its handler is called. */
  byClient(id: number): TrackedConnection {
    const connection = this.byId.get(id)
    if (connection === undefined) throw new Error(`Connection ${id} is not open`)
    return connection
  }

  remove(connection: TrackedConnection): void {
    this.byId.delete(connection.id)
  }

  /** Ends the next connections when accepted. */
  readonly endAtAccept = (how: "close" | "reset", times: number): Effect.Effect<void> =>
    Effect.sync(() => {
      this.acceptFaults = { how, remaining: times }
    })

  private nextAcceptFault(): Ending | undefined {
    const { acceptFaults: fault } = this
    return fault !== undefined && fault.remaining-- > 0 ? fault.how : undefined
  }

  private track(inner: Connection): TrackedConnection {
    const connection = new TrackedConnection(inner, this.acceptedCount++, this, this.nextAcceptFault())
    this.byId.set(connection.id, connection)
    if (this.usesSockets) this.quiescence.onConnected(connection)
    else this.quiescence.onActivity()
    return connection
  }

  /** The same listener, with its connections tracked. */
  trackListener(listener: typeof Listener.Service): typeof Listener.Service {
    const tracked = (bound: BoundListener): BoundListener => ({
      ...bound,
      accept: Effect.map(bound.accept, (connection) => this.track(connection)),
      acceptWhile: (isOpen, take) => bound.acceptWhile(isOpen, (connection) => take(this.track(connection)))
    })
    return { listen: (options) => Effect.map(listener.listen(options), tracked) }
  }
}
