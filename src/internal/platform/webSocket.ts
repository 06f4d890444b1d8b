/**
 * WebSockets by `ws`, over upgraded connections.
 *
 * `ws` writes its handshake as bytes to a stream that replaces the socket. The head is parsed and sent as the response of the
 * request, so that it is validated and written like any other. Bytes after a `101` are frames, and pass unchanged.
 */
import { Duplex } from "node:stream"
import type { RequestError } from "@effect/platform/HttpServerError"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Socket from "@effect/platform/Socket"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { type WebSocket, WebSocketServer } from "ws"
import { isValueError, ValueError } from "../../Errors.js"
import type { Responded } from "../../Response.js"
import { make as makeHeaders } from "../fields/headers.js"
import { escapeControls, escapeErrorControls } from "../host/escapeControls.js"
import { hostSleep } from "../host/timeSource.js"
import type { RawConnection, Upgraded } from "../message/exchange.js"
import { interruptAsFork } from "../runtime/effectInterop.js"
import { AppRequest } from "./appRequest.js"
import { handshakeError } from "./failures.js"
import { handshakeFields, validateHandshake } from "./handshake.js"

/** The request of `node:http`, whose type is not imported. */
type Incoming = Parameters<WebSocketServer["handleUpgrade"]>[0]

const endOfHead = "\r\n\r\n"

/** Parses a head that `ws` has written: its status, and alternating names and values. */
const readHead = (text: string): { readonly status: number; readonly fields: ReadonlyArray<string> } => {
  const [first = "", ...lines] = text.split("\r\n")
  const fields = lines
    .filter((line) => line !== "")
    .flatMap((line) => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    })
  return { status: Number(first.split(" ")[1]), fields }
}

/** Fields of a rejected handshake that are sent: the server decides about the connection and the framing. */
const isOfMessage = (name: string): boolean => !/^(connection|content-length|upgrade)$/i.test(name)

const without = (fields: ReadonlyArray<string>, isKept: (name: string) => boolean): ReadonlyArray<string> =>
  fields.filter((_, i) => isKept(fields[i - (i % 2)]!))

/** The stream that `ws` uses as the socket of a request: first for the response, then for frames. */
class Handshake extends Duplex {
  private connection: RawConnection | undefined
  private isWaiting = false

  constructor(
    private readonly appRequest: AppRequest,
    /** Called with the result of the handshake. */
    private readonly settle: (upgraded: Upgraded | ValueError) => void
  ) {
    super({ autoDestroy: true })
    // Every error is followed by `close`, which is handled.
    this.on("error", () => {})
  }

  override _read(): void {
    if (this.connection === undefined || this.isWaiting || this.destroyed) return
    const { connection } = this
    let wantsMore = true
    while (wantsMore) {
      const bytes = connection.read()
      if (bytes === undefined) {
        this.isWaiting = true
        connection.onceReadable(() => {
          this.isWaiting = false
          this._read()
        })
        return
      }
      wantsMore = bytes !== "Ended" && this.push(bytes)
      if (bytes === "Ended") this.push(null)
    }
  }

  override _write(bytes: Buffer, _: unknown, done: (error?: Error) => void): void {
    if (this.connection === undefined) done(this.respond(bytes))
    else if (this.connection.write(bytes)) done()
    else this.connection.onceWritable(() => done())
  }

  override _final(done: () => void): void {
    this.connection?.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.connection?.destroy()
    done(error)
  }

  private respond(bytes: Buffer): Error | undefined {
    const text = bytes.toString("latin1")
    const end = text.indexOf(endOfHead)
    const { fields, status } = readHead(text.slice(0, end))
    const { exchange } = this.appRequest
    if (status !== 101) {
      const headers = makeHeaders(without(fields, isOfMessage), "application")
      const evidence = exchange.respond(status, text.slice(end + endOfHead.length), headers)
      if (!isValueError(evidence)) this.appRequest.evidence = evidence
      this.settle(new ValueError({ reason: "NotOffered", actual: `the handshake was rejected with ${status}` }))
      return undefined
    }
    const upgraded = exchange.upgrade(makeHeaders(fields, "application"))
    this.settle(upgraded)
    if (isValueError(upgraded)) return upgraded
    this.connection = upgraded.raw
    this._read()
    return undefined
  }
}

const openError = (cause: unknown): Socket.SocketError => new Socket.SocketGenericError({ reason: "Open", cause })

/** Pauses until the first listener for messages is added: a client may send some right after its handshake. */
const holdMessages = (webSocket: WebSocket): void => {
  webSocket.pause()
  webSocket.on("newListener", (event) => {
    if (event === "message") webSocket.resume()
  })
}

/** Counts messages and control frames: a client can send many of them in a few bytes. */
const countMessages = (webSocket: WebSocket, { raw: connection }: Upgraded): void => {
  for (const event of ["message", "ping", "pong"]) webSocket.on(event, () => connection.countMessage())
}

/** Escapes the close reason of the client in the message of an error. */
const escapeReason = <E>(error: E): E =>
  Socket.isSocketError(error) ? escapeErrorControls(error, escapeControls) : error

const withEscapedReasons = (socket: Socket.Socket): Socket.Socket =>
  Socket.Socket.of({
    ...socket,
    run: (handler, options) => Effect.mapError(socket.run(handler, options), escapeReason),
    runRaw: (handler, options) => Effect.mapError(socket.runRaw(handler, options), escapeReason)
  })

export class WebSockets {
  private serverCache: WebSocketServer | undefined

  /** Created for the first handshake. It opens nothing and tracks no clients: this server does. */
  private get server(): WebSocketServer {
    return (this.serverCache ??= new WebSocketServer({ noServer: true, clientTracking: false }))
  }

  upgrade(appRequest: AppRequest, request: HttpServerRequest): Effect.Effect<Socket.Socket, RequestError> {
    const rejection = validateHandshake(appRequest.native, request)
    if (rejection !== undefined) return Effect.fail(handshakeError(request, rejection))
    const webSocket = Effect.acquireRelease(this.open(appRequest, request), (webSocket) =>
      Effect.sync(() => webSocket.close())
    )
    // `ws` implements what `Socket` requires of the interface of browsers; the types differ in details.
    return Effect.map(
      Socket.fromWebSocket(webSocket as unknown as Effect.Effect<globalThis.WebSocket, never, Scope.Scope>),
      withEscapedReasons
    )
  }

  private open(appRequest: AppRequest, request: HttpServerRequest): Effect.Effect<WebSocket, Socket.SocketError> {
    // Without the `AppRequest`: the fiber that closes the WebSocket is not one of the application.
    const runtime = Effect.map(Effect.runtime<never>(), Runtime.updateContext(Context.omit(AppRequest.Tag)))
    return Effect.flatMap(runtime, (runtime) =>
      Effect.async<WebSocket, Socket.SocketError>((resume) => {
        let accepted: Upgraded | undefined
        const onSettled = (upgraded: Upgraded | ValueError): void => {
          if (isValueError(upgraded)) resume(Effect.fail(openError(upgraded)))
          else {
            accepted = upgraded
            appRequest.upgraded = ended(handshake, upgraded)
          }
        }
        const handshake = new Handshake(appRequest, onSettled)
        handshake.once("close", () => resume(Effect.fail(openError(new Error("the connection was closed")))))
        // `ws` reads only these three.
        const { headers, method, url } = request
        const incoming = { headers: handshakeFields(headers), method, url } as unknown as Incoming
        this.server.handleUpgrade(incoming, handshake, Buffer.alloc(0), (webSocket) => {
          if (accepted === undefined) return
          // Before `holdMessages`, which pauses until the first listener for messages is added.
          countMessages(webSocket, accepted)
          holdMessages(webSocket)
          const closing = Runtime.runFork(runtime)(closedAtShutdown(appRequest, webSocket, accepted))
          handshake.once("close", () => interruptAsFork(closing))
          appRequest.closeWebSocket = () => {
            webSocket.close()
            handshake.destroy()
          }
          resume(Effect.succeed(webSocket))
        })
      })
    )
  }
}

/** Close code of a server that is going down (RFC 6455 §7.4.1). */
const goingAway = 1001

/**
 * Closes a WebSocket at shutdown, and terminates it if the client does not send a close frame in time. Real time, as for the
 * end of all connections.
 */
const closedAtShutdown = (
  { exchange }: AppRequest,
  webSocket: WebSocket,
  { closeTimeout }: Upgraded
): Effect.Effect<void> =>
  exchange.awaitShutdown.pipe(
    Effect.zipRight(Effect.sync(() => webSocket.close(goingAway))),
    Effect.zipRight(hostSleep(closeTimeout)),
    Effect.zipRight(Effect.sync(() => webSocket.terminate()))
  )

/** Completes when the connection has closed; an interruption destroys it. */
const ended = (handshake: Handshake, { finish }: Upgraded): Effect.Effect<Responded> => {
  const closed = Effect.async<void>((resume) => {
    if (handshake.closed) resume(Effect.void)
    else handshake.once("close", () => resume(Effect.void))
  })
  const interrupted = Effect.sync(() => handshake.destroy())
  return Effect.map(
    Effect.onInterrupt(Effect.interruptible(closed), () => interrupted),
    finish
  )
}
