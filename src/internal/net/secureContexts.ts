/** The secure contexts of a listener: its credentials, checked and compiled, and exchanged as a whole by a reload. */
import { constants, createHash, createPrivateKey, type KeyObject, randomBytes, X509Certificate } from "node:crypto"
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { SslError } from "../../Errors.js"
import type { Credentials, KeyPair, Options, Pem } from "../../Tls.js"

/** Mozilla's "intermediate" configuration: forward secrecy and authenticated encryption, for TLS 1.2 and 1.3. */
const defaultCiphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305"
].join(":")

const plainText = <A>(value: A | Redacted.Redacted<A>): A =>
  Redacted.isRedacted(value) ? Redacted.value(value) : value

const pemOf = (pem: Pem): string | Buffer => {
  if (Redacted.isRedacted(pem)) return Redacted.value(pem)
  return typeof pem === "string" ? pem : Buffer.from(pem)
}

const passphraseOf = ({ passphrase }: KeyPair): string | undefined =>
  passphrase === undefined ? undefined : plainText(passphrase)

const sslError = (cause: unknown): SslError =>
  new SslError({ code: (cause as { readonly code?: string } | undefined)?.code ?? "UNKNOWN", cause })

const mismatch = (name: string): SslError =>
  new SslError({
    code: "ERR_OSSL_X509_KEY_VALUES_MISMATCH",
    cause: new Error(`the key of ${name} is not that of its certificate`)
  })

/** A key and certificate that belong together; `createSecureContext` accepts others, with which every handshake fails. */
interface Checked {
  readonly name: string
  readonly pair: KeyPair
  readonly key: KeyObject
}

const check = (name: string, pair: KeyPair): Effect.Effect<Checked, SslError> =>
  Effect.flatMap(
    Effect.try({
      try: () => {
        const passphrase = passphraseOf(pair)
        const key = createPrivateKey({ key: pemOf(pair.key), ...(passphrase === undefined ? {} : { passphrase }) })
        return { key, isPair: new X509Certificate(pemOf(pair.cert)).checkPrivateKey(key) }
      },
      catch: sslError
    }),
    ({ isPair, key }) => (isPair ? Effect.succeed({ name, pair, key }) : mismatch(name))
  )

/** The certificates of authorities: `createSecureContext` ignores what is no certificate, and would then trust none. */
const checkAuthorities = (ca: Credentials["ca"]): Effect.Effect<ReadonlyArray<string | Buffer> | undefined, SslError> =>
  Effect.try({
    try: () => {
      if (ca === undefined) return undefined
      const authorities = (Array.isArray(ca) ? ca : [ca]).map(pemOf)
      for (const each of authorities) void new X509Certificate(each)
      return authorities
    },
    catch: sslError
  })

/**
 * Before Node 24 the certificate of a host name is ignored, and the default sent, if its key is of another type. Bun and Deno,
 * which report Node 26, select it.
 */
const selectsAnyKeyType = (): boolean => Number.parseInt(process.versions.node, 10) >= 24

const checkKeyTypes = (checked: ReadonlyArray<Checked>): Effect.Effect<void, SslError> => {
  const typeOf = ({ key }: Checked) => key.asymmetricKeyType
  const other = checked.find((each) => typeOf(each) !== typeOf(checked[0]!))
  if (other === undefined || selectsAnyKeyType()) return Effect.void
  const message = `the key of ${other.name} is ${typeOf(other)}, that of the default ${typeOf(checked[0]!)}: this needs Node 24, Bun or Deno`
  return new SslError({ code: "ENOTSUP", cause: new Error(message) })
}

/** The contexts of one load of the credentials. */
interface Contexts {
  readonly fallback: SecureContext
  readonly byName: ReadonlyMap<string, SecureContext>
}

/** Checks that names are host names, with at most one star, which is the first label. */
const invalidName = (names: ReadonlyArray<string>): string | undefined =>
  names.find((name) => !/^(\*\.)?([a-z0-9_-]+\.)*[a-z0-9_-]+$/i.test(name))

export class SecureContexts {
  private contexts: Contexts | undefined
  private readonly ticketKeys: Buffer
  /** The number of the last load that was begun, and of that whose credentials are in use. */
  private lastBegun = 0
  private lastUsed = 0

  constructor(private readonly options: Options) {
    // The same across reloads: new ones would end the resumption of sessions.
    this.ticketKeys = Buffer.from(options.ticketKeys === undefined ? randomBytes(48) : plainText(options.ticketKeys))
  }

  get fallback(): SecureContext {
    // `load` has succeeded before the listener is bound.
    return this.contexts!.fallback
  }

  /** Whether certificates are selected by name, which costs each handshake a callback. */
  get hasNames(): boolean {
    return this.contexts!.byName.size > 0
  }

  /** The context of a host name (RFC 6066 §3), or that of the others. */
  select(serverName: string): SecureContext {
    const { byName, fallback } = this.contexts!
    if (byName.size === 0) return fallback
    const name = serverName.toLowerCase().replace(/\.$/, "")
    return byName.get(name) ?? byName.get(name.replace(/^[^.]*/, "*")) ?? fallback
  }

  /**
   * Loads and checks the credentials, and exchanges those in use; a failure leaves them unchanged, and so does a load that
   * ends after one which was begun later.
   */
  readonly load: Effect.Effect<void, SslError> = Effect.suspend(() => {
    const { source } = this.options
    const load = ++this.lastBegun
    return Effect.flatMap(source === undefined ? Effect.succeed(this.options as Credentials) : source.load, (given) =>
      Effect.map(this.compile(given), (contexts) => {
        if (load < this.lastUsed) return
        this.lastUsed = load
        this.contexts = contexts
      })
    )
  })

  private compile(given: Credentials): Effect.Effect<Contexts, SslError> {
    const named = Object.entries(given.certificates ?? {})
    const invalid = invalidName(named.map(([name]) => name))
    if (invalid !== undefined) return new SslError({ code: "EINVAL", cause: new Error(`not a host name: ${invalid}`) })
    return Effect.gen(this, function* () {
      const pair = yield* check("the default certificate", given)
      const others = yield* Effect.forEach(named, ([name, each]) => check(name, each))
      yield* checkKeyTypes([pair, ...others])
      const authorities = yield* checkAuthorities(given.ca)
      const fallback = yield* this.context(pair, authorities)
      const byName = yield* Effect.forEach(others, (each) =>
        Effect.map(this.context(each, authorities), (context) => [each.name.toLowerCase(), context] as const)
      )
      return { fallback, byName: new Map(byName) }
    })
  }

  /**
   * Identifies the sessions that may be resumed: those of servers with the same ticket keys, whose client certificates were
   * verified by the same authorities. A resumption does not verify them again; without an identifier it fails.
   */
  private sessionIdContext(authorities: ReadonlyArray<string | Buffer> | undefined): string {
    const { clientCertificates = "ignore" } = this.options
    const hash = createHash("sha256").update(this.ticketKeys).update(clientCertificates)
    if (clientCertificates !== "ignore") for (const each of authorities ?? ["default"]) hash.update("\0").update(each)
    // At most 32 bytes.
    return hash.digest("hex").slice(0, 32)
  }

  private context(
    { pair }: Checked,
    authorities: ReadonlyArray<string | Buffer> | undefined
  ): Effect.Effect<SecureContext, SslError> {
    const { ciphers = defaultCiphers, minVersion = "TLSv1.2" } = this.options
    const passphrase = passphraseOf(pair)
    const options: SecureContextOptions = {
      key: pemOf(pair.key),
      cert: pemOf(pair.cert),
      minVersion,
      ciphers,
      sessionIdContext: this.sessionIdContext(authorities),
      // A renegotiation of TLS 1.2 is a handshake that no bound counts.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ticketKeys: this.ticketKeys,
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(authorities === undefined ? {} : { ca: [...authorities] })
    }
    return Effect.try({ try: () => createSecureContext(options), catch: sslError })
  }
}
