/** Closing a socket at once by a reset (RST). */
import type { Socket } from "node:net"

interface Resettable {
  /** Its `reset` is that of a TCP socket. */
  readonly _handle?: { readonly reset?: unknown } | null
}

/** Whether the flag `resetAndClosing` resets a socket that is destroyed: on Node, not on Bun and Deno. */
const hasFlag = !("bun" in process.versions || "deno" in process.versions)

/**
 * `resetAndDestroy` of Node sends a FIN first, which must be avoided here: the flag that it sets is set instead. Where there is
 * no such flag, it sends a reset alone. A Unix domain socket has no reset: with the flag its handle would never close.
 */
export const reset = (socket: Socket, usesFlag = hasFlag): void => {
  if (!usesFlag) {
    if (socket.remoteAddress === undefined) socket.destroy()
    else socket.resetAndDestroy()
    return
  }
  const { _handle: handle } = socket as Resettable
  if (typeof handle?.reset === "function") Object.assign(socket, { resetAndClosing: true })
  socket.destroy()
}
