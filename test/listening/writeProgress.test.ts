/**
 * Writes and resets of sockets whose handles lack what Node's have, as on Bun and Deno.
 */
import type { Socket } from "node:net"
import { Writable } from "node:stream"
import { describe, expect, it } from "vitest"
import { reset } from "../../src/internal/net/reset.js"
import { unsentBytes, writeBytes } from "../../src/internal/net/writeProgress.js"

/** A stream whose writes complete one by one; with or without the queue of a handle. */
const stepping = (handle?: { writeQueueSize: number }) => {
  const written: Array<number> = []
  const callbacks: Array<() => void> = []
  const stream = new Writable({
    highWaterMark: 64 * 1024,
    write: (bytes: Buffer, _, done) => {
      written.push(bytes.length)
      callbacks.push(done)
    },
    writev: (all, done) => {
      written.push(all.reduce((sum, { chunk }) => sum + chunk.length, 0))
      callbacks.push(done)
    }
  })
  if (handle !== undefined) Object.assign(stream, { _handle: handle })
  const completeOne = (): Promise<void> => {
    callbacks.shift()?.()
    return new Promise((resolve) => setImmediate(resolve))
  }
  // The members of a socket that are used are those of a stream.
  return { socket: stream as unknown as Socket, written, completeOne }
}

const size = 64 * 1024

describe("large content", () => {
  it("is written in slices where a handle has no queue, and each is progress", async () => {
    const { completeOne, socket, written } = stepping()
    const bytes = Buffer.alloc(3 * size + 1)
    expect(writeBytes(socket, bytes)).toBe(false)
    const unsent = [unsentBytes(socket)]
    for (let i = 0; i < 4; i++) {
      await completeOne()
      unsent.push(unsentBytes(socket))
    }
    expect(written).toStrictEqual([size, size, size, 1])
    expect(unsent).toStrictEqual([3 * size + 1, 2 * size + 1, size + 1, 1, 0])
  })

  it("is one write where the queue of the handle shows its progress", () => {
    const handle = { writeQueueSize: 100 }
    const { socket, written } = stepping(handle)
    writeBytes(socket, Buffer.alloc(3 * size))
    expect(written).toStrictEqual([3 * size])
    expect(unsentBytes(socket)).toBe(3 * size + 100)
    handle.writeQueueSize = 40
    expect(unsentBytes(socket)).toBe(3 * size + 40)
  })
})

/** A socket that records how it was closed. */
const closing = (properties: object) => {
  const calls: Array<string> = []
  const socket = {
    ...properties,
    destroy: () => void calls.push("destroy"),
    resetAndDestroy: () => void calls.push("resetAndDestroy")
  }
  // The members of a socket that are used.
  return { socket: socket as unknown as Socket & { readonly resetAndClosing?: boolean }, calls }
}

describe("a reset", () => {
  it("is that of the flag where the socket has it", () => {
    const { calls, socket } = closing({
      _handle: { reset: () => {} },
      remoteAddress: "127.0.0.1"
    })
    reset(socket)
    expect([socket.resetAndClosing, calls]).toStrictEqual([true, ["destroy"]])
  })

  it("is resetAndDestroy where there is no flag", () => {
    const { calls, socket } = closing({ remoteAddress: "127.0.0.1" })
    reset(socket, false)
    expect([socket.resetAndClosing, calls]).toStrictEqual([undefined, ["resetAndDestroy"]])
  })

  it.each([true, false])("is destroy for a Unix domain socket, with a flag: %s", (usesFlag) => {
    const { calls, socket } = closing({ _handle: {} })
    reset(socket, usesFlag)
    expect([socket.resetAndClosing ?? false, calls]).toStrictEqual([false, ["destroy"]])
  })
})
