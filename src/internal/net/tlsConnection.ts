/**
 * A connection with TLS: a `TLSSocket` over an accepted socket.
 *
 * The handshake begins when the connection is opened. A `TLSSocket` that is paused decrypts all the same, into a buffer that a
 * reader set later never sees. Until the handshake has completed nothing is written but the alert of a failed one.
 */
import type { Socket } from "node:net"
import { type SecureContext, TLSSocket } from "node:tls"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { SslError } from "../../Errors.js"
import type { Options, Session } from "../../Tls.js"
import { clearTimeout, setTimeout } from "../host/hostTimers.js"
import type { Transport } from "./acceptedSockets.js"
import type { Handshake, Handshakes } from "./handshakes.js"
import { plainHttpResponse } from "./plainHttpResponse.js"
import { reset } from "./reset.js"
import type { SecureContexts } from "./secureContexts.js"
import { type ConnectionObserver, connectionKey, type ObservedSocket, SocketConnection } from "./socketConnection.js"
import { sessionOf, verifyError } from "./tlsSession.js"
import { isQueueEmpty, unsentBytes } from "./writeProgress.js"

const highWaterMark = 64 * 1024

/** Maximum bytes of a TLS record (RFC 8446 §5.1). Of a larger write, Node passes a part on to the socket below in a later turn. */
const maxRecord = 16 * 1024

/** What the connections of one listener share. */
export interface TlsSettings {
  readonly contexts: SecureContexts
  readonly handshakes: Handshakes
  readonly handshakeTimeout: number
  readonly clientCertificates: "ignore" | "request" | "require"
  readonly onHandshakeError: (error: SslError) => void
}

/** The code for plain HTTP on a port of TLS. Deno reports other errors, after it has closed the socket. */
const plainHttp = "ERR_SSL_HTTP_REQUEST"

/** Whether a TCP connection was reset: it has no peer any more. Not in the public type; an address that was read is cached. */
const isReset = (raw: Socket): boolean => {
  const handle = (raw as { readonly _handle?: { readonly getpeername?: (address: object) => number } | null })._handle
  return typeof handle?.getpeername === "function" && handle.getpeername({}) !== 0
}

type Selected = (error: Error | null, context?: SecureContext) => void

const selectBy =
  (contexts: SecureContexts) =>
  (name: string, selected: Selected): void =>
    selected(null, contexts.select(name))

class TlsConnection extends SocketConnection implements Handshake {
  private secure: TLSSocket | undefined
  private isSecure = false
  private timer: ReturnType<typeof setTimeout> | undefined
  /**
   * Whether what was written last was passed on at once: a single record, with no write in progress. TLS reports the completion
   * of each write in a later turn, though it is in the system's buffer by then: without this, no connection would be closed in
   * the turn of its response.
   */
  private isPassedOn = false
  private session: Option.Option<Session> = Option.none()

  constructor(
    private readonly raw: Socket,
    observer: ConnectionObserver,
    private readonly settings: TlsSettings
  ) {
    super(raw, observer)
  }

  get tls(): Option.Option<Session> {
    if (Option.isNone(this.session) && this.isSecure && this.secure !== undefined)
      this.session = Option.some(sessionOf(this.secure, this.settings.clientCertificates !== "ignore"))
    return this.session
  }

  override get scheme(): "https" {
    return "https"
  }

  protected override begin(_: Socket, received?: Buffer): void {
    // Both addresses are read while the socket is certain to be connected: the errors of a handshake name the client.
    void this.remote
    // A `TLSSocket` reads first what its socket has buffered.
    if (received !== undefined && received.length > 0) this.raw.unshift(received)
    this.timer = setTimeout(
      () => this.fail("ETIMEDOUT", new Error("no handshake in time")),
      this.settings.handshakeTimeout
    )
    this.settings.handshakes.begin(this)
  }

  /** Starts the handshake. */
  start(): void {
    // Closed while it was queued: its `close` event follows.
    if (this.raw.destroyed) return
    const { clientCertificates, contexts } = this.settings
    const secure = new TLSSocket(this.raw, {
      isServer: true,
      secureContext: contexts.fallback,
      ALPNProtocols: ["http/1.1"],
      ...(contexts.hasNames ? { SNICallback: selectBy(contexts) } : {}),
      requestCert: clientCertificates !== "ignore",
      // Verified when the handshake has completed, as by `tls.Server`.
      rejectUnauthorized: false,
      // Not in the types, but passed on to the stream.
      ...{ allowHalfOpen: true, highWaterMark }
    })
    this.secure = secure
    // Emitted, as to `tls.Server`, for an error before the handshake has completed; `error` for one after.
    secure.on("_tlsError", (cause: NodeJS.ErrnoException) => this.fail(cause.code ?? "UNKNOWN", cause))
    secure.on("error", () => {})
    secure.once("end", () => this.isSecure || this.fail("ECONNRESET", new Error("the client left the handshake")))
    secure.once("secure", () => this.onSecure(secure))
    // With the raw socket, which reports the end of the connection.
    secure.once("close", () => this.raw.destroy())
  }

  private onSecure(secure: TLSSocket): void {
    if (secure.destroyed) return
    const { clientCertificates } = this.settings
    if (clientCertificates === "require") {
      const error = verifyError(secure)
      if (error !== undefined) {
        this.fail(error, new Error("the client certificate is not trusted"))
        return
      }
    }
    this.endHandshake()
    this.isSecure = true
    // Read while the socket is open: whether a certificate is trusted is not known afterwards.
    if (clientCertificates !== "ignore") void this.tls
    // Errors are emitted as `error` from now on. Not in the types.
    const releasing = secure as { readonly _releaseControl?: () => void }
    releasing._releaseControl?.()
    const observed: ObservedSocket = secure
    observed[connectionKey] = this
    this.socket = observed
    this.startReading(observed)
  }

  private endHandshake(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.settings.handshakes.end(this)
  }

  /** Closes a connection whose handshake has not completed, which is no error of the handshake. */
  private abandon(): void {
    if (this.timer !== undefined) this.endHandshake()
    this.raw.destroy()
  }

  /** Ends a connection whose handshake has failed. */
  private fail(code: string, cause: Error): void {
    if (this.isSecure || this.timer === undefined) return
    this.endHandshake()
    this.settings.onHandshakeError(new SslError({ code, cause, peer: this.remote }))
    // On Node the raw socket takes a response although its bytes were read as TLS.
    if (code === plainHttp) this.raw.write(plainHttpResponse(), "latin1", () => this.secure?.destroy())
    else if (this.secure === undefined) this.raw.destroy()
    // Lets an alert be sent, which OpenSSL has written when it reports the error.
    else this.secure.destroySoon()
  }

  override onClose(): void {
    if (this.timer !== undefined) this.fail("ECONNRESET", new Error("the client left the handshake"))
    super.onClose()
  }

  /**
   * A reset is reported by the first system call after it. If that is a write of TLS itself, as of session tickets, the error
   * is lost, and the next read finds an end.
   */
  override onEnd(): void {
    if (isReset(this.raw)) this.raw.destroy()
    else super.onEnd()
  }

  protected override detach(): void {
    const secure: ObservedSocket | undefined = this.secure
    if (secure !== undefined) secure[connectionKey] = undefined
    const raw: ObservedSocket = this.raw
    raw[connectionKey] = undefined
    this.secure = undefined
    super.detach()
  }

  override pause(): void {
    if (this.isSecure) super.pause()
  }

  override resume(): void {
    if (this.isSecure) super.resume()
  }

  override write(parts: ReadonlyArray<string | Uint8Array>): void {
    const { secure } = this
    if (!this.isSecure || secure === undefined) return
    const isIdle = secure.writableLength === 0
    super.write(parts)
    this.isPassedOn = isIdle && secure.writableLength <= maxRecord
  }

  /** A response would have to be encrypted: a connection without a handshake is closed without one. */
  override reject(): void {
    this.raw.destroy()
  }

  /** The queue of the `TLSSocket` does not decrease while the client reads; that of the socket below does. */
  override unsent(): number {
    if (this.secure === undefined) return 0
    return this.isPassedOn && isQueueEmpty(this.raw) ? 0 : unsentBytes(this.secure, this.raw)
  }

  override end(): void {
    if (this.isSecure) super.end()
    else this.abandon()
  }

  /** Sends the alert `close_notify` before the FIN. */
  override close(): void {
    if (this.isSecure) this.socket?.destroySoon()
    else this.abandon()
  }

  /** A `TLSSocket` has no reset of its own. */
  override abort(): void {
    if (this.timer !== undefined) this.endHandshake()
    reset(this.raw)
  }

  override destroy(): void {
    if (this.isSecure) this.secure?.destroy()
    else this.abandon()
  }
}

/** Milliseconds of a handshake by default. */
const defaultTimeout = 10_000

export const tlsTransport = (settings: TlsSettings): Transport => ({
  connect: (socket, observer) => new TlsConnection(socket, observer, settings),
  reject: (socket) => {
    socket.on("error", () => {})
    socket.destroy()
  }
})

export const handshakeTimeoutOf = ({ handshakeTimeout }: Options): number =>
  handshakeTimeout === undefined ? defaultTimeout : Duration.toMillis(handshakeTimeout)
