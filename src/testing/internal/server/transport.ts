/**
 * Transports of a test server: loopback and memory, with the same interface.
 *
 * Both use the kit's own client, since Node's would take most of the time of a test. Node's client is used only here, for
 * `https:` URLs.
 */
import * as Http from "node:http"
import * as Https from "node:https"
import { connect, type Socket } from "node:net"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { tcp as tcpAddress } from "../../../Address.js"
import type { Budget } from "../../../DescriptorBudget.js"
import { OSError } from "../../../Errors.js"
import { reset } from "../../../internal/net/reset.js"
import * as tcp from "../../../internal/net/socketListener.js"
import type { Listener } from "../../../Listener.js"
import { ConnectionPool } from "../client/clientConnection.js"
import { type FallbackClient, kitClient, MissingPackage } from "../client/kitClient.js"
import { type ClientSocket, RawSocket } from "../client/rawSocket.js"
import { SocketLink } from "../client/socketLink.js"
import { MemoryNetworkImpl } from "../memory/memoryNetwork.js"
import type { Quiescence } from "../recording/quiescence.js"

export interface Transport {
  readonly listener: typeof Listener.Service
  /** True for sockets, where a client needs real time between its connection and its first byte. */
  readonly usesSockets: boolean
  /** Opens a connection to a port, and returns the client's end. */
  readonly dial: (port: number) => ClientSocket
  /** Makes an HTTP client for a port, which resolves relative URLs against `url`. */
  readonly client: (url: string, port: number, quiescence: Quiescence) => Effect.Effect<KitClient>
  /** Bytes that the kit's clients have read: bytes in the system's buffers are not delivered yet. */
  readonly bytesRead: () => number
}

interface KitClient {
  readonly client: HttpClient.HttpClient
  /** Resets its connections. */
  readonly reset: () => void
}

export const loopback = (budget: Budget): Transport => {
  const sockets = new Set<Socket>()
  let closedBytesRead = 0
  const dial = (port: number): Socket => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true })
    sockets.add(socket)
    socket.once("close", () => {
      sockets.delete(socket)
      closedBytesRead += socket.bytesRead + 1
    })
    return socket
  }
  return {
    listener: { listen: (options) => tcp.listen(options, budget) },
    usesSockets: true,
    dial,
    client: (url, port, quiescence) =>
      Effect.sync(() => {
        const open = new Set<Socket>()
        const address = tcpAddress("127.0.0.1", port, "IPv4")
        const pool = new ConnectionPool((makeEnd) => {
          const socket = dial(port)
          open.add(socket)
          socket.once("close", () => open.delete(socket))
          new SocketLink(socket, address, makeEnd)
          return true
        }, quiescence.onActivity)
        return {
          // Counts the steps of the client: there may be many between reading bytes and sending the next ones.
          client: HttpClient.transform(relativeTo(url, kitClient(pool, nodeClient)), (response) =>
            Effect.withScheduler(response, quiescence.scheduler)
          ),
          /*
           * By reset, also those that are about to end: a closed port otherwise stays in TIME_WAIT for a minute, and after
           * a thousand tests the system would search a thousand such ports for a free one.
           */
          reset: () => {
            pool.destroy()
            for (const socket of open) reset(socket)
          }
        }
      }),
    bytesRead: () => Array.from(sockets).reduce((sum, { bytesRead }) => sum + bytesRead, closedBytesRead)
  }
}

export const inMemory = (): Transport => {
  const network = new MemoryNetworkImpl()
  return {
    listener: { listen: (options) => network.listen(options) },
    usesSockets: false,
    dial: (port) => network.connect(port),
    client: (url, port, quiescence) =>
      Effect.sync(() => {
        const pool = new ConnectionPool((makeEnd) => network.dial(port, makeEnd), quiescence.onActivity)
        return { client: relativeTo(url, kitClient(pool, nodeClient)), reset: () => pool.destroy() }
      }),
    bytesRead: () => 0
  }
}

/** An absolute URL as it is, a relative one appended to the base. */
const resolveUrl = (url: string, base: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : /^[/?]/.test(url) || url === "" ? base + url : `${base}/${url}`

const makeNodeClient = (node: typeof NodeHttpClient): FallbackClient =>
  Effect.provideService(node.make, node.HttpAgent, {
    [node.HttpAgentTypeId]: node.HttpAgentTypeId,
    http: Http.globalAgent,
    https: Https.globalAgent
  })

/** Node's client. Its package is an optional peer dependency, loaded on first use. */
const nodeClient: FallbackClient = Effect.flatMap(
  Effect.tryPromise({
    try: () => import("@effect/platform-node/NodeHttpClient"),
    catch: (cause) => new MissingPackage({ cause })
  }),
  makeNodeClient
)

/** A client that resolves relative URLs against `url`. */
const relativeTo = (url: string, client: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.mapRequest(client, (request) => HttpClientRequest.setUrl(request, resolveUrl(request.url, url)))

/** A raw client, whose socket is destroyed with the scope. */
export const connectRaw = (dial: () => ClientSocket): Effect.Effect<RawSocket, OSError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<ClientSocket, OSError>((resume) => {
      const socket = dial()
      const onError = (cause: NodeJS.ErrnoException): void => {
        resume(new OSError({ code: cause.code ?? "UNKNOWN", syscall: "connect", cause }))
      }
      const onConnect = (): void => {
        socket.off("error", onError)
        // Avoids an uncaught error before `RawSocket` adds its listeners.
        socket.on("error", () => {})
        resume(Effect.succeed(socket))
      }
      socket.once("error", onError)
      socket.once("connect", onConnect)
    }),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.map((socket) => new RawSocket(socket)))
