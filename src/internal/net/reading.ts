/**
 * Reading from sockets into one buffer that all of them share.
 *
 * For each read `node:net` allocates 64 KiB and gives back what was not filled: 1 of 8 µs of a small request, and for large
 * bodies most of what the garbage collector is called for. A socket that one connects oneself may be told to read into a
 * buffer of one's own (`onread`, which is documented); for one that was accepted there is no such option, so what it sets
 * is set here: two properties and a buffer of the handle, looked for at the first socket. Where they are not found, sockets
 * emit `data`.
 *
 * @internal
 */
import type { Socket } from "node:net"

/** As much as `node:net` reads at once. */
const readSize = 64 * 1024

/** Told of bytes that are there during the call only; `this` is the socket. */
export type OnBytes = (this: Socket, bytes: Buffer) => void

/** What the option `onread` of `new net.Socket` sets, and the constructor leaves null. */
interface Insides {
  readonly buffer: symbol
  readonly callback: symbol
}

interface Opened {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Uint8Array) => void }
  [property: symbol]: unknown
}

let insides: Insides | undefined | "Unknown" = "Unknown"

const insidesOf = (socket: Opened): Insides | undefined => {
  const symbols = Object.getOwnPropertySymbols(socket)
  const [buffer, callback] = ["kBuffer", "kBufferCb"].map((name) =>
    symbols.find((symbol) => symbol.description === name && socket[symbol] === null)
  )
  return buffer === undefined || callback === undefined ? undefined : { buffer, callback }
}

/** Makes sockets tell of what they read; each has to be paused when it is given, and is to be resumed. */
export const readingWith = (onBytes: OnBytes): ((socket: Socket) => void) => {
  let shared: Buffer | undefined
  const onFilled = function (this: Socket, length: number, buffer: Buffer): boolean {
    onBytes.call(this, buffer.subarray(0, length))
    return true
  }
  return (socket) => {
    // A socket has them, though its type does not say so; whatever is not as expected is left alone.
    const opened = socket as unknown as Opened
    if (insides === "Unknown") insides = insidesOf(opened)
    const { _handle: handle } = opened
    if (insides === undefined || handle?.useUserBuffer === undefined) {
      socket.on("data", onBytes)
      return
    }
    shared ??= Buffer.allocUnsafeSlow(readSize)
    opened[insides.buffer] = shared
    opened[insides.callback] = onFilled
    handle.useUserBuffer(shared)
  }
}
