/** Bytes that a connection has received and no handler has read take memory in proportion, however they were cut. */
import { describe, expect, it } from "@effect/vitest"
import { ReceiveBuffer } from "../../src/internal/connection/receiveBuffer.js"
import { MemoryConnection } from "../server/memory.js"

const readAhead = 64 * 1024

const made = () => {
  const connection = new MemoryConnection()
  return { connection, buffer: new ReceiveBuffer(connection, readAhead) }
}

/** Pulls all there is; how many buffers that were, and what was in them. */
const pulled = (buffer: ReceiveBuffer): { readonly count: number; readonly bytes: Buffer } => {
  const all: Array<Buffer> = []
  for (let next = buffer.pull(); next !== undefined; next = buffer.pull()) all.push(next)
  return { count: all.length, bytes: Buffer.concat(all) }
}

describe("bytes that are read ahead", () => {
  it("one at a time are a few buffers, and not as many objects as bytes", () => {
    const { connection, buffer } = made()
    const sent = Buffer.from(Array.from({ length: readAhead + 1 }, (_, i) => i % 251))
    for (let i = 0; i < sent.length; i++) buffer.push(sent.subarray(i, i + 1))
    expect(connection.pauses).toBe(1)
    const { bytes, count } = pulled(buffer)
    expect(bytes.equals(sent)).toBe(true)
    expect(count).toBeLessThanOrEqual(20)
    expect(connection.resumes).toBe(1)
  })

  it("keep their order and their values, whatever is pulled between them and however long they are", () => {
    const { buffer } = made()
    const sent: Array<Buffer> = []
    const received: Array<Buffer> = []
    let value = 0
    for (const length of [1, 2, 600, 3, 4000, 1, 1, 1, 513, 512, 511, 1, 40_000, 2].flatMap((each) => [
      each,
      1,
      each
    ])) {
      const bytes = Buffer.alloc(length, ++value)
      sent.push(Buffer.from(bytes))
      buffer.push(bytes)
      if (value % 3 === 0) received.push(buffer.pull()!)
      if (value % 7 === 0) received.push(pulled(buffer).bytes)
    }
    received.push(pulled(buffer).bytes)
    expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true)
    expect(buffer.isEmpty).toBe(true)
  })
})
