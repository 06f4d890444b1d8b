/** The body of a request: text, json, urlParamsBody, arrayBuffer, stream, and how large it may be. */

import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpRouter from "@effect/platform/HttpRouter"
import { RequestError } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ask, connect, requestText, withBody } from "../../support/rawClient.js"
import { serving } from "../harness.js"

type Request = HttpServerRequest.HttpServerRequest

const reading = <E, R>(
  read: (request: Request) => Effect.Effect<unknown, E, R>,
  options?: Parameters<typeof serving>[1]
) =>
  serving(
    Effect.flatMap(Effect.flatMap(HttpServerRequest.HttpServerRequest, read), (read) => HttpServerResponse.json(read)),
    options
  )

const collected = (request: Request): Effect.Effect<string, RequestError> =>
  Effect.map(Stream.runCollect(request.stream), (chunks) => Buffer.concat([...chunks]).toString())

const size = (request: Request) => Effect.map(request.arrayBuffer, ({ byteLength }) => byteLength)

const length = (request: Request) => Effect.map(request.text, (text) => text.length)

describe("text", () => {
  it.scopedLive("is UTF-8, whatever pieces it came in, and is read once", () =>
    Effect.gen(function* () {
      const port = yield* reading(({ text }) => Effect.all([text, text]))
      const { text } = yield* ask(
        port,
        requestText("POST /", ["Transfer-Encoding: chunked"], "1\r\n\xc3\r\n2\r\n\xa9!\r\n0\r\n\r\n")
      )
      expect(JSON.parse(text)).toStrictEqual(["é!", "é!"])
    })
  )

  it.scopedLive("is empty where there is no body", () =>
    Effect.gen(function* () {
      const port = yield* reading(({ json, text }) => Effect.all([text, json]))
      expect(JSON.parse((yield* ask(port, requestText("GET /"))).text)).toStrictEqual(["", null])
    })
  )

  it.scopedLive("is shared by what modify gives, in both directions", () =>
    Effect.gen(function* () {
      const port = yield* reading((request) =>
        Effect.gen(function* () {
          const copy = request.modify({ url: "/copy" })
          const first = yield* copy.text
          return [first, yield* request.text, yield* request.modify({}).json, yield* size(copy), yield* collected(copy)]
        })
      )
      const { text } = yield* ask(port, withBody("POST /", '"shared"'))
      expect(JSON.parse(text)).toStrictEqual(['"shared"', '"shared"', "shared", 8, '"shared"'])
    })
  )

  it.scopedLive("may be asked for by several fibers at once", () =>
    Effect.gen(function* () {
      const port = yield* reading(({ text }) => Effect.all([text, text, text], { concurrency: "unbounded" }))
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Content-Length: 2", "Expect: 100-continue"]))
      yield* client.readUntil((seen) => seen.includes("100 Continue"))
      yield* client.send("ab")
      expect(JSON.parse((yield* client.readResponse()).text)).toStrictEqual(["ab", "ab", "ab"])
    })
  )
})

describe("json and urlParamsBody", () => {
  it.scopedLive("are read, and checked by a schema", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ a: Schema.NumberFromString })
      const port = yield* reading(() =>
        Effect.catchAll(HttpServerRequest.schemaBodyJson(schema), () => HttpServerRequest.schemaBodyUrlParams(schema))
      )
      expect((yield* ask(port, withBody("POST /", '{"a":"1"}'))).text).toBe('{"a":1}')
      expect((yield* ask(port, withBody("POST /", "a=2"))).text).toBe('{"a":2}')
    })
  )

  it.scopedLive("fail as a RequestError, which is 400, where they are something else", () =>
    Effect.gen(function* () {
      const port = yield* reading(({ json }) => Effect.tapError(json, (error) => Effect.sync(() => errors.push(error))))
      const errors: Array<RequestError> = []
      const client = yield* connect(port)
      yield* client.send(withBody("POST /", "{"))
      expect((yield* client.readResponse()).status).toBe(400)
      yield* client.send(withBody("POST /", "1"))
      expect((yield* client.readResponse()).text).toBe("1")
      expect(errors).toHaveLength(1)
      expect(errors[0]).toBeInstanceOf(RequestError)
      expect(errors[0]).toMatchObject({ reason: "Decode", request: { url: "/" } })
    })
  )
})

describe("arrayBuffer", () => {
  it.scopedLive("has all bytes and no others, and may be kept", () =>
    Effect.gen(function* () {
      const port = yield* reading(({ arrayBuffer }) =>
        Effect.map(Effect.all([arrayBuffer, arrayBuffer]), ([one, other]) => {
          new Uint8Array(one).fill(0)
          return [one instanceof ArrayBuffer, one.byteLength, Buffer.from(other).toString()]
        })
      )
      expect(JSON.parse((yield* ask(port, withBody("POST /", "bytes"))).text)).toStrictEqual([true, 5, "bytes"])
    })
  )
})

describe("stream", () => {
  it.scopedLive("gives the bytes as they come, and asks a client that waits to continue", () =>
    Effect.gen(function* () {
      const port = yield* serving(
        Effect.map(HttpServerRequest.HttpServerRequest, ({ stream }) =>
          HttpServerResponse.stream(stream, { contentType: "text/plain" })
        )
      )
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Content-Length: 6", "Expect: 100-continue"]))
      yield* client.readUntil((seen) => seen.includes("100 Continue"))
      yield* client.send("one")
      yield* client.readUntil((seen) => seen.includes("one"))
      yield* client.send("two")
      yield* client.readUntil((seen) => seen.endsWith("two\r\n0\r\n\r\n"))
    })
  )

  it.scopedLive("fails as a RequestError of the transport where the body breaks off", () =>
    Effect.gen(function* () {
      const port = yield* reading(
        (request) => Effect.catchAll(collected(request), ({ _tag, reason }) => Effect.succeed([_tag, reason])),
        { onClientEnd: "continue" }
      )
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", ["Content-Length: 6"], "one"))
      yield* client.halfClose
      expect(JSON.parse((yield* client.readResponse()).text)).toStrictEqual(["RequestError", "Transport"])
    })
  )

  it.scopedLive("is taken once: what was streamed is not there as text", () =>
    Effect.gen(function* () {
      const port = yield* reading((request) =>
        Effect.zip(collected(request), Effect.flip(request.text)).pipe(Effect.map(([text, { _tag }]) => [text, _tag]))
      )
      expect(JSON.parse((yield* ask(port, withBody("POST /", "once"))).text)).toStrictEqual(["once", "RequestError"])
    })
  )
})

describe("MaxBodySize", () => {
  const tenMiB = 10 * 1024 * 1024

  it.scopedLive("is 10 MiB by default, and what it allows is read", () =>
    Effect.gen(function* () {
      const port = yield* reading(size)
      const client = yield* connect(port)
      yield* client.send(requestText("POST /", [`Content-Length: ${tenMiB}`]))
      yield* client.send(Buffer.alloc(tenMiB))
      expect((yield* client.readResponse()).text).toBe(String(tenMiB))
    })
  )

  it.scopedLive("gets 413 before anything of a larger body is sent, and the connection closes", () =>
    Effect.gen(function* () {
      for (const read of [length, size]) {
        const client = yield* connect(yield* reading(read))
        yield* client.send(requestText("POST /", [`Content-Length: ${tenMiB + 1}`, "Expect: 100-continue"]))
        const response = yield* client.readResponse()
        expect([response.status, response.header("Connection")]).toStrictEqual([413, "close"])
        expect(yield* client.closedWith).toBe("FIN")
      }
    })
  )

  it.scopedLive("gets 413 also if it is sent without being requested", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* reading(length))
      yield* client.send(requestText("POST /", [`Content-Length: ${tenMiB + 1}`]))
      yield* client.send(Buffer.alloc(1024 * 1024))
      expect((yield* client.readResponse()).status).toBe(413)
    })
  )

  it.scopedLive("bounds a body of unknown length", () =>
    Effect.gen(function* () {
      const port = yield* serving(
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => text).pipe(
          Effect.as(HttpServerResponse.empty()),
          HttpIncomingMessage.withMaxBodySize(Option.some(4))
        )
      )
      const client = yield* connect(port)
      const chunk = "3\r\nabc\r\n"
      yield* client.send(requestText("POST /", ["Transfer-Encoding: chunked"], `${chunk}${chunk}0\r\n\r\n`))
      expect((yield* client.readResponse()).status).toBe(413)
      // The rest is little: it is read over, and the connection continues.
      yield* client.send(requestText("POST /", ["Transfer-Encoding: chunked"], `${chunk}0\r\n\r\n`))
      expect((yield* client.readResponse()).status).toBe(204)
    })
  )

  it.scopedLive("is raised and lowered for a route", () =>
    Effect.gen(function* () {
      const read = Effect.flatMap(HttpServerRequest.HttpServerRequest, length).pipe(
        Effect.flatMap((read) => HttpServerResponse.json(read))
      )
      const router = HttpRouter.empty.pipe(
        HttpRouter.post("/small", HttpIncomingMessage.withMaxBodySize(read, Option.some(FileSystem.Size(2)))),
        HttpRouter.post("/any", HttpIncomingMessage.withMaxBodySize(read, Option.none())),
        HttpRouter.post("/default", read)
      )
      const port = yield* serving(router)
      expect((yield* ask(port, withBody("POST /small", "ab"))).text).toBe("2")
      expect((yield* ask(port, withBody("POST /small", "abc"))).status).toBe(413)
      const large = "x".repeat(tenMiB + 1)
      expect((yield* ask(port, withBody("POST /any", large))).text).toBe(String(large.length))
      expect((yield* ask(port, withBody("POST /default", large))).status).toBe(413)
    })
  )

  it.scopedLive("is that of the server's fiber, if it has one", () =>
    Effect.gen(function* () {
      const port = yield* HttpIncomingMessage.withMaxBodySize(reading(length), Option.some(1))
      expect((yield* ask(port, withBody("POST /", "ab"))).status).toBe(413)
    })
  )

  it.scopedLive("can be asked for again with more after it was too little", () =>
    Effect.gen(function* () {
      const port = yield* reading((request) =>
        Effect.zip(Effect.flip(HttpIncomingMessage.withMaxBodySize(request.text, Option.some(1))), request.text).pipe(
          Effect.map(([error, text]) => [error._tag, text])
        )
      )
      expect(JSON.parse((yield* ask(port, withBody("POST /", "ab"))).text)).toStrictEqual(["RequestError", "ab"])
    })
  )

  it.scopedLive("cannot be raised beyond the server's own maxBody", () =>
    Effect.gen(function* () {
      const port = yield* reading((request) => HttpIncomingMessage.withMaxBodySize(length(request), Option.none()), {
        maxBody: 2
      })
      expect((yield* ask(port, withBody("POST /", "abc"))).status).toBe(413)
    })
  )
})

describe("an unread body", () => {
  it.scopedLive("is read over if it is little", () =>
    Effect.gen(function* () {
      const port = yield* serving(HttpServerResponse.empty())
      const client = yield* connect(port)
      yield* client.send(withBody("POST /", "unread") + requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(204)
      expect((yield* client.readResponse()).status).toBe(204)
    })
  )
})
