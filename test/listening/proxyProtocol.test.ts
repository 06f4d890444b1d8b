/**
 * The PROXY protocol: headers of both versions, where they come from, and what the requests after them show.
 */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex } from "node:stream"
import * as tls from "node:tls"
import { promisify } from "node:util"
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel, Metric, Option, Queue, Stream } from "effect"
import { Address, type Listener, Metrics, type Request, Response, Server } from "effect-asynchttpserver"
import * as HttpServer from "effect-asynchttpserver/HttpServer"
import { MemoryListener } from "effect-asynchttpserver/testing"
import { beforeAll } from "vitest"
import { type ProxyHeader, parseProxyHeader } from "../../src/internal/net/proxyHeader.js"
import { type Authority, type Issued, makeAuthority } from "./certificates.js"

let authority: Authority
let localhost: Issued

beforeAll(async () => {
  authority = await makeAuthority()
  localhost = await authority.issue()
})

const shown = (address: Option.Option<Address.Address>): string =>
  Option.match(address, { onNone: () => "none", onSome: Address.toAuthority })

/** Responds with the addresses and the scheme of the request. */
const respondAddresses = (request: Request.Request) => {
  const { client, remoteAddress, scheme } = request
  const address = Option.getOrElse(remoteAddress, () => "none")
  return Response.respond(request, 200, `${shown(client.remote)} ${shown(client.local)} ${address} ${scheme}`)
}

const trusting = { trusted: ["loopback"] }

const serving = (
  proxyProtocol: Listener.ProxyProtocol,
  more: Server.Options = {},
  handler: (request: Request.Request) => ReturnType<typeof respondAddresses> = respondAddresses
) =>
  Effect.gen(function* () {
    const server = yield* Server.make({ address: "127.0.0.1", proxyProtocol, drainTimeout: 0, ...more })
    yield* server.listen()
    yield* Effect.forkScoped(server.serve(handler))
    return server
  }).pipe(Effect.provide(Server.layerDependencies))

const get = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

const binary = (text: string): Buffer => Buffer.from(text, "latin1")

const opened = (port: number) =>
  Effect.acquireRelease(
    Effect.async<Socket>((resume) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const text = (socket: NodeJS.ReadableStream) =>
  Effect.async<string>((resume) => {
    let all = ""
    socket.on("data", (bytes: Buffer) => {
      all += bytes.toString("latin1")
    })
    socket.once("close", () => resume(Effect.succeed(all)))
  })

/** Sends parts, each in a segment of its own, and gives the content of the response; "" for none. */
const conversation = (port: number, parts: ReadonlyArray<Buffer>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const socket = yield* opened(port)
      const whole = text(socket)
      const fiber = yield* Effect.fork(whole)
      yield* Effect.yieldNow()
      for (const part of parts)
        yield* Effect.async<void>((resume) => void socket.write(part, () => resume(Effect.void)))
      return (yield* fiber).split("\r\n\r\n")[1] ?? ""
    })
  )

const signature = binary("\r\n\r\n\0\r\nQUIT\n")

/** A header of version 2, of a command, a family and its content. */
const version2 = (command: number, family: number, content: Buffer, length = content.length): Buffer =>
  Buffer.concat([signature, Buffer.from([command, family, length >> 8, length & 0xff]), content])

const tcp4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb])

const tcp6 = Buffer.concat([
  Buffer.from("20010db8000000000000000000000001", "hex"),
  Buffer.from("20010db8000000000000000000000002", "hex"),
  Buffer.from([0xdc, 0x04, 0x01, 0xbb])
])

const pathField = (path: string): Buffer => Buffer.concat([Buffer.from(path), Buffer.alloc(108 - path.length)])

/** An extension of a type with a value. */
const extension = (type: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 0xff]), value])

const ssl = (flags: number): Buffer => extension(0x20, Buffer.from([flags, 0, 0, 0, 0]))

/** Headers, and what a request after them shows of the client and of the destination. */
const valid: ReadonlyArray<readonly [title: string, header: Buffer, remote: string, local: string, scheme?: "https"]> =
  [
    ["v1 TCP4", binary("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"), "192.0.2.1:56324", "198.51.100.2:443"],
    [
      "v1 TCP6",
      binary("PROXY TCP6 2001:DB8:0:0::1 2001:db8::2 56324 443\r\n"),
      "[2001:db8::1]:56324",
      "[2001:db8::2]:443"
    ],
    [
      "v1 TCP6 of IPv4-mapped addresses",
      binary("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 0 65535\r\n"),
      "192.0.2.1:0",
      "198.51.100.2:65535"
    ],
    ["v2 TCP4", version2(0x21, 0x11, tcp4), "192.0.2.1:56324", "198.51.100.2:443"],
    ["v2 UDP4", version2(0x21, 0x12, tcp4), "192.0.2.1:56324", "198.51.100.2:443"],
    ["v2 TCP6", version2(0x21, 0x21, tcp6), "[2001:db8::1]:56324", "[2001:db8::2]:443"],
    [
      "v2 AF_UNIX",
      version2(0x21, 0x31, Buffer.concat([pathField("/run/client.sock"), pathField("\0proxy")])),
      "unix:/run/client.sock",
      "unix:@proxy"
    ],
    [
      "v2 with extensions",
      version2(0x21, 0x11, Buffer.concat([tcp4, extension(0x02, binary("example.org")), ssl(0)])),
      "192.0.2.1:56324",
      "198.51.100.2:443"
    ],
    [
      "v2 of a client with TLS",
      version2(0x21, 0x11, Buffer.concat([tcp4, ssl(1)])),
      "192.0.2.1:56324",
      "198.51.100.2:443",
      "https"
    ],
    [
      "v2 of the greatest length",
      version2(0x21, 0x11, Buffer.concat([tcp4, extension(0x04, Buffer.alloc(4096 - 16 - 12 - 3))])),
      "192.0.2.1:56324",
      "198.51.100.2:443"
    ]
  ]

/** Headers without addresses: those of the socket stay. */
const withoutAddresses: ReadonlyArray<readonly [title: string, header: Buffer]> = [
  ["v1 UNKNOWN", binary("PROXY UNKNOWN\r\n")],
  ["v1 UNKNOWN with more", binary("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n")],
  ["v2 LOCAL", version2(0x20, 0x00, Buffer.alloc(0))],
  ["v2 LOCAL with addresses", version2(0x20, 0x11, tcp4)],
  ["v2 LOCAL with content that is no extension", version2(0x20, 0x00, binary("\xff\xff\xff"))],
  ["v2 AF_UNSPEC", version2(0x21, 0x00, Buffer.alloc(0))],
  ["v2 AF_UNSPEC with content", version2(0x21, 0x00, binary("\x04\x00\x01x"))]
]

const malformed: ReadonlyArray<readonly [title: string, header: Buffer]> = [
  ["no header", binary(get)],
  ["a lower-case prefix", binary("proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n")],
  ["two spaces", binary("PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n")],
  ["two spaces within", binary("PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n")],
  ["a space at the end", binary("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n")],
  ["LF alone", binary("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\nGET / HTTP/1.1\r\n\r\n")],
  ["an unknown protocol", binary("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n")],
  ["an empty protocol", binary("PROXY \r\n")],
  ["an address of another family", binary("PROXY TCP4 ::1 ::2 1 2\r\n")],
  ["an IPv4 address as TCP6", binary("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n")],
  ["an address with a leading zero", binary("PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n")],
  ["an address of three parts", binary("PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n")],
  ["an address with a zone", binary("PROXY TCP6 fe80::1%lo fe80::2 1 2\r\n")],
  ["a host name", binary("PROXY TCP4 localhost 198.51.100.2 1 2\r\n")],
  ["a port beyond 65535", binary("PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n")],
  ["a port with a leading zero", binary("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n")],
  ["a port that is negative", binary("PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n")],
  ["a missing port", binary("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n")],
  ["a line of 108 bytes", binary(`PROXY UNKNOWN ${"x".repeat(92)}\r\n`)],
  ["version 1 in binary", version2(0x11, 0x11, tcp4)],
  ["version 3", version2(0x31, 0x11, tcp4)],
  ["an unknown command", version2(0x22, 0x11, tcp4)],
  ["an unknown family", version2(0x21, 0x41, tcp4)],
  ["an unknown transport", version2(0x21, 0x13, tcp4)],
  ["addresses longer than the header", version2(0x21, 0x21, tcp4)],
  ["an extension longer than the header", version2(0x21, 0x11, Buffer.concat([tcp4, binary("\x04\x00\x02x")]))],
  ["a piece of an extension", version2(0x21, 0x11, Buffer.concat([tcp4, binary("\x04\x00")]))],
  ["more than 4096 bytes", version2(0x21, 0x11, tcp4, 4081)],
  ["a wrong byte in the signature", binary("\r\n\r\n\0\r\nQUIT\r")]
]

const parsed = (bytes: Buffer): ProxyHeader => {
  const result = parseProxyHeader(bytes)
  if (result === "NeedMore" || result._tag !== "ProxyHeader") throw new Error(`not a header: ${JSON.stringify(result)}`)
  return result
}

describe("the parser", () => {
  it.each([...valid, ...withoutAddresses].map(([title, header]) => [title, header] as const))(
    "%s: needs all bytes and no other",
    (_, header) => {
      for (let end = 0; end < header.length; end++) expect(parseProxyHeader(header.subarray(0, end))).toBe("NeedMore")
      expect(parsed(Buffer.concat([header, binary(get)]))).toStrictEqual(parsed(header))
      expect(parsed(header).length).toBe(header.length)
    }
  )

  it.each(malformed)("%s: is malformed, and never valid before", (_, header) => {
    const results = Array.from({ length: header.length }, (__, end) => parseProxyHeader(header.subarray(0, end + 1)))
    const first = results.findIndex((result) => result !== "NeedMore")
    expect(results.slice(first).map((result) => result !== "NeedMore" && result._tag)).toStrictEqual(
      results.slice(first).map(() => "MalformedHeader")
    )
    expect(first).toBeGreaterThanOrEqual(0)
  })

  it("refuses the first byte that no header begins with", () => {
    const first = Array.from({ length: 256 }, (_, byte) => byte).filter(
      (byte) => parseProxyHeader(Buffer.from([byte])) === "NeedMore"
    )
    expect(first).toStrictEqual([0x0d, 0x50])
  })
})

describe("a header from a trusted peer", () => {
  it.scopedLive.each(valid)("%s: determines the addresses of the request", ([, header, remote, local, scheme]) =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting)).port
      const address = remote.startsWith("unix:") ? "none" : remote.replace(/:\d+$/, "").replace(/[[\]]/g, "")
      const expected = `${remote} ${local} ${address} ${scheme ?? "http"}`
      expect(yield* conversation(port, [Buffer.concat([header, binary(get)])])).toBe(expected)
      expect(yield* conversation(port, [header, binary(get)])).toBe(expected)
    })
  )

  it.scopedLive.each(withoutAddresses)("%s: leaves the addresses of the socket", ([, header]) =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting)).port
      const content = yield* conversation(port, [Buffer.concat([header, binary(get)])])
      expect(content).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\d+ 127\\.0\\.0\\.1:${port} 127\\.0\\.0\\.1 http$`))
    })
  )

  for (const [title, header, remote] of [valid[0]!, valid[5]!]) {
    it.scopedLive(`${title}: may be split at every byte`, () =>
      Effect.gen(function* () {
        const port = yield* (yield* serving(trusting)).port
        const whole = Buffer.concat([header, binary(get)])
        yield* Effect.forEach(
          Array.from({ length: header.length + 4 }, (_, i) => i + 1),
          (at) =>
            Effect.map(conversation(port, [whole.subarray(0, at), whole.subarray(at)]), (content) =>
              expect(content).toContain(remote)
            ),
          { concurrency: 8 }
        )
        const bytes = Array.from(whole, (byte) => Buffer.from([byte]))
        expect(yield* conversation(port, bytes)).toContain(remote)
      })
    )
  }

  it.scopedLive("is read once: a second one is no request", () =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting)).port
      const [, header] = valid[0]!
      expect(yield* conversation(port, [Buffer.concat([header, header, binary(get)])])).toMatch(/^400 /)
    })
  )

  it.scopedLive("is followed by several requests of one client", () =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting)).port
      const socket = yield* opened(port)
      const whole = text(socket)
      socket.write(Buffer.concat([valid[0]![1], binary(`GET /1 HTTP/1.1\r\nHost: a\r\n\r\n${get}`)]))
      expect((yield* whole).match(/192\.0\.2\.1:56324/g)).toHaveLength(2)
    })
  )

  it.scopedLive("annotates the log entries of handlers with its address", () =>
    Effect.gen(function* () {
      const peers = yield* Queue.unbounded<unknown>()
      const logger = Logger.make(({ annotations }) => {
        peers.unsafeOffer(
          Option.getOrNull(Option.fromNullable([...annotations].find(([name]) => name === "peer")?.[1]))
        )
      })
      const server = yield* serving(trusting, {}, (request) =>
        Effect.zipRight(Effect.logInfo("handled"), respondAddresses(request))
      ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      yield* conversation(yield* server.port, [Buffer.concat([valid[0]![1], binary(get)])])
      expect(yield* Queue.take(peers)).toBe("192.0.2.1:56324")
    })
  )

  it.scopedLive("may come over a Unix domain socket", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "proxy-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const path = join(folder, "s")
      const server = yield* Server.make({ path, proxyProtocol: { trusted: ["unix"] }, drainTimeout: 0 }).pipe(
        Effect.provide(Server.layerDependencies)
      )
      yield* server.listen()
      yield* Effect.forkScoped(server.serve(respondAddresses))
      const ask = (header: Buffer) =>
        Effect.suspend(() => {
          const socket = connect(path)
          const whole = text(socket)
          socket.write(Buffer.concat([header, binary(get)]))
          return Effect.map(whole, (all) => all.split("\r\n\r\n")[1])
        })
      expect(yield* ask(valid[0]![1])).toBe("192.0.2.1:56324 198.51.100.2:443 192.0.2.1 http")
      expect(yield* ask(version2(0x20, 0, Buffer.alloc(0)))).toBe(`none unix:${path} none http`)
    })
  )

  it.scopedLive("is seen by an application of @effect/platform", () =>
    Effect.gen(function* () {
      const app = Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
        HttpServerResponse.text(
          `${Option.getOrNull(request.remoteAddress)} ${Option.getOrThrow(HttpServerRequest.toURL(request)).href}`
        )
      )
      const server = yield* HttpServer.make({ host: "127.0.0.1", proxyProtocol: trusting, drainTimeout: 0 })
      yield* server.serve(app)
      if (server.address._tag !== "TcpAddress") throw new Error("not over TCP")
      const { port } = server.address
      const ask = (header: Buffer) => conversation(port, [Buffer.concat([header, binary(get)])])
      expect(yield* ask(valid[0]![1])).toBe("192.0.2.1 http://localhost/")
      expect(yield* ask(version2(0x21, 0x11, Buffer.concat([tcp4, ssl(1)])))).toBe("192.0.2.1 https://localhost/")
    })
  )
})

describe("a header before TLS", () => {
  /** A connection that sends a header, and then begins the handshake. */
  const secured = (port: number, header: Buffer, at: number) =>
    Effect.gen(function* () {
      const raw = yield* opened(port)
      // The second part of the header and the first bytes of the handshake are one segment.
      raw.write(header.subarray(0, at))
      let rest: Buffer | undefined = header.subarray(at)
      const joined = new Duplex({
        read: () => {},
        write: (bytes: Buffer, _, done) => {
          raw.write(rest === undefined ? bytes : Buffer.concat([rest, bytes]), done)
          rest = undefined
        },
        final: (done) => {
          raw.end()
          done()
        }
      })
      raw.on("data", (bytes) => joined.push(bytes))
      raw.on("end", () => joined.push(null))
      raw.on("close", () => joined.destroy())
      const socket = tls.connect({ socket: joined, servername: "localhost", ca: authority.cert })
      socket.on("error", () => {})
      const whole = text(socket)
      socket.write(get)
      return (yield* whole).split("\r\n\r\n")[1] ?? ""
    }).pipe(Effect.scoped)

  it.scopedLive.each([valid[0]!, valid[3]!])("%s: determines the addresses, wherever it is split", ([, header]) =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting, { tls: localhost })).port
      yield* Effect.forEach(
        Array.from({ length: header.length + 1 }, (_, i) => i),
        (at) =>
          Effect.map(secured(port, header, at), (content) =>
            expect(content).toBe("192.0.2.1:56324 198.51.100.2:443 192.0.2.1 https")
          ),
        { concurrency: 8 }
      )
    })
  )

  it.scopedLive("is not refused while the handshake waits for others", () =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting, { tls: { ...localhost, maxHandshakes: 1 } })).port
      const [, header] = valid[0]!
      const results = yield* Effect.forEach(Array.from({ length: 12 }), () => secured(port, header, header.length), {
        concurrency: "unbounded"
      })
      expect(new Set(results)).toStrictEqual(new Set(["192.0.2.1:56324 198.51.100.2:443 192.0.2.1 https"]))
    })
  )

  it.scopedLive("is required", () =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting, { tls: localhost })).port
      expect(yield* secured(port, Buffer.alloc(0), 0)).toBe("")
    })
  )
})

/** Waits until the listening socket is the only descriptor. */
const released = (server: Server.Server) =>
  Stream.runDrain(Stream.takeUntil(server.budget.changes, ({ held }) => held === 1))

describe("a connection without a valid header", () => {
  /** Serves with a log of level Debug; gives its messages. */
  const logged = (proxyProtocol: Listener.ProxyProtocol) =>
    Effect.gen(function* () {
      const messages = yield* Queue.unbounded<string>()
      const logger = Logger.make(({ annotations, logLevel, message }) => {
        if (!String(message).startsWith("no PROXY")) return
        const peer = [...annotations].find(([name]) => name === "peer")?.[1]
        messages.unsafeOffer(`${logLevel.label} ${message} ${peer}`)
      })
      const live = Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.Debug))
      return { server: yield* Effect.provide(serving(proxyProtocol), live), messages }
    })

  it.scopedLive.each(malformed)("%s: is closed, counted and logged", ([, header]) =>
    Effect.gen(function* () {
      const before = yield* Metric.value(Metrics.proxyHeaderErrors)
      const { messages, server } = yield* logged(trusting)
      expect(yield* conversation(yield* server.port, [header])).toBe("")
      expect(yield* Queue.take(messages)).toMatch(/^DEBUG no PROXY protocol header: .+ 127\.0\.0\.1:\d+$/)
      expect((yield* Metric.value(Metrics.proxyHeaderErrors)).count).toBeGreaterThan(before.count)
      yield* released(server)
    })
  )

  it.scopedLive("that sends FIN before the end of it: is closed", () =>
    Effect.gen(function* () {
      const { messages, server } = yield* logged(trusting)
      const socket = yield* opened(yield* server.port)
      const whole = text(socket)
      socket.end("PROXY TCP4 ")
      expect(yield* whole).toBe("")
      expect(yield* Queue.take(messages)).toContain("has ended the connection")
      yield* released(server)
    })
  )

  it.scopedLive("that sends nothing: is closed after the timeout", () =>
    Effect.gen(function* () {
      const { messages, server } = yield* logged({ ...trusting, timeout: "50 millis" })
      const socket = yield* opened(yield* server.port)
      yield* text(socket)
      expect(yield* Queue.take(messages)).toContain("in time")
      yield* released(server)
    })
  )

  it.scopedLive("that is reset: releases its descriptor", () =>
    Effect.gen(function* () {
      const server = yield* serving(trusting)
      const socket = yield* opened(yield* server.port)
      socket.write("PROXY ")
      yield* Stream.runDrain(Stream.takeUntil(server.budget.changes, ({ held }) => held === 2))
      socket.resetAndDestroy()
      yield* released(server)
    })
  )

  it.scopedLive("does not delay the close of the server", () =>
    Effect.gen(function* () {
      const server = yield* serving(trusting)
      const socket = yield* opened(yield* server.port)
      const closed = yield* Effect.fork(text(socket))
      yield* Stream.runDrain(Stream.takeUntil(server.budget.changes, ({ held }) => held === 2))
      yield* server.close
      expect(yield* closed).toBe("")
    })
  )

  it.scopedLive.each([
    ["with a header", Buffer.concat([valid[0]![1], binary(get)])],
    ["without", binary(get)]
  ] as const)("from a peer that is not trusted, %s: is closed", ([, bytes]) =>
    Effect.gen(function* () {
      const { messages, server } = yield* logged({ trusted: ["10.0.0.0/8", "::1", "unix"] })
      expect(yield* conversation(yield* server.port, [bytes])).toBe("")
      expect(yield* Queue.take(messages)).toContain("not trusted")
    })
  )
})

describe("options", () => {
  it.scopedLive.each([
    ["trusted", { trusted: ["10.0.0.0/33"] }],
    ["trusted", { trusted: ["10.0.0.0/8", "::1/129"] }],
    ["trusted", { trusted: ["localhost"] }],
    ["trusted", { trusted: [""] }],
    ["trusted", { trusted: ["fe80::1%lo"] }],
    ["trusted", { trusted: ["10.0.0.0/8/8"] }],
    ["trusted", { trusted: "10.0.0.0/8" as never }],
    ["trusted", {} as never],
    ["timeout", { trusted: [], timeout: "soon" as never }],
    ["timeout", { trusted: [], timeout: "Infinity" as never }],
    ["timeout", { trusted: [], timeout: Number.POSITIVE_INFINITY }]
  ] as ReadonlyArray<readonly [string, Listener.ProxyProtocol]>)(
    "proxyProtocol.%s is validated: %j",
    ([name, option]) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(serving(option))
        expect(error).toMatchObject({
          _tag: "ValueError",
          reason: "Option",
          actual: expect.stringContaining(`proxyProtocol.${name}`)
        })
      })
  )

  it.scopedLive("is an OSError with a listener that ignores it", () =>
    Effect.gen(function* () {
      const server = yield* Server.make({ proxyProtocol: trusting })
      expect(yield* Effect.flip(server.listen())).toMatchObject({ _tag: "OSError", code: "ENOTSUP" })
    }).pipe(Effect.provide(Layer.provideMerge(MemoryListener.layer, Server.layerDependencies)))
  )

  it.scopedLive("belongs to one place: another of the same server has none", () =>
    Effect.gen(function* () {
      const server = yield* serving(trusting, { additional: [{ address: "127.0.0.1" }] })
      const [, plain] = yield* server.addresses
      if (plain?._tag !== "TcpAddress") throw new Error("not over TCP")
      expect(yield* conversation(plain.port, [binary(get)])).toMatch(/^127\.0\.0\.1:/)
      expect(yield* conversation(yield* server.port, [binary(get)])).toBe("")
    })
  )
})

const run = promisify(execFile)

const curl = await run("curl", ["--version"]).then(
  ({ stdout }) => stdout,
  () => ""
)

/** `--haproxy-clientip` came with 8.2. */
const hasClientIp = /^curl (?:8\.(?:[2-9]|\d\d)|9)/.test(curl)

describe.skipIf(curl === "")("curl --haproxy-protocol", () => {
  it.scopedLive("has its own addresses in the header", () =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting)).port
      const { stdout } = yield* Effect.promise(() =>
        run("curl", ["-sS", "--haproxy-protocol", `http://127.0.0.1:${port}/`])
      )
      expect(stdout).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\d+ 127\\.0\\.0\\.1:${port} 127\\.0\\.0\\.1 http$`))
    })
  )

  it.scopedLive("over TLS", () =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting, { tls: localhost })).port
      const { stdout } = yield* Effect.promise(() =>
        run("curl", ["-sSk", "--haproxy-protocol", `https://127.0.0.1:${port}/`])
      )
      expect(stdout).toMatch(/ https$/)
    })
  )

  it.scopedLive.skipIf(!hasClientIp)("with the address of a client", () =>
    Effect.gen(function* () {
      const port = yield* (yield* serving(trusting)).port
      const { stdout } = yield* Effect.promise(() =>
        run("curl", ["-sS", "--haproxy-clientip", "203.0.113.7", `http://127.0.0.1:${port}/`])
      )
      expect(stdout).toMatch(/ 203\.0\.113\.7 http$/)
    })
  )
})
