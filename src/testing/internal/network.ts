/**
 * The ports of one memory: who listens on which, and connections to them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Address, tcp } from "../../Address.js"
import { OSError, ValueError } from "../../Errors.js"
import { Arrivals } from "../../internal/net/arrivals.js"
import { refusal } from "../../internal/net/ownAnswers.js"
import type { Bound, Connection, ListenOptions } from "../../Listener.js"
import { Link, type MemorySocket, systemError } from "./memorySocket.js"

/** Where ephemeral ports of clients begin, as on Linux. */
const firstClientPort = 32768

const lastPort = 65535

/** One for all: to make one costs a stack trace. */
const closed = new OSError({ code: "ECANCELED", syscall: "accept", cause: new Error("the listener was closed") })

/** One port that is listened on. */
class MemoryPort {
  readonly arrivals = new Arrivals<Connection>()
  refused = 0

  constructor(
    readonly address: Address,
    private readonly onFull: ListenOptions["onFull"]
  ) {}

  offer(connection: Connection): void {
    const mayWait = this.onFull === "wait" || this.arrivals.isAwaited
    this.arrivals.offer(connection)
    if (mayWait || !this.arrivals.remove(connection)) return
    this.refused++
    turnAway(connection)
  }

  close(): void {
    for (const connection of this.arrivals.fail(closed)) turnAway(connection)
  }

  get bound(): Bound {
    return {
      address: this.address,
      accept: this.arrivals.takeOne,
      admit: (isOpen, take) => this.arrivals.admit(isOpen, take),
      waiting: Effect.sync(() => this.arrivals.size),
      refused: Effect.sync(() => this.refused)
    }
  }
}

const turnAway = (connection: Connection): void => {
  connection.write([refusal])
  connection.close()
}

export class Network {
  private readonly ports = new Map<number, MemoryPort>()
  /** Connections of which the server's end is open. */
  readonly links = new Set<Link>()
  private clients = 0

  listen(options: ListenOptions): Effect.Effect<Bound, OSError | ValueError, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend((): Effect.Effect<MemoryPort, OSError | ValueError> => {
        const { port } = options
        if (!Number.isInteger(port) || port < 0 || port > lastPort)
          return new ValueError({ reason: "Port", saw: String(port) })
        if (this.ports.has(port)) return new OSError({ code: "EADDRINUSE", syscall: "listen" })
        const domain = options.domain === "IPv6" ? "IPv6" : "IPv4"
        const address = tcp(domain === "IPv4" ? "127.0.0.1" : "::1", port === 0 ? this.free() : port, domain)
        const bound = new MemoryPort(address, options.onFull)
        this.ports.set(address.port, bound)
        return Effect.succeed(bound)
      }),
      (bound) =>
        Effect.sync(() => {
          this.ports.delete(bound.address.port)
          bound.close()
        })
    ).pipe(Effect.map(({ bound }) => bound))
  }

  private free(): number {
    let port = 1
    while (this.ports.has(port)) port++
    return port
  }

  /** A connection to a port, or one that is refused. */
  connect(port: number): MemorySocket {
    const bound = this.ports.get(port)
    const family = bound?.address.family ?? "IPv4"
    const local = bound?.address ?? tcp("127.0.0.1", port, family)
    const clientPort = firstClientPort + (this.clients++ % (lastPort - firstClientPort))
    const link = new Link({ local, remote: tcp(local.hostname, clientPort, family) }, (gone) => {
      this.links.delete(gone)
    })
    if (bound === undefined) {
      // Not in this turn: whoever connects has not listened for errors yet.
      process.nextTick(() => link.client.destroy(systemError("ECONNREFUSED", "connect")))
      return link.client
    }
    this.links.add(link)
    bound.offer(link)
    process.nextTick(() => link.client.emit("connect"))
    return link.client
  }
}
