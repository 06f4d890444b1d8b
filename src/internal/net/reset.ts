/** Closing a socket at once by a reset (RST). */
import type { Socket } from "node:net"

interface Resettable {
  /** The method of Node that sets the flag `resetAndClosing`; Bun and Deno have neither. */
  readonly _reset?: unknown
  /** Its `reset` is that of a TCP socket. */
  readonly _handle?: { readonly reset?: unknown } | null
}

/**
 * `resetAndDestroy` of Node sends a FIN first, which must be avoided here: the flag that it sets is set instead. Where there is
 * no such flag, it sends a reset alone. A Unix domain socket has no reset: with the flag its handle would never close.
 */
export const reset = (socket: Socket): void => {
  const { _handle: handle, _reset: setsFlag } = socket as Resettable
  if (typeof setsFlag !== "function") {
    if (socket.remoteAddress === undefined) socket.destroy()
    else socket.resetAndDestroy()
    return
  }
  if (typeof handle?.reset === "function") Object.assign(socket, { resetAndClosing: true })
  socket.destroy()
}
