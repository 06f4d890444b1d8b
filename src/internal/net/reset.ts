/**
 * Ends a socket by a reset, at once.
 *
 * @internal
 */
import type { Socket } from "node:net"

/**
 * `resetAndDestroy` sends a FIN first, which is what has to be avoided. The flag is what it sets, and not public; without
 * it this is `destroy`.
 */
export const reset = (socket: Socket): void => {
  Object.assign(socket, { resetAndClosing: true })
  socket.destroy()
}
