/** Too slow: each has its time in total or between two bytes, whatever the client does to stretch it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Handler, respond, respondStream } from "../../../src/Response.js"
import { advance, expectOpen, servingInMemory, settled } from "../../server/memory.js"
import { requestText } from "../../support/rawClient.js"
import { type Cost, until } from "./measured.js"

const hello: Handler = (request) => respond(request, 200, "hello")
const echo: Handler = (request) => Effect.flatMap(request.bytes, (bytes) => respond(request, 200, bytes))
const head = "GET / HTTP/1.1\r\nHost: test\r\nX: "
const posted = requestText("POST /", ["Content-Length: 1000000"])
const chunked = requestText("POST /", ["Transfer-Encoding: chunked"])
const unread = requestText("POST /", ["Content-Length: 200000"])

interface Attack {
  readonly what: string
  readonly handler: Handler
  readonly opening: string
  readonly chunk: string
  readonly pause: number
  readonly cost: Cost
}

const attacks: ReadonlyArray<Attack> = [
  {
    what: "a client that connects, and sends nothing",
    handler: hello,
    opening: "",
    chunk: "",
    pause: 77,
    cost: { bytes: 0, seconds: 75, response: "silence", ending: "end" }
  },
  {
    what: "a client that is served, and then sends nothing more",
    handler: hello,
    opening: requestText("GET /"),
    chunk: "",
    pause: 77,
    cost: { bytes: requestText("GET /").length, seconds: 76, response: 200, ending: "end" }
  },
  {
    what: "a request line of a byte a second",
    handler: hello,
    opening: "G",
    chunk: "E",
    pause: 1,
    cost: { bytes: 10, seconds: 10, response: 408, ending: "end" }
  },
  {
    what: "a header section of a byte a second",
    handler: hello,
    opening: head,
    chunk: "a",
    pause: 1,
    cost: { bytes: head.length + 9, seconds: 10, response: 408, ending: "end" }
  },
  {
    what: "a header section of a field every nine seconds",
    handler: hello,
    opening: head,
    chunk: "a\r\nX: ",
    pause: 9,
    cost: { bytes: head.length + 6, seconds: 10, response: 408, ending: "end" }
  },
  {
    what: "the head of a second request, of a byte a second",
    handler: hello,
    opening: `${requestText("GET /")}G`,
    chunk: "E",
    pause: 1,
    cost: { bytes: requestText("GET /").length + 10, seconds: 10, response: 408, ending: "end" }
  },
  {
    what: "half an empty line, and nothing after it",
    handler: hello,
    opening: "\r",
    chunk: "",
    pause: 77,
    cost: { bytes: 1, seconds: 10, response: 408, ending: "end" }
  },
  {
    what: "a body that does not come",
    handler: echo,
    opening: posted,
    chunk: "",
    pause: 31,
    cost: { bytes: posted.length, seconds: 30, response: 408, ending: "end" }
  },
  {
    what: "a body of a byte every 31 seconds",
    handler: echo,
    opening: `${posted}a`,
    chunk: "a",
    pause: 31,
    cost: { bytes: posted.length + 1, seconds: 30, response: 408, ending: "end" }
  },
  {
    what: "a body of a byte every 29 seconds",
    handler: echo,
    opening: posted,
    chunk: "a",
    pause: 29,
    cost: { bytes: posted.length + 10, seconds: 300, response: 408, ending: "end" }
  },
  {
    what: "chunks of a byte every 29 seconds",
    handler: echo,
    opening: chunked,
    chunk: "1\r\na\r\n",
    pause: 29,
    cost: { bytes: chunked.length + 60, seconds: 300, response: 408, ending: "end" }
  },
  {
    what: "a chunk size that does not end",
    handler: echo,
    opening: `${chunked}1`,
    chunk: "0",
    pause: 31,
    cost: { bytes: chunked.length + 1, seconds: 30, response: 408, ending: "end" }
  },
  {
    what: "trailers that do not end",
    handler: echo,
    opening: `${chunked}0\r\nX: a\r\n`,
    chunk: "X: a\r\n",
    pause: 31,
    cost: { bytes: chunked.length + 9, seconds: 30, response: 408, ending: "end" }
  },
  {
    what: "a body that is not read, of a byte a second",
    handler: hello,
    opening: unread,
    chunk: "a",
    pause: 1,
    cost: { bytes: unread.length + 29, seconds: 30, response: 200, ending: "end" }
  }
]

describe("slow", () => {
  for (const { cost, handler, opening, pause, chunk, what } of attacks) {
    const end = cost.response === "silence" ? "closed without a word" : `over, with ${cost.response}`
    it.scoped(`${what}: ${end}, after ${cost.bytes} bytes and ${cost.seconds} seconds`, () =>
      Effect.gen(function* () {
        const { connect } = yield* servingInMemory(handler)
        expect(yield* until(yield* connect, opening, () => chunk, pause)).toStrictEqual(cost)
      })
    )
  }

  it.scoped("the time of a head does not begin with an empty line before it", () =>
    Effect.gen(function* () {
      const { connect } = yield* servingInMemory(hello)
      const connection = yield* connect
      connection.send("\r")
      yield* settled
      connection.send("\n")
      yield* advance(30_000)
      connection.send("GET / HTTP/1.1\r\n")
      yield* advance(9_999)
      expectOpen(connection)
      connection.send("Host: test\r\n\r\n")
      expect((yield* connection.response()).text).toBe("hello")
    })
  )
})

describe("slow, where no time is given", () => {
  for (const [what, limits, opening] of [
    ["a head", { headerTimeout: 0 }, "G"],
    ["a body", { bodyTimeout: 0 }, posted],
    ["a body in total", { bodyTotalTimeout: 0 }, posted]
  ] as const) {
    it.scoped(`${what} that is not there at once is rejected after ${opening.length} bytes and 0 seconds`, () =>
      Effect.gen(function* () {
        const { connect } = yield* servingInMemory(echo, { limits })
        const cost = yield* until(yield* connect, opening, () => "a", 1)
        expect(cost).toStrictEqual({ bytes: opening.length, seconds: 0, response: 408, ending: "end" })
      })
    )
  }
})

describe("slow to read", () => {
  const endless: Handler = (request) =>
    respondStream(request, 200, Stream.repeatValue(new Uint8Array(1024)).pipe(Stream.rechunk(1)))

  for (const [what, handler] of [
    ["an endless stream", endless],
    ["a whole response, and a request after it", hello]
  ] as const) {
    it.scoped(`${what}: a client that reads nothing is cut off after 30 seconds`, () =>
      Effect.gen(function* () {
        const { connect } = yield* servingInMemory(handler)
        const connection = yield* connect
        connection.setFull(true)
        connection.send(requestText("GET /") + requestText("GET /"))
        yield* settled
        const held = connection.written.length
        for (let second = 1; second <= 29; second++) {
          yield* advance(1000)
          expect(connection.ending).toBe(undefined)
        }
        yield* advance(1000)
        expect(connection.ending).toBe("destroy")
        // One piece at most was made for a client that did not take it.
        expect(connection.written.length).toBe(held)
        expect(held).toBeLessThan(2048)
      })
    )
  }
})
