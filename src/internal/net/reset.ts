/** Closing a socket at once by a reset (RST). */
import type { Socket } from "node:net"

/**
 * `resetAndDestroy` sends a FIN first, which must be avoided here. The flag that it sets is not public; where Node lacks it,
 * this is `destroy`. So it is for a Unix domain socket, which has no reset: with the flag its handle would never close.
 */
export const reset = (socket: Socket): void => {
  const handle = (socket as { readonly _handle?: { readonly reset?: unknown } | null })._handle
  if (typeof handle?.reset === "function") Object.assign(socket, { resetAndClosing: true })
  socket.destroy()
}
