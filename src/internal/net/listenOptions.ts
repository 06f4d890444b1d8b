/** Validation of the options of `Listener.listen`, before any system call, and resolution of a host name. */
import cluster from "node:cluster"
import { lookup } from "node:dns/promises"
import { isIP } from "node:net"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { OSError, ValueError } from "../../Errors.js"
import type { ListenOptions } from "../../Listener.js"
import { isTimeout } from "../limits.js"
import { invalidNetwork } from "./trustedNetworks.js"

export const osError = (cause: NodeJS.ErrnoException, syscall: string): OSError =>
  new OSError({ code: cause.code ?? "UNKNOWN", syscall: cause.syscall ?? syscall, cause })

const unsupported = (syscall: string, message: string): OSError =>
  new OSError({ code: "ENOTSUP", syscall, cause: new Error(message) })

/** Systems whose kernels balance connections among the sockets of one port; libuv rejects the option on others. */
const balancingSystems: ReadonlyArray<string> = ["linux", "freebsd", "sunos", "aix"]

/** `SO_REUSEPORT` came to `node:net` with 22.12 and 23.1. */
const hasReusePort = (): boolean => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  return (
    balancingSystems.includes(process.platform) &&
    (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12))
  )
}

/** Whether a listener sets `SO_REUSEPORT`: with `"auto"` where it can, since workers of `node:cluster` share without it. */
export const setsReusePort = ({ reusePort }: ListenOptions): boolean =>
  reusePort === "auto" ? hasReusePort() : reusePort

/** Maximum bytes of a path in `sockaddr_un`, less the NUL: 108 on Linux and Windows, 104 on macOS and the BSDs. */
const maxPath = process.platform === "linux" || process.platform === "win32" ? 107 : 103

const isAbstract = (path: string): boolean => path.startsWith("\0")

type Invalid = OSError | ValueError | undefined

const invalidPath = (path: string, { mode, reusePort }: ListenOptions): Invalid => {
  if (path === "" || path.includes("\0", 1)) return new ValueError({ reason: "Address", actual: path })
  if (isAbstract(path) && process.platform !== "linux")
    return unsupported("listen", "abstract sockets are a feature of Linux")
  // libuv truncates a longer path without an error: the socket would be at another path.
  if (Buffer.byteLength(path) > maxPath)
    return new OSError({ code: "ENAMETOOLONG", syscall: "listen", cause: new Error(`at most ${maxPath} bytes`) })
  const isMode = mode === undefined || (Number.isInteger(mode) && mode >= 0 && mode <= 0o777)
  if (!isMode || (mode !== undefined && isAbstract(path)))
    return new ValueError({ reason: "Option", actual: `mode: ${mode}` })
  return reusePort ? unsupported("setsockopt", "SO_REUSEPORT is for TCP") : undefined
}

const invalidDescriptor = (fd: number, { path }: ListenOptions): Invalid => {
  if (!Number.isInteger(fd) || fd < 0) return new ValueError({ reason: "Option", actual: `fd: ${fd}` })
  return path === undefined ? undefined : new ValueError({ reason: "Option", actual: `fd: ${fd}, with a path` })
}

const invalidTcp = ({ address, domain, port, reuseAddr, reusePort }: ListenOptions): Invalid => {
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    return new ValueError({ reason: "Port", actual: String(port) })
  const version = isIP(address)
  if (version !== 0 && domain !== "Dual" && version !== (domain === "IPv4" ? 4 : 6))
    return new ValueError({ reason: "Address", actual: address })
  // Neither an address nor a host name.
  if (version === 0 && /^[0-9.]+$|[\s/:\0]/.test(address)) return new ValueError({ reason: "Address", actual: address })
  if (!reuseAddr) return unsupported("setsockopt", "this runtime always sets SO_REUSEADDR")
  if (reusePort === false || hasReusePort() || (reusePort === "auto" && cluster.isWorker)) return undefined
  return unsupported(
    "setsockopt",
    'SO_REUSEPORT needs Node 22.12 or 23.1, on Linux, FreeBSD, SunOS or AIX; elsewhere "auto" needs a worker of node:cluster'
  )
}

/** A duration that a timer of the system can have. */
const isTimer = (timeout: Duration.DurationInput): boolean => isTimeout(timeout) && Duration.toMillis(timeout) < 2 ** 31

const invalidProxyProtocol = ({ proxyProtocol }: ListenOptions): Invalid => {
  if (proxyProtocol === undefined) return undefined
  const { timeout, trusted } = proxyProtocol
  const network = invalidNetwork(trusted)
  if (network !== undefined) return new ValueError({ reason: "Option", actual: `proxyProtocol.trusted: ${network}` })
  return timeout === undefined || isTimer(timeout)
    ? undefined
    : new ValueError({ reason: "Option", actual: `proxyProtocol.timeout: ${String(timeout)}` })
}

const invalidIn = (options: ListenOptions): Invalid => {
  const invalid = invalidProxyProtocol(options)
  if (invalid !== undefined) return invalid
  if (options.fd !== undefined) return invalidDescriptor(options.fd, options)
  return options.path === undefined ? invalidTcp(options) : invalidPath(options.path, options)
}

export const validate = (options: ListenOptions): Effect.Effect<void, OSError | ValueError> =>
  Effect.suspend((): Effect.Effect<void, OSError | ValueError> => invalidIn(options) ?? Effect.void)

const families = { IPv4: 4, IPv6: 6, Dual: 0 } as const

/** The address to bind: "" is the unspecified address of the domain; a name is resolved in the domain alone. */
export const resolve = ({ address, domain }: ListenOptions): Effect.Effect<string, OSError> => {
  if (address === "") return Effect.succeed(domain === "IPv4" ? "0.0.0.0" : "::")
  if (isIP(address) !== 0) return Effect.succeed(address)
  return Effect.map(
    Effect.tryPromise({
      try: () => lookup(address, { family: families[domain] }),
      catch: (cause) => osError(cause as NodeJS.ErrnoException, "getaddrinfo")
    }),
    (found) => found.address
  )
}
