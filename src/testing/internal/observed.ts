/**
 * A listener whose connections are seen: how many there are, what each is doing, and that something happens on them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Address } from "../../Address.js"
import type { Bound, Connection, ConnectionEvents, Listener } from "../../Listener.js"
import type { Activity } from "./activity.js"
import { type Ending, type Tap, Wire } from "./wire.js"

/** How connections are ended as they come, and how many of them still are. */
interface Doom {
  readonly how: Ending
  left: number
}

const bytesOf = (part: string | Uint8Array): Uint8Array =>
  typeof part === "string" ? Buffer.from(part, "latin1") : part

/** A connection that was taken, from then on until it has closed. */
export class ObservedConnection implements Connection, ConnectionEvents {
  private events: ConnectionEvents | undefined
  /** The client has sent FIN, or is gone: whoever is interrupted now is by its leave. */
  hasLeft = false
  /** Requests that have come by it. */
  requests = 0
  /** The fault that takes what the server writes. */
  tap: Tap | undefined
  readonly wire: Wire
  /** Nothing more of a request is to be read, whoever asks for it. */
  private isStopped = false

  constructor(
    private readonly inner: Connection,
    /** Its place among the connections of its server, from 0. */
    readonly index: number,
    private readonly registry: Connections,
    /** How it is ended as it comes, if it is. */
    private readonly doom: Ending | undefined
  ) {
    this.wire = new Wire(inner, registry.activity.happened, registry.isSystems)
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
    if (this.doom === "reset") this.abort()
    else if (this.doom === "close") this.wire.part()
  }

  /** Reads nothing more. */
  stopReading(): void {
    this.isStopped = true
    this.inner.pause()
  }

  readonly pause = (): void => this.inner.pause()

  readonly resume = (): void => {
    this.registry.activity.happened()
    if (!this.isStopped) this.inner.resume()
  }

  readonly write = (parts: ReadonlyArray<string | Uint8Array>): void => {
    this.registry.activity.happened()
    const { tap } = this
    // Nothing at all is written to learn whether the client is still there.
    if (tap === undefined || parts.every((part) => part.length === 0)) this.inner.write(parts)
    else tap.receive(Buffer.concat(parts.map(bytesOf)))
  }

  readonly isFull = (): boolean => this.inner.isFull()

  readonly unsent = (): number => this.inner.unsent()

  readonly end = (): void => this.ending(this.inner.end)

  readonly close = (): void => this.ending(this.inner.close)

  readonly abort = (): void => this.ending(this.inner.abort)

  readonly destroy = (): void => this.ending(this.inner.destroy)

  private ending(end: () => void): void {
    this.registry.activity.happened()
    end.call(this.inner)
  }

  onBytes(bytes: Buffer): void {
    this.registry.activity.heard(this)
    if (!this.wire.isDeaf) this.events?.onBytes(bytes)
  }

  onEnd(): void {
    this.registry.activity.heard(this)
    this.hasLeft = true
    // Both sides have ended.
    if (this.wire.isDeaf) this.destroy()
    else this.events?.onEnd()
  }

  onDrain(): void {
    this.registry.activity.happened()
    this.wire.onDrain()
    this.events?.onDrain()
  }

  onClose(): void {
    this.registry.activity.heard(this)
    this.hasLeft = true
    this.registry.remove(this)
    this.events?.onClose()
  }
}

/** The connections of one server. */
export class Connections {
  private readonly byId = new Map<number, ObservedConnection>()
  private arrived = 0
  private doom: Doom | undefined

  constructor(
    readonly activity: Activity,
    /** Whether bytes go by way of the system; in memory a client that sends nothing is one that does not mean to. */
    readonly isSystems: boolean
  ) {}

  get open(): ReadonlyArray<ObservedConnection> {
    return Array.from(this.byId.values())
  }

  /** Bytes that wait to be sent. */
  readonly unsent = (): number => this.open.reduce((sum, connection) => sum + connection.unsent(), 0)

  /** The connection that a request came by, which is open while its handler is called. */
  byClient(id: number): ObservedConnection {
    const connection = this.byId.get(id)
    if (connection === undefined) throw new Error(`no connection ${id} is open`)
    return connection
  }

  remove(connection: ObservedConnection): void {
    this.byId.delete(connection.id)
  }

  /** Ends the next connections as they come. */
  readonly endAtAccept = (how: "close" | "reset", times: number): Effect.Effect<void> =>
    Effect.sync(() => {
      this.doom = { how, left: times }
    })

  private nextDoom(): Ending | undefined {
    const { doom } = this
    return doom !== undefined && doom.left-- > 0 ? doom.how : undefined
  }

  private observe(inner: Connection): ObservedConnection {
    const connection = new ObservedConnection(inner, this.arrived++, this, this.nextDoom())
    this.byId.set(connection.id, connection)
    if (this.isSystems) this.activity.connected(connection)
    else this.activity.happened()
    return connection
  }

  /** The same listener, with its connections seen. */
  observing(listener: typeof Listener.Service): typeof Listener.Service {
    const observed = (bound: Bound): Bound => ({
      ...bound,
      accept: Effect.map(bound.accept, (connection) => this.observe(connection)),
      admit: (isOpen, take) => bound.admit(isOpen, (connection) => take(this.observe(connection)))
    })
    return { listen: (options) => Effect.map(listener.listen(options), observed) }
  }
}
