/**
 * How a test server is reached: over loopback, or in memory. Both give the same things.
 *
 * The kit's own client asks over both, since Node's would be most of what a test costs. That one is used here, and nowhere
 * else in the house, for URLs of HTTPS.
 *
 * @internal
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
import * as tcp from "../../../internal/net/tcpListener.js"
import type { Listener } from "../../../Listener.js"
import { ConnectionPool } from "../client/clientConnection.js"
import { type FallbackClient, kitClient, MissingPackage } from "../client/kitClient.js"
import { type ClientSocket, RawSocket } from "../client/rawSocket.js"
import { SocketLink } from "../client/socketLink.js"
import { MemoryNetworkImpl } from "../memory/memoryNetwork.js"
import type { Quiescence } from "../recording/quiescence.js"

export interface Transport {
  readonly listener: typeof Listener.Service
  /** Whether a client takes a moment of real time between its connection and its first byte. */
  readonly usesSockets: boolean
  /** A client's end of a new connection to a port, connected or about to be. */
  readonly dial: (port: number) => ClientSocket
  /** A client of requests to a port, whose relative URLs are the server's. */
  readonly client: (url: string, port: number, quiescence: Quiescence) => Effect.Effect<KitClient>
  /** Bytes that clients of the kit have read: what the system holds for them is not delivered. */
  readonly bytesRead: () => number
}

export interface KitClient {
  readonly client: HttpClient.HttpClient
  /** Resets whatever connection it has. */
  readonly reset: () => void
}

export const loopback = (budget: Budget): Transport => {
  const sockets = new Set<Socket>()
  let gone = 0
  const dial = (port: number): Socket => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true })
    sockets.add(socket)
    socket.once("close", () => {
      sockets.delete(socket)
      gone += socket.bytesRead + 1
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
          // Steps of the client are counted: bytes that are read may be many of them before the next ones leave.
          client: HttpClient.transform(relativeTo(url, kitClient(pool, nodeClient)), (response) =>
            Effect.withScheduler(response, quiescence.scheduler)
          ),
          /*
           * By resets, also those that are about to end: what ends otherwise stays with the system for a minute
           * (TIME_WAIT), where a thousand tests would leave a thousand ports that it looks through for the next free one.
           */
          reset: () => {
            pool.destroy()
            for (const socket of open) reset(socket)
          }
        }
      }),
    bytesRead: () => Array.from(sockets).reduce((sum, { bytesRead }) => sum + bytesRead, gone)
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

/** A URL as it is, or what it means behind the server's. */
const resolveUrl = (url: string, base: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : /^[/?]/.test(url) || url === "" ? base + url : `${base}/${url}`

const makeNodeClient = (node: typeof NodeHttpClient): FallbackClient =>
  Effect.provideService(node.make, node.HttpAgent, {
    [node.HttpAgentTypeId]: node.HttpAgentTypeId,
    http: Http.globalAgent,
    https: Https.globalAgent
  })

/** Node's client. Its package is an optional peer, which is loaded when it is needed. */
const nodeClient: FallbackClient = Effect.flatMap(
  Effect.tryPromise({
    try: () => import("@effect/platform-node/NodeHttpClient"),
    catch: (cause) => new MissingPackage({ cause })
  }),
  makeNodeClient
)

/** A client whose relative URLs are the server's. */
const relativeTo = (url: string, client: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.mapRequest(client, (request) => HttpClientRequest.setUrl(request, resolveUrl(request.url, url)))

/** A client of bytes; its socket is destroyed with the scope. */
export const connectRaw = (dial: () => ClientSocket): Effect.Effect<RawSocket, OSError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<ClientSocket, OSError>((resume) => {
      const socket = dial()
      const onError = (cause: NodeJS.ErrnoException): void => {
        resume(new OSError({ code: cause.code ?? "UNKNOWN", syscall: "connect", cause }))
      }
      const onConnect = (): void => {
        socket.off("error", onError)
        // What comes before the fiber goes on is the client's.
        socket.on("error", () => {})
        resume(Effect.succeed(socket))
      }
      socket.once("error", onError)
      socket.once("connect", onConnect)
    }),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.map((socket) => new RawSocket(socket)))
