/**
 * The progress of writes: how much of what was written the system has not taken yet.
 *
 * On Node the handle of a socket has the size of its queue, which decreases within a write. Bun and Deno lack it: there only a
 * write that has completed is progress, so large content is written in slices.
 */
import type { Socket } from "node:net"

/** The queue of libuv: not public, but used by the timeout of `node:net` itself. */
interface WithQueue {
  readonly _handle?: { readonly writeQueueSize?: number } | null
}

const queueSizeOf = (socket: Socket): number | undefined => (socket as WithQueue)._handle?.writeQueueSize

/** Whether the system has taken all that a socket was given; false where the runtime does not say. */
export const isQueueEmpty = (socket: Socket): boolean => queueSizeOf(socket) === 0

/** Bytes of a slice: a client that reads so many within `writeTimeout` is not disconnected. */
const sliceSize = 64 * 1024

/** Writes bytes, in slices where only these show progress; false as `write` of a stream. */
export const writeBytes = (socket: Socket, bytes: Uint8Array): boolean => {
  if (bytes.length <= sliceSize || queueSizeOf(socket) !== undefined) return socket.write(bytes)
  // The slices that wait would otherwise be gathered into one write, which completes as a whole.
  Object.assign(socket, { _writev: null })
  let isAccepted = true
  for (let start = 0; start < bytes.length; start += sliceSize)
    isAccepted = socket.write(bytes.subarray(start, start + sliceSize))
  return isAccepted
}

/**
 * The bytes that a socket has not passed to the system, which decrease as the client reads. `transport` is the socket whose
 * handle has the queue.
 */
export const unsentBytes = (socket: Socket, transport = socket): number =>
  // A write in progress counts in full until it completes.
  socket.writableLength === 0 ? 0 : socket.writableLength + (queueSizeOf(transport) ?? 0)
