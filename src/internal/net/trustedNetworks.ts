/**
 * A set of trusted networks: IP addresses, CIDR networks, and the names `loopback`, `private` and `unix`.
 */
import { BlockList, isIP, isIPv6 } from "node:net"
import * as Option from "effect/Option"
import { type Address, isTcp, isUnix } from "../../Address.js"

/** RFC 1122 §3.2.1.3 and RFC 4291 §2.5.3; RFC 1918 and RFC 4193. */
const namedNetworks: Readonly<Record<string, ReadonlyArray<string>>> = {
  loopback: ["127.0.0.0/8", "::1"],
  private: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
  unix: []
}

/** `address` or `address/prefix`, without a zone. */
const isNetwork = (text: string): boolean => {
  const [address = "", prefix, ...rest] = text.split("/")
  const version = address.includes("%") ? 0 : isIP(address)
  if (version === 0 || rest.length > 0) return false
  return prefix === undefined || (/^(0|[1-9][0-9]{0,2})$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128))
}

/** The first of the networks that is invalid, or the whole value if it is no list. */
export const invalidNetwork = (networks: unknown): string | undefined => {
  if (!Array.isArray(networks)) return String(networks)
  const invalid: unknown = networks.find((each) => !(Object.hasOwn(namedNetworks, each) || isNetwork(String(each))))
  return invalid === undefined ? undefined : String(invalid)
}

/** The addresses of a connection. */
interface Ends {
  readonly local: Option.Option<Address>
  readonly remote: Option.Option<Address>
}

export class TrustedNetworks {
  private readonly networks = new BlockList()
  private readonly includesUnix: boolean

  /** The networks must be valid. */
  constructor(networks: ReadonlyArray<string>) {
    this.includesUnix = networks.includes("unix")
    for (const each of networks.flatMap((name) => namedNetworks[name] ?? [name])) this.add(each)
  }

  private add(network: string): void {
    const [address = "", prefix] = network.split("/")
    const family = isIPv6(address) ? "ipv6" : "ipv4"
    if (prefix === undefined) this.networks.addAddress(address, family)
    else this.networks.addSubnet(address, Number(prefix), family)
  }

  /** Whether an IP address is in one of the networks; the zone of a link-local address is ignored. */
  readonly includes = (hostname: string): boolean => {
    const address = hostname.replace(/%.*$/, "")
    const version = isIP(address)
    return version !== 0 && this.networks.check(address, version === 6 ? "ipv6" : "ipv4")
  }

  /** Whether the peer of a connection is trusted. The client of a Unix domain socket has no address of its own. */
  readonly includesPeer = ({ local, remote }: Ends): boolean => {
    if (Option.isSome(remote)) return isTcp(remote.value) && this.includes(remote.value.hostname)
    return this.includesUnix && Option.exists(local, isUnix)
  }
}
