/**
 * What a request costs, in counts that are the same on every machine: a change that makes one dearer by a write, a fiber
 * or a timer fails here, where a timed test would have to run on an idle machine and be interpreted. Bytes that are
 * allocated are not counted: how many they are depends on what the engine has compiled by then.
 */
import { Socket } from "node:net"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { RespondableError } from "../../src/Errors.js"
import * as host from "../../src/internal/host/hostTimers.js"
import { type Handler, respond } from "../../src/Response.js"
import { serving } from "../server/harness.js"
import { type MemoryConnection, servingInMemory, settled } from "../server/memory.js"
import { eventLoopTurns, waitTimeout } from "../support/eventually.js"
import * as Raw from "../support/rawClient.js"
import { requestText } from "../support/rawClient.js"

const hello: Handler = (request) => respond(request, 200, "Hello World", { "Content-Type": "text/plain" })

const get = requestText("GET /")

const gets = (count: number): string => get.repeat(count)

/** The head, and the body after it. */
const post = [requestText("POST /", ["Content-Length: 1024"]), "x".repeat(1024)]

/** The number of fibers started during an effect, anywhere in the process: each takes the next number of the process. */
const fibersOf = <E, R>(effect: Effect.Effect<unknown, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function* () {
    const before = FiberId.unsafeMake().id
    yield* effect
    return FiberId.unsafeMake().id - before - 1
  })

/** Sends a request that many times, its parts one by one, each when the one before has got its response. */
const oneByOne = (
  connection: MemoryConnection,
  request: string | ReadonlyArray<string>,
  count: number
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const before = connection.writes.length
    for (let i = 1; i <= count; i++) {
      for (const part of typeof request === "string" ? [request] : request) {
        connection.send(part)
        yield* eventLoopTurns(1)
      }
      while (connection.writes.length < before + i) yield* eventLoopTurns(1)
    }
    yield* settled
  })

/** A connection that has been served once, of a server at rest: what begins with the first of all is no other's. */
const connected = <E extends RespondableError, R>(handler: Handler<E, R>) =>
  Effect.gen(function* () {
    const made = yield* servingInMemory(handler)
    const connection = yield* made.connect
    yield* oneByOne(connection, get, 1)
    connection.writes.length = 0
    return { ...made, connection }
  })

afterEach(() => {
  vi.restoreAllMocks()
})

describe("writes, which are most of what a small response costs", () => {
  it.scoped("one for a small response, head and content together", () =>
    Effect.gen(function* () {
      const { connection } = yield* connected(hello)
      connection.send(get)
      yield* settled
      expect(connection.writes).toHaveLength(1)
    })
  )

  it.scoped("one for 16 requests that came together", () =>
    Effect.gen(function* () {
      const { connection } = yield* connected(hello)
      connection.send(gets(16))
      yield* settled
      expect(connection.written.split("Hello World")).toHaveLength(17)
      expect(connection.writes).toHaveLength(1)
    })
  )

  it.scoped("one for 16 that came together, to a handler that is an Effect.gen and waits for nothing", () =>
    Effect.gen(function* () {
      const { connection } = yield* connected((request) =>
        Effect.gen(function* () {
          return yield* hello(request)
        })
      )
      connection.send(gets(16))
      yield* settled
      expect(connection.written.split("Hello World")).toHaveLength(17)
      expect(connection.writes).toHaveLength(1)
    })
  )

  it.scopedLive(
    "one system call over TCP for a small response, for 16 of them, and for a head with a large content",
    () =>
      Effect.gen(function* () {
        const { port } = yield* serving((request) =>
          request.url === "/large" ? respond(request, 200, Buffer.alloc(20_000)) : hello(request)
        )
        const client = yield* Raw.connect(port)
        const calls = [vi.spyOn(Socket.prototype, "_write"), vi.spyOn(Socket.prototype, "_writev" as "_write")]
        // The client of the test is a socket of the same process.
        const written = () =>
          calls.flatMap(({ mock }) => mock.contexts as Array<Socket>).filter(({ localPort }) => localPort === port)
            .length
        for (const [text, responses] of [
          [get, 1],
          [gets(16), 16],
          [requestText("GET /large"), 1]
        ] as const) {
          const before = written()
          yield* client.send(text)
          for (let i = 0; i < responses; i++) yield* client.readResponse()
          expect(written() - before).toBe(1)
        }
      })
  )
})

class Greeter extends Context.Tag("Greeter")<Greeter, { readonly greet: Effect.Effect<string> }>() {}

const greeter = Layer.succeed(Greeter, { greet: Effect.succeed("Hello World") })

describe("fibers, of which one starts in 1 µs and keeps 1 to 3 KB", () => {
  it.scoped("one for a connection, whether it sends nothing or its requests are handled synchronously", () =>
    Effect.gen(function* () {
      const { connect } = yield* connected(hello)
      const connections: Array<MemoryConnection> = []
      const connecting = Effect.map(connect, (connection) => connections.push(connection))
      expect(yield* fibersOf(Effect.zipRight(Effect.repeatN(connecting, 99), settled))).toBe(100)
      const asking = Effect.forEach(connections, (connection) => oneByOne(connection, get, 1))
      expect(yield* fibersOf(asking)).toBe(0)
    })
  )

  it.scoped("none for a request that gets its response at once", () =>
    Effect.gen(function* () {
      const { connection } = yield* connected(hello)
      expect(yield* fibersOf(oneByOne(connection, get, 1000))).toBe(0)
    })
  )

  it.scoped("one for a request whose handler is an Effect.gen with a service and a span", () =>
    Effect.gen(function* () {
      const { connection } = yield* connected((request) =>
        Effect.gen(function* () {
          const { greet } = yield* Greeter
          return yield* respond(request, 200, yield* greet)
        }).pipe(Effect.withSpan("greeting"))
      )
      expect(yield* fibersOf(oneByOne(connection, get, 1000))).toBe(1000)
    }).pipe(Effect.provide(greeter))
  )

  it.scoped("one for a request whose handler waits", () =>
    Effect.gen(function* () {
      const { connection } = yield* connected((request) => Effect.zipRight(eventLoopTurns(1), hello(request)))
      expect(yield* fibersOf(oneByOne(connection, get, 100))).toBe(100)
    })
  )

  it.scoped("one for a request whose body is waited for", () =>
    Effect.gen(function* () {
      const { connection } = yield* connected((request) =>
        Effect.flatMap(request.text, (text) => respond(request, 200, text))
      )
      // The sweep is to look again when the first body is due, which is sooner than before.
      yield* oneByOne(connection, post, 1)
      expect(yield* fibersOf(oneByOne(connection, post, 100))).toBe(100)
    })
  )
})

describe("timers, of which an Effect.timeout sets and clears one for 50 µs", () => {
  /** The timers set during the test, except those that end a test that hangs. */
  const timers = () => {
    const hosts = [globalThis, host] as const
    const set = hosts.flatMap((each) => [vi.spyOn(each, "setTimeout"), vi.spyOn(each, "setInterval")])
    return () =>
      set
        .flatMap(({ mock }) => mock.calls as ReadonlyArray<ReadonlyArray<unknown>>)
        .filter(([, delay]) => delay !== waitTimeout).length
  }

  it.scopedLive("one for all connections of a server: the earliest deadline", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const set = timers()
      for (let i = 0; i < 100; i++) yield* oneByOne(yield* connect, get, 1)
      expect(set()).toBe(1)
    })
  )

  it.scopedLive("none for a request", () =>
    Effect.gen(function* () {
      const { connection } = yield* connected(hello)
      yield* oneByOne(connection, post, 1)
      const set = timers()
      yield* oneByOne(connection, get, 1000)
      yield* oneByOne(connection, post, 1000)
      expect(set()).toBe(0)
    })
  )

  it.scopedLive("one for all connections that linger after their last response", () =>
    Effect.gen(function* () {
      const { connect } = yield* connected((request) =>
        respond(request, 200, "", request.query === "close" ? { Connection: "close" } : {})
      )
      const connections = yield* Effect.all(Array.from({ length: 100 }, () => connect))
      yield* settled
      const set = timers()
      for (const connection of connections) {
        connection.endsToo = false
        connection.send(requestText("GET /?close"))
      }
      yield* settled
      expect(connections.filter(({ ending }) => ending === "end")).toHaveLength(100)
      expect(set()).toBe(1)
    })
  )

  it.scoped("one sleep of the clock for all connections, and for what they ask", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const sleep = vi.fn(clock.sleep.bind(clock))
      const counting: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanos: clock.currentTimeNanos,
        sleep
      }
      const { connect } = yield* Effect.withClock(servingInMemory(hello), counting)
      for (let i = 0; i < 100; i++) yield* oneByOne(yield* connect, get, 10)
      expect(sleep).toHaveBeenCalledTimes(1)
    })
  )
})

describe("dates, of which one formatted costs 0.5 µs, and a small head 0.3", () => {
  it.scoped("one a second, however many responses", () =>
    Effect.gen(function* () {
      const formatted = vi.spyOn(Date.prototype, "toUTCString")
      const { connection } = yield* connected(hello)
      // What the second before this test was, another test has left.
      yield* TestClock.adjust(1000)
      yield* oneByOne(connection, get, 500)
      expect(formatted).toHaveBeenCalledTimes(1)
      yield* TestClock.adjust(999)
      yield* oneByOne(connection, get, 500)
      expect(formatted).toHaveBeenCalledTimes(1)
      yield* TestClock.adjust(1)
      yield* oneByOne(connection, get, 500)
      expect(formatted).toHaveBeenCalledTimes(2)
    })
  )
})
