/**
 * Targets of the scheme `https` (RFC 9110 §7.4): served where the client has connected by TLS, else 421.
 */
import * as tls from "node:tls"
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Metric, Option } from "effect"
import { Metrics, type Request, Response, Server } from "effect-asynchttpserver"
import * as HttpServer from "effect-asynchttpserver/HttpServer"
import { beforeAll } from "vitest"
import { connect, requestText } from "../support/rawClient.js"
import { type Authority, type Issued, makeAuthority } from "./certificates.js"

let authority: Authority
let localhost: Issued

beforeAll(async () => {
  authority = await makeAuthority()
  localhost = await authority.issue()
})

const native = (options: Server.Options) =>
  Effect.gen(function* () {
    const server = yield* Server.make({ address: "127.0.0.1", drainTimeout: 0, ...options })
    const { port } = yield* server.listen({ port: 0 })
    const handler = (request: Request.Request) =>
      Response.respond(request, 200, `${request.scheme}://${request.host}${request.url}`)
    yield* Effect.forkScoped(server.serve(handler))
    return port
  }).pipe(Effect.provide(Server.layerDependencies))

const application = (options: Server.Options) =>
  Effect.gen(function* () {
    const server = yield* HttpServer.make({ host: "127.0.0.1", drainTimeout: 0, ...options })
    yield* server.serve(
      Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
        const url = Option.getOrThrow(HttpServerRequest.toURL(request))
        return HttpServerResponse.text(`${url.origin}${request.url}`)
      })
    )
    return server.address._tag === "TcpAddress" ? server.address.port : 0
  })

const overTls = (port: number, text: string) =>
  Effect.async<string>((resume) => {
    let all = ""
    const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ca: authority.cert })
    socket.on("data", (bytes: Buffer) => {
      all += bytes.toString("latin1")
    })
    socket.on("error", (error) => resume(Effect.die(error)))
    socket.once("close", () => resume(Effect.succeed(all)))
    socket.write(text)
  })

const contentOf = (response: string): string => response.slice(response.indexOf("\r\n\r\n") + 4)

describe.each([
  ["natively", native],
  ["as an application", application]
] as const)("%s", (_, serve) => {
  const targets = ["GET https://test/a", "GET HTTPS://test:443/a?b", "OPTIONS https://test", "GET https://other/a"]

  it.scopedLive.each(targets)("%s without TLS gets 421, and the connection closes", (line) =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serve({}))
      yield* client.send(requestText(line))
      const { body, fields, status } = yield* client.readResponse()
      expect(status).toBe(421)
      expect(Buffer.from(body).toString()).toBe(
        "421 Misdirected Request: a target of the scheme https requires a connection with TLS\n"
      )
      expect(fields.join("\n").toLowerCase()).toContain("close")
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  it.scopedLive("over TLS it is served, with the scheme https", () =>
    Effect.gen(function* () {
      const port = yield* serve({ tls: localhost })
      const ask = (line: string, fields: ReadonlyArray<string> = []) =>
        Effect.map(overTls(port, requestText(line, [...fields, "Connection: close"])), contentOf)
      expect(yield* ask("GET https://test:8443/a")).toBe("https://test:8443/a")
      expect(yield* ask("GET /a")).toBe("https://test/a")
      // What the client states itself does not count.
      expect(yield* ask("GET /a", ["X-Forwarded-Proto: http"])).toBe("https://test/a")
    })
  )

  it.scopedLive.each([
    ["untrusted", {}, 421],
    ["trusted", { trustedProxies: ["loopback"] }, 200]
  ] as const)("from %s proxies that report https: %o", ([, options, expected]) =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serve(options))
      yield* client.send(requestText("GET https://test/a", ["X-Forwarded-Proto: https"]))
      expect((yield* client.readResponse()).status).toBe(expected)
    })
  )

  it.scopedLive("from a trusted proxy that reports http, it gets 421", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serve({ trustedProxies: ["loopback"] }))
      yield* client.send(requestText("GET https://test/a", ["X-Forwarded-Proto: http"]))
      expect((yield* client.readResponse()).status).toBe(421)
    })
  )

  it.scopedLive("the requests before it have their responses", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serve({}))
      yield* client.send(requestText("GET /1") + requestText("GET https://test/2") + requestText("GET /3"))
      expect((yield* client.readResponse()).status).toBe(200)
      expect((yield* client.readResponse()).status).toBe(421)
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  it.scopedLive("a target of http is served over TLS, too", () =>
    Effect.gen(function* () {
      const port = yield* serve({ tls: localhost })
      const response = yield* overTls(port, requestText("GET http://test/a", ["Connection: close"]))
      expect(contentOf(response)).toBe("https://test/a")
    })
  )
})

it.scopedLive("a refused target counts as a response of 4xx", () =>
  Effect.gen(function* () {
    const before = yield* Metric.value(Metrics.requests["4xx"])
    const client = yield* connect(yield* native({}))
    yield* client.send(requestText("GET https://test/a"))
    yield* client.readResponse()
    expect((yield* Metric.value(Metrics.requests["4xx"])).count).toBeGreaterThan(before.count)
  })
)
