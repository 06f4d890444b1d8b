/** Each fault byte by byte, over both transports. */
import { HttpBody, HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Either, pipe, Stream } from "effect"
import { type Request, Response, Server } from "effect-asynchttpserver"
import { Fault, TestServer } from "effect-asynchttpserver/testing"
import { overBoth, type Transport } from "./both.js"
import {
  ask,
  date,
  exceptWell,
  expectServerStillWorks,
  faulted,
  get,
  head,
  hello,
  outcome,
  seenBy,
  streamed,
  wholeResponse
} from "./faultParts.js"

interface Ended {
  readonly handler: Response.Handler<never, never> | Response.Handler
  readonly seen: string | RegExp
  readonly ending: "FIN" | "RST"
  readonly outcome: object
}

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
      const { port } = yield* server.listen({ port: 0 })
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
