/** `HttpServer.address`: known before anything is served, and fit to be asked for. */
import { createServer, type Server } from "node:http"
import * as HttpServer from "@effect/platform/HttpServer"
import { ServeError } from "@effect/platform/HttpServerError"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { OSError, ValueError } from "../../../src/Errors.js"
import { layerConfig, layerServer, make } from "../../../src/HttpServer.js"
import { connect, get, requestText } from "../../support/rawClient.js"
import { listening, portOf } from "../harness.js"

describe("address", () => {
  it.scopedLive("has the port that the system has chosen", () =>
    Effect.gen(function* () {
      const server = yield* listening({ port: 0 })
      expect(server.address).toStrictEqual({ _tag: "TcpAddress", hostname: "127.0.0.1", port: portOf(server) })
      expect(portOf(server)).toBeGreaterThan(0)
    })
  )

  it.scopedLive("is every address of both families by default, and can be asked for", () =>
    Effect.gen(function* () {
      const server = yield* Effect.orDie(make({ drainTimeout: 0 }))
      yield* server.serve(HttpServerResponse.text("both"))
      expect(server.address).toMatchObject({ hostname: "0.0.0.0" })
      for (const host of ["127.0.0.1", "::1"]) {
        const client = yield* connect(portOf(server), host)
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).text).toBe("both")
      }
    })
  )

  it.scopedLive("is put into a URL with brackets where it is of IPv6", () =>
    Effect.gen(function* () {
      const server = yield* listening({ host: "::1" })
      yield* server.serve(HttpServerResponse.text("six"))
      const url = HttpServer.formatAddress(server.address)
      expect(url).toBe(`http://[::1]:${portOf(server)}`)
      expect(yield* Effect.promise(() => fetch(url).then((response) => response.text()))).toBe("six")
    })
  )

  it.scopedLive("is of IPv6 alone where that is asked for", () =>
    Effect.gen(function* () {
      const server = yield* listening({ host: "::", ipv6Only: true })
      yield* server.serve(HttpServerResponse.text("six"))
      const client = yield* connect(portOf(server), "::1")
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).text).toBe("six")
      const refused = yield* Effect.exit(Effect.scoped(connect(portOf(server), "127.0.0.1")))
      expect(refused._tag).toBe("Failure")
    })
  )

  it.scopedLive("fails as a ServeError with the OSError as its cause where the port is taken", () =>
    Effect.gen(function* () {
      const port = portOf(yield* listening())
      const error = yield* Effect.flip(make({ host: "127.0.0.1", port }))
      expect(error).toBeInstanceOf(ServeError)
      expect(error.cause).toBeInstanceOf(OSError)
      expect(error.cause).toMatchObject({ code: "EADDRINUSE", syscall: "listen" })
    })
  )

  it.scopedLive("fails as a ServeError where the options are invalid", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(make({ port: 70_000 }))
      expect(error.cause).toBeInstanceOf(ValueError)
      expect(error.cause).toMatchObject({ reason: "Port" })
    })
  )

  it.live("is given back with the scope", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(Effect.map(listening(), portOf))
      yield* Effect.scoped(listening({ port }))
    })
  )
})

describe("the constructors", () => {
  it.scopedLive("call once what makes a server of node:http, and leave nothing of it open", () =>
    Effect.gen(function* () {
      const made: Array<Server> = []
      const makes = (): Server => {
        const server = createServer()
        made.push(server)
        return server
      }
      const server = yield* Effect.orDie(make(makes, { host: "127.0.0.1", drainTimeout: 0 }))
      expect(made.map(({ listening }) => listening)).toStrictEqual([false])
      yield* server.serve(HttpServerResponse.text("moved"))
      expect((yield* get(portOf(server))).text).toBe("moved")
    })
  )

  it.live("give their errors through the layer", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Layer.launch(layerServer(createServer, { port: -1 })))
      expect(error._tag).toBe("ServeError")
    })
  )

  it.live("read their options from a ConfigProvider", () =>
    Effect.gen(function* () {
      const live = layerConfig({ host: Config.string("HOST"), port: Config.integer("PORT") })
      const given = ConfigProvider.fromMap(
        new Map([
          ["HOST", "127.0.0.1"],
          ["PORT", "0"]
        ])
      )
      const address = yield* HttpServer.HttpServer.pipe(
        Effect.map((server) => server.address),
        Effect.provide(live),
        Effect.withConfigProvider(given)
      )
      expect(address).toMatchObject({ _tag: "TcpAddress", hostname: "127.0.0.1" })
      const error = yield* Effect.flip(
        Effect.withConfigProvider(
          Layer.launch(layerConfig(createServer, { port: Config.integer("PORT") })),
          ConfigProvider.fromMap(new Map())
        )
      )
      expect(error._tag).toBe("ConfigError")
    })
  )
})
