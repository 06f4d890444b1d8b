/** Too much of everything: each is rejected at a predictable byte, without a second's wait. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { defaults } from "../../../src/Limits.js"
import { type Handler, respond } from "../../../src/Response.js"
import { servingInMemory, settled } from "../../server/memory.js"
import { requestText } from "../../support/rawClient.js"
import { until } from "./measured.js"

const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, `${bytes.length}`))
const streamed: Handler = (request) =>
  Effect.flatMap(
    Stream.runFold(request.stream, 0, (sum, chunk) => sum + chunk.length),
    (size) => respond(request, 200, `${size}`)
  )

const head = "GET / HTTP/1.1\r\nHost: test\r\n"
const posted = requestText("POST /", ["Transfer-Encoding: chunked"])

/** An opening that is nearly too much, so that only the last bytes have to be sent one by one. */
const nearly = (limit: number, begin: string): string => begin + "a".repeat(limit - 5 - begin.length)

const fields = (count: number): string => Array.from({ length: count }, (_, i) => `X-${i}: a\r\n`).join("")

const kib64 = `10000\r\n${"a".repeat(0x10000)}\r\n`

interface Attack {
  readonly what: string
  readonly opening: string
  readonly chunk: string
  readonly response: number
  /** Bytes the server reads before it refuses. */
  readonly bytes: number
}

const attacks: ReadonlyArray<Attack> = [
  {
    what: "a target without an end",
    opening: nearly(defaults.maxRequestLine, "GET /"),
    chunk: "a",
    response: 414,
    // The line and its line end.
    bytes: 8192 + 2
  },
  { what: "a method without an end", opening: "G", chunk: "G", response: 501, bytes: 33 },
  { what: "empty lines without an end", opening: "\r\n", chunk: "\r\n", response: 400, bytes: 6 },
  {
    what: "a field name without an end",
    opening: head + nearly(defaults.maxHeaderLine, "a"),
    chunk: "a",
    response: 431,
    bytes: head.length + 16_384 + 2
  },
  {
    what: "a field value without an end",
    opening: head + nearly(defaults.maxHeaderLine, "X: "),
    chunk: "a",
    response: 431,
    bytes: head.length + 16_384 + 2
  },
  {
    what: "whitespace without an end before a value",
    opening: `${head}X:${" ".repeat(defaults.maxHeaderLine - 10)}`,
    chunk: " ",
    response: 431,
    bytes: head.length + 16_384 + 2
  },
  {
    what: "long fields without an end",
    opening: `${head}A: ${"a".repeat(16_000)}\r\nB: ${"b".repeat(16_000)}\r\nC: ${"c".repeat(733)}`,
    chunk: "c",
    response: 431,
    bytes: "GET / HTTP/1.1\r\n".length + 32_768 + 2
  },
  {
    what: "short fields without an end",
    opening: head + fields(99),
    chunk: "X",
    response: 431,
    // The first byte of the hundred-and-first.
    bytes: (head + fields(99)).length + 1
  },
  {
    what: "a body that announces one byte more than maxBody",
    opening: requestText("POST /", ["Content-Length: 8388609"]).slice(0, -1),
    chunk: "\n",
    response: 413,
    bytes: requestText("POST /", ["Content-Length: 8388609"]).length
  },
  {
    what: "a body that announces a number of 400 digits",
    opening: requestText("POST /", [`Content-Length: ${"9".repeat(400)}`]).slice(0, -1),
    chunk: "\n",
    response: 413,
    bytes: requestText("POST /", [`Content-Length: ${"9".repeat(400)}`]).length
  },
  {
    what: "chunks without an end",
    opening: posted + kib64.repeat(127),
    chunk: kib64,
    response: 413,
    // All chunks that are allowed, and of the one after them the size alone is looked at.
    bytes: posted.length + 129 * kib64.length
  },
  {
    what: "a chunk that announces 16 EiB",
    opening: posted,
    chunk: "ffffffffffffffff\r",
    response: 413,
    bytes: posted.length + 17
  },
  { what: "a chunk size without an end", opening: posted, chunk: "0", response: 400, bytes: posted.length + 17 },
  {
    what: "a chunk extension without an end",
    opening: `${posted}1;${"a".repeat(16_380)}`,
    chunk: "a",
    response: 400,
    bytes: posted.length + 1 + 16_384 + 1
  },
  {
    what: "chunk extensions without an end, each of them small",
    opening: posted + `1;${"a".repeat(1022)}\r\na\r\n`.repeat(16),
    chunk: "1;",
    response: 400,
    bytes: posted.length + 16 * (1 + 1023 + 5) + 2 * 9
  },
  {
    what: "a trailer without an end",
    opening: `${posted}0\r\n${nearly(defaults.maxTrailerSection, "X: ")}`,
    chunk: "a",
    response: 431,
    bytes: posted.length + 3 + 8192 + 2
  },
  {
    what: "trailers without an end",
    opening: `${posted}0\r\n${fields(32)}`,
    chunk: "X",
    response: 431,
    bytes: posted.length + 3 + fields(32).length + 1
  }
]

for (const [handling, handler] of [
  ["read whole", echo],
  ["read as a stream", streamed]
] as const) {
  describe(`oversized, ${handling}`, () => {
    for (const { response, bytes, opening, chunk, what } of attacks) {
      it.scoped(`${what} is rejected with ${response} after ${bytes} bytes and 0 seconds`, () =>
        Effect.gen(function* () {
          const { connect } = yield* servingInMemory(handler)
          const cost = yield* until(yield* connect, opening, () => chunk)
          expect(cost).toStrictEqual({ bytes, seconds: 0, response, ending: "end" })
        })
      )
    }
  })
}

describe("oversized and unread", () => {
  it.scoped(
    "a body without an end: the socket is paused after 65536 bytes, and after the response 262144 are thrown away",
    () =>
      Effect.gen(function* () {
        let response = (): void => {}
        const { connect } = yield* servingInMemory((request) =>
          Effect.zipRight(
            Effect.async<void>((resume) => {
              response = () => resume(Effect.void)
            }),
            respond(request, 200)
          )
        )
        const connection = yield* connect
        connection.endsToo = false
        connection.send(posted)
        const chunk = `400\r\n${"a".repeat(1024)}\r\n`
        let sent = 0
        for (; connection.pauses === 0; sent += chunk.length) {
          connection.send(chunk)
          yield* settled
        }
        expect(sent).toBeGreaterThanOrEqual(65_536)
        expect(sent).toBeLessThan(65_536 + chunk.length)
        response()
        yield* settled
        let data = 0
        for (; connection.ending === undefined; sent += chunk.length) {
          connection.send(chunk)
          yield* settled
          data = (sent / chunk.length) * 1024
        }
        expect(data).toBeGreaterThanOrEqual(262_144 - 1024)
        expect(data).toBeLessThanOrEqual(262_144 + 1024)
        expect(connection.written).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
      })
  )

  it.scoped("requests without an end: no further one is handled while the client reads nothing", () =>
    Effect.gen(function* () {
      let handled = 0
      const { connect } = yield* servingInMemory((request) => {
        handled++
        return respond(request, 200, "a".repeat(1000))
      })
      const connection = yield* connect
      connection.setFull(true)
      const chunk = requestText("GET /").repeat(100)
      let sent = 0
      for (; connection.pauses === 0; sent += chunk.length) {
        connection.send(chunk)
        yield* settled
      }
      expect(sent).toBeLessThanOrEqual(65_536 + 3 * chunk.length)
      expect(handled).toBe(0)
    })
  )
})
