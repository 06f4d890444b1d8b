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

/** A connection that was taken, from then on until it has closed. */
export class ObservedConnection implements Connection, ConnectionEvents {
  private events: ConnectionEvents | undefined
  /** The client has sent FIN, or is gone: whoever is interrupted now is by its leave. */
  hasLeft = false
  /** Requests that have come by it. */
  requests = 0

  constructor(
    private readonly inner: Connection,
    /** Its place among the connections of its server, from 0. */
    readonly index: number,
    private readonly registry: Connections
  ) {}

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
  }

  readonly pause = (): void => this.inner.pause()

  readonly resume = (): void => {
    this.registry.activity.happened()
    this.inner.resume()
  }

  readonly write = (parts: ReadonlyArray<string | Uint8Array>): void => {
    this.registry.activity.happened()
    this.inner.write(parts)
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
    this.events?.onBytes(bytes)
  }

  onEnd(): void {
    this.registry.activity.heard(this)
    this.hasLeft = true
    this.events?.onEnd()
  }

  onDrain(): void {
    this.registry.activity.happened()
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

  constructor(
    readonly activity: Activity,
    /** In memory a client that connects and sends nothing is one that does not mean to. */
    private readonly isFirstByteAwaited: boolean
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

  private observe(inner: Connection): ObservedConnection {
    const connection = new ObservedConnection(inner, this.arrived++, this)
    this.byId.set(connection.id, connection)
    if (this.isFirstByteAwaited) this.activity.connected(connection)
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
