/** A `node:net` socket as a connection: what can only be seen on a real one. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Scope } from "effect/Scope"
import { SocketConnection } from "../../src/internal/net/socketConnection.js"
import { eventLoopTurn, eventually } from "../support/eventually.js"

const events = { onBytes: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} }

interface Pair {
  readonly connection: SocketConnection
  readonly client: Socket
  readonly close: () => void
}

/** A connection, and the client at its other end, which reads nothing yet. */
const pair: Effect.Effect<Pair, never, Scope> = Effect.acquireRelease(
  Effect.async<Pair>((resume) => {
    let client: Socket | undefined
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      const connection = new SocketConnection(socket, {
        unixAddress: Option.none(),
        onOpen: () => {},
        onClose: () => {}
      })
      const other = client
      if (other === undefined) throw new Error("a connection without a client")
      const close = (): void => {
        socket.destroy()
        other.destroy()
        server.close()
      }
      resume(Effect.succeed({ connection, client: other, close }))
    })
    server.listen(0, "127.0.0.1", () => {
      // A server that listens on TCP has an address with a port.
      const { port } = server.address() as AddressInfo
      client = connect({ port, host: "127.0.0.1" }).on("error", () => {})
      client.pause()
    })
  }),
  ({ close }) => Effect.sync(close)
)

describe("unsent", () => {
  it.scopedLive("falls while a client reads on, long before a large write has ended", () =>
    Effect.gen(function* () {
      const { client, connection } = yield* pair
      connection.open(events)
      connection.write([Buffer.alloc(32 * 1024 * 1024)])
      const seen: Array<number> = []
      const look = Effect.sync(() => {
        const unsent = connection.unsent()
        if (unsent > 0 && unsent !== seen[seen.length - 1]) seen.push(unsent)
        return unsent
      })
      yield* look
      client.on("data", () => {}).resume()
      yield* eventually(look, (unsent) => unsent === 0, "all was sent")
      expect(seen.length).toBeGreaterThan(2)
      expect(seen).toStrictEqual([...seen].sort((a, b) => b - a))
    })
  )
})

describe("open", () => {
  it.scopedLive("a second time reports at once that the connection has closed, and the first is not disturbed", () =>
    Effect.gen(function* () {
      const { client, connection } = yield* pair
      const seen: Array<string> = []
      connection.open({ ...events, onBytes: (bytes) => seen.push(bytes.toString()) })
      connection.open({ ...events, onClose: () => seen.push("over") })
      client.write("hello")
      yield* eventually(
        Effect.sync(() => seen.length),
        (length) => length === 2,
        "two events"
      )
      expect(seen).toStrictEqual(["over", "hello"])
    })
  )

  it.scopedLive("of a connection that has closed meanwhile calls onClose of its opener, as an object's method", () =>
    Effect.gen(function* () {
      const { connection } = yield* pair
      class Opener {
        isOver = false
        readonly onBytes = events.onBytes
        readonly onEnd = events.onEnd
        readonly onDrain = events.onDrain
        onClose(): void {
          this.isOver = true
        }
      }
      const [first, second] = [new Opener(), new Opener()]
      connection.open(first)
      connection.destroy()
      yield* eventually(
        Effect.sync(() => first.isOver),
        (isOver) => isOver,
        "over"
      )
      connection.open(second)
      yield* eventLoopTurn
      expect(second.isOver).toBe(true)
    })
  )
})
