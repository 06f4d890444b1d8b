/**
 * How a test server is reached: over loopback, or in memory. Both give the same things.
 *
 * Node's own HTTP client is used here and nowhere else in the house: what tests a server is to be somebody else's parser,
 * and the one that most clients have.
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
import { Network } from "./network.js"
import { type ClientSocket, RawSocket } from "./rawSocket.js"

export interface Transport {
  readonly listener: typeof Listener.Service
  /** Whether a client takes a moment of real time between its connection and its first byte. */
  readonly isSystems: boolean
  /** A client's end of a new connection to a port, connected or about to be. */
  readonly dial: (port: number) => ClientSocket
  /** Bytes that clients of the kit have read: what the system holds for them is not delivered. */
  readonly delivered: () => number
}

export const loopback = (budget: Budget): Transport => {
  const sockets = new Set<Socket>()
  let gone = 0
  return {
    listener: { listen: (options) => tcp.listen(options, budget) },
    isSystems: true,
    dial: (port) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true })
      sockets.add(socket)
      socket.once("close", () => {
        sockets.delete(socket)
        gone += socket.bytesRead + 1
      })
      return socket
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
    delivered: () => 0
  }
}

/** The pool of the client: every connection it makes is to that server, whatever host the URL has. */
export class Pool extends Http.Agent {
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

/** A client whose relative URLs are the server's. */
export const makeClient = (url: string, pool: Pool): Effect.Effect<HttpClient.HttpClient> =>
  NodeHttpClient.make.pipe(
    Effect.provideService(NodeHttpClient.HttpAgent, {
      [NodeHttpClient.HttpAgentTypeId]: NodeHttpClient.HttpAgentTypeId,
      http: pool,
      https: Https.globalAgent
    }),
    Effect.map(HttpClient.mapRequest((request) => HttpClientRequest.setUrl(request, within(request.url, url))))
  )

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
