/**
 * Addresses of servers and clients.
 *
 * @since 0.1.0
 */

/**
 * Address family of TCP: the original's `AF_INET` and `AF_INET6`.
 *
 * @since 0.1.0
 * @category models
 */
export type Domain = "IPv4" | "IPv6"

/**
 * IP address and port, as the system reports them.
 *
 * @since 0.1.0
 * @category models
 */
export interface TcpAddress {
  readonly _tag: "TcpAddress"
  readonly hostname: string
  readonly port: number
  readonly family: Domain
}

/**
 * Any address a server can listen on. Match on `_tag`: later versions may add members.
 *
 * @since 0.1.0
 * @category models
 */
export type Address = TcpAddress

/**
 * Makes a TCP address.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tcp = (hostname: string, port: number, family: Domain): TcpAddress => ({
  _tag: "TcpAddress",
  hostname,
  port,
  family
})

/** Host of a URL. The unspecified address cannot be connected to: clients on this machine use loopback instead. */
const urlHost = (address: TcpAddress): string =>
  address.hostname === "0.0.0.0"
    ? "127.0.0.1"
    : address.hostname === "::"
      ? "[::1]"
      : address.family === "IPv6"
        ? `[${address.hostname}]`
        : address.hostname

/**
 * URL by which a client on this machine reaches an address, without a trailing slash.
 *
 * @example
 * ```ts
 * import { Address } from "effect-asynchttpserver"
 *
 * console.log(Address.toUrl(Address.tcp("0.0.0.0", 8080, "IPv4")))
 * // http://127.0.0.1:8080
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const toUrl = (address: Address): string => `http://${urlHost(address)}:${address.port}`

/**
 * An address as `host:port`, with brackets around an IPv6 host. The unspecified address is kept as it is.
 *
 * @example
 * ```ts
 * import { Address } from "effect-asynchttpserver"
 *
 * console.log(Address.toAuthority(Address.tcp("::1", 8080, "IPv6")))
 * // [::1]:8080
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const toAuthority = ({ family, hostname, port }: Address): string =>
  family === "IPv6" ? `[${hostname}]:${port}` : `${hostname}:${port}`
