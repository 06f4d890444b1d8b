/**
 * Closing a socket at once by a reset (RST).
 *
 * @internal
 */
import type { Socket } from "node:net"

/**
 * `resetAndDestroy` sends a FIN first, which must be avoided here. The flag that it sets is not public; where Node lacks it,
 * this is `destroy`.
 */
export const reset = (socket: Socket): void => {
  Object.assign(socket, { resetAndClosing: true })
  socket.destroy()
}
