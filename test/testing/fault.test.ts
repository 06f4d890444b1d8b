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
const answer =
  "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n" +
  "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 11\r\n\r\nHello World"

const head = answer.slice(0, -11)

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

/** What has come by now. */
const seenBy = (client: RawClient.RawClient) => client.readUntil(() => true)

/** Nothing is left, and the next connection is served as if nothing had been. */
const isWellBehind = Effect.gen(function* () {
  const server = yield* TestServer.TestServer
  yield* server.assertNoLeaks
  const client = yield* server.connect
  yield* client.send("GET /well HTTP/1.1\r\nHost: test\r\n\r\n")
  expect(yield* client.readUntil((seen) => seen.endsWith("World"))).toBe(answer)
})

/** The faulty handler for all paths but `/well`. */
const besides =
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

const faulted = (by: string, sent: number) => ({ _tag: "Faulted", by, sent })

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
    seen: answer.slice(0, 20),
    ending: "FIN",
    outcome: faulted("close", 20)
  },
  "reset after bytes": {
    handler: Fault.resetAfterBytes(head.length + 5)(hello),
    seen: `${head}Hello`,
    ending: "RST",
    outcome: faulted("reset", head.length + 5)
  },
  "close behind an answer": {
    handler: Fault.closeAfterBytes(Number.POSITIVE_INFINITY)(hello),
    seen: answer,
    ending: "FIN",
    outcome: faulted("close", answer.length)
  },
  "reset behind an answer": {
    handler: Fault.resetAfterBytes(1000)(hello),
    seen: answer,
    ending: "RST",
    outcome: faulted("reset", answer.length)
  },
  truncate: {
    handler: Fault.truncate(4)(hello),
    seen: answer.slice(0, -4),
    ending: "FIN",
    outcome: faulted("close", answer.length - 4)
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
    outcome: { by: "close" }
  },
  "a bad chunk of a stream": {
    handler: Fault.badChunk(streamed),
    seen: /\r\n\r\n6\r\nHello \r\n5\r\nWorld\r\nthis is no chunk size\r\n$/,
    ending: "FIN",
    outcome: { by: "close" }
  },
  "a missing last chunk": {
    handler: Fault.missingLastChunk(hello),
    seen: /\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nHello World\r\n$/,
    ending: "FIN",
    outcome: { by: "close" }
  },
  "a missing last chunk of a stream": {
    handler: Fault.missingLastChunk(streamed),
    seen: /\r\n\r\n6\r\nHello \r\n5\r\nWorld\r\n$/,
    ending: "FIN",
    outcome: { by: "close" }
  },
  garbage: { handler: Fault.garbage, seen: /^[\x80-\xff]{64}$/, ending: "FIN", outcome: faulted("close", 64) },
  raw: {
    handler: Fault.raw("ICY 200 OK\r\n\r\nÿ"),
    seen: "ICY 200 OK\r\n\r\nÿ",
    ending: "FIN",
    outcome: { by: "close" }
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
    seen: answer,
    ending: "FIN",
    outcome: { _tag: "Responded", status: 200 }
  },
  "one around another": {
    handler: pipe(hello, Fault.resetAfterBytes(15), Fault.duplicate, Fault.latency({ mean: 0 })),
    seen: answer.slice(0, 15).repeat(2),
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
    yield* isWellBehind
  }).pipe(TestServer.supervise, Effect.provide(layer(besides(row.handler))))

overBoth((transport) => {
  const { layer, make } = transport

  for (const [name, row] of Object.entries(rows)) it.scoped(name, () => ends(transport, row))

  it.scoped.each(["close", "reset"] as const)("%s at accept", (how) =>
    Effect.gen(function* () {
      yield* how === "close" ? Fault.closeAtAccept(2) : Fault.resetAtAccept(2)
      const server = yield* TestServer.TestServer
      for (let times = 0; times < 2; times++) {
        // A reset may be there before the system has told of the connection.
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
      yield* isWellBehind
    }).pipe(Effect.provide(layer(hello)))
  )

  it.scoped("never answers, and the server ends it without a word", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("1 hour")
      expect(yield* seenBy(client)).toBe("")
      expect(yield* outcome).toStrictEqual(faulted("stall", 0))
      yield* isWellBehind
      const server = yield* TestServer.TestServer
      yield* server.closeClientConnections
      expect(String(yield* client.readToEnd)).toBe("")
    }).pipe(Effect.provide(layer(besides(Fault.never))))
  )

  it.scoped("says nothing when the server goes down, and is up again", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const clients = [yield* ask, yield* ask]
      yield* TestServer.settle
      yield* server.down
      for (const client of clients) expect(String(yield* client.readToEnd)).toBe("")
      yield* server.up
      yield* isWellBehind
    }).pipe(Effect.provide(layer(besides(Fault.never))))
  )

  it.scoped("stalls after bytes", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("1 hour")
      expect(yield* seenBy(client)).toBe(answer.slice(0, 30))
      expect(yield* outcome).toStrictEqual(faulted("stall", 30))
      yield* isWellBehind
      yield* client.reset
      yield* TestServer.settle
      const server = yield* TestServer.TestServer
      expect((yield* server.connections).map(({ index }) => index)).not.toContain(0)
    }).pipe(Effect.provide(layer(besides(Fault.stallAfterBytes(30)(hello)))))
  )

  it.scoped("a stall holds a handler that streams without an end, and lets it end with its client", () => {
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
      expect(yield* seenBy(client)).toBe(answer.slice(0, 10))
      yield* TestServer.advance("999 millis")
      expect(yield* seenBy(client)).toBe("")
      yield* TestServer.advance("1 millis")
      expect(yield* seenBy(client)).toBe(answer.slice(10, 20))
      yield* TestServer.advance("1 minute")
      expect(yield* seenBy(client)).toBe(answer.slice(20))
      yield* client.send(get)
      yield* TestServer.advance("1 minute")
      expect(yield* seenBy(client)).toBe(answer)
    }).pipe(Effect.provide(layer(Fault.throttle({ bytes: 10, every: "1 second" })(hello))))
  )

  it.scoped("reads no chunk where there is none: behind an answer that is sent twice without its end", () =>
    Effect.gen(function* () {
      const client = yield* ask
      expect((yield* client.readToEnd).toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nWorld\r\n/)
    }).pipe(Effect.provide(layer(pipe(streamed, Fault.missingLastChunk, Fault.duplicate, Fault.missingLastChunk))))
  )

  it.scoped("whoever sends without end to a client that has left stops when it has", () =>
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

  it.scoped("delays by what the seed says, and by the same each time", () => {
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
      // A handler is a value: another server begins anew.
      expect(yield* delays(handler, 5)).toStrictEqual(first)
      expect(new Set(first).size).toBeGreaterThan(1)
      for (const each of first) {
        expect(each).toBeGreaterThanOrEqual(800)
        expect(each).toBeLessThanOrEqual(1200)
      }
    })
  })

  it.scoped("is late to the millisecond", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("29999 millis")
      expect(yield* seenBy(client)).toBe("")
      yield* TestServer.advance("1 millis")
      expect(yield* seenBy(client)).toBe(answer)
    }).pipe(Effect.provide(layer(Fault.latency({ mean: "30 seconds" })(hello))))
  )

  it.scoped("closes slowly", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.advance("9999 millis")
      expect(yield* seenBy(client)).toBe(answer)
      expect(yield* Effect.fork(client.closedWith).pipe(Effect.flatMap((fiber) => fiber.poll))).toStrictEqual(
        Option.none()
      )
      yield* TestServer.advance("1 millis")
      expect(yield* client.closedWith).toBe("FIN")
      expect(yield* outcome).toStrictEqual({ _tag: "Responded", status: 200 })
      yield* isWellBehind
    }).pipe(Effect.provide(layer(besides(Fault.slowClose("10 seconds")(hello)))))
  )

  it.scoped("stops reading, and what is sent waits", () =>
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
      yield* isWellBehind
    }).pipe(Effect.provide(layer(besides(Fault.stopReading), { maxBody: 100_000_000 })))
  )

  it.scoped("sends interim responses, of which no client says a word", () =>
    Effect.gen(function* () {
      const client = yield* ask
      const seen = yield* client.readUntil((bytes) => bytes.endsWith("World"))
      expect(seen.split("HTTP/1.1 103 Early Hints\r\n")).toHaveLength(51)
      expect(seen.endsWith(answer)).toBe(true)
      const response = yield* HttpClient.get("/")
      expect(yield* response.text).toBe("Hello World")
      expect(yield* outcome).toStrictEqual({ _tag: "Responded", status: 200 })
    }).pipe(Effect.provide(layer(Fault.informational(50)(hello))))
  )

  it.scoped("answers twice, and goes on", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* TestServer.settle
      expect(yield* seenBy(client)).toBe(answer + answer)
      yield* client.send(get)
      yield* TestServer.settle
      expect(yield* seenBy(client)).toBe(answer + answer)
    }).pipe(Effect.provide(layer(Fault.duplicate(hello))))
  )

  it.scoped("raw bytes may be an answer that the connection goes on behind", () =>
    Effect.gen(function* () {
      const client = yield* ask
      yield* client.send(get)
      yield* TestServer.settle
      expect(yield* seenBy(client)).toBe("HTTP/1.1 204 \n\n".repeat(2))
      expect(yield* outcome).toStrictEqual(faulted("raw", 15))
    }).pipe(Effect.provide(layer(Fault.raw("HTTP/1.1 204 \n\n", { ending: "none" }))))
  )

  it.scoped("faults see their own answer of those that were asked for at once", () =>
    Effect.gen(function* () {
      const client = yield* (yield* TestServer.TestServer).connect
      yield* client.send("GET /well HTTP/1.1\r\nHost: test\r\n\r\n".repeat(3) + get)
      expect((yield* client.readToEnd).toString("latin1")).toBe(answer.repeat(3) + answer.slice(0, 9))
    }).pipe(Effect.provide(layer(besides(Fault.closeAfterBytes(9)(hello)))))
  )

  it.scoped("a client is told to go on all the same", () => {
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

  it.scoped("an upload is closed upon by a FIN, whatever is still sent", () =>
    Effect.gen(function* () {
      const client = yield* (yield* TestServer.TestServer).connect
      yield* client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5000000\r\n\r\n")
      yield* client.send(new Uint8Array(3_000_000))
      expect((yield* client.readToEnd).toString()).toBe("HTTP")
      expect(yield* client.closedWith).toBe("FIN")
    }).pipe(Effect.provide(layer(Fault.closeAfterBytes(4)(hello))))
  )

  it.scoped("a large answer is cut at the byte", () =>
    Effect.gen(function* () {
      const large: Response.Handler = (request) => Response.respond(request, 200, new Uint8Array(4_000_000), date)
      const server = yield* make(Fault.resetAfterBytes(3_000_000)(large))
      const client = yield* server.connect
      yield* client.send(get)
      expect(yield* client.readToEnd).toHaveLength(3_000_000)
      expect(yield* client.closedWith).toBe("RST")
    })
  )

  it.scoped("a fault leaves failures to the server, and to the test", () =>
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

  it.scoped("the server's end ends whatever waits", () =>
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
  it.scoped("keeps what a handler needs and how it fails", () =>
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

  it.scoped("happens to test servers alone", () =>
    Effect.gen(function* () {
      const server = yield* Server.make()
      const { port } = yield* server.listen()
      const causes: Array<string> = []
      const onFailure = (cause: Cause.Cause<unknown>) =>
        Effect.sync(() => void causes.push(String(Cause.squash(cause))))
      yield* Effect.fork(server.serve(Fault.never, { onFailure }))
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}`))
      expect(response.status).toBe(500)
      expect(causes.join()).toContain("a fault happens to connections of a TestServer")
    }).pipe(Effect.provide(Server.layerDependencies))
  )

  it("is not made of what makes no sense", () => {
    expect(() => Fault.closeAfterBytes(-1)).toThrow("closeAfterBytes: -1")
    expect(() => Fault.throttle({ bytes: 0, every: 1 })).toThrow("throttle: 0")
    expect(() => Fault.truncate(1.5)).toThrow("truncate: 1.5")
  })
})
