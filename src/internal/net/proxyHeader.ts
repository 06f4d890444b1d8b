/**
 * Parser of the PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy): the header before the first byte of a
 * connection, by which a proxy reports the addresses of its client.
 *
 * The parser reads from the beginning each time: a header is short, and arrives in one segment nearly always. It is strict,
 * as the specification requires: a receiver must not guess whether there is a header.
 *
 * @internal
 */
import { type Address, type TcpAddress, tcp, unix } from "../../Address.js"
import { parseIpAddress } from "../fields/ipAddress.js"

/** The addresses of the client and of the proxy's own socket, as the proxy reports them. */
export interface ProxiedAddresses {
  readonly remote: Address
  readonly local: Address
}

export interface ProxyHeader {
  readonly _tag: "ProxyHeader"
  /** The number of its bytes. */
  readonly length: number
  /** `undefined` for a connection of the proxy itself (`LOCAL`), and for a client without a known address (`UNKNOWN`). */
  readonly addresses: ProxiedAddresses | undefined
  /** Whether the client has connected to the proxy by TLS. */
  readonly isSecure: boolean
}

interface MalformedHeader {
  readonly _tag: "MalformedHeader"
  readonly reason: string
}

const malformed = (reason: string): MalformedHeader => ({ _tag: "MalformedHeader", reason })

export type ProxyResult = ProxyHeader | MalformedHeader | "NeedMore"

const header = (length: number, addresses?: ProxiedAddresses, isSecure = false): ProxyHeader => ({
  _tag: "ProxyHeader",
  length,
  addresses,
  isSecure
})

// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`.

const prefix1 = Buffer.from("PROXY ")

/** Maximum bytes of a line, CRLF included. */
const maxLine = 107

const isPort = (text: string): boolean => /^(0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65535

/** An address of the family; an IPv4-mapped one is of IPv6 in text. */
const addressIn = (protocol: "TCP4" | "TCP6", text: string, port: string): TcpAddress | undefined =>
  text.includes(":") === (protocol === "TCP6") ? parseIpAddress(text, Number(port)) : undefined

const parseLine = (line: string, length: number): ProxyResult => {
  const [protocol = "", ...parts] = line.split(" ")
  // What follows it must be ignored.
  if (protocol === "UNKNOWN") return header(length)
  if (protocol !== "TCP4" && protocol !== "TCP6") return malformed("an unknown protocol")
  const [source = "", destination = "", sourcePort = "", destinationPort = ""] = parts
  if (parts.length !== 4 || !isPort(sourcePort) || !isPort(destinationPort)) return malformed("an invalid port")
  const remote = addressIn(protocol, source, sourcePort)
  const local = addressIn(protocol, destination, destinationPort)
  return remote === undefined || local === undefined
    ? malformed("an invalid address")
    : header(length, { remote, local })
}

const parseVersion1 = (bytes: Buffer): ProxyResult => {
  const end = bytes.subarray(0, maxLine).indexOf("\r\n")
  if (end >= 0) return parseLine(bytes.toString("latin1", prefix1.length, end), end + 2)
  return bytes.length >= maxLine ? malformed("a line of more than 107 bytes") : "NeedMore"
}

// Version 2: binary.

const prefix2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1")

/** Signature, version and command, family and transport, length. */
const fixedLength = 16

/** Maximum bytes of a header: addresses take 232 at most, and the extensions of clouds and of TLS some hundreds. */
const maxHeader = 4096

const pathLength = 108

/** The path in a field of `sockaddr_un`, which NUL bytes fill up; an abstract name begins with one. */
const pathAt = (bytes: Buffer, from: number): Address => {
  const field = bytes.toString("latin1", from, from + pathLength)
  const end = field.indexOf("\0", 1)
  const path = end < 0 ? field : field.slice(0, end)
  return unix(path === "\0" ? "" : Buffer.from(path, "latin1").toString())
}

const ipv4At = (bytes: Buffer, from: number, port: number): Address =>
  tcp(Array.from(bytes.subarray(from, from + 4)).join("."), bytes.readUInt16BE(port), "IPv4")

const ipv6At = (bytes: Buffer, from: number, port: number): Address => {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(from + 2 * i).toString(16))
  // Eight groups are an address.
  return parseIpAddress(groups.join(":"), bytes.readUInt16BE(port))!
}

interface Family {
  readonly length: number
  readonly parse: (bytes: Buffer, from: number) => ProxiedAddresses
}

/** The address families by their numbers: AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX. */
const addressFamilies: ReadonlyArray<Family | undefined> = [
  undefined,
  {
    length: 12,
    parse: (bytes, from) => ({
      remote: ipv4At(bytes, from, from + 8),
      local: ipv4At(bytes, from + 4, from + 10)
    })
  },
  {
    length: 36,
    parse: (bytes, from) => ({
      remote: ipv6At(bytes, from, from + 32),
      local: ipv6At(bytes, from + 16, from + 34)
    })
  },
  {
    length: 2 * pathLength,
    parse: (bytes, from) => ({ remote: pathAt(bytes, from), local: pathAt(bytes, from + pathLength) })
  }
]

const sslType = 0x20

const clientSslFlag = 0x01

/** Walks the extensions, each of a type, a length and a value: whether one states TLS of the client. */
const isSecureBy = (bytes: Buffer, from: number, to: number): boolean | MalformedHeader => {
  let isSecure = false
  for (let at = from; at < to; ) {
    const value = at + 3
    const next = value <= to ? value + bytes.readUInt16BE(at + 1) : to + 1
    if (next > to) return malformed("an extension that is longer than the header")
    if (bytes[at] === sslType) isSecure ||= next > value && (bytes[value]! & clientSslFlag) !== 0
    at = next
  }
  return isSecure
}

/** A connection that the proxy makes by itself, for a health check. */
const local = 0

const proxied = 1

/** Unspecified, stream, datagram. The address of a client is valid whichever of them it has used. */
const maxTransport = 2

const parseVersion2 = (bytes: Buffer): ProxyResult => {
  const version = bytes[12]
  if (version !== undefined && version >> 4 !== 2) return malformed("an unknown version")
  const command = version === undefined ? proxied : version & 0x0f
  if (command !== local && command !== proxied) return malformed("an unknown command")
  if (bytes.length < fixedLength) return "NeedMore"
  const end = fixedLength + bytes.readUInt16BE(14)
  if (end > maxHeader) return malformed(`a header of more than ${maxHeader} bytes`)
  const family = bytes[13]! >> 4
  if (family >= addressFamilies.length || (bytes[13]! & 0x0f) > maxTransport) return malformed("an unknown protocol")
  const format = command === proxied ? addressFamilies[family] : undefined
  const extensions = fixedLength + (format?.length ?? 0)
  if (extensions > end) return malformed("addresses that are longer than the header")
  if (bytes.length < end) return "NeedMore"
  // Of any other header the content must be ignored.
  if (format === undefined) return header(end)
  const isSecure = isSecureBy(bytes, extensions, end)
  return typeof isSecure === "boolean" ? header(end, format.parse(bytes, fixedLength), isSecure) : isSecure
}

/** Whether the bytes begin with the prefix, as far as both reach. */
const mayBegin = (bytes: Buffer, prefix: Buffer): boolean => {
  const length = Math.min(bytes.length, prefix.length)
  return bytes.subarray(0, length).equals(prefix.subarray(0, length))
}

/** Parses the header at the beginning of the bytes. A wrong byte is malformed at once. */
export const parseProxyHeader = (bytes: Buffer): ProxyResult => {
  if (mayBegin(bytes, prefix1)) return bytes.length < prefix1.length ? "NeedMore" : parseVersion1(bytes)
  if (mayBegin(bytes, prefix2)) return bytes.length < prefix2.length ? "NeedMore" : parseVersion2(bytes)
  return malformed("no header")
}
