import { Readable } from "node:stream"
import * as Cookies from "@effect/platform/Cookies"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Lines } from "../../server/logged.js"
import { ask, connect, get, requestText } from "../../support/rawClient.js"
import { quiet, serving } from "../harness.js"
import { bytes, chunks, framingOf, prepared } from "./responseParts.js"

const formData = (): FormData => {
  const form = new FormData()
  form.append("field", "value")
  return form
}

const webStream = (text: string): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start: (controller) => {
      controller.enqueue(bytes(text))
      controller.close()
    }
  })

/** All of them are there when it is read for the first time. */
const atOnce = (...chunks: ReadonlyArray<string>): Readable => {
  const readable = new Readable({ objectMode: true, read: () => {} })
  for (const chunk of [...chunks, null]) readable.push(chunk)
  return readable
}

const plain = { contentType: "text/plain" }

/** What an application gives, by name; the text that arrives; and how its length is framed. */
const bodies: ReadonlyArray<
  readonly [
    what: string,
    response: () => HttpServerResponse.HttpServerResponse,
    text: string | RegExp,
    framing: string,
    type?: string | RegExp
  ]
> = [
  ["empty", () => HttpServerResponse.empty({ status: 200 }), "", "0"],
  ["text", () => HttpServerResponse.text("a text"), "a text", "6", "text/plain"],
  ["no text", () => HttpServerResponse.text(""), "", "0", "text/plain"],
  ["Uint8Array", () => HttpServerResponse.uint8Array(bytes("bytes")), "bytes", "5", "application/octet-stream"],
  ["json", () => HttpServerResponse.unsafeJson({ a: 1 }), '{"a":1}', "7", "application/json"],
  ["raw text", () => HttpServerResponse.raw("raw é", plain), "raw é", "6", "text/plain"],
  ["raw bytes", () => HttpServerResponse.raw(bytes("raw")), "raw", "3"],
  ["raw ArrayBuffer", () => HttpServerResponse.raw(new Uint8Array([97, 98]).buffer), "ab", "2"],
  ["raw nothing", () => HttpServerResponse.raw(null), "", "0"],
  ["raw Readable", () => HttpServerResponse.raw(Readable.from([Buffer.from("re"), "ad"]), plain), "read", "chunked"],
  [
    "raw Readable with its length",
    () => HttpServerResponse.raw(Readable.from([Buffer.from("read")]), { contentLength: 4 }),
    "read",
    "4"
  ],
  [
    "raw Readable of several pieces at once with its length",
    () => HttpServerResponse.raw(atOnce("re", "ad", ""), { contentLength: 4 }),
    "read",
    "4"
  ],
  [
    "raw Readable of several pieces at once with more than its length",
    () => HttpServerResponse.raw(atOnce("re", "ader", "s"), { contentLength: 4 }),
    "read",
    "4"
  ],
  ["raw web stream", () => HttpServerResponse.raw(webStream("web")), "web", "chunked"],
  ["raw Response", () => HttpServerResponse.raw(new Response("response")), "response", "chunked"],
  ["raw Blob", () => HttpServerResponse.raw(new Blob(["blob"])), "blob", "chunked"],
  [
    "FormData",
    () => HttpServerResponse.formData(formData()),
    /name="field"\r\n\r\nvalue/,
    "chunked",
    /^multipart\/form-data; boundary=/
  ],
  ["stream", () => HttpServerResponse.stream(chunks, plain), "in pieces", "chunked", "text/plain"],
  ["stream with its length", () => HttpServerResponse.stream(chunks, { contentLength: 9 }), "in pieces", "9"],
  ["stream of nothing", () => HttpServerResponse.stream(Stream.empty), "", "chunked"],
  [
    "web Response",
    () => HttpServerResponse.fromWeb(new Response("from the web")),
    "from the web",
    "chunked",
    /^text\/plain/
  ],
  ["web Response without a body", () => HttpServerResponse.fromWeb(new Response(null)), "", "0"]
]

/** Serves what is asked for by its number, so that all of them share a connection. */
const servingAll = serving(Effect.map(HttpServerRequest, ({ url }) => bodies[Number(url.slice(1))]![1]()))

describe("a response's body", () => {
  for (const [i, [what, , text, framing, type]] of bodies.entries()) {
    it.scopedLive(`is sent: ${what}`, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* servingAll)
        // Twice: what one leaves open is not the next one's.
        for (let times = 0; times < 2; times++) {
          yield* client.send(requestText(`GET /${i}`))
          const response = yield* client.readResponse()
          expect(response.status).toBe(200)
          if (typeof text === "string") expect(response.text).toBe(text)
          else expect(response.text).toMatch(text)
          expect(framingOf(response)).toBe(framing)
          if (type !== undefined) expect(response.header("Content-Type")).toMatch(type)
        }
      })
    )

    it.scopedLive(`is left out for HEAD, and the connection continues: ${what}`, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* servingAll)
        yield* client.send(requestText(`HEAD /${i}`) + requestText(`GET /${i}`))
        const head = yield* client.readResponse("HEAD")
        expect([head.status, head.body.length]).toStrictEqual([200, 0])
        expect(framingOf(head)).toBe(framing === "chunked" ? undefined : framing)
        if (type !== undefined) expect(head.header("Content-Type")).toMatch(type)
        expect((yield* client.readResponse()).status).toBe(200)
      })
    )

    for (const status of [204, 304]) {
      it.scopedLive(`is left out of a ${status}: ${what}`, () =>
        Effect.gen(function* () {
          const port = yield* serving(Effect.sync(() => HttpServerResponse.setStatus(bodies[i]![1](), status)))
          const client = yield* connect(port)
          yield* client.send(requestText("GET /") + requestText("GET /"))
          for (let times = 0; times < 2; times++) {
            const response = yield* client.readResponse()
            expect([response.status, response.body.length]).toStrictEqual([status, 0])
            expect(response.header("Transfer-Encoding")).toBeUndefined()
          }
        })
      )
    }
  }

  it.scopedLive("may be of anything else only as a defect", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serving(Effect.sync(() => HttpServerResponse.raw({ not: "a body" }))))
      yield* client.send(requestText("GET /") + requestText("GET /"))
      expect((yield* client.readResponse()).status).toBe(500)
      expect((yield* client.readResponse()).status).toBe(500)
    })
  )
})

describe("a head", () => {
  it.scopedLive("has each name once, though a body knows its own type and length", () =>
    Effect.gen(function* () {
      const port = yield* serving(
        HttpServerResponse.text("text", {
          headers: { "Content-Type": "text/html", "Content-Length": "4", "X-One": "1" }
        })
      )
      const received = yield* get(port)
      const names = received.fields.map(([name]) => name.toLowerCase()).sort()
      expect(names).toStrictEqual(["connection", "content-length", "content-type", "date", "keep-alive", "x-one"])
      expect(received.header("Content-Type")).toBe("text/html")
    })
  )

  it.scopedLive("keeps the length that a response to HEAD declares for GET", () =>
    Effect.gen(function* () {
      const port = yield* serving(HttpServerResponse.empty({ status: 200, headers: { "content-length": "123" } }))
      expect((yield* ask(port, requestText("HEAD /"), "HEAD")).header("Content-Length")).toBe("123")
    })
  )

  it.scopedLive("has cookies, and set-cookie as well, each in a line of its own", () =>
    Effect.gen(function* () {
      const port = yield* serving(
        HttpServerResponse.empty({ headers: { "set-cookie": "own=1" } }).pipe(
          HttpServerResponse.unsafeSetCookie("a", "x y", { httpOnly: true }),
          HttpServerResponse.unsafeSetCookie("b", "2")
        )
      )
      const { fields } = yield* get(port)
      expect(fields.filter(([name]) => name.toLowerCase() === "set-cookie").map(([, value]) => value)).toStrictEqual([
        "a=x%20y; HttpOnly",
        "b=2",
        "own=1"
      ])
    })
  )

  it.scopedLive("has the cookies of a web Response", () =>
    Effect.gen(function* () {
      const web = new Response("", {
        status: 201,
        headers: [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2; Path=/"],
          ["x-one", "1"]
        ]
      })
      const received = yield* get(yield* serving(HttpServerResponse.fromWeb(web)))
      expect([received.status, received.header("X-One")]).toStrictEqual([201, "1"])
      expect(
        received.fields.filter(([name]) => name.toLowerCase() === "set-cookie").map(([, value]) => value)
      ).toStrictEqual(["a=1", "b=2; Path=/"])
    })
  )

  it.scopedLive("drops the connection fields of a proxied response, and sends its own", () =>
    Effect.gen(function* () {
      const web = new Response("proxied", {
        headers: { connection: "keep-alive", "keep-alive": "timeout=5", "transfer-encoding": "chunked", "x-kept": "1" }
      })
      const fetched = HttpClientResponse.fromWeb(HttpClientRequest.get("http://elsewhere/"), web)
      const client = yield* connect(
        yield* serving(Effect.sync(() => HttpServerResponse.stream(fetched.stream, { headers: fetched.headers })))
      )
      yield* client.send(requestText("GET /"))
      const received = yield* client.readResponse()
      expect([received.text, received.header("X-Kept"), received.header("Transfer-Encoding")]).toStrictEqual([
        "proxied",
        "1",
        "chunked"
      ])
      expect([received.header("Keep-Alive"), received.header("Connection")]).toStrictEqual(["timeout=75", "keep-alive"])
    })
  )

  it.scopedLive("leaves the framing to the server, whatever transfer-encoding the application gives", () =>
    Effect.gen(function* () {
      const response = HttpServerResponse.text("text", { headers: { "transfer-encoding": "chunked" } })
      const received = yield* get(yield* serving(response))
      expect([received.text, framingOf(received)]).toStrictEqual(["text", "4"])
    })
  )

  it.scopedLive("ends the connection where the application sets it", () =>
    Effect.gen(function* () {
      const client = yield* connect(
        yield* serving(HttpServerResponse.text("last", { headers: { connection: "close" } }))
      )
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).header("Connection")).toBe("close")
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  for (const [what, headers] of [
    ["a line end", { "x-bad": "a\r\nb" }],
    ["a name that is none", { "x bad": "a" }],
    ["what is not latin1", { "x-bad": "€" }],
    ["a length that is none", { "content-length": "many" }]
  ] as const) {
    it.scopedLive(`that cannot be sent is a defect of the application's: ${what}`, () =>
      Effect.gen(function* () {
        const lines = new Lines()
        const response = HttpServerResponse.stream(chunks, { headers })
        const port = yield* serving(response, {
          live: Layer.merge(quiet, lines.layer),
          middleware: (app) => Effect.tapErrorCause(app, (cause) => Effect.log("seen", cause))
        })
        const client = yield* connect(port)
        yield* client.send(requestText("GET /") + requestText("GET /"))
        expect((yield* client.readResponse()).status).toBe(500)
        expect((yield* client.readResponse()).status).toBe(500)
        expect((yield* lines.some(({ message }) => message.includes("seen"))).message).toContain("seen")
      })
    )
  }

  it.scopedLive("cannot be sent where a pre-response handler spoils every response, and the client gets a 500", () =>
    Effect.gen(function* () {
      const app = prepared(Effect.succeed(HttpServerResponse.text("fine")), (_, response) =>
        Effect.succeed(HttpServerResponse.setHeader(response, "x-bad", "a\nb"))
      )
      const spoiled = yield* get(yield* serving(app))
      expect([spoiled.status, spoiled.header("x-bad")]).toStrictEqual([500, undefined])
      const replaced = yield* serving(app, {
        middleware: (app) => Effect.catchAllCause(app, () => HttpServerResponse.empty({ status: 418 }))
      })
      expect((yield* get(replaced)).status).toBe(418)
    })
  )

  it.scopedLive("has cookies that the application has made of anything only as a defect", () =>
    Effect.gen(function* () {
      const cookies = Cookies.setCookie(Cookies.empty, Cookies.unsafeMakeCookie("a", "b"))
      const received = yield* get(yield* serving(HttpServerResponse.empty({ cookies })))
      expect(received.header("Set-Cookie")).toBe("a=b")
    })
  )
})
