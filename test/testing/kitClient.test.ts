/** The kit's client, against whatever a server may send: what it asks, what it reads, and what it reports. */
import { Cookies, HttpBody, type HttpClient, HttpClientRequest } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Option, Stream } from "effect"
import { nextTurn } from "../../src/internal/runtime.js"
import type { Connection } from "../../src/Listener.js"
import { ConnectionPool } from "../../src/testing/internal/client/clientConnection.js"
import { kitClient } from "../../src/testing/internal/client/kitClient.js"
import { ResponseReader, type Step } from "../../src/testing/internal/client/responseReader.js"
import { Network } from "../../src/testing/internal/network.js"

/** A connection, as the server that a test plays sees it. */
interface Seen {
  readonly connection: Connection
  text: string
  end: "Open" | "FIN" | "Closed"
}

const url = "http://127.0.0.1:1/path?q=1"

/** A server that does what it is told to with each piece that comes. */
const playing = (onText: (seen: Seen) => void) =>
  Effect.gen(function* () {
    const network = new Network()
    const bound = yield* network.listen({
      port: 1,
      address: "",
      domain: "IPv4",
      backlog: 1,
      reuseAddr: true,
      reusePort: false,
      onFull: "wait"
    })
    const all: Array<Seen> = []
    const accept = (connection: Connection): void => {
      const seen: Seen = { connection, text: "", end: "Open" }
      all.push(seen)
      connection.open({
        onBytes: (bytes) => {
          seen.text += bytes.toString("latin1")
          onText(seen)
        },
        onEnd: () => {
          seen.end = "FIN"
          connection.end()
        },
        onDrain: () => {},
        onClose: () => {
          seen.end = "Closed"
        }
      })
    }
    yield* Effect.forkScoped(bound.admit(() => true, accept))
    const pool = new ConnectionPool(
      (endOf) => network.dial(1, endOf),
      () => {}
    )
    const client = kitClient(pool, Effect.dieMessage("no other client is asked"))
    return { all, client, pool }
  })

const answering = (...parts: ReadonlyArray<string>) =>
  playing(({ connection }) => {
    for (const part of parts) connection.write([part])
  })

const later = Effect.repeatN(nextTurn, 10)

const failureOf = (client: HttpClient.HttpClient) =>
  Effect.flip(Effect.flatMap(client.get(url), (response) => response.text))

const responses = {
  length: ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a:  2 \r\n\r\nHello", 200, "Hello"],
  chunked: [
    "HTTP/1.1 201 \r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nHel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n",
    201,
    "Hello"
  ],
  "without a body": ["HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, ""],
  "not modified": ["HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, ""],
  "without a reason": ["HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, ""],
  "behind interim ones": [
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    200,
    "hi"
  ]
} as const

const stepsOf = (reader: ResponseReader, method: string): ReadonlyArray<Exclude<Step, "NeedMore">> => {
  const steps: Array<Exclude<Step, "NeedMore">> = []
  for (;;) {
    const step = reader.next(method)
    if (step === "NeedMore") return steps
    steps.push(step)
    if (step._tag === "End" || step._tag === "Broken") return steps
  }
}

const read = (pieces: ReadonlyArray<string>, method = "GET") => {
  const reader = new ResponseReader()
  const steps = pieces.flatMap((piece) => {
    reader.feed(Buffer.from(piece, "latin1"))
    return stepsOf(reader, method)
  })
  return {
    reader,
    head: steps.find((step) => step._tag === "Head"),
    body: steps.map((step) => (step._tag === "Body" ? step.bytes.toString("latin1") : "")).join(""),
    last: steps.at(-1)
  }
}

describe("a response is read", () => {
  for (const [name, [text, status, body]] of Object.entries(responses)) {
    it(`${name}, wherever it is split`, () => {
      for (let at = 0; at <= text.length; at++) {
        const { reader, ...seen } = read([text.slice(0, at), text.slice(at)])
        expect([seen.head?.status, seen.body, seen.last?._tag, reader.hasRest]).toStrictEqual([
          status,
          body,
          "End",
          false
        ])
      }
      expect(read(Array.from(text))).toMatchObject({ head: { status }, body, last: { _tag: "End" } })
    })
  }

  it("with its headers in lower case, joined", () => {
    expect(read([responses.length[0]]).head?.headers).toStrictEqual({ "content-length": "5", "x-a": "1, 2" })
  })

  it("to HEAD without the body it announces", () => {
    expect(read(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], "HEAD").last?._tag).toBe("End")
  })

  it("and says whether another may follow", () => {
    const isKept = (line: string, fields: string) => read([`HTTP/1.${line}\r\n${fields}\r\n`]).head?.isKept
    expect(isKept("1 200 OK", "Content-Length: 0\r\n")).toBe(true)
    expect(isKept("1 200 OK", "Content-Length: 0\r\nConnection: x, Close\r\n")).toBe(false)
    expect(isKept("0 200 OK", "Content-Length: 0\r\n")).toBe(false)
    expect(isKept("0 200 OK", "Content-Length: 0\r\nConnection: keep-alive\r\n")).toBe(true)
    expect(isKept("1 200 OK", "")).toBe(false)
  })

  it.each([
    ["garbage", "HPE_INVALID_CONSTANT"],
    ["HTTP/1.1 2x0 OK\r\n", "HPE_INVALID_CONSTANT"],
    ["HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n", "HPE_INVALID_HEADER_TOKEN"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "HPE_INVALID_CONTENT_LENGTH"],
    ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HPE_INVALID_CONTENT_LENGTH"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HPE_INVALID_CONTENT_LENGTH"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HPE_INVALID_CHUNK_SIZE"],
    [`HTTP/1.1 200 OK\r\nA: ${"x".repeat(70_000)}`, "HPE_HEADER_OVERFLOW"]
  ])("and refused: %j", (text, code) => {
    expect(read([text]).last).toMatchObject({ _tag: "Broken", code })
  })
})

describe("the client in memory", () => {
  it.scoped("says what Node's says", () =>
    Effect.gen(function* () {
      const { all, client } = yield* answering(responses.length[0])
      const requests = [
        HttpClientRequest.get(url, { headers: { "X-A": "1" } }),
        HttpClientRequest.post("http://a:b%20c@example/", {}),
        HttpClientRequest.put(url, { body: HttpBody.text("é") }),
        HttpClientRequest.post(url, { body: HttpBody.raw("raw") })
      ]
      for (const request of requests) yield* client.execute(request)
      const kept = "Connection: keep-alive\r\n"
      const withoutTrace = all[0]?.text.replaceAll(/(b3|traceparent): .*\r\n/g, "")
      expect(all.length).toBe(1)
      expect(withoutTrace).toBe(
        [
          `GET /path?q=1 HTTP/1.1\r\nx-a: 1\r\nHost: 127.0.0.1:1\r\n${kept}\r\n`,
          `POST / HTTP/1.1\r\nAuthorization: Basic YTpiIGM=\r\nHost: example\r\n${kept}Content-Length: 0\r\n\r\n`,
          `PUT /path?q=1 HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 2\r\nHost: 127.0.0.1:1\r\n${kept}\r\nÃ©`,
          `POST /path?q=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n${kept}Content-Length: 3\r\n\r\nraw`
        ].join("")
      )
    })
  )

  it.scoped("sends streams in chunks, or by their length, and forms", () =>
    Effect.gen(function* () {
      const ends = /(0\r\n\r\n|abcd|--\r\n)$/
      const { all, client } = yield* playing((seen) => {
        if (ends.test(seen.text)) seen.connection.write([responses.length[0]])
      })
      const stream = Stream.make("ab", "", "cd").pipe(Stream.encodeText)
      const send = (body: HttpBody.HttpBody) => client.execute(HttpClientRequest.post(url, { body }))
      yield* send(HttpBody.stream(stream))
      expect(all[0]?.text).toMatch(/Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n$/)
      yield* send(HttpBody.stream(stream, "text/plain", 4))
      expect(all[0]?.text).toMatch(/content-length: 4\r\n[\s\S]*\r\n\r\nabcd$/)
      yield* send(HttpBody.formDataRecord({ name: "value" }))
      expect(all[0]?.text).toMatch(/content-type: multipart\/form-data; boundary=[\s\S]*name="name"\r\n\r\nvalue\r\n/)
      expect(all.length).toBe(1)
    })
  )

  it.scoped("fails by a stream that fails, and leaves", () =>
    Effect.gen(function* () {
      const { all, client } = yield* playing(() => {})
      const body = HttpBody.stream(Stream.fail("mine"))
      const error = yield* Effect.flip(client.post(url, { body }))
      expect(error).toMatchObject({ _tag: "RequestError", reason: "Encode", cause: "mine" })
      yield* later
      expect(all[0]?.end).toBe("Closed")
    })
  )

  it.scoped("has an answer that comes before its request has been sent, and its connection ended", () =>
    Effect.gen(function* () {
      const { client } = yield* playing(({ connection }) => {
        connection.write(["HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"])
        connection.end()
      })
      const body = HttpBody.stream(Stream.concat(Stream.make(new Uint8Array(9)), Stream.never))
      expect((yield* client.post(url, { body })).status).toBe(413)
    })
  )

  it.scoped("sends nothing that would be another field", () =>
    Effect.gen(function* () {
      const { all, client } = yield* answering(responses.length[0])
      const error = yield* Effect.flip(client.get(url, { headers: { "x-a": "1\r\nx-b: 2" } }))
      expect(error).toMatchObject({ reason: "Encode", cause: { code: "ERR_INVALID_CHAR" } })
      expect(all).toStrictEqual([])
    })
  )

  it.scoped("reads a body in each form, again and again", () =>
    Effect.gen(function* () {
      const { client } = yield* answering(
        'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\nContent-Length: 7\r\n\r\n{"a":1}'
      )
      const response = yield* client.get(url)
      expect(yield* response.text).toBe('{"a":1}')
      expect(yield* response.json).toStrictEqual({ a: 1 })
      expect((yield* response.arrayBuffer).byteLength).toBe(7)
      expect(Array.from(yield* response.urlParamsBody)).toStrictEqual([['{"a":1}', ""]])
      expect(Option.getOrUndefined(Cookies.getValue(response.cookies, "b"))).toBe("2")
      expect(response.headers["set-cookie"]).toBe("a=1, b=2; Path=/")
      expect(response.remoteAddress).toStrictEqual(Option.some("127.0.0.1"))
    })
  )

  it.scoped("reads a form, and one that is none", () =>
    Effect.gen(function* () {
      const text = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
      const { client } = yield* answering(
        `HTTP/1.1 200 OK\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: ${text.length}\r\n\r\n${text}`
      )
      const response = yield* client.get(url)
      expect((yield* response.formData).get("a")).toBe("b")
      expect(yield* Effect.flip(response.json)).toMatchObject({ _tag: "ResponseError", reason: "Decode" })
    })
  )

  it.scoped("reads until the end, when nothing else says how long it is", () =>
    Effect.gen(function* () {
      const { all, client } = yield* playing(({ connection }) => {
        connection.write(["HTTP/1.1 200 OK\r\n\r\nuntil the end"])
        connection.end()
      })
      expect(yield* Effect.flatMap(client.get(url), (response) => response.text)).toBe("until the end")
      yield* later
      expect(all.map(({ end }) => end)).toStrictEqual(["Closed"])
    })
  )

  it.scoped("takes a connection again, one for each request at a time, and none that has ended", () =>
    Effect.gen(function* () {
      const { all, client } = yield* answering(responses.chunked[0])
      const get = Effect.flatMap(client.get(url), (response) => response.text)
      yield* get
      yield* get
      expect(all.length).toBe(1)
      yield* Effect.all([get, get, get], { concurrency: "unbounded" })
      expect(all.length).toBe(3)
      for (const { connection } of all) connection.end()
      yield* get
      expect(all.length).toBe(4)
      yield* client.get(url, { headers: { connection: "close" } })
      yield* later
      expect(all.map(({ end }) => end)).toStrictEqual(["Closed", "Closed", "Closed", "Closed"])
    })
  )

  it.scoped("does not go on with what it was not sent for", () =>
    Effect.gen(function* () {
      const { all, client } = yield* answering(`${responses.length[0]}HTTP/1.1 200 OK\r\n`)
      expect(yield* Effect.flatMap(client.get(url), (response) => response.text)).toBe("Hello")
      yield* later
      expect(all[0]?.end).toBe("Closed")
    })
  )

  it.scoped("reports what Node's does: refused, hung up, reset, broken off, no HTTP", () =>
    Effect.gen(function* () {
      const broken = (how: (connection: Connection) => void) =>
        Effect.flatMap(
          playing(({ connection }) => how(connection)),
          ({ client }) => failureOf(client)
        )
      const transport = (code: string) => ({ _tag: "RequestError", reason: "Transport", cause: { code } })
      const nobody = kitClient(
        new ConnectionPool(
          () => false,
          () => {}
        ),
        Effect.never
      )
      expect(yield* failureOf(nobody)).toMatchObject(transport("ECONNREFUSED"))
      const hungUp = yield* broken((connection) => connection.end())
      expect(hungUp).toMatchObject(transport("ECONNRESET"))
      expect(hungUp.cause).toHaveProperty("message", "socket hang up")
      expect(yield* broken((connection) => connection.abort())).toMatchObject(transport("ECONNRESET"))
      expect(yield* broken((connection) => connection.write(["garbage"]))).toMatchObject(
        transport("HPE_INVALID_CONSTANT")
      )
      const half = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHe"
      for (const end of ["end", "abort"] as const) {
        const error = yield* broken((connection) => {
          connection.write([half])
          connection[end]()
        })
        expect(error).toMatchObject({ _tag: "ResponseError", reason: "Decode", cause: { code: "ECONNRESET" } })
      }
    })
  )

  it.scoped("leaves when it is interrupted: before an answer, in its middle, and when its stream is given up", () =>
    Effect.gen(function* () {
      const { all, client } = yield* playing(({ connection, text }) => {
        if (!text.includes("silent")) connection.write(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHe"])
      })
      const silent = yield* Effect.fork(client.get("http://127.0.0.1:1/silent"))
      yield* later
      yield* Fiber.interrupt(silent)
      const waiting = yield* Effect.fork(Effect.flatMap(client.get(url), (response) => response.text))
      yield* later
      yield* Fiber.interrupt(waiting)
      const response = yield* client.get(url)
      const first = yield* Stream.runCollect(Stream.take(response.stream, 1))
      expect(Buffer.concat(Chunk.toArray(first)).toString()).toBe("He")
      yield* later
      expect(all.map(({ end }) => end)).toStrictEqual(["Closed", "Closed", "Closed"])
    })
  )

  it.scoped("makes its server wait for who does not read a stream", () =>
    Effect.gen(function* () {
      let sent = 0
      const piece = "x".repeat(50_000)
      const goOn = ({ connection }: Seen): void => {
        while (sent < 20 && !connection.isFull()) {
          connection.write([piece])
          sent++
        }
        if (sent === 20) connection.end()
      }
      const { all, client } = yield* playing((seen) => {
        seen.connection.write(["HTTP/1.1 200 OK\r\n\r\n"])
        goOn(seen)
      })
      const response = yield* client.get(url)
      for (let i = 0; i < 10; i++) {
        yield* later
        if (all[0] !== undefined) goOn(all[0])
      }
      expect(sent).toBeLessThan(10)
      const read = Stream.runForEach(response.stream, () => Effect.sync(() => all[0] !== undefined && goOn(all[0])))
      yield* read
      expect(sent).toBe(20)
    })
  )

  it.scoped("leaves with its pool", () =>
    Effect.gen(function* () {
      const { all, client, pool } = yield* playing(({ connection, text }) => {
        if (!text.includes("silent")) connection.write([responses.length[0]])
      })
      yield* client.get(url)
      const silent = yield* Effect.fork(Effect.flip(client.get("http://127.0.0.1:1/silent")))
      yield* later
      pool.destroy()
      expect((yield* Fiber.join(silent)).cause).toHaveProperty("code", "ECONNRESET")
      yield* later
      expect(all.map(({ end }) => end)).toStrictEqual(["Closed"])
    })
  )
})
