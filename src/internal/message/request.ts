/** The implementation of `Request`. */
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import { isTcp, toAuthority } from "../../Address.js"
import { ValueError } from "../../Errors.js"
import type { HttpHeaders } from "../../HttpHeaders.js"
import type { HttpMethod } from "../../HttpMethod.js"
import type { HttpVersion } from "../../HttpVersion.js"
import type { Client, Request } from "../../Request.js"
import { type Fields, fromRequest, indexOf, rawFieldsOf } from "../fields/headers.js"
import type { RequestHead } from "../http1/requestHead.js"
import { type Exchange, ExchangeKey } from "./exchange.js"
import { type Origin, originOf, type TrustedProxies } from "./forwarded.js"

/** The parts of a request head that are visible to a handler. */
type VisibleHead = Pick<RequestHead, "method" | "target" | "url" | "authority" | "version" | "fields">

/** Whether a target contains an authority: absolute-form, and the authority-form of CONNECT (RFC 9112 §3.2). */
const hasAuthority = (target: string): boolean => !target.startsWith("/") && target !== "*"

/**
 * The fields of a request whose target contains an authority, which replaces the Host that was sent (RFC 9112 §3.2.2): an
 * application that reads Host gets the effective one.
 */
const withHost = (fields: Fields, authority: string): Fields => {
  const at = indexOf(fields, "host")
  return at < 0 ? ["Host", authority, ...fields] : fields.map((each, i) => (i === at + 1 ? authority : each))
}

const headersOf = ({ authority, fields, target }: VisibleHead): HttpHeaders =>
  fromRequest(hasAuthority(target) ? () => withHost(fields(), authority) : fields)

export const parseJson = (text: string): Effect.Effect<unknown, ValueError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(JSON.parse(text))
    } catch {
      return new ValueError({ reason: "Json", actual: text })
    }
  })

/** The connection of a request, as far as a handler sees it. */
export interface ClientConnection extends Omit<Client, "tls"> {
  /** Absent from a transport without TLS. */
  readonly tls?: Client["tls"]
  readonly scheme?: Request["scheme"]
}

/** The scheme of the requests on a connection, as far as the connection determines it. */
export const schemeOf = ({ scheme, tls }: ClientConnection): Request["scheme"] =>
  scheme ?? (tls !== undefined && Option.isSome(tls) ? "https" : "http")

/** The IP address of the peer. */
const remoteAddressOf = ({ remote }: ClientConnection): Option.Option<string> =>
  Option.filterMap(remote, (address) => (isTcp(address) ? Option.some(address.hostname) : Option.none()))

/** The public view of a connection: its id, addresses and session, without access to the connection. */
class ClientImpl extends Inspectable.Class implements Client {
  readonly id: number

  constructor(private readonly connection: () => ClientConnection) {
    super()
    this.id = connection().id
  }

  get local() {
    return this.connection().local
  }

  get remote() {
    return this.connection().remote
  }

  get tls() {
    return this.connection().tls ?? Option.none()
  }

  toJSON(): unknown {
    const format = (address: Client["local"]): string | null =>
      Option.match(address, { onNone: () => null, onSome: toAuthority })
    return { _id: "Client", id: this.id, local: format(this.local), remote: format(this.remote) }
  }
}

/** Whether a value is a request of any instance of this package. */
export const isRequest = (value: unknown): value is Request => hasProperty(value, ExchangeKey)

/** Everything but the exchange is read from the head on demand: a small handler reads two or three properties. */
export class RequestImpl extends Inspectable.Class implements Request {
  private headersCache: HttpHeaders | undefined
  private clientCache: Client | undefined
  readonly [ExchangeKey]: Exchange

  constructor(
    protected readonly head: VisibleHead,
    protected readonly connection: ClientConnection,
    exchange: Exchange
  ) {
    super()
    this[ExchangeKey] = exchange
  }

  get method(): HttpMethod {
    return this.head.method
  }

  get url(): string {
    return this.head.url
  }

  get originalUrl(): string {
    return this.head.target
  }

  get path(): string {
    const mark = this.head.url.indexOf("?")
    return mark < 0 ? this.head.url : this.head.url.slice(0, mark)
  }

  get query(): string {
    const mark = this.head.url.indexOf("?")
    return mark < 0 ? "" : this.head.url.slice(mark + 1)
  }

  get host(): string {
    return this.head.authority
  }

  get scheme(): Request["scheme"] {
    return schemeOf(this.connection)
  }

  get version(): HttpVersion {
    return this.head.version
  }

  get headers(): HttpHeaders {
    return (this.headersCache ??= headersOf(this.head))
  }

  get client(): Client {
    return (this.clientCache ??= new ClientImpl(() => this.connection))
  }

  get remoteAddress(): Option.Option<string> {
    return remoteAddressOf(this.connection)
  }

  get bytes(): Effect.Effect<Buffer, ValueError> {
    // The parser enforces `maxBody`.
    return this[ExchangeKey].readBody(Number.POSITIVE_INFINITY)
  }

  get text(): Effect.Effect<string, ValueError> {
    return Effect.map(this.bytes, (bytes) => bytes.toString("utf8"))
  }

  get json(): Effect.Effect<unknown, ValueError> {
    return Effect.flatMap(this.text, parseJson)
  }

  get stream() {
    return this[ExchangeKey].bodyStream
  }

  get trailers() {
    return this[ExchangeKey].trailers
  }

  toJSON(): unknown {
    return {
      _id: "Request",
      method: this.method,
      url: this.url,
      version: this.version.original,
      headers: this.headers.toJSON(),
      client: this.connection.id
    }
  }
}

/** The client of a request as the connection has it. */
const directOrigin = (head: Pick<VisibleHead, "authority">, connection: ClientConnection): Origin => ({
  remoteAddress: remoteAddressOf(connection),
  host: head.authority,
  scheme: schemeOf(connection)
})

/** The scheme of a request, before there is one. */
export const effectiveSchemeOf = (
  head: Pick<VisibleHead, "authority" | "fields">,
  connection: ClientConnection,
  proxies: TrustedProxies | undefined
): Request["scheme"] =>
  proxies === undefined
    ? schemeOf(connection)
    : originOf(head.fields(), connection, directOrigin(head, connection), proxies).scheme

/** A request to a server that trusts proxies: its client, host and scheme are what they report, computed on demand. */
class ForwardedRequest extends RequestImpl {
  private originCache: Origin | undefined

  constructor(
    head: VisibleHead,
    connection: ClientConnection,
    exchange: Exchange,
    private readonly proxies: TrustedProxies
  ) {
    super(head, connection, exchange)
  }

  private get origin(): Origin {
    const { connection, head, headers, proxies } = this
    return (this.originCache ??= originOf(rawFieldsOf(headers), connection, directOrigin(head, connection), proxies))
  }

  override get remoteAddress(): Option.Option<string> {
    return this.origin.remoteAddress
  }

  override get host(): string {
    return this.origin.host
  }

  override get scheme(): Request["scheme"] {
    return this.origin.scheme
  }
}

/** Whether the server of a request says which proxies it trusts, so that its scheme is known to be true. */
export const hasTrustedProxies = (request: Request): boolean => request instanceof ForwardedRequest

export const makeRequest = (
  head: VisibleHead,
  connection: ClientConnection,
  exchange: Exchange,
  proxies: TrustedProxies | undefined
): Request =>
  proxies === undefined
    ? new RequestImpl(head, connection, exchange)
    : new ForwardedRequest(head, connection, exchange, proxies)
