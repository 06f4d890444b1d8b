/** Ports in memory, their listeners, and connections to them. */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { type TcpAddress, tcp } from "../../../Address.js"
import type { Connection } from "../../../Connection.js"
import { OSError, ValueError } from "../../../Errors.js"
import { currentRecorder, type MetricRecorder } from "../../../internal/metrics.js"
import { listenerClosed, PendingConnections } from "../../../internal/net/pendingConnections.js"
import { serviceUnavailable } from "../../../internal/net/serviceUnavailable.js"
import type { BoundListener, ListenOptions } from "../../../Listener.js"
import type { ClientEnd } from "../client/clientLink.js"
import { MemoryConnection, MemorySocket, systemError } from "./memoryConnection.js"

/** First ephemeral port of clients, as on Linux. */
const firstClientPort = 32768

const lastPort = 65535

class MemoryPort {
  readonly pending: PendingConnections<Connection>
  rejected = 0

  constructor(
    readonly address: TcpAddress,
    private readonly onFull: ListenOptions["onFull"],
    metrics: MetricRecorder
  ) {
    this.pending = new PendingConnections(metrics)
  }

  offer(connection: Connection): void {
    const mayQueue = this.onFull === "queue" || this.pending.hasTaker
    this.pending.offer(connection)
    if (mayQueue || !this.pending.remove(connection)) return
    this.rejected++
    rejectConnection(connection)
  }

  close(): void {
    for (const connection of this.pending.close(listenerClosed)) rejectConnection(connection)
  }

  get bound(): BoundListener {
    return {
      address: this.address,
      accept: this.pending.take,
      acceptWhile: (isOpen, take) => this.pending.acceptWhile(isOpen, take),
      pending: Effect.sync(() => this.pending.size),
      rejected: Effect.sync(() => this.rejected)
    }
  }
}

const rejectConnection = (connection: Connection): void => {
  connection.write([serviceUnavailable()])
  connection.close()
}

export class MemoryNetworkImpl {
  private readonly ports = new Map<number, MemoryPort>()
  /** Connections whose server end is open. */
  readonly links = new Set<MemoryConnection>()
  private clients = 0

  listen(options: ListenOptions): Effect.Effect<BoundListener, OSError | ValueError, Scope.Scope> {
    return Effect.flatMap(Effect.scope, (scope) =>
      Effect.flatMap(currentRecorder, (metrics): Effect.Effect<BoundListener, OSError | ValueError> => {
        const { port } = options
        if (!Number.isInteger(port) || port < 0 || port > lastPort)
          return new ValueError({ reason: "Port", actual: String(port) })
        if (options.path !== undefined || options.fd !== undefined)
          return new OSError({ code: "ENOTSUP", syscall: "listen", cause: new Error("ports alone are in memory") })
        if (this.ports.has(port)) return new OSError({ code: "EADDRINUSE", syscall: "listen" })
        const domain = options.domain === "IPv6" ? "IPv6" : "IPv4"
        const address = tcp(domain === "IPv4" ? "127.0.0.1" : "::1", port === 0 ? this.freePort() : port, domain)
        const bound = new MemoryPort(address, options.onFull, metrics)
        this.ports.set(address.port, bound)
        const closed = Effect.sync(() => {
          this.ports.delete(address.port)
          bound.close()
        })
        return Effect.as(Scope.addFinalizer(scope, closed), bound.bound)
      })
    ).pipe(Effect.uninterruptible)
  }

  private freePort(): number {
    let port = 1
    while (this.ports.has(port)) port++
    return port
  }

  /** Connects an end to a port; false if nothing listens there. */
  dial(port: number, makeEnd: (link: MemoryConnection) => ClientEnd): boolean {
    const bound = this.ports.get(port)
    if (bound === undefined) return false
    const link = this.makeConnection(bound.address, makeEnd)
    this.links.add(link)
    bound.offer(link)
    return true
  }

  /** Connects to a port, or fails with `ECONNREFUSED`. */
  connect(port: number): MemorySocket {
    let socket: MemorySocket | undefined
    const makeEnd = (link: MemoryConnection): MemorySocket => {
      socket = new MemorySocket(link)
      return socket
    }
    const isOpen = this.dial(port, makeEnd)
    if (!isOpen) this.makeConnection(tcp("127.0.0.1", port, "IPv4"), makeEnd)
    // Either call has made it.
    const made = socket!
    // In a microtask: the caller has not added its listeners yet.
    void Promise.resolve().then(() => {
      if (isOpen) made.emit("connect")
      else made.destroy(systemError("ECONNREFUSED", "connect"))
    })
    return made
  }

  private makeConnection(local: TcpAddress, makeEnd: (link: MemoryConnection) => ClientEnd): MemoryConnection {
    const clientPort = firstClientPort + (this.clients++ % (lastPort - firstClientPort))
    const remote = tcp(local.hostname, clientPort, local.family)
    return new MemoryConnection({ local, remote }, (gone) => this.links.delete(gone), makeEnd)
  }
}
