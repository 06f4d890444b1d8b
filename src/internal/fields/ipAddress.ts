/** Parser of IP addresses in text, into one canonical form. */
import { type TcpAddress, tcp } from "../../Address.js"

const ipv4 = /^(?:(?:0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])(?:\.(?!$)|$)){4}$/

/** An IPv4-mapped IPv6 address, as dual-stack sockets have it (RFC 4291 §2.5.5.2), in the form that `URL` writes. */
const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/

/** The form of RFC 5952, from the URL parser, whose grammar of IPv6 is that of RFC 4291, without zones. */
const canonicalIpv6 = (text: string): string | undefined => {
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text)) return undefined
  try {
    return new URL(`http://[${text}]`).hostname.slice(1, -1)
  } catch {
    return undefined
  }
}

/** The address of a text and a port; `undefined` if the text is no IP address. An IPv4-mapped address is that of IPv4. */
export const parseIpAddress = (text: string, port = 0): TcpAddress | undefined => {
  if (ipv4.test(text)) return tcp(text, port, "IPv4")
  const hostname = canonicalIpv6(text)
  if (hostname === undefined) return undefined
  const [, high, low] = mapped.exec(hostname) ?? []
  if (high === undefined || low === undefined) return tcp(hostname, port, "IPv6")
  const bytes = [high, low].map((group) => Number.parseInt(group, 16)).flatMap((group) => [group >> 8, group & 0xff])
  return tcp(bytes.join("."), port, "IPv4")
}
