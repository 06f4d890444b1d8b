/** RFC 9112 §9: persistence, order, failures, and the end of a connection. */
import { once } from "node:events"
import { createServer, connect as dial, type Socket } from "node:net"
import { expect } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { type Handler, respond, sendInformational } from "../../../src/Response.js"
import {
  exchange,
  handshake,
  localhost,
  plainSocket,
  released,
  serving as servingTls,
  text
} from "../../listening/harness.js"
import { refusal, serving, untilDescriptorsHeld } from "../../server/harness.js"
import { advance, expectOpen, settled, sleepsUntil } from "../../server/memory.js"
import { eventLoopTurns } from "../../support/eventually.js"
import { connect, requestText, withBody } from "../../support/rawClient.js"
import { type App, allOf, replying } from "../subjects.js"
import { otherRows, proves, provesByRows, provesOfEach, provesOfEachInTestTime, rowsById } from "./proofs.js"
import { expectRefusal, finalsOf } from "./rows.js"

const path: App = ({ path }) => Effect.succeed({ status: 200, content: path })

/** Serves, and keeps the paths that were asked for. */
const keeping = (app: App) => {
  const asked: Array<string> = []
  const kept: App = (request) => {
    asked.push(request.path)
    return app(request)
  }
  return { asked, kept }
}

const get = (path: string, ...fields: ReadonlyArray<string>): string => requestText(`GET ${path}`, fields)

provesOfEach(
  "9112/9.3/persistent",
  "a hundred requests one after the other, each with its response, on one connection",
  (subject) =>
    Effect.gen(function* () {
      const client = yield* connect(yield* subject.serve(path))
      for (let i = 0; i < 100; i++) {
        yield* client.send(get(`/${i}`))
        const response = yield* client.readResponse()
        expect([response.text, response.header("Connection")]).toStrictEqual([`/${i}`, "keep-alive"])
      }
    })
)
provesByRows(
  "9112/9.3/persistent",
  rowsById("option-only-begins-close", "empty-connection", "http-1-0-keep-alive-goes", "http-1-2-goes-default-1-1")
)

for (const [what, text, final] of [
  ["a whole response", get("/"), 200],
  ["a stream", get("/stream"), 200],
  ["HEAD", requestText("HEAD /"), 200],
  ["an error of the handler", get("/die"), 500],
  ["a request of HTTP/1.0 that wants to be kept", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200]
] as const) {
  provesOfEach("9112/9.3/server-without", what, (subject) =>
    Effect.gen(function* () {
      const app: App = ({ path }) => {
        if (path === "/die") return Effect.die("mine")
        return path === "/stream"
          ? Effect.succeed({ status: 200, content: Stream.empty })
          : Effect.succeed({ status: 200, content: "whole", fields: { Connection: "keep-alive" } })
      }
      const port = yield* subject.serve(app, { limits: { maxRequestsPerConnection: 1 } })
      const sent = yield* allOf(port, text + get("/2"))
      const [response, ...rest] = finalsOf(Buffer.from(sent, "latin1"), [text.slice(0, text.indexOf(" "))])
      expect([response?.status, response?.header("Connection"), rest]).toStrictEqual([final, "close", []])
      expect(sent.match(/^Connection: /gim)).toHaveLength(1)
    })
  )
}
proves(
  "9112/9.3/server-without",
  "an interim response before it",
  Effect.gen(function* () {
    const hinting: Handler = (request) =>
      Effect.zipRight(sendInformational(request, 103, { Link: "</a>" }), respond(request, 200, "whole"))
    const { port } = yield* serving(hinting, { limits: { maxRequestsPerConnection: 1 } })
    const sent = yield* allOf(port, get("/") + get("/2"))
    expect(finalsOf(Buffer.from(sent)).map((response) => response.header("Connection"))).toStrictEqual(["close"])
    expect(sent.match(/^Connection: /gm)).toHaveLength(1)
  })
)

const smuggled = get("/smuggled")

const inChunks = (...chunks: ReadonlyArray<string>): string => {
  const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")
  return requestText("POST /1", ["Transfer-Encoding: chunked"], `${body}0\r\n\r\n`)
}

for (const [what, text, connection, goesOn] of [
  ["a body by length is thrown away", withBody("POST /1", smuggled), "keep-alive", true],
  ["a body in chunks is thrown away", inChunks(smuggled), "keep-alive", true],
  [
    "a body that is too long closes, and the response states it",
    withBody("POST /1", smuggled.repeat(10)),
    "close",
    false
  ],
  [
    "a body that turns out to be too long closes",
    inChunks(...Array.from({ length: 10 }, () => smuggled)),
    "keep-alive",
    false
  ],
  [
    "a body that turns out to be malformed closes, without a second response",
    requestText("POST /1", ["Transfer-Encoding: chunked"], "1\r\na\r\nnonsense\r\n"),
    "keep-alive",
    false
  ],
  [
    "a body that was never asked for with 100 closes, and the response states it",
    requestText("POST /1", ["Expect: 100-continue", `Content-Length: ${smuggled.length}`], smuggled),
    "close",
    false
  ]
] as const) {
  provesOfEach("9112/9.3/unread-body", `${what}, and none of it is a request`, (subject) =>
    Effect.gen(function* () {
      const { asked, kept } = keeping(path)
      const port = yield* subject.serve(kept, { limits: { maxDiscardedBody: 100 } })
      const finals = finalsOf(Buffer.from(yield* allOf(port, text + get("/2", "Connection: close"))))
      expect(finals[0]?.header("Connection")).toBe(connection)
      expect(finals.map((response) => response.text)).toStrictEqual(goesOn ? ["/1", "/2"] : ["/1"])
      expect(asked).toStrictEqual(goesOn ? ["/1", "/2"] : ["/1"])
    })
  )
}
provesOfEach("9112/9.3.2/order", "however slow each handler is, whole and streamed", (subject) =>
  Effect.gen(function* () {
    const port = yield* subject.serve(({ path }) => {
      const i = Number(path.slice(1))
      const content = i % 2 === 0 ? path : Stream.make(path).pipe(Stream.encodeText)
      return Effect.as(eventLoopTurns(12 - i), { status: 200, content })
    })
    const numbers = Array.from({ length: 12 }, (_, i) => `/${i}`)
    const sent = yield* allOf(port, numbers.map((each) => get(each)).join("") + get("/11", "Connection: close"))
    expect(finalsOf(Buffer.from(sent)).map((response) => response.text)).toStrictEqual([...numbers, "/11"])
  })
)

provesOfEachInTestTime("9112/9.5/graceful", "of an idle connection: FIN, and not a word", (subject) =>
  Effect.gen(function* () {
    const { connect } = yield* subject.serveInMemory(path)
    const connection = yield* connect
    yield* sleepsUntil(75_000)
    yield* advance(74_999)
    expectOpen(connection)
    yield* advance(1)
    expect(yield* connection.ended).toBe("end")
    expect(connection.written).toBe("")
  })
)
provesOfEachInTestTime("9112/9.5/graceful", "of a request that is half there: 408, then FIN", (subject) =>
  Effect.gen(function* () {
    const { connect } = yield* subject.serveInMemory(path)
    const connection = yield* connect
    connection.send("GET / HT")
    yield* advance(10_000)
    expect(yield* connection.ended).toBe("end")
    expectRefusal(finalsOf(Buffer.from(connection.written))[0], 408)
  })
)
provesOfEach("9112/9.5/monitor", "between requests: the client's end ends the connection", (subject) =>
  Effect.gen(function* () {
    const client = yield* connect(yield* subject.serve(path))
    yield* client.send(get("/"))
    yield* client.readResponse()
    yield* client.halfClose
    expect(yield* client.closedWith).toBe("FIN")
  })
)
proves(
  "9112/9.5/monitor",
  "between requests: the descriptor of a connection that its client ends is given back",
  Effect.gen(function* () {
    const made = yield* serving((request) => respond(request, 200))
    const client = yield* connect(made.port)
    yield* client.send(get("/"))
    yield* client.readResponse()
    yield* client.halfClose
    yield* untilDescriptorsHeld(made, 1)
  })
)
provesOfEach("9112/9.5/monitor", "within a request: a reset interrupts its handler", (subject) =>
  Effect.gen(function* () {
    const isRunning = yield* Deferred.make<void>()
    const end = yield* Deferred.make<Exit.Exit<never>>()
    const port = yield* subject.serve(() =>
      Effect.onExit(Effect.zipRight(Deferred.succeed(isRunning, undefined), Effect.never), (exit) =>
        Deferred.succeed(end, exit)
      )
    )
    const client = yield* connect(port)
    yield* client.send(get("/"))
    yield* Deferred.await(isRunning)
    yield* client.reset
    expect(Exit.isInterrupted(yield* Deferred.await(end))).toBe(true)
  })
)
provesOfEachInTestTime(
  "9112/9.5/sustain",
  "as long as it reads something within writeTimeout, for ten minutes",
  (subject) =>
    Effect.gen(function* () {
      let unsent = 1000
      const content = Stream.make("one").pipe(Stream.encodeText)
      const { connect } = yield* subject.serveInMemory(replying(200, content))
      const connection = yield* connect
      connection.unsent = () => unsent
      connection.setFull(true)
      connection.send(get("/"))
      for (let i = 0; i < 20; i++) {
        yield* advance(29_999)
        unsent--
        yield* advance(1)
        expect(connection.ending).toBe(undefined)
      }
      connection.setFull(false)
      yield* settled
      expect(finalsOf(Buffer.from(connection.written))[0]?.text).toBe("one")
    })
)

for (const [what, limits, app] of [
  ["a handler that closes", {}, replying(200, "", { Connection: "Close" })],
  ["a handler that closes among other options", {}, replying(200, "", { Connection: "x, close" })],
  ["a handler that closes with a stream", {}, replying(200, Stream.empty, { Connection: "close" })],
  ["the last request of a connection", { maxRequestsPerConnection: 1 }, path]
] as ReadonlyArray<readonly [string, { readonly maxRequestsPerConnection?: number }, App]>) {
  for (const id of ["9112/9.6/close-wished", "9112/9.6/close-sent", "9112/9.6/after-close-sent"] as const) {
    provesOfEach(id, what, (subject) =>
      Effect.gen(function* () {
        const { asked, kept } = keeping(app)
        const client = yield* connect(yield* subject.serve(kept, { limits }))
        yield* client.send(get("/1") + get("/2") + withBody("POST /3", "body"))
        const finals = finalsOf(yield* client.readToEnd)
        expect(yield* client.closedWith).toBe("FIN")
        expect(finals).toHaveLength(1)
        expect(finals[0]?.header("Connection")).toMatch(/^close\b/)
        expect(asked).toStrictEqual(["/1"])
      })
    )
  }
}

proves(
  "9112/9.6/close-sent",
  "an interim response cannot say close, after which the connection would have to end",
  Effect.gen(function* () {
    const { port } = yield* serving((request) =>
      Effect.gen(function* () {
        for (const value of ["close", "x, close", "keep-alive"]) {
          const hint = sendInformational(request, 103, { Link: "</a>", Connection: value })
          expect((yield* refusal(hint)).reason).toBe("HeaderForbidden")
        }
        yield* sendInformational(request, 103, { Link: "</a>" })
        return yield* respond(request, 200, request.path)
      })
    )
    const client = yield* connect(port)
    yield* client.send(get("/1") + get("/2", "Connection: close"))
    const sent = (yield* client.readToEnd).toString("latin1")
    const hint = "HTTP/1\\.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    const responses = [
      `${hint}HTTP/1\\.1 200 OK\r\n[^]*?/1`,
      `${hint}HTTP/1\\.1 200 OK\r\n[^]*?Connection: close\r\n[^]*?/2`
    ]
    expect(sent).toMatch(new RegExp(`^${responses.join("")}$`))
    expect(sent.match(/^Connection: .*/gm)).toStrictEqual(["Connection: keep-alive", "Connection: close"])
  })
)

for (const value of ["close", "CLOSE", "x,\tclose\t,y"]) {
  for (const id of [
    "9112/9.6/close-received",
    "9112/9.6/close-in-response",
    "9112/9.6/after-close-received"
  ] as const) {
    provesOfEach(id, `Connection: ${value.replaceAll("\t", "\\t")}, in the middle of a pipeline`, (subject) =>
      Effect.gen(function* () {
        const { asked, kept } = keeping(path)
        const client = yield* connect(yield* subject.serve(kept))
        yield* client.send(`${get("/1") + get("/2", `Connection: ${value}`) + get("/3")}nonsense\r\n`)
        const finals = finalsOf(yield* client.readToEnd)
        expect(yield* client.closedWith).toBe("FIN")
        expect(finals.map((response) => [response.text, response.header("Connection")])).toStrictEqual([
          ["/1", "keep-alive"],
          ["/2", "close"]
        ])
        expect(asked).toStrictEqual(["/1", "/2"])
      })
    )
  }
}
provesByRows(
  "9112/9.6/close-received",
  rowsById(
    "close",
    "close-case-blind",
    "close-in-list-tabs",
    "close-in-second-field",
    "close-beside-empty-members",
    "http-1-0-keep-alive-close-ends"
  )
)
proves(
  "9112/9.7/application-data",
  "requests and responses are application data; a plain request is not served",
  Effect.gen(function* () {
    const { port } = yield* servingTls(localhost)
    expect(yield* Effect.flatMap(handshake(port), exchange)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    const socket = yield* plainSocket(port)
    const whole = text(socket)
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    expect(yield* whole).toMatch(/^HTTP\/1\.1 400 /)
  })
)

for (const [when, request] of [
  ["between two requests", ""],
  ["within a head", "GET / HTTP/1.1\r\nHo"],
  ["within a body", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nbody"]
] as const) {
  proves(
    "9112/9.8/prepared",
    `a client that closes without an alert, ${when}`,
    Effect.gen(function* () {
      const { port, server } = yield* servingTls(localhost)
      const raw = yield* plainSocket(port)
      const socket = yield* handshake(port, { socket: raw })
      if (request !== "") yield* Effect.async<void>((resume) => void socket.write(request, () => resume(Effect.void)))
      raw.end()
      raw.destroySoon()
      yield* released(server)
      expect(yield* Effect.flatMap(handshake(port), exchange)).toMatch(/200 OK/)
    })
  )
}

/** Types of the records of TLS 1.2 in what a server sent, whose headers are not encrypted (RFC 5246 §6.2.1). */
const recordTypes = (bytes: Buffer): ReadonlyArray<number> => {
  const types: Array<number> = []
  for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) types.push(bytes[at]!)
  return types
}

/** Forwards connections to a port, and keeps what its server sends. */
const tapped = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const parts: Array<Buffer> = []
      const tap = createServer((client: Socket) => {
        const upstream = dial(port, "127.0.0.1")
        upstream.on("data", (bytes: Buffer) => parts.push(bytes))
        for (const each of [client, upstream]) each.on("error", () => {})
        client.pipe(upstream).pipe(client)
      }).listen(0, "127.0.0.1")
      await once(tap, "listening")
      const address = tap.address()
      if (address === null || typeof address === "string") throw new Error("no port")
      return { tap, port: address.port, received: () => Buffer.concat(parts) }
    }),
    ({ tap }) => Effect.sync(() => tap.close())
  )

const alert = 21

proves(
  "9112/9.8/server-alert",
  "the last record before the FIN is an alert",
  Effect.gen(function* () {
    const { port } = yield* servingTls(localhost)
    const tap = yield* tapped(port)
    expect(yield* Effect.flatMap(handshake(tap.port, { maxVersion: "TLSv1.2" }), exchange)).toMatch(/200 OK/)
    expect(recordTypes(tap.received()).at(-1)).toBe(alert)
  })
)

otherRows("RFC 9112 §9.3: other connections", ["every-character-token-in-option", "http-1-0-ends-default"])
