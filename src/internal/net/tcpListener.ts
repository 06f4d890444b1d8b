/**
 * The TCP listener: a `net.Server` as a scoped resource. Its `connection` event counts sockets in the descriptor budget, and
 * rejects those beyond it.
 *
 * @internal
 */
import { lookup } from "node:dns/promises"
import { createServer, isIP, type Server, type Socket } from "node:net"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { type Address, tcp } from "../../Address.js"
import { assumedDescriptorsPerRequest, type Budget } from "../../DescriptorBudget.js"
import { OSError, ValueError } from "../../Errors.js"
import type { BoundListener, ListenOptions } from "../../Listener.js"
import { currentRecorder, type MetricRecorder } from "../metrics.js"
import { SwapRemoveSet } from "../runtime/swapRemoveSet.js"
import { listenerClosed, PendingConnections } from "./pendingConnections.js"
import { serviceUnavailable } from "./serviceUnavailable.js"
import { type ConnectionObserver, TcpConnection } from "./tcpConnection.js"
import { isTransient } from "./transientAcceptErrors.js"

/** Bytes that a socket buffers before it reports backpressure: the size of one read, and enough for any small response. */
const highWaterMark = 64 * 1024

/**
 * Maximum share of the budget for pending connections. They also leave enough descriptors for one request: if they filled the
 * budget, an accept loop that checks `shouldAcceptRequest` would wait forever.
 */
const maxPendingShare = 1 / 2

const osError = (cause: NodeJS.ErrnoException, syscall: string): OSError =>
  new OSError({ code: cause.code ?? "UNKNOWN", syscall: cause.syscall ?? syscall, cause })

/** `SO_REUSEPORT` came to `node:net` with 22.12 and 23.1. */
const hasReusePort = (): boolean => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)
}

/** Rejects invalid options before any system call. */
const validate = (options: ListenOptions): Effect.Effect<void, OSError | ValueError> => {
  const { address, domain, port } = options
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    return new ValueError({ reason: "Port", actual: String(port) })
  const version = isIP(address)
  if (version !== 0 && domain !== "Dual" && version !== (domain === "IPv4" ? 4 : 6))
    return new ValueError({ reason: "Address", actual: address })
  // Neither an address nor a host name.
  if (version === 0 && /^[0-9.]+$|[\s/:\0]/.test(address)) return new ValueError({ reason: "Address", actual: address })
  if (!options.reuseAddr)
    return new OSError({
      code: "ENOTSUP",
      syscall: "setsockopt",
      cause: new Error("this runtime always sets SO_REUSEADDR")
    })
  if (options.reusePort && !hasReusePort()) {
    return new OSError({
      code: "ENOTSUP",
      syscall: "setsockopt",
      cause: new Error("SO_REUSEPORT needs Node 22.12 or 23.1")
    })
  }
  return Effect.void
}

const families = { IPv4: 4, IPv6: 6, Dual: 0 } as const

/** The address to bind: "" is the unspecified address of the domain; a name is resolved in the domain alone. */
const resolve = ({ address, domain }: ListenOptions): Effect.Effect<string, OSError> => {
  if (address === "") return Effect.succeed(domain === "IPv4" ? "0.0.0.0" : "::")
  if (isIP(address) !== 0) return Effect.succeed(address)
  return Effect.map(
    Effect.tryPromise({
      try: () => lookup(address, { family: families[domain] }),
      catch: (cause) => osError(cause as NodeJS.ErrnoException, "getaddrinfo")
    }),
    (found) => found.address
  )
}

const bind = (server: Server, host: string, options: ListenOptions): Effect.Effect<void, OSError> =>
  Effect.async<void, OSError>((resume) => {
    const onError = (cause: NodeJS.ErrnoException): void => resume(Effect.fail(osError(cause, "listen")))
    server.once("error", onError)
    server.listen(
      {
        host,
        port: options.port,
        backlog: options.backlog,
        ipv6Only: options.domain === "IPv6",
        // Workers of `node:cluster` share the port, as with `node:http`; in any other process it has no effect.
        exclusive: false,
        ...(options.reusePort ? { reusePort: true } : {})
      },
      () => {
        server.off("error", onError)
        resume(Effect.void)
      }
    )
  })

const isIPv6Unavailable = ({ code }: OSError): boolean => code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL"

/** Binds; `"Dual"` without an address falls back to IPv4 on a host without IPv6. */
const bindDomain = (server: Server, host: string, options: ListenOptions): Effect.Effect<void, OSError> =>
  options.domain === "Dual" && options.address === ""
    ? Effect.catchIf(bind(server, host, options), isIPv6Unavailable, () => bind(server, "0.0.0.0", options))
    : bind(server, host, options)

const addressOf = (server: Server): Address => {
  const address = server.address()
  // A TCP server that is listening has an address object; a string would be a pipe, null a closed server.
  if (address === null || typeof address === "string") throw new Error("not a TCP server that is listening")
  return tcp(address.address, address.port, address.family === "IPv6" ? "IPv6" : "IPv4")
}

/** The sockets of one listener, from accept to close. */
class AcceptedSockets implements ConnectionObserver {
  readonly pending: PendingConnections<TcpConnection>
  rejected = 0
  /** Connections that were neither opened nor closed. */
  private readonly unopened = new SwapRemoveSet<TcpConnection>()
  private readonly maxPending: number

  constructor(
    private readonly budget: Budget,
    private readonly onFull: "queue" | "reject",
    private readonly metrics: MetricRecorder
  ) {
    this.pending = new PendingConnections(metrics)
    const maxWithoutStarvation = budget.max - assumedDescriptorsPerRequest - 2
    this.maxPending = Math.max(1, Math.min(Math.floor(budget.max * maxPendingShare), maxWithoutStarvation))
  }

  /** Counts a socket on arrival, since it holds a descriptor, and queues it, or rejects it if there is no capacity. */
  readonly onSocket = (socket: Socket): void => {
    if (this.pending.size >= this.maxPending || !this.budget.unsafeCanArrive()) {
      this.reject(socket)
      return
    }
    const mayQueue = this.onFull === "queue" || this.pending.hasTaker || this.budget.unsafeMakeRoom()
    this.budget.unsafeTake()
    const connection = new TcpConnection(socket, this)
    this.unopened.add(connection)
    this.pending.offer(connection)
    if (!mayQueue && this.pending.remove(connection)) this.rejectPending(connection)
  }

  private rejectPending(connection: TcpConnection): void {
    this.rejected++
    this.metrics.connectionRejected()
    connection.rejectWith(serviceUnavailable())
  }

  onOpen(connection: TcpConnection): void {
    this.unopened.remove(connection)
  }

  onClose(connection: TcpConnection, isOpened: boolean): void {
    if (!isOpened) this.pending.remove(connection)
    this.unopened.remove(connection)
    this.budget.unsafeRelease()
  }

  /** Responds synchronously: in a fiber, further sockets would be accepted before, and closed without a response. */
  private reject(socket: Socket): void {
    this.rejected++
    this.metrics.connectionRejected()
    socket.on("error", () => {})
    socket.write(serviceUnavailable(), "latin1")
    socket.destroy()
  }

  close(): void {
    this.pending.close(listenerClosed)
    for (const connection of this.unopened.values) connection.rejectWith(serviceUnavailable())
  }
}

/** Listens until the scope closes; pending connections are then rejected with 503. */
export const listen = (
  options: ListenOptions,
  budget: Budget
): Effect.Effect<BoundListener, OSError | ValueError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* validate(options)
    yield* budget.refreshLimit
    const host = yield* resolve(options)
    const runtime = yield* Effect.runtime<never>()
    const scope = yield* Effect.scope
    const sockets = new AcceptedSockets(budget, options.onFull, yield* currentRecorder)
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, highWaterMark }, sockets.onSocket)
    const closed = Effect.sync(() => {
      // Closes the listening descriptor synchronously; the callback would wait for all connections.
      server.close()
      sockets.close()
      budget.unsafeRelease()
    })
    const bound = Effect.tap(bindDomain(server, host, options), () => {
      budget.unsafeTake()
      return Scope.addFinalizer(scope, closed)
    })
    yield* Effect.uninterruptible(bound)
    server.on("error", (cause: NodeJS.ErrnoException) => {
      const error = osError(cause, "accept")
      if (isTransient(error)) Runtime.runFork(runtime)(Effect.logWarning("could not accept a connection", error))
      else for (const connection of sockets.pending.close(error)) connection.destroy()
    })
    return {
      address: addressOf(server),
      accept: sockets.pending.take,
      acceptWhile: (isOpen, take) => sockets.pending.acceptWhile(isOpen, take),
      pending: Effect.sync(() => sockets.pending.size),
      rejected: Effect.sync(() => sockets.rejected)
    }
  })
