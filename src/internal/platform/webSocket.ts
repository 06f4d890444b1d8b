/**
 * WebSockets by `ws`, over connections that this server has handed over.
 *
 * `ws` writes its handshake as bytes, into what it takes for a socket. The head is taken out of them and given to the
 * request as its answer, so that it is checked and written like any other; what comes behind a `101` is frames, and passes.
 *
 * @internal
 */
import { Duplex } from "node:stream"
import type { RequestError } from "@effect/platform/HttpServerError"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type WebSocket, WebSocketServer } from "ws"
import { isValueError, ValueError } from "../../Errors.js"
import type { Responded } from "../../Response.js"
import { make as makeHeaders } from "../headers.js"
import { escapeControls, escapeErrorControls } from "../host/escapeControls.js"
import { hostSleep } from "../host/timeSource.js"
import type { RawConnection, Upgraded } from "../message/exchange.js"
import { interruptAsFork } from "../runtime/effectInterop.js"
import type { AppRequest } from "./appRequest.js"
import { handshakeError } from "./failures.js"
import { handshakeFields, refusalOf } from "./handshake.js"

/** `node:http`'s request, by the one name that it has here. */
type Incoming = Parameters<WebSocketServer["handleUpgrade"]>[0]

const endOfHead = "\r\n\r\n"

/** What `ws` has written for a head: its status, and its fields as names and values in turn. */
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

/** What a refused handshake says beside its reason; the connection is not its own to end. */
const isOfMessage = (name: string): boolean => !/^(connection|content-length|upgrade)$/i.test(name)

const without = (fields: ReadonlyArray<string>, isKept: (name: string) => boolean): ReadonlyArray<string> =>
  fields.filter((_, i) => isKept(fields[i - (i % 2)]!))

/** What `ws` takes for the socket of a request: first the request's answer is written through it, then frames. */
class Handshake extends Duplex {
  private line: RawConnection | undefined
  private isAsking = false

  constructor(
    private readonly call: AppRequest,
    /** Told what the handshake has come to. */
    private readonly settle: (upgraded: Upgraded | ValueError) => void
  ) {
    super({ autoDestroy: true })
    // Every error is followed by the close, and that is what whoever waits is told.
    this.on("error", () => {})
  }

  override _read(): void {
    if (this.line === undefined || this.isAsking || this.destroyed) return
    const { line } = this
    let wantsMore = true
    while (wantsMore) {
      const bytes = line.read()
      if (bytes === undefined) {
        this.isAsking = true
        line.onceReadable(() => {
          this.isAsking = false
          this._read()
        })
        return
      }
      wantsMore = bytes !== "Ended" && this.push(bytes)
      if (bytes === "Ended") this.push(null)
    }
  }

  override _write(bytes: Buffer, _: unknown, done: (error?: Error) => void): void {
    if (this.line === undefined) done(this.answer(bytes))
    else if (this.line.write(bytes)) done()
    else this.line.onceWritable(() => done())
  }

  override _final(done: () => void): void {
    this.line?.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.line?.destroy()
    done(error)
  }

  private answer(bytes: Buffer): Error | undefined {
    const text = bytes.toString("latin1")
    const end = text.indexOf(endOfHead)
    const { fields, status } = readHead(text.slice(0, end))
    const { exchange } = this.call
    if (status !== 101) {
      const headers = makeHeaders(without(fields, isOfMessage), "application")
      const evidence = exchange.respond(status, text.slice(end + endOfHead.length), headers)
      if (!isValueError(evidence)) this.call.evidence = evidence
      this.settle(new ValueError({ reason: "NotOffered", actual: `a handshake that was answered ${status}` }))
      return undefined
    }
    const upgraded = exchange.upgrade(makeHeaders(fields, "application"))
    this.settle(upgraded)
    if (isValueError(upgraded)) return upgraded
    this.line = upgraded.raw
    this._read()
    return undefined
  }
}

const openError = (cause: unknown): Socket.SocketError => new Socket.SocketGenericError({ reason: "Open", cause })

/** Messages wait for their first listener: a client may send some right behind its handshake. */
const holdMessages = (webSocket: WebSocket): void => {
  webSocket.pause()
  webSocket.on("newListener", (event) => {
    if (event === "message") webSocket.resume()
  })
}

/** What a client can send many of in a few bytes. */
const countMessages = (webSocket: WebSocket, { raw: line }: Upgraded): void => {
  for (const event of ["message", "ping", "pong"]) webSocket.on(event, () => line.countMessage())
}

/** The reason that a client closes for is a part of an error's message. */
const visibleReason = <E>(error: E): E =>
  Socket.isSocketError(error) ? escapeErrorControls(error, escapeControls) : error

const withVisibleReasons = (socket: Socket.Socket): Socket.Socket =>
  Socket.Socket.of({
    ...socket,
    run: (handler, options) => Effect.mapError(socket.run(handler, options), visibleReason),
    runRaw: (handler, options) => Effect.mapError(socket.runRaw(handler, options), visibleReason)
  })

/** The handshakes of one server. */
export class WebSockets {
  private made: WebSocketServer | undefined

  /** Made for the first of them. It opens nothing, and keeps no list: connections are the server's. */
  private get server(): WebSocketServer {
    return (this.made ??= new WebSocketServer({ noServer: true, clientTracking: false }))
  }

  upgrade(call: AppRequest, request: HttpServerRequest): Effect.Effect<Socket.Socket, RequestError> {
    const refusal = refusalOf(call.native, request)
    if (refusal !== undefined) return Effect.fail(handshakeError(request, refusal))
    const webSocket = Effect.acquireRelease(this.open(call, request), (webSocket) =>
      Effect.sync(() => webSocket.close())
    )
    // `ws` keeps to the interface of browsers, as far as `Socket` asks for it; the types of both differ in details.
    return Effect.map(
      Socket.fromWebSocket(webSocket as unknown as Effect.Effect<globalThis.WebSocket, never, Scope.Scope>),
      withVisibleReasons
    )
  }

  private open(call: AppRequest, request: HttpServerRequest): Effect.Effect<WebSocket, Socket.SocketError> {
    return Effect.async<WebSocket, Socket.SocketError>((resume) => {
      let accepted: Upgraded | undefined
      const onSettled = (upgraded: Upgraded | ValueError): void => {
        if (isValueError(upgraded)) resume(Effect.fail(openError(upgraded)))
        else {
          accepted = upgraded
          call.upgraded = ended(handshake, upgraded)
        }
      }
      const handshake = new Handshake(call, onSettled)
      handshake.once("close", () => resume(Effect.fail(openError(new Error("the connection has closed")))))
      // Of a request `ws` reads these three.
      const { headers, method, url } = request
      const incoming = { headers: handshakeFields(headers), method, url } as unknown as Incoming
      this.server.handleUpgrade(incoming, handshake, Buffer.alloc(0), (webSocket) => {
        if (accepted === undefined) return
        // Before messages are held back until somebody listens for them.
        countMessages(webSocket, accepted)
        holdMessages(webSocket)
        const closing = Effect.runFork(closedAtShutdown(call, webSocket, accepted))
        handshake.once("close", () => interruptAsFork(closing))
        call.closeWebSocket = () => {
          webSocket.close()
          handshake.destroy()
        }
        resume(Effect.succeed(webSocket))
      })
    })
  }
}

/** The endpoint is going away, as a server that goes down (RFC 6455 §7.4.1). */
const goingAway = 1001

/**
 * Closes a WebSocket when its server begins to close, and cuts it off when its client does not answer the close frame. In real
 * time, as everything that waits for a connection to end.
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

/** Waits until both sides have said goodbye, or nobody may wait any more. */
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
