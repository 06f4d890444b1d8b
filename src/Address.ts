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
 * The path of a Unix domain socket. A path that begins with a NUL byte is an abstract name of Linux, which is no file. A
 * client of such a socket has no address of its own: its path is "".
 *
 * @since 0.1.0
 * @category models
 */
export interface UnixAddress {
  readonly _tag: "UnixAddress"
  readonly path: string
}

/**
 * Any address a server can listen on. Match on `_tag`: later versions may add members.
 *
 * @since 0.1.0
 * @category models
 */
export type Address = TcpAddress | UnixAddress

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

/**
 * Makes the address of a Unix domain socket.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unix = (path: string): UnixAddress => ({ _tag: "UnixAddress", path })

/**
 * Whether an address is a TCP address.
 *
 * @since 0.1.0
 * @category refinements
 */
export const isTcp = (address: Address): address is TcpAddress => address._tag === "TcpAddress"

/**
 * Whether an address is that of a Unix domain socket.
 *
 * @since 0.1.0
 * @category refinements
 */
export const isUnix = (address: Address): address is UnixAddress => address._tag === "UnixAddress"

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
 * URL by which a client on this machine reaches an address, without a trailing slash. That of a Unix domain socket has the
 * scheme `http+unix`, and its path, percent-encoded, as its host; several clients accept this form.
 *
 * @example
 * ```ts
 * import { Address } from "effect-asynchttpserver"
 *
 * console.log(Address.toUrl(Address.tcp("0.0.0.0", 8080, "IPv4")))
 * // http://127.0.0.1:8080
 * console.log(Address.toUrl(Address.tcp("::1", 8443, "IPv6"), "https"))
 * // https://[::1]:8443
 * console.log(Address.toUrl(Address.unix("/run/app.sock")))
 * // http+unix://%2Frun%2Fapp.sock
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const toUrl = (address: Address, scheme: "http" | "https" = "http"): string =>
  address._tag === "UnixAddress"
    ? `${scheme}+unix://${encodeURIComponent(address.path)}`
    : `${scheme}://${urlHost(address)}:${address.port}`

/**
 * An address as `host:port`, with brackets around an IPv6 host, or as `unix:path`, with `@` for the NUL byte of an abstract
 * name. The unspecified address is kept as it is.
 *
 * @example
 * ```ts
 * import { Address } from "effect-asynchttpserver"
 *
 * console.log(Address.toAuthority(Address.tcp("::1", 8080, "IPv6")))
 * // [::1]:8080
 * console.log(Address.toAuthority(Address.unix("\0app")))
 * // unix:@app
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const toAuthority = (address: Address): string => {
  if (address._tag === "UnixAddress") return `unix:${address.path.replace(/^\0/, "@")}`
  const { family, hostname, port } = address
  return family === "IPv6" ? `[${hostname}]:${port}` : `${hostname}:${port}`
}
