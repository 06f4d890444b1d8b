/**
 * Binding of a `net.Server`: to a TCP address, to the path of a Unix domain socket, or to a descriptor that listens already.
 */
import { chmod, lstat, unlink } from "node:fs/promises"
import { createConnection, type ListenOptions as NodeOptions, type Server } from "node:net"
import { isMainThread } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { type Address, tcp, unix } from "../../Address.js"
import type { OSError } from "../../Errors.js"
import type { ListenOptions } from "../../Listener.js"
import { osError, resolve, setsReusePort } from "./listenOptions.js"

/**
 * Runs a synchronous bind under a umask that creates the file with no more than `mode`: between a bind and a `chmod`, other
 * users could connect. A worker thread cannot set the umask.
 */
const withUmask = (mode: number | undefined, run: () => void): void => {
  if (mode === undefined || !isMainThread) {
    run()
    return
  }
  const before = process.umask(0o777 & ~mode)
  try {
    run()
  } finally {
    process.umask(before)
  }
}

/** Completes when the server listens. */
const listen = (server: Server, options: NodeOptions, mode?: number): Effect.Effect<void, OSError> =>
  Effect.async<void, OSError>((resume) => {
    const onError = (cause: NodeJS.ErrnoException): void => resume(Effect.fail(osError(cause, "listen")))
    const onListening = (): void => {
      server.off("error", onError)
      resume(Effect.void)
    }
    server.once("error", onError)
    // Workers of `node:cluster` share the address, as with `node:http`; in any other process `exclusive` has no effect.
    withUmask(mode, () => void server.listen({ ...options, exclusive: false }, onListening))
  })

const isIPv6Unavailable = ({ code }: OSError): boolean => code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL"

/** `"Dual"` without an address falls back to IPv4 on a host without IPv6. */
const bindTcp = (server: Server, host: string, options: ListenOptions): Effect.Effect<void, OSError> => {
  const { address, backlog, domain, port } = options
  const reusePort = setsReusePort(options)
  const at = (host: string) =>
    listen(server, { host, port, backlog, ipv6Only: domain === "IPv6", ...(reusePort ? { reusePort } : {}) })
  return domain === "Dual" && address === ""
    ? Effect.catchIf(at(host), isIPv6Unavailable, () => at("0.0.0.0"))
    : at(host)
}

const fileOperation = <A>(run: () => Promise<A>, syscall: string): Effect.Effect<A, OSError> =>
  Effect.tryPromise({ try: run, catch: (cause) => osError(cause as NodeJS.ErrnoException, syscall) })

/** Whether a process accepts connections at the path. `ECONNREFUSED`: the process that bound it has ended. */
const isAlive = (path: string): Effect.Effect<boolean> =>
  Effect.async<boolean>((resume) => {
    const socket = createConnection({ path }, () => {
      socket.destroy()
      resume(Effect.succeed(true))
    }).on("error", ({ code }: NodeJS.ErrnoException) => resume(Effect.succeed(code !== "ECONNREFUSED")))
    return Effect.sync(() => void socket.destroy())
  })

/** Removes the file of a socket whose process has ended without removing it; any other file is left alone. */
const replaceStale = (path: string, error: OSError): Effect.Effect<void, OSError> =>
  Effect.gen(function* () {
    const file = yield* fileOperation(() => lstat(path), "lstat")
    if (!file.isSocket() || (yield* isAlive(path))) return yield* error
    yield* fileOperation(() => unlink(path), "unlink")
  })

const bindPath = (server: Server, path: string, { backlog, mode }: ListenOptions): Effect.Effect<void, OSError> => {
  const at = listen(server, { path, backlog }, mode)
  const bound = Effect.catchIf(
    at,
    ({ code }) => code === "EADDRINUSE" && !path.startsWith("\0"),
    (error) => Effect.zipRight(replaceStale(path, error), at)
  )
  return mode === undefined
    ? bound
    : Effect.zipRight(
        bound,
        // A failure leaves a server that listens, which nothing else would close.
        Effect.tapError(
          fileOperation(() => chmod(path, mode), "chmod"),
          () => Effect.sync(() => server.close())
        )
      )
}

/**
 * Binds and listens, and then runs `onBound`, in one uninterruptible step: no listening socket leaks. Only the resolution of a
 * host name can be interrupted. A Unix domain socket's file is removed by Node when the server closes.
 */
export const bind = <R>(
  server: Server,
  options: ListenOptions,
  onBound: Effect.Effect<void, never, R>
): Effect.Effect<void, OSError, R> => {
  const { backlog, fd, path } = options
  const bound = (binding: Effect.Effect<void, OSError>) => Effect.uninterruptible(Effect.zipRight(binding, onBound))
  // `fd` is not in the types of every version.
  if (fd !== undefined) return bound(listen(server, { fd, backlog } as NodeOptions))
  if (path !== undefined) return bound(bindPath(server, path, options))
  return Effect.flatMap(resolve(options), (host) => bound(bindTcp(server, host, options)))
}

/** The address of a server that listens. A descriptor may be of either family; the system names none that has no path. */
export const addressOf = (server: Server, { path }: ListenOptions): Address => {
  const address = server.address()
  if (address === null) return unix(path ?? "")
  if (typeof address === "string") return unix(address)
  return tcp(address.address, address.port, address.family === "IPv6" ? "IPv6" : "IPv4")
}
