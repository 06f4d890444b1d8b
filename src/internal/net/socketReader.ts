/**
 * Reading from sockets into one shared buffer.
 *
 * For each read `node:net` allocates 64 KiB and returns the unfilled rest: 1 of 8 µs of a small request. Here small reads are
 * copied out of the shared buffer; a socket with large reads has dedicated buffers, which are passed on uncopied.
 *
 * The documented option `onread` gives a connecting socket its own buffer. An accepted socket has no such option, so what
 * the option sets is set here: three properties and a buffer of the handle, looked up at the first socket. Where they are not
 * found, sockets emit `data`.
 */
import type { Socket } from "node:net"

/** The read size of `node:net`. */
const readSize = 64 * 1024

/** From this length on, to allocate another buffer costs less than to copy. */
const copyThreshold = readSize / 2

/**
 * Maximum number of sockets with a dedicated read buffer. A socket keeps its buffer until its next read, so idle connections
 * hold at most 256 × 64 KiB = 16 MiB. Above that, reads are copied.
 */
const maxDedicatedBuffers = 256

/** Receives the bytes of a read, which it owns; `this` is the socket. */
export type OnBytes = (this: Socket, bytes: Buffer) => void

/** The properties that the option `onread` of `new net.Socket` sets, and that are null without it. */
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
  const isFound = buffer !== undefined && callback !== undefined && generator !== undefined
  return isFound ? { buffer, callback, generator } : undefined
}

const copyOf = (buffer: Buffer, length: number): Buffer => {
  const copy = Buffer.allocUnsafe(length)
  buffer.copy(copy, 0, 0, length)
  return copy
}

/** Makes a function that delivers the reads of a socket, which must be paused, and is resumed by the caller. */
export const makeReader = (onBytes: OnBytes, limit = maxDedicatedBuffers): ((socket: Socket) => void) => {
  let shared: Buffer | undefined
  let dedicated = 0
  const onDedicatedClose = (): void => {
    dedicated--
  }
  const dedicate = (socket: Socket): void => {
    dedicated++
    socket.once("close", onDedicatedClose)
  }
  const release = (socket: Socket): void => {
    dedicated--
    socket.off("close", onDedicatedClose)
  }
  // The next read buffer of the socket whose callback has just returned; `undefined` keeps the current one.
  let next: Buffer | undefined
  const generate = (): Buffer | undefined => next
  const onFilled = function (this: Socket, length: number, buffer: Buffer): boolean {
    const isLarge = length >= copyThreshold
    const isDedicated = buffer !== shared
    onBytes.call(this, isDedicated && isLarge ? buffer.subarray(0, length) : copyOf(buffer, length))
    const willDedicate = isLarge && (isDedicated || dedicated < limit)
    if (willDedicate && !isDedicated) dedicate(this)
    else if (isDedicated && !willDedicate) release(this)
    next = willDedicate ? Buffer.allocUnsafeSlow(readSize) : isDedicated ? shared : undefined
    return true
  }
  return (socket) => {
    // The properties are not in the public type; they are used only if all are found.
    const internals = socket as unknown as InternalSocket
    if (readProperties === "Unknown") readProperties = findReadProperties(internals)
    const { _handle: handle } = internals
    if (readProperties === undefined || handle?.useUserBuffer === undefined) {
      socket.on("data", onBytes)
      return
    }
    shared ??= Buffer.allocUnsafeSlow(readSize)
    internals[readProperties.buffer] = shared
    internals[readProperties.callback] = onFilled
    internals[readProperties.generator] = generate
    handle.useUserBuffer(shared)
  }
}
