/** The places where a server listens: its options, and the type of its address for each kind of place. */
import type * as Effect from "effect/Effect"
import type { Address, Domain, TcpAddress, UnixAddress } from "../../Address.js"
import type { ListenError, ProxyProtocol } from "../../Listener.js"
import type * as Tls from "../../Tls.js"

/**
 * Where to listen: at a TCP address (`port`, `address`, `domain`), at a `path`, or on a descriptor (`fd`). An option that is
 * not given is taken from the options of the server, and then from the default; where a place is given, that of the server is
 * not used.
 */
export interface ListenOptions {
  /**
   * The TCP port, 0 to 65535; any other is a `ValueError` `Port`. Default: 0, with which the system assigns a free port (see
   * `Server.port`).
   */
  readonly port?: number | undefined
  /**
   * An IP address of the domain, or a host name that resolves to one; a malformed one, or one of another domain, is a
   * `ValueError` `Address`. Default: "", all addresses of the domain.
   */
  readonly address?: string | undefined
  /**
   * The address family: `"IPv4"` (default); `"IPv6"`, without IPv4; or `"Dual"`: without an address one socket for both
   * (IPv4 alone on a host without IPv6), with an address of either family that address.
   */
  readonly domain?: Domain | "Dual" | undefined
  /**
   * The path of a Unix domain socket, instead of a TCP address; on Linux an abstract name begins with a NUL byte (before Node
   * 22 it is padded with others, so that only programs of libuv find it). The file of a process that has ended is replaced; if a process accepts connections there, `listen` fails with `OSError` `EADDRINUSE`.
   * The file is removed when the server closes.
   */
  readonly path?: string | undefined
  /** Permission bits of the file at `path`, as `0o660`. Default: those of the process's umask. */
  readonly mode?: number | undefined
  /** A descriptor that listens already, as from systemd (see `TcpListener.systemdDescriptors`), instead of an address. */
  readonly fd?: number | undefined
  /** Length of the system's queue of connections that are not accepted yet. Default: 511, as in Node and nginx. */
  readonly backlog?: number | undefined
  /** TLS on every connection: certificates, or where they come from, and the policy of handshakes. Default: none. */
  readonly tls?: Tls.Options | undefined
  /**
   * The PROXY protocol: each connection begins with a header by which a trusted proxy reports the addresses of its client, before
   * TLS and HTTP. Default: none.
   */
  readonly proxyProtocol?: ProxyProtocol | undefined
  /**
   * Further places to listen at, each with its own `tls` and `proxyProtocol`; the server listens at all of them or fails.
   * Default: none.
   */
  readonly additional?: ReadonlyArray<Omit<ListenOptions, "additional">> | undefined
}

/** Options that contain a TCP address. */
type TcpPlace = { readonly path?: undefined; readonly fd?: undefined } & (
  | { readonly port: number }
  | { readonly address: string }
  | { readonly domain: Domain | "Dual" }
)

/** Listening: where the options name a place, the type of the address is known. */
export interface Listen<R> {
  /** At a path. */
  (options: ListenOptions & { readonly path: string }): Effect.Effect<UnixAddress, ListenError, R>
  /** At a TCP address. */
  (options: ListenOptions & TcpPlace): Effect.Effect<TcpAddress, ListenError, R>
  /** Where the options of the server say. */
  (options?: ListenOptions): Effect.Effect<Address, ListenError, R>
}
