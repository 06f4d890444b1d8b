/**
 * The sockets of one listener, from accept to close: counted in the descriptor budget, queued until they are taken, and
 * rejected beyond the budget.
 */
import type { Socket } from "node:net"
import * as Option from "effect/Option"
import type { Address } from "../../Address.js"
import { assumedDescriptorsPerRequest, type Budget } from "../../DescriptorBudget.js"
import type { OSError } from "../../Errors.js"
import type { MetricRecorder } from "../metrics.js"
import { SwapRemoveSet } from "../runtime/swapRemoveSet.js"
import { listenerClosed, PendingConnections } from "./pendingConnections.js"
import type { ProxyProtocol } from "./proxyProtocol.js"
import { serviceUnavailable } from "./serviceUnavailable.js"
import { type ConnectionObserver, SocketConnection } from "./socketConnection.js"
import { isTransient } from "./transientAcceptErrors.js"

/**
 * Maximum share of the budget for the pending connections of all its listeners. They also leave enough descriptors for one
 * request: if they filled the budget, an accept loop that checks `shouldAcceptRequest` would wait forever.
 */
const maxPendingShare = 1 / 2

/** The open listeners of a budget. */
const listenersOf = new WeakMap<Budget, Set<AcceptedSockets>>()

const pendingOf = (listeners: ReadonlySet<AcceptedSockets>): number => {
  let pending = 0
  for (const listener of listeners) pending += listener.pending.size
  return pending
}

const maxPendingOf = ({ max }: Budget, listeners: number): number => {
  const maxWithoutStarvation = max - assumedDescriptorsPerRequest - 1 - listeners
  return Math.max(1, Math.min(Math.floor(max * maxPendingShare), maxWithoutStarvation))
}

/** Makes the connection of an accepted socket, and rejects a socket without one. */
export interface Transport {
  readonly connect: (socket: Socket, observer: ConnectionObserver) => SocketConnection
  /** Responds synchronously: in a fiber, further sockets would be accepted before, and closed without a response. */
  readonly reject: (socket: Socket) => void
}

/** HTTP without TLS. */
export const plain: Transport = {
  connect: (socket, observer) => new SocketConnection(socket, observer),
  reject: (socket) => {
    socket.on("error", () => {})
    socket.write(serviceUnavailable(), "latin1")
    socket.destroy()
  }
}

export class AcceptedSockets implements ConnectionObserver {
  readonly pending: PendingConnections<SocketConnection>
  rejected = 0
  unixAddress: Option.Option<Address> = Option.none()
  /** Connections that were neither opened nor closed. */
  private readonly unopened = new SwapRemoveSet<SocketConnection>()
  /** This one and the others of its budget. */
  private readonly listeners: Set<AcceptedSockets>

  constructor(
    private readonly budget: Budget,
    private readonly onFull: "queue" | "reject",
    private readonly transport: Transport,
    private readonly metrics: MetricRecorder,
    readonly proxyProtocol: ProxyProtocol | undefined
  ) {
    this.pending = new PendingConnections(metrics)
    this.listeners = listenersOf.get(budget) ?? new Set()
    listenersOf.set(budget, this.listeners)
  }

  /** Counts the descriptor of the listening socket. */
  open(): void {
    this.listeners.add(this)
    this.budget.unsafeTake()
  }

  /** Counts a socket on arrival, since it holds a descriptor, and queues it, or rejects it if there is no capacity. */
  readonly onSocket = (socket: Socket): void => {
    const maxPending = maxPendingOf(this.budget, this.listeners.size)
    if (pendingOf(this.listeners) >= maxPending || !this.budget.unsafeCanArrive()) {
      this.rejected++
      this.metrics.connectionRejected()
      this.transport.reject(socket)
      return
    }
    const mayQueue = this.onFull === "queue" || this.pending.hasTaker || this.budget.unsafeMakeRoom()
    this.budget.unsafeTake()
    const connection = this.transport.connect(socket, this)
    this.unopened.add(connection)
    this.pending.offer(connection)
    if (!mayQueue && this.pending.remove(connection)) this.rejectPending(connection)
  }

  private rejectPending(connection: SocketConnection): void {
    this.rejected++
    this.metrics.connectionRejected()
    connection.reject()
  }

  onOpen(connection: SocketConnection): void {
    this.unopened.remove(connection)
  }

  onClose(connection: SocketConnection, isOpened: boolean): void {
    if (!isOpened) this.pending.remove(connection)
    this.unopened.remove(connection)
    this.budget.unsafeRelease()
  }

  /**
   * An error of the listening socket. A transient one ends the current accept loops, which back off; after any other all
   * accepts fail with it.
   */
  fail(error: OSError): void {
    if (isTransient(error)) {
      this.pending.failLoops(error)
      return
    }
    for (const connection of this.pending.close(error)) connection.destroy()
  }

  close(): void {
    this.listeners.delete(this)
    this.budget.unsafeRelease()
    this.pending.close(listenerClosed)
    for (const connection of this.unopened.values) connection.reject()
  }
}
