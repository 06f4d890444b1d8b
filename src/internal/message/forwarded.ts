/**
 * What trusted proxies report about the client of a request: `Forwarded` (RFC 7239), or `X-Forwarded-For`, `-Proto`, `-Host`
 * and `-Port`.
 *
 * Each proxy adds the address of its own peer at the right. So the fields are walked from the right, for as long as the address
 * is that of a trusted proxy: what is to the left of the first other address was sent by the client, and may be anything.
 *
 * One kind of fields is read, the one that the proxies are known to write: a proxy leaves the other kind as the client has
 * sent it. `X-Forwarded-Proto`, `-Host` and `-Port` count by their last member: if any trusted proxy writes it, by replacing
 * or by adding, it is one of theirs.
 */
import * as Option from "effect/Option"
import type { Connection } from "../../Connection.js"
import { splitList, trimOws } from "../fields/fieldList.js"
import { type Fields, isNamed } from "../fields/headers.js"
import { parseIpAddress } from "../fields/ipAddress.js"
import { isAuthority } from "../http1/authority.js"

/** The kind of fields that proxies write. */
export type ForwardedHeader = "x-forwarded" | "forwarded"

/** The proxies that a server trusts. */
export interface TrustedProxies {
  readonly header: ForwardedHeader
  /** Whether an IP address is that of a proxy. */
  readonly includes: (hostname: string) => boolean
  /** Whether the peer of a connection is a proxy. */
  readonly includesPeer: (connection: Pick<Connection, "local" | "remote">) => boolean
}

/** The client of a request, and what it has requested of the outermost proxy. */
export interface Origin {
  /** `None` if the proxy does not know the address, or hides it. */
  readonly remoteAddress: Option.Option<string>
  readonly host: string
  readonly scheme: "http" | "https"
}

/** The values of a field, the last line first. */
const linesOf = (fields: Fields, lower: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (let i = fields.length - 2; i >= 0; i -= 2) if (isNamed(fields[i]!, lower)) lines.push(fields[i + 1]!)
  return lines
}

/** Proxies write the schemes of WebSockets too. */
const schemes: Readonly<Record<string, Origin["scheme"]>> = { http: "http", https: "https", ws: "http", wss: "https" }

const schemeIn = (text: string | undefined): Origin["scheme"] | undefined => {
  const name = text?.toLowerCase() ?? ""
  return Object.hasOwn(schemes, name) ? schemes[name] : undefined
}

const hostIn = (text: string | undefined): string | undefined =>
  text !== undefined && text !== "" && isAuthority(text) ? text : undefined

/** `IPv4 [":" port]`, `IPv6`, or `"[" IPv6 "]" [":" port]`: the canonical address. */
const addressIn = (node: string): string | undefined => {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?$/.exec(node) ?? []
  const address = parseIpAddress(bracketed ?? plain ?? node)
  const isBracketedIpv4 = bracketed !== undefined && !bracketed.includes(":")
  return isBracketedIpv4 ? undefined : address?.hostname
}

/** An address that the proxy does not know, or hides (RFC 7239 §6.2, §6.3). */
const isHidden = (node: string): boolean =>
  /^(unknown|_[A-Za-z0-9._-]+)(:(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?$/i.test(node)

/** The walk from the peer of the connection to the client. */
class Walk {
  remoteAddress: Option.Option<string>

  constructor(
    peer: Option.Option<string>,
    private readonly includes: TrustedProxies["includes"]
  ) {
    this.remoteAddress = peer
  }

  /** Goes one proxy further; true if the address is that of another proxy. A malformed one ends the walk before it. */
  step(node: string): boolean {
    const address = addressIn(node)
    if (address === undefined) {
      if (isHidden(node)) this.remoteAddress = Option.none()
      return false
    }
    this.remoteAddress = Option.some(address)
    return this.includes(address)
  }
}

const originByXForwarded = (fields: Fields, direct: Origin, { includes }: TrustedProxies): Origin => {
  const walk = new Walk(direct.remoteAddress, includes)
  const members = linesOf(fields, "x-forwarded-for").flatMap((line) => splitList(line).slice().reverse())
  // Empty members of a list are ignored (RFC 9110 §5.6.1.2).
  members.every((member) => member === "" || walk.step(member))
  const last = (name: string): string | undefined => {
    const line = linesOf(fields, name)[0]
    return line === undefined ? undefined : trimOws(line, line.lastIndexOf(",") + 1)
  }
  const scheme = schemeIn(last("x-forwarded-proto")) ?? direct.scheme
  const host = hostIn(last("x-forwarded-host")) ?? direct.host
  return { remoteAddress: walk.remoteAddress, host: withPort(host, last("x-forwarded-port"), scheme), scheme }
}

const defaultPorts = { http: "80", https: "443" } as const

/** Adds a port to a host without one, unless it is the default of the scheme. */
const withPort = (host: string, port: string | undefined, scheme: Origin["scheme"]): string => {
  if (port === undefined || port === defaultPorts[scheme] || /:[0-9]*$/.test(host.replace(/^\[.*\]/, ""))) return host
  return host === "" || !/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > 65535 ? host : `${host}:${port}`
}

/**
 * The elements of a line of `Forwarded`, from the right. Quoted strings are recognized from the right, too: an open quote that
 * a client has sent cannot change the meaning of what a proxy has added after it.
 */
function* elementsOf(line: string): IterableIterator<string> {
  let end = line.length
  let isQuoted = false
  for (let i = line.length - 1; i >= 0; i--) {
    const character = line[i]
    if (character === '"') {
      let from = i
      while (line[from - 1] === "\\") from--
      if (!(isQuoted && (i - from) % 2 === 1)) isQuoted = !isQuoted
      i = from
    } else if (character === "," && !isQuoted) {
      yield trimOws(line, i + 1, end)
      end = i
    }
  }
  yield trimOws(line, 0, end)
}

/**
 * `token "=" (token / quoted-string)`. Several proxies write an address with a port, or one of IPv6, without its quotes: a
 * value without quotes may have `:`, `[` and `]`.
 */
const pair = /^[ \t]*(?:([!#$%&'*+.^`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^`|~\w:[\]-]+)))?[ \t]*(?:;|$)/

/** The parameters of an element by their names in lower case; `undefined` if it is malformed (RFC 7239 §4). */
const parametersOf = (element: string): ReadonlyMap<string, string> | undefined => {
  const parameters = new Map<string, string>()
  for (let rest = element; rest !== ""; ) {
    const [whole, name, quoted, token = ""] = pair.exec(rest) ?? []
    if (whole === undefined || (name !== undefined && parameters.has(name.toLowerCase()))) return undefined
    if (name !== undefined)
      parameters.set(name.toLowerCase(), quoted === undefined ? token : quoted.replace(/\\(.)/g, "$1"))
    rest = rest.slice(whole.length)
  }
  return parameters
}

function* forwardedElements(fields: Fields): IterableIterator<string> {
  for (const line of linesOf(fields, "forwarded")) yield* elementsOf(line)
}

const originByForwarded = (fields: Fields, direct: Origin, { includes }: TrustedProxies): Origin => {
  const walk = new Walk(direct.remoteAddress, includes)
  let { host, scheme } = direct
  for (const element of forwardedElements(fields)) {
    if (element === "") continue
    const parameters = parametersOf(element)
    if (parameters === undefined) break
    host = hostIn(parameters.get("host")) ?? host
    scheme = schemeIn(parameters.get("proto")) ?? scheme
    const node = parameters.get("for")
    if (node === undefined || !walk.step(node)) break
  }
  return { remoteAddress: walk.remoteAddress, host, scheme }
}

const origins = { "x-forwarded": originByXForwarded, forwarded: originByForwarded } as const

/** The client of a request: that of the connection, unless its peer is a trusted proxy. */
export const originOf = (
  fields: Fields,
  connection: Pick<Connection, "local" | "remote">,
  direct: Origin,
  proxies: TrustedProxies
): Origin => (proxies.includesPeer(connection) ? origins[proxies.header](fields, direct, proxies) : direct)
