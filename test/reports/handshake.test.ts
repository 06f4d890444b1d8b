/** Malformed WebSocket handshakes: the response, and the connection, which continues. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { EventLog, serving } from "../platform/harness.js"
import { connect, requestText } from "../wire/rawConnection.js"

/** A WebSocket, but for one path. */
const app = (log = new EventLog<string>()): HttpApp.Default<unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { upgrade, url } = yield* HttpServerRequest
    if (url === "/plain") return HttpServerResponse.text("plain")
    const socket = yield* Effect.tapError(upgrade, (error) => log.told(error.message))
    yield* Effect.ignore(socket.runRaw(() => {}))
    return HttpServerResponse.empty()
  })

const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
const version = "Sec-WebSocket-Version: 13"
const connection = "Connection: Upgrade"
const protocol = "Upgrade: websocket"
const fields = [connection, protocol, key, version]

/** A handshake with one field replaced. */
const without = (field: string, ...others: ReadonlyArray<string>): string =>
  requestText("GET /", [...fields.filter((each) => each !== field), ...others])

const rejected: Readonly<Record<string, readonly [sent: string, status: number, header?: readonly [string, string]]>> =
  {
    "a version that is not supported": [
      without(version, "Sec-WebSocket-Version: 12"),
      426,
      ["Sec-WebSocket-Version", "13, 8"]
    ],
    "a version that is no number": [without(version, "Sec-WebSocket-Version: x"), 426, ["Upgrade", "websocket"]],
    "no version": [without(version), 400, ["Sec-WebSocket-Version", "13, 8"]],
    "two versions": [requestText("GET /", [...fields, version]), 400],
    "no key": [without(key), 400],
    "a key that is too short": [without(key, "Sec-WebSocket-Key: short"), 400],
    "a key that is no base64": [without(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===="), 400],
    "an empty key": [without(key, "Sec-WebSocket-Key: "), 400],
    "two keys": [requestText("GET /", [...fields, key]), 400],
    "no Connection": [without(connection), 400],
    "another Connection": [without(connection, "Connection: keep-alive"), 400],
    "no Upgrade": [without(protocol), 400],
    "another protocol": [without(protocol, "Upgrade: h2c"), 400],
    "a protocol of a similar name": [without(protocol, "Upgrade: websockets"), 400],
    POST: [requestText("POST /", [...fields, "Content-Length: 0"]), 405, ["Allow", "GET"]],
    PUT: [requestText("PUT /", fields), 405, ["Allow", "GET"]],
    "a body": [requestText("GET /", [...fields, "Content-Length: 4"], "body"), 400],
    "a chunked body": [requestText("GET /", [...fields, "Transfer-Encoding: chunked"], "4\r\nbody\r\n0\r\n\r\n"), 400],
    "a malformed list of protocols": [requestText("GET /", [...fields, "Sec-WebSocket-Protocol: chat, chat"]), 400]
  }

describe("a handshake that is rejected", () => {
  for (const [what, [sent, status, header]] of Object.entries(rejected)) {
    it.scopedLive(`has a response with the reason, and its connection continues: ${what}`, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* serving(app()))
        yield* client.send(sent)
        const response = yield* client.readResponse()
        expect(response.status).toBe(status)
        if (header !== undefined) expect(response.header(header[0])).toBe(header[1])
        if (status === 426) expect(response.header("Connection")?.toLowerCase()).toContain("upgrade")
        yield* client.send(requestText("GET /plain"))
        expect((yield* client.readResponse()).text).toBe("plain")
      })
    )
  }

  it.scopedLive("is one by HTTP/1.0, and the connection ends", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serving(app()))
      yield* client.send(requestText("GET /", fields).replace("HTTP/1.1", "HTTP/1.0"))
      expect((yield* client.readResponse()).status).toBe(400)
      expect((yield* client.readToEnd).length).toBe(0)
    })
  )

  it.scopedLive("has another response where the application sends one", () =>
    Effect.gen(function* () {
      const reported = new EventLog<string>()
      const caught = Effect.catchTag(
        app(reported) as HttpApp.Default<{ readonly _tag: "RequestError" }, Scope.Scope>,
        "RequestError",
        () => HttpServerResponse.text("no WebSocket here", { status: 404 })
      )
      const client = yield* connect(yield* serving(caught, { middleware: HttpMiddleware.logger }))
      yield* client.send(without(version, "Sec-WebSocket-Version: 12"))
      const response = yield* client.readResponse()
      expect([response.status, response.text]).toStrictEqual([404, "no WebSocket here"])
      expect((yield* reported.upTo(1))[0]).toContain("version")
    })
  )
})

describe("a handshake that is unusual", () => {
  for (const [what, sent] of Object.entries({
    "offers several protocols": without(protocol, "Upgrade: h2c, WebSocket"),
    "offers them in two fields": requestText("GET /", ["Upgrade: h2c", ...fields]),
    "has several options of its connection": without(connection, "Connection: keep-alive, Upgrade"),
    "is of the last draft": without(version, "Sec-WebSocket-Version: 8"),
    "has an empty body": requestText("GET /", [...fields, "Content-Length: 0"])
  })) {
    it.scopedLive(`opens a WebSocket all the same: it ${what}`, () =>
      Effect.gen(function* () {
        const client = yield* connect(yield* serving(app()))
        yield* client.send(sent)
        const response = yield* client.readResponse()
        expect([response.status, response.header("Upgrade")]).toStrictEqual([101, "websocket"])
      })
    )
  }
})
