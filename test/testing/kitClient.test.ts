/** The kit's client in memory: the requests it sends, the responses it reads, and the errors it reports. */
import { Cookies, HttpBody, type HttpClient, HttpClientRequest } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Option, Stream } from "effect"
import { yieldToEventLoop } from "../../src/internal/runtime/effectInterop.js"
import type { Connection } from "../../src/Listener.js"
import { ConnectionPool } from "../../src/testing/internal/client/clientConnection.js"
import { kitClient } from "../../src/testing/internal/client/kitClient.js"
import type { RequestContext } from "../../src/testing/internal/client/responseHead.js"
import { MemoryNetworkImpl } from "../../src/testing/internal/memory/memoryNetwork.js"
import { codeOf } from "./clients.js"
import { type Accepted, accepted, type Rejected, rejected, truncated } from "./responses.js"

/** A connection, at the server's end, which the test plays. */
interface Seen {
  readonly connection: Connection
  text: string
  end: "Open" | "FIN" | "Closed"
}

const url = "http://127.0.0.1:1/path?q=1"

/** A server that calls a function for each received piece. */
const playing = (onText: (seen: Seen) => void) =>
  Effect.gen(function* () {
    const network = new MemoryNetworkImpl()
    const bound = yield* network.listen({
      port: 1,
      address: "",
      domain: "IPv4",
      backlog: 1,
      reuseAddr: true,
      reusePort: false,
      onFull: "queue"
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
    yield* Effect.forkScoped(bound.acceptWhile(() => true, accept))
    const pool = new ConnectionPool(
      (endOf) => network.dial(1, endOf),
      () => {}
    )
    const client = kitClient(pool, Effect.dieMessage("no other client is asked"))
    return { all, client, pool }
  })

const respondingWith = (...parts: ReadonlyArray<string>) =>
  playing(({ connection }) => {
    for (const part of parts) connection.write([part])
  })

const later = Effect.repeatN(yieldToEventLoop, 10)

const failureOf = (client: HttpClient.HttpClient) =>
  Effect.flip(Effect.flatMap(client.get(url), (response) => response.text))

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a:  2 \r\n\r\nHello"

const chunkedHello = "HTTP/1.1 201 \r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nHel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n"

describe("the client in memory", () => {
  it.scoped("sends what Node's client sends", () =>
    Effect.gen(function* () {
      const { all, client } = yield* respondingWith(hello)
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
        if (ends.test(seen.text)) seen.connection.write([hello])
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

  it.scoped("fails with a failing request stream, and resets the connection", () =>
    Effect.gen(function* () {
      const { all, client } = yield* playing(() => {})
      const body = HttpBody.stream(Stream.fail("mine"))
      const error = yield* Effect.flip(client.post(url, { body }))
      expect(error).toMatchObject({ _tag: "RequestError", reason: "Encode", cause: "mine" })
      yield* later
      expect(all[0]?.end).toBe("Closed")
    })
  )

  it.scoped("receives a response that arrives before the request is sent, and closes the connection", () =>
    Effect.gen(function* () {
      const { client } = yield* playing(({ connection }) => {
        connection.write(["HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"])
        connection.end()
      })
      const body = HttpBody.stream(Stream.concat(Stream.make(new Uint8Array(9)), Stream.never))
      expect((yield* client.post(url, { body })).status).toBe(413)
    })
  )

  it.scoped("rejects field values that would inject another field", () =>
    Effect.gen(function* () {
      const { all, client } = yield* respondingWith(hello)
      const error = yield* Effect.flip(client.get(url, { headers: { "x-a": "1\r\nx-b: 2" } }))
      expect(error).toMatchObject({ reason: "Encode", cause: { code: "ERR_INVALID_CHAR" } })
      expect(all).toStrictEqual([])
    })
  )

  it.scoped("reads a body in each form, repeatedly", () =>
    Effect.gen(function* () {
      const { client } = yield* respondingWith(
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

  it.scoped("reads a form, and rejects an invalid one", () =>
    Effect.gen(function* () {
      const text = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
      const { client } = yield* respondingWith(
        `HTTP/1.1 200 OK\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: ${text.length}\r\n\r\n${text}`
      )
      const response = yield* client.get(url)
      expect((yield* response.formData).get("a")).toBe("b")
      expect(yield* Effect.flip(response.json)).toMatchObject({ _tag: "ResponseError", reason: "Decode" })
    })
  )

  it.scoped("reads content without a declared length until the end of the connection", () =>
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

  it.scoped("reuses connections, one per concurrent request, and none that has ended", () =>
    Effect.gen(function* () {
      const { all, client } = yield* respondingWith(chunkedHello)
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

  it.scoped.each(["GET", "HEAD"] as const)(
    "fails a %s whose response is followed by data in the same event",
    (method) =>
      Effect.gen(function* () {
        const { all, client } = yield* respondingWith("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "Hello, World")
        const error = yield* Effect.flip(client.execute(HttpClientRequest.make(method)(url)))
        expect(error).toMatchObject({ reason: "Transport", cause: { code: "HPE_INVALID_CONSTANT" } })
        yield* later
        expect(all[0]?.end).toBe("Closed")
      })
  )

  it.scoped("fails a stream at its end, if it is followed by data", () =>
    Effect.gen(function* () {
      const { all, client } = yield* respondingWith("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHe")
      const response = yield* client.get(url)
      all[0]?.connection.write(["llo!"])
      const seen: Array<string> = []
      const error = yield* Effect.flip(
        Stream.runForEach(response.stream, (bytes) => Effect.sync(() => seen.push(Buffer.from(bytes).toString())))
      )
      expect(seen.join("")).toBe("Hello")
      expect(error).toMatchObject({ reason: "Decode", cause: { code: "HPE_INVALID_CONSTANT" } })
    })
  )

  it.scoped(
    "fails the next request if data arrives while none is pending, and opens a new connection for the one after it",
    () =>
      Effect.gen(function* () {
        const { all, client } = yield* respondingWith(hello)
        yield* client.get(url)
        all[0]?.connection.write(["HTTP/1.1 408 Request Timeout\r\n\r\n"])
        yield* later
        expect(all[0]?.end).toBe("Closed")
        const error = yield* Effect.flip(client.get(url))
        expect(error).toMatchObject({ reason: "Transport", cause: { code: "HPE_INVALID_CONSTANT" } })
        expect(String(error.cause)).toBe(
          'Error: Parse Error: Unsolicited data: "HTTP/1.1 408 Request Timeout\\r\\n\\r\\n"'
        )
        expect(all.length).toBe(1)
        expect((yield* client.get(url)).status).toBe(200)
      })
  )

  it.scoped("switches to a protocol that it has offered, and fails if it has not", () =>
    Effect.gen(function* () {
      const { client } = yield* playing(({ connection }) => {
        connection.write(["HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nHello"])
        connection.end()
      })
      const headers = { connection: "upgrade", upgrade: "echo" }
      expect(yield* Effect.flatMap(client.get(url, { headers }), (response) => response.text)).toBe("Hello")
      expect(yield* Effect.flip(client.get(url))).toMatchObject({ cause: { code: "HPE_INVALID_STATUS" } })
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
      const unconnected = kitClient(
        new ConnectionPool(
          () => false,
          () => {}
        ),
        Effect.never
      )
      expect(yield* failureOf(unconnected)).toMatchObject(transport("ECONNREFUSED"))
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

  it.scoped(
    "resets the connection on interruption: before a response, in its content, and when its stream is cancelled",
    () =>
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

  it.scoped("applies backpressure to the server while a stream is not read", () =>
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

  it.scoped("resets its connections when the pool is destroyed", () =>
    Effect.gen(function* () {
      const { all, client, pool } = yield* playing(({ connection, text }) => {
        if (!text.includes("silent")) connection.write([hello])
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

/** The client's result for a response followed by the end of its connection: status and content, or an error code. */
const verdictOf = (text: string, { method = "GET", upgrade }: Partial<RequestContext> = {}) =>
  Effect.gen(function* () {
    const { client } = yield* playing(({ connection }) => {
      connection.write([text])
      connection.end()
    })
    const headers = upgrade === undefined ? {} : { connection: "upgrade", upgrade }
    const request = HttpClientRequest.make(method === "HEAD" ? "HEAD" : "GET")(url, { headers })
    return yield* client.execute(request).pipe(
      Effect.flatMap((response) =>
        Effect.map(response.arrayBuffer, (bytes) => `${response.status} ${Buffer.from(bytes).toString("latin1")}`)
      ),
      Effect.catchAll(({ cause }) => Effect.succeed(codeOf(cause)))
    )
  })

describe("the client in memory has the verdict of its parser", () => {
  // The platform's clients do not support CONNECT.
  const isAsked = ({ request }: Accepted | Rejected): boolean => request?.method !== "CONNECT"

  it.scoped.each(accepted.filter(isAsked))("$title", (row) =>
    Effect.map(verdictOf(row.text, row.request), (verdict) =>
      expect(verdict).toBe(`${row.status ?? 200} ${row.body ?? "Hello"}`)
    )
  )

  it.scoped.each(rejected.filter(isAsked))("$title", ({ code, invalid, request, valid }) =>
    Effect.map(verdictOf(valid + invalid, request), (verdict) => expect(verdict).toBe(code))
  )

  it.scoped.each(truncated)("$title", ({ text }) =>
    Effect.map(verdictOf(text), (verdict) => expect(verdict).toBe("ECONNRESET"))
  )
})
