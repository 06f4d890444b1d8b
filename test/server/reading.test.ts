/** Bytes out of the one buffer that all sockets share: they do not change when another socket reads. */
import { EventEmitter, once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import { makeReader } from "../../src/internal/net/socketReader.js"
import { eventually } from "../support/eventually.js"

interface Pair {
  readonly accepted: Socket
  readonly client: Socket
}

const pair: Effect.Effect<Pair, never, Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer({ pauseOnConnect: true })
      await once(server.listen(0, "127.0.0.1"), "listening")
      // A server that listens on TCP has an address with a port.
      const { port } = server.address() as AddressInfo
      const client = connect(port, "127.0.0.1")
      const [accepted]: Array<Socket> = await once(server, "connection")
      return { server, accepted: accepted!, client }
    }),
    ({ accepted, client, server }) =>
      Effect.sync(() => {
        client.destroy()
        accepted.destroy()
        server.close()
      })
  ),
  ({ accepted, client }) => ({ accepted, client })
)

const KiB = 1024

/** The buffer that a socket reads into, which only Node's internals show. */
const bufferOf = (socket: Socket): unknown => {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "kBuffer")
  return (socket as unknown as Record<symbol, unknown>)[key!]
}

describe("what sockets have read", () => {
  it.scopedLive("does not change when they read little, much, and little again", () =>
    Effect.gen(function* () {
      const seen = new Map<Socket, Array<Buffer>>()
      const read = makeReader(function (bytes) {
        seen.set(this, [...(seen.get(this) ?? []), bytes])
      })
      const pairs = yield* Effect.all([pair, pair, pair])
      for (const { accepted } of pairs) {
        read(accepted)
        accepted.resume()
      }
      const lengths = [3, 40 * KiB, 300 * KiB, 1, 64 * KiB, 5]
      const sent = pairs.map(() => Buffer.alloc(0))
      for (const [round, length] of lengths.entries()) {
        for (const [i, { client }] of pairs.entries()) {
          const bytes = Buffer.alloc(length, 1 + round * pairs.length + i)
          sent[i] = Buffer.concat([sent[i]!, bytes])
          client.write(bytes)
        }
        const received = Effect.sync(() => pairs.map(({ accepted }) => Buffer.concat(seen.get(accepted) ?? [])))
        const all = yield* eventually(
          received,
          (bytes) => bytes.every((each, i) => each.length === sent[i]!.length),
          "everything that was sent"
        )
        expect(all.map((each, i) => each.equals(sent[i]!))).toStrictEqual(pairs.map(() => true))
      }
    })
  )

  it.scopedLive("leaves idle sockets no more buffers than the maximum, whatever they have read", () =>
    Effect.gen(function* () {
      let length = 0
      const read = makeReader((bytes) => {
        length += bytes.length
      }, 1)
      const pairs = yield* Effect.all([pair, pair, pair])
      const bring = ({ accepted, client }: Pair) =>
        Effect.gen(function* () {
          const before = length
          // All of it has come when it is read.
          yield* Effect.async<void>((resume) => {
            client.write(Buffer.alloc(40 * KiB), () => resume(Effect.void))
          })
          accepted.resume()
          yield* eventually(
            Effect.sync(() => length),
            (length) => length === before + 40 * KiB,
            "40 KiB"
          )
          accepted.pause()
        })
      const buffers = () => new Set(pairs.map(({ accepted }) => bufferOf(accepted)))
      for (const { accepted } of pairs) read(accepted)
      expect(buffers().size).toBe(1)
      yield* Effect.forEach(pairs, bring)
      expect(buffers().size).toBe(2)
      const [first, second] = pairs
      const shared = bufferOf(second!.accepted)
      first!.accepted.destroy()
      yield* Effect.promise(() => once(first!.accepted, "close"))
      yield* bring(second!)
      expect(bufferOf(second!.accepted)).not.toBe(shared)
    })
  )

  it.scopedLive("ends with the client, and waits while the socket is paused", () =>
    Effect.gen(function* () {
      let length = 0
      const read = makeReader((bytes) => {
        length += bytes.length
      })
      const { accepted, client } = yield* pair
      let isEnded = false
      accepted.on("end", () => {
        isEnded = true
      })
      read(accepted)
      accepted.resume()
      client.write("one")
      yield* eventually(
        Effect.sync(() => length),
        (length) => length === 3,
        "3 bytes"
      )
      accepted.pause()
      client.end("two, and more")
      yield* Effect.promise(() => once(client, "finish"))
      expect([length, isEnded]).toStrictEqual([3, false])
      accepted.resume()
      yield* eventually(
        Effect.sync(() => isEnded),
        (isEnded) => isEnded,
        "the end"
      )
      expect(length).toBe(16)
    })
  )

  it.live("arrives by `data` where a socket lacks these internals", () =>
    Effect.promise(async () => {
      vi.resetModules()
      const { makeReader: readingWith } = await import("../../src/internal/net/socketReader.js")
      const received: Array<string> = []
      const other = new EventEmitter()
      // Only the events of the socket are used here.
      readingWith((bytes) => received.push(bytes.toString()))(other as Socket)
      other.emit("data", Buffer.from("hello"))
      expect(received).toStrictEqual(["hello"])
    })
  )
})
