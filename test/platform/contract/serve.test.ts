/** `HttpServer.serve`: it registers and returns, and ends with its scope. */

import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { layerServer, layerTest } from "../../../src/HttpServer.js"
import { ask, connect, get, requestText } from "../../support/rawClient.js"
import { endless, listening, portOf, serving } from "../harness.js"

class Greeting extends Context.Tag("test/Greeting")<Greeting, string>() {}

const named = FiberRef.unsafeMake("unset")

describe("serve", () => {
  it.scopedLive("returns at once, and the application responds", () =>
    Effect.gen(function* () {
      const server = yield* listening()
      yield* server.serve(HttpServerResponse.text("here"))
      const { status, text } = yield* get(portOf(server))
      expect([status, text]).toStrictEqual([200, "here"])
    })
  )

  it.scopedLive("queues connections until something is served", () =>
    Effect.gen(function* () {
      const server = yield* listening()
      const client = yield* connect(portOf(server))
      yield* client.send(requestText("GET /"))
      yield* server.serve(HttpServerResponse.text("late"))
      expect((yield* client.readResponse()).text).toBe("late")
    })
  )

  it.scopedLive("ends with its scope, after which another application is served on the same address", () =>
    Effect.gen(function* () {
      const server = yield* listening()
      const scope = yield* Scope.make()
      yield* Scope.extend(server.serve(HttpServerResponse.text("one")), scope)
      const client = yield* connect(portOf(server))
      yield* client.send(requestText("GET /"))
      expect((yield* client.readResponse()).text).toBe("one")
      yield* Scope.close(scope, Exit.void)
      expect(yield* client.closedWith).toBe("FIN")
      yield* server.serve(HttpServerResponse.text("two"))
      expect((yield* get(portOf(server))).text).toBe("two")
    })
  )

  it.scopedLive("drains in its finalizer: running requests get their responses", () =>
    Effect.gen(function* () {
      const server = yield* listening({ drainTimeout: "5 seconds" })
      const scope = yield* Scope.make()
      const running = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const app = Deferred.succeed(running, undefined).pipe(
        Effect.zipRight(Deferred.await(go)),
        Effect.as(HttpServerResponse.text("finished"))
      )
      yield* Scope.extend(server.serve(app), scope)
      const client = yield* connect(portOf(server))
      yield* client.send(requestText("GET /"))
      yield* Deferred.await(running)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      // A client that connects meanwhile is not left without a handler.
      yield* Effect.repeat(Effect.exit(connect(portOf(server))), { until: Exit.isFailure })
      yield* Deferred.succeed(go, undefined)
      const response = yield* client.readResponse()
      expect(response.text).toBe("finished")
      yield* closing.await
    })
  )

  it.scopedLive("captures the context and the FiberRefs that it is called with", () =>
    Effect.gen(function* () {
      const app = Effect.map(Effect.all([Greeting, FiberRef.get(named)]), (parts) =>
        HttpServerResponse.text(parts.join(" "))
      )
      const served = serving(app).pipe(Effect.provideService(Greeting, "hello"), Effect.locally(named, "you"))
      expect((yield* get(yield* served)).text).toBe("hello you")
    })
  )

  it.scopedLive("gives every request FiberRefs of its own", () =>
    Effect.gen(function* () {
      const port = yield* serving(
        Effect.map(
          FiberRef.getAndUpdate(named, (name) => `${name}!`),
          (name) => HttpServerResponse.text(name)
        )
      )
      const client = yield* connect(port)
      for (let i = 0; i < 3; i++) {
        yield* client.send(requestText("GET /"))
        expect((yield* client.readResponse()).text).toBe("unset")
      }
    })
  )

  it.live("serves by HttpServer.serve, and logs its address by withLogAddress", () =>
    Effect.gen(function* () {
      const live = HttpServer.serve(HttpServerResponse.text("layered")).pipe(
        HttpServer.withLogAddress,
        Layer.provideMerge(layerServer({ port: 0, host: "127.0.0.1" }))
      )
      const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), live)
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    })
  )

  it.scoped("serves by HttpServer.serveEffect, asked by the client of layerTest", () =>
    Effect.gen(function* () {
      const { HttpClient } = yield* Effect.promise(() => import("@effect/platform"))
      yield* HttpServer.serveEffect(HttpServerResponse.text("tested"))
      const response = yield* HttpClient.get("/")
      expect(yield* response.text).toBe("tested")
    }).pipe(Effect.provide(layerTest))
  )
})

describe("closing the scope does not hang on", () => {
  const closed = (server: HttpServer.HttpServer, scope: Scope.CloseableScope) =>
    Effect.timeoutFailCause(Scope.close(scope, Exit.void), {
      duration: "4 seconds",
      onTimeout: () => Cause.die(`the server on ${portOf(server)} does not end`)
    })

  const closing = (what: HttpApp.Default, sent: string) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(listening(), scope)
      yield* Scope.extend(server.serve(what), scope)
      const client = yield* connect(portOf(server))
      yield* client.send(sent)
      return { wire: client, close: closed(server, scope) }
    })

  it.scopedLive("a connection that never sent a request", () =>
    Effect.gen(function* () {
      const { close, wire: client } = yield* closing(HttpServerResponse.text("unasked"), "")
      yield* close
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  it.scopedLive("an application that never ends: it is interrupted, and its client gets 503", () =>
    Effect.gen(function* () {
      const { app, end, running } = yield* endless
      const { close, wire: client } = yield* closing(app, requestText("GET /"))
      yield* running
      yield* close
      expect(Exit.isInterrupted(yield* end)).toBe(true)
      const response = yield* client.readResponse()
      expect([response.status, response.header("Connection")]).toStrictEqual([503, "close"])
      expect(yield* client.closedWith).toBe("FIN")
    })
  )

  it.scopedLive("an endless stream, which breaks off", () =>
    Effect.gen(function* () {
      const body = Stream.concat(Stream.make(new TextEncoder().encode("begun")), Stream.never)
      const { close, wire: client } = yield* closing(
        Effect.succeed(HttpServerResponse.stream(body)),
        requestText("GET /")
      )
      yield* client.readUntil((seen) => seen.includes("begun"))
      yield* close
      expect((yield* client.readToEnd).toString()).not.toContain("0\r\n\r\n")
    })
  )

  it.scopedLive("a body that never comes", () =>
    Effect.gen(function* () {
      const { HttpServerRequest } = yield* Effect.promise(() => import("@effect/platform/HttpServerRequest"))
      const app = Effect.flatMap(HttpServerRequest, (request) => request.text).pipe(
        Effect.orDie,
        Effect.map((text) => HttpServerResponse.text(text))
      )
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(listening(), scope)
      yield* Scope.extend(server.serve(app), scope)
      const client = yield* connect(portOf(server))
      yield* client.send(requestText("POST /", ["Content-Length: 10", "Expect: 100-continue"]))
      yield* client.readUntil((seen) => seen.includes("100 Continue"))
      yield* closed(server, scope)
      expect((yield* client.readToEnd).toString()).toMatch(/^HTTP\/1.1 503 /)
    })
  )
})

describe("a served application", () => {
  it.scopedLive("responds to one request after the other of a connection", () =>
    Effect.gen(function* () {
      const port = yield* serving(HttpServerResponse.text("again"))
      const client = yield* connect(port)
      yield* client.send(requestText("GET /1") + requestText("GET /2"))
      expect((yield* client.readResponse()).text).toBe("again")
      expect((yield* client.readResponse()).text).toBe("again")
    })
  )

  it.scopedLive("knows no statuses other than 2xx to 5xx", () =>
    Effect.gen(function* () {
      const port = yield* serving(HttpServerResponse.empty({ status: 700 }))
      expect((yield* ask(port, requestText("GET /"))).status).toBe(500)
    })
  )
})
