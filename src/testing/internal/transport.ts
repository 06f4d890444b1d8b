/**
 * How a test server is reached: over loopback, or in memory. Both give the same things.
 *
 * Node's own HTTP client is used here and nowhere else in the house: over loopback a server is tested by somebody else's
 * parser, the one that most clients have. In memory that would be most of what a test costs.
 *
 * @internal
 */
import * as Http from "node:http"
import * as Https from "node:https"
import { connect, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Budget } from "../../DescriptorBudget.js"
import { OSError } from "../../Errors.js"
import * as tcp from "../../internal/net/tcp.js"
import type { Listener } from "../../Listener.js"
import type { Activity } from "./activity.js"
import { ConnectionPool } from "./client/clientConnection.js"
import { memoryClient } from "./client/memoryClient.js"
import { Network } from "./network.js"
import { type ClientSocket, RawSocket } from "./rawSocket.js"

export interface Transport {
  readonly listener: typeof Listener.Service
  /** Whether a client takes a moment of real time between its connection and its first byte. */
  readonly isSystems: boolean
  /** A client's end of a new connection to a port, connected or about to be. */
  readonly dial: (port: number) => ClientSocket
  /** A client of requests to a port, whose relative URLs are the server's. */
  readonly client: (url: string, port: number, activity: Activity) => Effect.Effect<KitClient>
  /** Bytes that clients of the kit have read: what the system holds for them is not delivered. */
  readonly delivered: () => number
}

export interface KitClient {
  readonly client: HttpClient.HttpClient
  /** Resets whatever connection it has. */
  readonly end: () => void
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
    isSystems: true,
    dial,
    client: (url, port, activity) => {
      const pool = new Pool(() => dial(port))
      return Effect.map(nodeClient(pool), (node) => ({
        client: HttpClient.transform(relativeTo(url, node), (response) =>
          Effect.withScheduler(response, activity.scheduler)
        ),
        end: () => pool.destroy()
      }))
    },
    delivered: () => Array.from(sockets).reduce((sum, { bytesRead }) => sum + bytesRead, gone)
  }
}

export const inMemory = (): Transport => {
  const network = new Network()
  return {
    listener: { listen: (options) => network.listen(options) },
    isSystems: false,
    dial: (port) => network.connect(port),
    client: (url, port, activity) =>
      Effect.sync(() => {
        const pool = new ConnectionPool((endOf) => network.dial(port, endOf), activity.happened)
        return { client: relativeTo(url, memoryClient(pool, nodeClient(Http.globalAgent))), end: () => pool.destroy() }
      }),
    delivered: () => 0
  }
}

/** The pool of Node's client: every connection it makes is to that server, whatever host the URL has. */
class Pool extends Http.Agent {
  private readonly open = new Set<ClientSocket>()

  constructor(private readonly dial: () => ClientSocket) {
    super({ keepAlive: true })
  }

  override createConnection(): Duplex {
    const socket = this.dial()
    this.open.add(socket)
    return socket.once("close", () => this.open.delete(socket))
  }

  /**
   * By resets: what ends otherwise stays with the system for a minute (TIME_WAIT), where a thousand tests would leave a
   * thousand ports that it looks through for the next free one.
   */
  override destroy(): void {
    for (const socket of this.open) socket.resetAndDestroy()
    super.destroy()
  }
}

/** A URL as it is, or what it means behind the server's. */
const within = (url: string, base: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : /^[/?]/.test(url) || url === "" ? base + url : `${base}/${url}`

const nodeClient = (http: Http.Agent): Effect.Effect<HttpClient.HttpClient> =>
  Effect.provideService(NodeHttpClient.make, NodeHttpClient.HttpAgent, {
    [NodeHttpClient.HttpAgentTypeId]: NodeHttpClient.HttpAgentTypeId,
    http,
    https: Https.globalAgent
  })

/** A client whose relative URLs are the server's. */
const relativeTo = (url: string, client: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.mapRequest(client, (request) => HttpClientRequest.setUrl(request, within(request.url, url)))

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
