/**
 * The listener of `node:net`, as a scoped resource: TCP, Unix domain sockets and open descriptors, with or without TLS.
 */
import { createServer } from "node:net"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { isUnix, toAuthority } from "../../Address.js"
import type { Budget } from "../../DescriptorBudget.js"
import { SslError, ValueError } from "../../Errors.js"
import type { BoundListener, ListenError, ListenOptions } from "../../Listener.js"
import type { Options as TlsOptions } from "../../Tls.js"
import { isUint8Array } from "../host/realm.js"
import { currentRecorder } from "../metrics.js"
import { AcceptedSockets, plain, type Transport } from "./acceptedSockets.js"
import { addressOf, bind } from "./bind.js"
import { Handshakes } from "./handshakes.js"
import { osError, validate } from "./listenOptions.js"
import { ProxyProtocol } from "./proxyProtocol.js"
import { SecureContexts } from "./secureContexts.js"
import { handshakeTimeoutOf, tlsTransport } from "./tlsConnection.js"

/** Bytes that a socket buffers before it reports backpressure: the size of one read, and enough for any small response. */
const highWaterMark = 64 * 1024

/** Bytes from which OpenSSL derives a name, and keys of encryption and of authentication. */
const ticketKeysLength = 48

/** Handshakes in progress by default: 40 ms of one processor. */
const defaultMaxHandshakes = 64

const policies = {
  handshakeTimeout: (given: unknown) =>
    Either.match(
      Either.try(() => Duration.toMillis(Duration.decode(given as Duration.DurationInput))),
      {
        onLeft: () => false,
        onRight: (milliseconds) => milliseconds > 0 && milliseconds < 2 ** 31
      }
    ),
  maxHandshakes: (given: unknown) => Number.isInteger(given) && Number(given) > 0,
  clientCertificates: (given: unknown) => given === "ignore" || given === "request" || given === "require",
  minVersion: (given: unknown) => given === "TLSv1.2" || given === "TLSv1.3",
  ticketKeys: (given: unknown) => {
    const bytes = Redacted.isRedacted(given) ? Redacted.value(given) : given
    return isUint8Array(bytes) && bytes.length === ticketKeysLength
  }
}

/** The other options, which are checked when the credentials are loaded. */
const others: ReadonlySet<string> = new Set([
  ...["key", "cert", "passphrase", "certificates", "ca", "source"],
  ...["ciphers", "onHandshakeError"]
])

const isPolicy = (name: string): name is keyof typeof policies => Object.hasOwn(policies, name)

/** An option that is unknown, as `requestCert` of `node:tls`, is refused: without it the server might trust every client. */
const validatePolicy = (options: TlsOptions): Effect.Effect<void, ValueError> => {
  const unknown = Object.keys(options).find((name) => !isPolicy(name) && !others.has(name))
  if (unknown !== undefined) return new ValueError({ reason: "Option", actual: `tls.${unknown}: unknown option` })
  const names = Object.keys(policies) as ReadonlyArray<keyof typeof policies>
  const invalid = names.find((name) => options[name] !== undefined && !policies[name](options[name]))
  return invalid === undefined
    ? Effect.void
    : new ValueError({ reason: "Option", actual: `tls.${invalid}: ${String(options[invalid])}` })
}

interface Security {
  readonly transport: Transport
  readonly reload: Effect.Effect<void, SslError> | undefined
}

/** Loads the credentials at each change. */
const reloadAt = (
  changes: Stream.Stream<unknown>,
  { load }: SecureContexts
): Effect.Effect<void, never, Scope.Scope> => {
  const loaded = Effect.catchAllDefect(load, (cause) => new SslError({ code: "UNKNOWN", cause }))
  const reload = Effect.matchEffect(loaded, {
    onSuccess: () => Effect.logInfo("the certificates were reloaded"),
    onFailure: (error) => Effect.logError("the certificates were not reloaded; those in use are kept", error)
  })
  return Stream.runForEach(changes, () => reload).pipe(
    Effect.catchAllDefect((defect) => Effect.logError("the certificates are no longer reloaded", defect)),
    // The fiber would inherit it if the caller were uninterruptible: the scope could not end it.
    Effect.interruptible,
    Effect.forkScoped,
    Effect.asVoid
  )
}

/** Loads the credentials, and again at each of their changes, for as long as the listener is open. */
const secure = (options: TlsOptions): Effect.Effect<Security, SslError | ValueError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* validatePolicy(options)
    const contexts = new SecureContexts(options)
    // Begins before the first load: a change during that load is loaded too.
    if (options.source !== undefined) yield* reloadAt(options.source.changes, contexts)
    yield* contexts.load
    const runtime = yield* Effect.runtime<never>()
    const { clientCertificates = "ignore", maxHandshakes = defaultMaxHandshakes } = options
    const report = options.onHandshakeError ?? ((error: SslError) => Effect.logDebug("a TLS handshake failed", error))
    const metrics = yield* currentRecorder
    const transport = tlsTransport({
      contexts,
      handshakes: new Handshakes(maxHandshakes),
      handshakeTimeout: handshakeTimeoutOf(options),
      clientCertificates,
      onHandshakeError: (error) => {
        metrics.tlsHandshakeFailed()
        // `report` may throw, and this is called by an event of a socket.
        Runtime.runFork(runtime)(Effect.suspend(() => report(error)))
      }
    })
    return { transport, reload: contexts.load }
  })

const securityOf = ({ tls }: ListenOptions): Effect.Effect<Security, SslError | ValueError, Scope.Scope> =>
  tls === undefined ? Effect.succeed({ transport: plain, reload: undefined }) : secure(tls)

const proxyProtocolOf = ({ proxyProtocol }: ListenOptions): Effect.Effect<ProxyProtocol | undefined> =>
  Effect.gen(function* () {
    if (proxyProtocol === undefined) return undefined
    const runtime = yield* Effect.runtime<never>()
    const metrics = yield* currentRecorder
    return new ProxyProtocol(proxyProtocol, (reason, peer) => {
      metrics.proxyHeaderRefused()
      const client = Option.match(peer, { onNone: () => "unknown", onSome: toAuthority })
      const log = Effect.annotateLogs(Effect.logDebug(`no PROXY protocol header: ${reason}`), { peer: client })
      Runtime.runFork(runtime)(log)
    })
  })

/** Listens until the scope closes; pending connections are then rejected with 503. */
export const listen = (
  options: ListenOptions,
  budget: Budget
): Effect.Effect<BoundListener, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* validate(options)
    const { reload, transport } = yield* securityOf(options)
    yield* budget.refreshLimit
    const scope = yield* Effect.scope
    const proxyProtocol = yield* proxyProtocolOf(options)
    const sockets = new AcceptedSockets(budget, options.onFull, transport, yield* currentRecorder, proxyProtocol)
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, highWaterMark }, sockets.onSocket)
    const closed = Effect.sync(() => {
      // Closes the listening descriptor synchronously; the callback would wait for all connections.
      server.close()
      sockets.close()
    })
    const opened = Effect.suspend(() => {
      sockets.open()
      return Scope.addFinalizer(scope, closed)
    })
    yield* bind(server, options, opened)
    server.on("error", (cause: NodeJS.ErrnoException) => sockets.fail(osError(cause, "accept")))
    const address = addressOf(server, options)
    if (isUnix(address)) sockets.unixAddress = Option.some(address)
    return {
      address,
      accept: sockets.pending.take,
      acceptWhile: (isOpen, take) => sockets.pending.acceptWhile(isOpen, take),
      pending: Effect.sync(() => sockets.pending.size),
      rejected: Effect.sync(() => sockets.rejected),
      hasProxyProtocol: proxyProtocol !== undefined,
      reloadTls: reload
    }
  })
