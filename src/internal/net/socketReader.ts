/**
 * Reading from sockets into one buffer that all of them share.
 *
 * For each read `node:net` allocates 64 KiB and gives back what was not filled: 1 of 8 µs of a small request. Here what has
 * been read is copied out of the one buffer, as long as it is little; a socket that brings much at once reads into buffers
 * of its own, which are handed on as they are.
 *
 * A socket that one connects oneself may be told to read into a buffer of one's own (`onread`, which is documented); for
 * one that was accepted there is no such option, so what it sets is set here: three properties and a buffer of the handle,
 * looked for at the first socket. Where they are not found, sockets emit `data`.
 *
 * @internal
 */
import type { Socket } from "node:net"

/** As much as `node:net` reads at once. */
const readSize = 64 * 1024

/** From here on to allocate another buffer costs less than to copy. */
const copyThreshold = readSize / 2

/**
 * So many sockets may have a buffer of their own at once. Whoever has one keeps it until he reads again, which may be long
 * after his last request: this is what all that are idle may hold, 16 MiB. Beyond it bytes are copied.
 */
const maxDedicatedBuffers = 256

/** Told of bytes, which are his; `this` is the socket. */
export type OnBytes = (this: Socket, bytes: Buffer) => void

/** What the option `onread` of `new net.Socket` sets, and the constructor leaves null. */
interface ReadProperties {
  readonly buffer: symbol
  readonly callback: symbol
  readonly generator: symbol
}

interface InternalSocket {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Uint8Array) => void }
  [property: symbol]: unknown
}

let readProperties: ReadProperties | undefined | "Unknown" = "Unknown"

const findReadProperties = (socket: InternalSocket): ReadProperties | undefined => {
  const symbols = Object.getOwnPropertySymbols(socket)
  const [buffer, callback, generator] = ["kBuffer", "kBufferCb", "kBufferGen"].map((name) =>
    symbols.find((symbol) => symbol.description === name && socket[symbol] === null)
  )
  const isThere = buffer !== undefined && callback !== undefined && generator !== undefined
  return isThere ? { buffer, callback, generator } : undefined
}

const copyOf = (buffer: Buffer, length: number): Buffer => {
  const copy = Buffer.allocUnsafe(length)
  buffer.copy(copy, 0, 0, length)
  return copy
}

/** Makes sockets tell of what they read; each has to be paused when it is given, and is to be resumed. */
export const makeReader = (onBytes: OnBytes, most = maxDedicatedBuffers): ((socket: Socket) => void) => {
  let shared: Buffer | undefined
  let owners = 0
  const onOwnerClosed = (): void => {
    owners--
  }
  const own = (socket: Socket): void => {
    owners++
    socket.once("close", onOwnerClosed)
  }
  const disown = (socket: Socket): void => {
    owners--
    socket.off("close", onOwnerClosed)
  }
  // Where the socket whose callback has just returned reads next; undefined is where it did.
  let next: Buffer | undefined
  const generate = (): Buffer | undefined => next
  const onFilled = function (this: Socket, length: number, buffer: Buffer): boolean {
    const isMuch = length >= copyThreshold
    const isOwn = buffer !== shared
    onBytes.call(this, isOwn && isMuch ? buffer.subarray(0, length) : copyOf(buffer, length))
    const isOwner = isMuch && (isOwn || owners < most)
    if (isOwner && !isOwn) own(this)
    else if (isOwn && !isOwner) disown(this)
    next = isOwner ? Buffer.allocUnsafeSlow(readSize) : isOwn ? shared : undefined
    return true
  }
  return (socket) => {
    // A socket has them, though its type does not say so; whatever is not as expected is left alone.
    const opened = socket as unknown as InternalSocket
    if (readProperties === "Unknown") readProperties = findReadProperties(opened)
    const { _handle: handle } = opened
    if (readProperties === undefined || handle?.useUserBuffer === undefined) {
      socket.on("data", onBytes)
      return
    }
    shared ??= Buffer.allocUnsafeSlow(readSize)
    opened[readProperties.buffer] = shared
    opened[readProperties.callback] = onFilled
    opened[readProperties.generator] = generate
    handle.useUserBuffer(shared)
  }
}
