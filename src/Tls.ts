/**
 * TLS for the listeners of a server: certificates and where they come from, the policy of handshakes, and what is known of an
 * encrypted connection.
 *
 * TLS 1.2 and 1.3, with the ciphers of Mozilla's "intermediate" configuration by default. ALPN offers `http/1.1` alone. The
 * key and the certificates come from values, from a `Config`, from files, or from any effect, and can be reloaded without
 * dropping a connection: connections that are open keep the certificate with which they began.
 *
 * @since 0.1.0
 */
import type { X509Certificate } from "node:crypto"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { SslError } from "./Errors.js"
import { type Files, fileChanges, loadFiles } from "./internal/host/tlsFiles.js"

/**
 * A key or certificates, in PEM. A `Redacted` value never appears in a log.
 *
 * @since 0.1.0
 * @category models
 */
export type Pem = string | Uint8Array | Redacted.Redacted<string>

/**
 * A private key and its certificate, followed by those of its intermediate authorities.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyPair {
  readonly key: Pem
  readonly cert: Pem
  /** The passphrase of an encrypted key. */
  readonly passphrase?: string | Redacted.Redacted<string> | undefined
}

/**
 * What a server proves its identity with, and the authorities whose client certificates it trusts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Credentials extends KeyPair {
  /**
   * Certificates by the host name that a client asks for (SNI, RFC 6066 §3): `"example.org"`, or `"*.example.org"` for one
   * label in the place of the star. Other names receive the certificate of `key` and `cert`.
   */
  readonly certificates?: Readonly<Record<string, KeyPair>> | undefined
  /** Authorities of client certificates. Default: those that Node trusts. */
  readonly ca?: Pem | ReadonlyArray<Pem> | undefined
}

/**
 * A source of credentials: loaded when the server listens, at each element of `changes`, and by `Server.reloadTls`. If a
 * reload fails, the error is logged, and the credentials stay as they were.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source {
  readonly load: Effect.Effect<Credentials, SslError>
  readonly changes: Stream.Stream<unknown>
}

/**
 * The policy of handshakes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policy {
  /**
   * `"ignore"` (default); `"request"`: a client may send a certificate, and `Session.clientCertificate` says whether it is
   * trusted; `"require"`: the handshake fails without a trusted one.
   */
  readonly clientCertificates?: "ignore" | "request" | "require" | undefined
  /** The lowest version of TLS. Default: 1.2. Lower ones are not supported. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
  /** The ciphers of TLS, in the format of OpenSSL. Default: those with forward secrecy and authenticated encryption. */
  readonly ciphers?: string | undefined
  /** Time for a handshake, from when the connection was admitted. Default: 10 seconds. */
  readonly handshakeTimeout?: Duration.DurationInput | undefined
  /**
   * Maximum handshakes in progress: each costs as much processor time as 40 small requests. Others are queued; meanwhile, a
   * handshake that its client delays for 100 milliseconds is not counted. Default: 64.
   */
  readonly maxHandshakes?: number | undefined
  /**
   * 48 bytes from which the keys of session tickets are derived: servers that share them resume each other's sessions, if
   * they request client certificates alike, of the same `ca`. Default: random, and kept across reloads.
   */
  readonly ticketKeys?: Uint8Array | Redacted.Redacted<Uint8Array> | undefined
  /** Receives the error of each failed handshake. Default: logged at level DEBUG. */
  readonly onHandshakeError?: ((error: SslError) => Effect.Effect<void>) | undefined
}

/**
 * The options of TLS: credentials or a source of them, and the policy.
 *
 * @example
 * ```ts
 * import { Config } from "effect"
 * import { Server } from "effect-asynchttpserver"
 *
 * // The key and the certificate in environment variables; the key is redacted.
 * const live = Server.layerConfig({
 *   port: Config.succeed(8443),
 *   tls: Config.all({ key: Config.redacted("TLS_KEY"), cert: Config.string("TLS_CERT") })
 * })
 * console.log(typeof live)
 * // object
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export type Options = (Credentials & Policy & { readonly source?: undefined }) | ({ readonly source: Source } & Policy)

/**
 * What a client has sent to prove its identity.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientCertificate {
  /** The certificate, in Node's class: `subject`, `subjectAltName`, `fingerprint256`, `raw` … */
  readonly x509: X509Certificate
  /** The subject's common name. */
  readonly commonName: Option.Option<string>
  /** Whether an authority of `ca` has issued it, and it is valid now. Always true with `"require"`. */
  readonly isTrusted: boolean
  /** Why it is not trusted: a code of OpenSSL such as `CERT_HAS_EXPIRED`. */
  readonly error: Option.Option<string>
}

/**
 * What is known of an encrypted connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session {
  /** `"TLSv1.2"` or `"TLSv1.3"`. */
  readonly protocol: string
  /** The name of the cipher, as in RFC 8446 or in the format of OpenSSL. */
  readonly cipher: string
  /** The host name that the client asked for (SNI). */
  readonly serverName: Option.Option<string>
  /** Whether the handshake resumed an earlier session. */
  readonly isResumed: boolean
  readonly clientCertificate: Option.Option<ClientCertificate>
}

/**
 * Makes a source of credentials.
 *
 * @example
 * ```ts
 * import { Effect, Schedule, Stream } from "effect"
 * import { Server, Tls } from "effect-asynchttpserver"
 *
 * // Loaded anew every hour.
 * const hourly = (load: Effect.Effect<Tls.Credentials>) =>
 *   Tls.source(load, { changes: Stream.fromSchedule(Schedule.spaced("1 hour")) })
 * const live = (load: Effect.Effect<Tls.Credentials>) => Server.layer({ port: 8443, tls: { source: hourly(load) } })
 * console.log(typeof live)
 * // function
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const source = (
  load: Effect.Effect<Credentials, SslError>,
  options: { readonly changes?: Stream.Stream<unknown> | undefined } = {}
): Source => ({ load, changes: options.changes ?? Stream.empty })

/**
 * Paths of files in PEM, and when they are read again.
 *
 * @since 0.1.0
 * @category models
 */
export interface FileOptions extends Files {
  /** How often the files are checked for a change: those of certbot, of Kubernetes and on network volumes. Default: never. */
  readonly checkInterval?: Duration.DurationInput | undefined
  /** A signal at which the files are read again, as `"SIGHUP"`. Default: none. */
  readonly reloadSignal?: NodeJS.Signals | undefined
}

/**
 * A source of credentials in files. A file that cannot be read is an `SslError` with the code of the system.
 *
 * @example
 * ```ts
 * import { Server, Tls } from "effect-asynchttpserver"
 *
 * const live = Server.layer({
 *   port: 8443,
 *   tls: {
 *     source: Tls.fromFiles({
 *       key: "/etc/letsencrypt/live/example.org/privkey.pem",
 *       cert: "/etc/letsencrypt/live/example.org/fullchain.pem",
 *       checkInterval: "1 minute",
 *       reloadSignal: "SIGHUP"
 *     })
 *   }
 * })
 * console.log(typeof live)
 * // object
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromFiles = (options: FileOptions): Source => source(loadFiles(options), { changes: fileChanges(options) })
