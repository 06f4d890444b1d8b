/** Each fault, byte by byte and to the millisecond, over both transports. */
import { HttpBody, HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Duration, Effect, Either, Fiber, Option, pipe, Stream } from "effect"
import { type Request, Response, Server } from "effect-asynchttpserver"
import { Fault, type RawClient, TestServer } from "effect-asynchttpserver/testing"
import { overBoth, type Transport } from "./both.js"

const date = { Date: "Thu, 01 Jan 1970 00:00:00 GMT" }

const hello: Response.Handler = (request) => Response.respond(request, 200, "Hello World", date)

/** What `hello` sends. */
const wholeResponse =
  "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n" +
  "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 11\r\n\r\nHello World"

const head = wholeResponse.slice(0, -11)

const streamed: Response.Handler = (request) =>
  Response.respondStream(request, 200, Stream.make("Hello ", "World").pipe(Stream.encodeText), date)

const get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"

const ask = Effect.gen(function* () {
  const client = yield* (yield* TestServer.TestServer).connect
  yield* client.send(get)
  return client
})

const outcome = Effect.flatMap(TestServer.TestServer, (server) =>
  Effect.flatMap(server.takeRequest, (request) => request.outcome)
)

/** The bytes received so far. */
const seenBy = (client: RawClient.RawClient) => client.readUntil(() => true)

/** Nothing is leaked, and the next connection is served normally. */
const expectServerStillWorks = Effect.gen(function* () {
  const server = yield* TestServer.TestServer
  yield* server.assertNoLeaks
  const client = yield* server.connect
  yield* client.send("GET /well HTTP/1.1\r\nHost: test\r\n\r\n")
  expect(yield* client.readUntil((seen) => seen.endsWith("World"))).toBe(wholeResponse)
})

/** The faulty handler for all paths but `/well`. */
const exceptWell =
  <E, R>(
    faulty: Response.Handler<E, R>
  ): Response.Handler<E | Effect.Effect.Error<ReturnType<typeof hello>>, R | never> =>
  (request) =>
    request.path === "/well" ? Response.respond(request, 200, "Hello World", date) : faulty(request)

interface Ended {
  readonly handler: Response.Handler<never, never> | Response.Handler
  readonly seen: string | RegExp
  readonly ending: "FIN" | "RST"
  readonly outcome: object
}

const faulted = (fault: string, sent: number) => ({ _tag: "Faulted", fault, sent })

const rows: Readonly<Record<string, Ended>> = {
  "close after the request": {
    handler: Fault.closeAfterRequest,
    seen: "",
    ending: "FIN",
    outcome: faulted("close", 0)
  },
  "reset after the request": {
    handler: Fault.resetAfterRequest,
    seen: "",
    ending: "RST",
    outcome: faulted("reset", 0)
  },
  "close after no byte": {
    handler: Fault.closeAfterBytes(0)(hello),
    seen: "",
    ending: "FIN",
    outcome: faulted("close", 0)
  },
  "close after bytes": {
    handler: Fault.closeAfterBytes(20)(hello),
    seen: wholeResponse.slice(0, 20),
    ending: "FIN",
    outcome: faulted("close", 20)
  },
  "reset after bytes": {
    handler: Fault.resetAfterBytes(head.length + 5)(hello),
    seen: `${head}Hello`,
    ending: "RST",
    outcome: faulted("reset", head.length + 5)
  },
  "close after a response": {
    handler: Fault.closeAfterBytes(Number.POSITIVE_INFINITY)(hello),
    seen: wholeResponse,
    ending: "FIN",
    outcome: faulted("close", wholeResponse.length)
  },
  "reset after a response": {
    handler: Fault.resetAfterBytes(1000)(hello),
    seen: wholeResponse,
    ending: "RST",
    outcome: faulted("reset", wholeResponse.length)
  },
  truncate: {
    handler: Fault.truncate(4)(hello),
    seen: wholeResponse.slice(0, -4),
    ending: "FIN",
    outcome: faulted("close", wholeResponse.length - 4)
  },
  "truncate more than there is": {
    handler: Fault.truncate(40)(hello),
    seen: head,
    ending: "FIN",
    outcome: faulted("close", head.length)
  },
  "a bad chunk": {
    handler: Fault.badChunk(hello),
    seen: /^HTTP\/1.1 200 OK\r\n(?:[-A-Za-z]+: [^\r]*\r\n)+Transfer-Encoding: chunked\r\n\r\nb\r\nHello World\r\nthis is no chunk size\r\n$/,
    ending: "FIN",
    outcome: { fault: "close" }
  },
  "a bad chunk of a stream": {
    handler: Fault.badChunk(streamed),
    seen: /\r\n\r\n6\r\nHello \r\n5\r\nWorld\r\nthis is no chunk size\r\n$/,
    ending: "FIN",
    outcome: { fault: "close" }
  },
  "a missing last chunk": {
    handler: Fault.missingLastChunk(hello),
    seen: /\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nHello World\r\n$/,
    ending: "FIN",
    outcome: { fault: "close" }
  },
  "a missing last chunk of a stream": {
    handler: Fault.missingLastChunk(streamed),
    seen: /\r\n\r\n6\r\nHello \r\n5\r\nWorld\r\n$/,
    ending: "FIN",
    outcome: { fault: "close" }
  },
  garbage: { handler: Fault.garbage, seen: /^[\x80-\xff]{64}$/, ending: "FIN", outcome: faulted("close", 64) },
  raw: {
    handler: Fault.raw("ICY 200 OK\r\n\r\nÿ"),
    seen: "ICY 200 OK\r\n\r\nÿ",
    ending: "FIN",
    outcome: { fault: "close" }
  },
  "raw bytes and a reset": {
    handler: Fault.raw(Uint8Array.of(0, 255), { ending: "reset" }),
    seen: "\0ÿ",
    ending: "RST",
    outcome: faulted("reset", 2)
  },
  "a raw stream": {
    handler: Fault.raw(Stream.make("a", "b").pipe(Stream.encodeText)),
    seen: "ab",
    ending: "FIN",
    outcome: faulted("close", 2)
  },
  "half close": {
    handler: Fault.halfClose(hello),
    seen: wholeResponse,
    ending: "FIN",
    outcome: { _tag: "Responded", status: 200 }
  },
  "one around another": {
    handler: pipe(hello, Fault.resetAfterBytes(15), Fault.duplicate, Fault.latency({ mean: 0 })),
    seen: wholeResponse.slice(0, 15).repeat(2),
    ending: "RST",
    outcome: faulted("reset", 15)
  }
}

const ends = ({ layer }: Transport, row: Ended) =>
  Effect.gen(function* () {
    const client = yield* ask
    const seen = (yield* client.readToEnd).toString("latin1")
    if (typeof row.seen === "string") expect(seen).toBe(row.seen)
    else expect(seen).toMatch(row.seen)
    expect(yield* client.closedWith).toBe(row.ending)
    expect(yield* outcome).toMatchObject(row.outcome)
    yield* expectServerStillWorks
  }).pipe(TestServer.supervise, Effect.provide(layer(exceptWell(row.handler))))

overBoth((transport) => {
  const { layer, make } = transport

  for (const [name, row] of Object.entries(rows)) it.scoped(name, () => ends(transport, row))

  it.scoped.each(["close", "reset"] as const)("%s at accept", (how) =>
    Effect.gen(function* () {
      yield* how === "close" ? Fault.closeAtAccept(2) : Fault.resetAtAccept(2)
      const server = yield* TestServer.TestServer
      for (let times = 0; times < 2; times++) {
        // A reset may arrive before the system reports the connection.
        const connected = yield* Effect.either(server.connect)
        if (Either.isLeft(connected)) {
          expect([how, connected.left.code]).toStrictEqual(["reset", "ECONNRESET"])
          continue
        }
        const client = connected.right
        yield* client.send(get)
        expect(yield* client.closedWith).toBe(how === "close" ? "FIN" : "RST")
        expect((yield* client.readToEnd).length).toBe(0)
      }
      yield* server.settle
      expect(yield* server.connections).toHaveLength(0)
      yield* expectServerStillWorks
    }).pipe(Effect.provide(layer(hello)))
  )

  it.scoped("never responds, and the server closes the connection without a response", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("1 hour")
      expect(yield* seenBy(client)).toBe("")
      expect(yield* outcome).toStrictEqual(faulted("stall", 0))
      yield* expectServerStillWorks
      const server = yield* TestServer.TestServer
      yield* server.closeClientConnections
      expect(String(yield* client.readToEnd)).toBe("")
    }).pipe(Effect.provide(layer(exceptWell(Fault.never))))
  )

  it.scoped("sends nothing when the server goes down, and serves again after up", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const clients = [yield* ask, yield* ask]
      yield* TestServer.settle
      yield* server.down
      for (const client of clients) expect(String(yield* client.readToEnd)).toBe("")
      yield* server.up
      yield* expectServerStillWorks
    }).pipe(Effect.provide(layer(exceptWell(Fault.never))))
  )

  it.scoped("stalls after bytes", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("1 hour")
      expect(yield* seenBy(client)).toBe(wholeResponse.slice(0, 30))
      expect(yield* outcome).toStrictEqual(faulted("stall", 30))
      yield* expectServerStillWorks
      yield* client.reset
      yield* TestServer.settle
      const server = yield* TestServer.TestServer
      expect((yield* server.connections).map(({ index }) => index)).not.toContain(0)
    }).pipe(Effect.provide(layer(exceptWell(Fault.stallAfterBytes(30)(hello)))))
  )

  it.scoped("a stall suspends a handler with an endless stream, which ends with its client", () => {
    let given = 0
    const endless = Stream.repeatEffect(
      Effect.sync(() => {
        given++
        return new Uint8Array(8 * 1024)
      })
    )
    const handler = Fault.stallAfterBytes(100)((request) => Response.respondStream(request, 200, endless))
    return Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("1 hour")
      expect(yield* seenBy(client)).toHaveLength(100)
      expect(given).toBeLessThan(64)
      yield* client.reset
      yield* TestServer.settle
      yield* TestServer.assertNoLeaks
    }).pipe(Effect.provide(layer(handler)))
  })

  it.scoped("sends the head byte by byte", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance(head.length * 100 - 1)
      expect(yield* seenBy(client)).toBe(head.slice(0, -1))
      yield* TestServer.advance(1)
      expect(yield* seenBy(client)).toBe(`${head.slice(-1)}Hello World`)
      expect(yield* outcome).toStrictEqual({ _tag: "Responded", status: 200 })
    }).pipe(Effect.provide(layer(Fault.slowHeaders(head.length * 100)(hello))))
  )

  it.scoped("throttles", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.settle
      expect(yield* seenBy(client)).toBe(wholeResponse.slice(0, 10))
      yield* TestServer.advance("999 millis")
      expect(yield* seenBy(client)).toBe("")
      yield* TestServer.advance("1 millis")
      expect(yield* seenBy(client)).toBe(wholeResponse.slice(10, 20))
      yield* TestServer.advance("1 minute")
      expect(yield* seenBy(client)).toBe(wholeResponse.slice(20))
      yield* client.send(get)
      yield* TestServer.advance("1 minute")
      expect(yield* seenBy(client)).toBe(wholeResponse)
    }).pipe(Effect.provide(layer(Fault.throttle({ bytes: 10, every: "1 second" })(hello))))
  )

  it.scoped("badChunk parses no chunk after a duplicated response without its last chunk", () =>
    Effect.gen(function* () {
      const client = yield* ask
      expect((yield* client.readToEnd).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nWorld\r\n/)
    }).pipe(Effect.provide(layer(pipe(streamed, Fault.missingLastChunk, Fault.duplicate, Fault.missingLastChunk))))
  )

  it.scoped("an endless raw stream ends when the client disconnects", () =>
    Effect.gen(function* () {
      let sent = 0
      const piece = new Uint8Array(1024)
      const endless = Stream.tap(Stream.repeatValue(piece), () => Effect.sync(() => sent++))
      const raw = Fault.raw(endless)
      const doubled = Fault.duplicate((request) => Response.respondStream(request, 200, endless))
      for (const handler of [raw, doubled]) {
        const server = yield* make(handler)
        const client = yield* server.connect
        yield* client.send(get)
        yield* client.readUntil((seen) => seen.length > 0)
        const before = sent
        yield* client.reset
        yield* Effect.flatMap(server.takeRequest, (request) => request.outcome)
        expect(sent - before).toBeLessThan(5000)
      }
    })
  )

  it.scoped("latency follows its seed, reproducibly", () => {
    const delayed = (seed: number) => Fault.latency({ mean: "1 second", jitter: "200 millis", seed })(hello)
    const delays = (handler: Response.Handler, count: number) =>
      Effect.gen(function* () {
        const server = yield* make(handler)
        const found: Array<number> = []
        for (let each = 0; each < count; each++) {
          const fiber = yield* Effect.fork(Effect.timed(server.client.get("/")))
          yield* Effect.provideService(TestServer.advance("2 seconds"), TestServer.TestServer, server)
          found.push(Duration.toMillis((yield* Fiber.join(fiber))[0]))
        }
        return found
      })
    return Effect.gen(function* () {
      const handler = delayed(1)
      const first = yield* delays(handler, 5)
      expect(yield* delays(delayed(1), 5)).toStrictEqual(first)
      expect(yield* delays(delayed(2), 5)).not.toStrictEqual(first)
      // A handler is a value: another server starts with the same state.
      expect(yield* delays(handler, 5)).toStrictEqual(first)
      expect(new Set(first).size).toBeGreaterThan(1)
      for (const each of first) {
        expect(each).toBeGreaterThanOrEqual(800)
        expect(each).toBeLessThanOrEqual(1200)
      }
    })
  })

  it.scoped("latency is exact to the millisecond", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("29999 millis")
      expect(yield* seenBy(client)).toBe("")
      yield* TestServer.advance("1 millis")
      expect(yield* seenBy(client)).toBe(wholeResponse)
    }).pipe(Effect.provide(layer(Fault.latency({ mean: "30 seconds" })(hello))))
  )

  it.scoped("closes slowly", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("9999 millis")
      expect(yield* seenBy(client)).toBe(wholeResponse)
      expect(yield* Effect.fork(client.closedWith).pipe(Effect.flatMap((fiber) => fiber.poll))).toStrictEqual(
        Option.none()
      )
      yield* TestServer.advance("1 millis")
      expect(yield* client.closedWith).toBe("FIN")
      expect(yield* outcome).toStrictEqual({ _tag: "Responded", status: 200 })
      yield* expectServerStillWorks
    }).pipe(Effect.provide(layer(exceptWell(Fault.slowClose("10 seconds")(hello)))))
  )

  it.scoped("stops reading, and the client experiences backpressure", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const client = yield* server.connect
      yield* client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 50000000\r\n\r\n")
      const request = yield* server.takeRequest
      const fiber = yield* Effect.fork(request.bytes)
      yield* client.send(new Uint8Array(50_000_000))
      yield* TestServer.advance("1 minute")
      expect(yield* fiber.poll).toStrictEqual(Option.none())
      expect(yield* request.outcome).toStrictEqual(faulted("stall", 0))
      yield* expectServerStillWorks
    }).pipe(Effect.provide(layer(exceptWell(Fault.stopReading), { maxBody: 100_000_000 })))
  )

  it.scoped("sends interim responses, which clients ignore", () =>
    Effect.gen(function* () {
      const client = yield* ask
      const seen = yield* client.readUntil((bytes) => bytes.endsWith("World"))
      expect(seen.split("HTTP/1.1 103 Early Hints\r\n")).toHaveLength(51)
      expect(seen.endsWith(wholeResponse)).toBe(true)
      const response = yield* HttpClient.get("/")
      expect(yield* response.text).toBe("Hello World")
      expect(yield* outcome).toStrictEqual({ _tag: "Responded", status: 200 })
    }).pipe(Effect.provide(layer(Fault.informational(50)(hello))))
  )

  it.scoped("sends the response twice, and continues", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.settle
      expect(yield* seenBy(client)).toBe(wholeResponse + wholeResponse)
      yield* client.send(get)
      yield* TestServer.settle
      expect(yield* seenBy(client)).toBe(wholeResponse + wholeResponse)
    }).pipe(Effect.provide(layer(Fault.duplicate(hello))))
  )

  it.scoped("raw bytes with ending none keep the connection", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* client.send(get)
      yield* TestServer.settle
      expect(yield* seenBy(client)).toBe("HTTP/1.1 204 \n\n".repeat(2))
      expect(yield* outcome).toStrictEqual(faulted("raw", 15))
    }).pipe(Effect.provide(layer(Fault.raw("HTTP/1.1 204 \n\n", { ending: "none" }))))
  )

  it.scoped("a fault applies to its own response among pipelined ones", () =>
    Effect.gen(function* () {
      const client = yield* (yield* TestServer.TestServer).connect
      yield* client.send("GET /well HTTP/1.1\r\nHost: test\r\n\r\n".repeat(3) + get)
      expect((yield* client.readToEnd).toString("latin1")).toBe(wholeResponse.repeat(3) + wholeResponse.slice(0, 9))
    }).pipe(Effect.provide(layer(exceptWell(Fault.closeAfterBytes(9)(hello)))))
  )

  it.scoped("100 (Continue) passes through a fault", () => {
    const echo: Response.Handler = (request) =>
      Effect.flatMap(request.text, (text) => Response.respond(request, 200, text, date))
    return Effect.gen(function* () {
      const client = yield* (yield* TestServer.TestServer).connect
      yield* client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
      yield* client.readUntil((seen) => seen === "HTTP/1.1 100 Continue\r\n\r\n")
      yield* client.send("hi")
      expect((yield* client.readToEnd).toString()).toBe("HTTP/1.1")
    }).pipe(Effect.provide(layer(Fault.closeAfterBytes(8)(echo))))
  })

  it.scoped("an upload is closed with FIN, whatever the client still sends", () =>
    Effect.gen(function* () {
      const client = yield* (yield* TestServer.TestServer).connect
      yield* client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5000000\r\n\r\n")
      yield* client.send(new Uint8Array(3_000_000))
      expect((yield* client.readToEnd).toString()).toBe("HTTP")
      expect(yield* client.closedWith).toBe("FIN")
    }).pipe(Effect.provide(layer(Fault.closeAfterBytes(4)(hello))))
  )

  it.scoped("a large response is cut at the exact byte", () =>
    Effect.gen(function* () {
      const large: Response.Handler = (request) => Response.respond(request, 200, new Uint8Array(4_000_000), date)
      const server = yield* make(Fault.resetAfterBytes(3_000_000)(large))
      const client = yield* server.connect
      yield* client.send(get)
      expect(yield* client.readToEnd).toHaveLength(3_000_000)
      expect(yield* client.closedWith).toBe("RST")
    })
  )

  it.scoped("a failure passes through a fault to the server and the test", () =>
    Effect.gen(function* () {
      const refusing: Response.Handler = (request) => Effect.zipRight(request.json, hello(request))
      const server = yield* make(Fault.closeAfterBytes(10)(refusing))
      const response = yield* server.client.post("/", { body: HttpBody.text("{") })
      expect(response.status).toBe(400)
      const dying = yield* make(Fault.throttle({ bytes: 1, every: "1 second" })(() => Effect.die(new Error("no"))))
      yield* Effect.exit(dying.client.get("/"))
      expect(String(Cause.squash((yield* dying.takeFailure).cause))).toBe("Error: no")
    })
  )

  it.scoped("a raw stream that fails fails the test", () =>
    Effect.gen(function* () {
      const server = yield* make(Fault.raw(Stream.concat(Stream.make(Buffer.from("abc")), Stream.fail("my mistake"))))
      const client = yield* server.connect
      yield* client.send(get)
      expect(String(yield* client.readToEnd)).toBe("abc")
      expect(yield* client.closedWith).toBe("RST")
      expect(Cause.squash((yield* server.takeFailure).cause)).toBe("my mistake")
    })
  )

  it.scoped("closing the server ends suspended handlers", () =>
    Effect.gen(function* () {
      const waiting = [
        Fault.never,
        Fault.stopReading,
        Fault.stallAfterBytes(3)(hello),
        Fault.slowHeaders("1 hour")(hello),
        Fault.slowClose("1 hour")(hello),
        Fault.throttle({ bytes: 1, every: "1 hour" })(hello),
        Fault.latency({ mean: "1 hour" })(hello),
        Fault.halfClose(hello)
      ]
      const began = performance.now()
      for (const handler of waiting) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* make(handler)
            const client = yield* server.connect
            yield* client.send(get)
            yield* server.takeRequest
            yield* server.settle
          })
        )
      }
      expect(performance.now() - began).toBeLessThan(1000)
    })
  )
})

describe("a fault", () => {
  it.scoped("keeps the context and the errors of a handler in the types", () =>
    Effect.sync(() => {
      class Mine {
        readonly _tag = "Mine"
      }
      const handler = (_: Request.Request): Effect.Effect<Response.Responded, Mine, TestServer.TestServer> =>
        Effect.fail(new Mine())
      const all: Response.Handler<Mine, TestServer.TestServer> = pipe(
        handler,
        Fault.badChunk,
        Fault.closeAfterBytes(1),
        Fault.latency({ mean: 1 }),
        Fault.halfClose
      )
      // @ts-expect-error: its error is still there
      const none: Response.Handler<never, TestServer.TestServer> = all
      expect(none).toBe(all)
    })
  )

  it.scoped("requires a test server", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const { port } = yield* server.listen()
      const causes: Array<string> = []
      const onFailure = (cause: Cause.Cause<unknown>) =>
        Effect.sync(() => void causes.push(String(Cause.squash(cause))))
      yield* Effect.fork(server.serve(Fault.never, { onFailure }))
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}`))
      expect(response.status).toBe(500)
      expect(causes.join()).toContain("Fault requires a TestServer")
    }).pipe(Effect.provide(Server.layerDependencies))
  )

  it("rejects invalid arguments", () => {
    expect(() => Fault.closeAfterBytes(-1)).toThrow("closeAfterBytes must be Infinity or an integer >= 0. Received -1")
    expect(() => Fault.throttle({ bytes: 0, every: 1 })).toThrow(
      "throttle must be Infinity or an integer >= 1. Received 0"
    )
    expect(() => Fault.truncate(1.5)).toThrow("truncate must be Infinity or an integer >= 1. Received 1.5")
  })
})
