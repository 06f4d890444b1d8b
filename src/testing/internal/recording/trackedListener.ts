/**
 * A listener whose connections are seen: how many there are, what each is doing, and that something happens on them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Address } from "../../../Address.js"
import type { BoundListener, Connection, ConnectionEvents, Listener } from "../../../Listener.js"
import { type Ending, type FaultSink, SocketSink } from "../faults/responseSink.js"
import type { Quiescence } from "./quiescence.js"

/** How connections are ended as they come, and how many of them still are. */
interface AcceptFault {
  readonly how: Ending
  remaining: number
}

const bytesOf = (part: string | Uint8Array): Uint8Array =>
  typeof part === "string" ? Buffer.from(part, "latin1") : part

/** A connection that was taken, from then on until it has closed. */
export class TrackedConnection implements Connection, ConnectionEvents {
  private events: ConnectionEvents | undefined
  /** The client has sent FIN, or is gone: whoever is interrupted now is by its leave. */
  isClientGone = false
  /** Requests that have come by it. */
  requests = 0
  /** The fault that takes what the server writes. */
  faultSink: FaultSink | undefined
  readonly socketSink: SocketSink
  /** Nothing more of a request is to be read, whoever asks for it. */
  private isReadingStopped = false

  constructor(
    private readonly inner: Connection,
    /** Its place among the connections of its server, from 0. */
    readonly index: number,
    private readonly registry: TrackedConnections,
    /** How it is ended as it comes, if it is. */
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

  readonly open = (events: ConnectionEvents): void => {
    this.events = events
    this.inner.open(this)
    if (this.acceptFault === "reset") this.abort()
    else if (this.acceptFault === "close") this.socketSink.endDiscardingInput()
  }

  /** Reads nothing more. */
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
    // Nothing at all is written to learn whether the client is still there.
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
    // Both sides have ended.
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

/** The connections of one server. */
export class TrackedConnections {
  private readonly byId = new Map<number, TrackedConnection>()
  private acceptedCount = 0
  private acceptFaults: AcceptFault | undefined

  constructor(
    readonly quiescence: Quiescence,
    /** Whether bytes go by way of the system; in memory a client that sends nothing is one that does not mean to. */
    readonly usesSockets: boolean
  ) {}

  get open(): ReadonlyArray<TrackedConnection> {
    return Array.from(this.byId.values())
  }

  /** Bytes that wait to be sent. */
  readonly unsent = (): number => this.open.reduce((sum, connection) => sum + connection.unsent(), 0)

  /** The connection that a request came by, which is open while its handler is called. */
  byClient(id: number): TrackedConnection {
    const connection = this.byId.get(id)
    if (connection === undefined) throw new Error(`no connection ${id} is open`)
    return connection
  }

  remove(connection: TrackedConnection): void {
    this.byId.delete(connection.id)
  }

  /** Ends the next connections as they come. */
  readonly endAtAccept = (how: "close" | "reset", times: number): Effect.Effect<void> =>
    Effect.sync(() => {
      this.acceptFaults = { how, remaining: times }
    })

  private nextAcceptFault(): Ending | undefined {
    const { acceptFaults: doom } = this
    return doom !== undefined && doom.remaining-- > 0 ? doom.how : undefined
  }

  private track(inner: Connection): TrackedConnection {
    const connection = new TrackedConnection(inner, this.acceptedCount++, this, this.nextAcceptFault())
    this.byId.set(connection.id, connection)
    if (this.usesSockets) this.quiescence.onConnected(connection)
    else this.quiescence.onActivity()
    return connection
  }

  /** The same listener, with its connections seen. */
  trackListener(listener: typeof Listener.Service): typeof Listener.Service {
    const observed = (bound: BoundListener): BoundListener => ({
      ...bound,
      accept: Effect.map(bound.accept, (connection) => this.track(connection)),
      acceptWhile: (isOpen, take) => bound.acceptWhile(isOpen, (connection) => take(this.track(connection)))
    })
    return { listen: (options) => Effect.map(listener.listen(options), observed) }
  }
}
