import { HttpClient, HttpClientRequest } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Response } from "effect-asynchttpserver"
import { TestServer } from "effect-asynchttpserver/testing"
import { overBoth } from "./both.js"

const echo: Response.Handler = (request) =>
  Effect.flatMap(request.text, (text) => Response.respond(request, 200, `${request.method} ${request.url} ${text}`))

overBoth(({ layer, make }) => {
  it.scoped("answers its own client", () =>
    Effect.gen(function* () {
      const response = yield* HttpClient.post("/a?b=1", {
        body: (yield* HttpClientRequest.bodyText(HttpClientRequest.post("/"), "hi").pipe(Effect.succeed)).body
      })
      expect(yield* response.text).toBe("POST /a?b=1 hi")
      const server = yield* TestServer.TestServer
      const request = yield* server.takeRequest
      expect([request.method, request.url, request.connection, request.exchange]).toStrictEqual([
        "POST",
        "/a?b=1",
        0,
        0
      ])
      expect(yield* request.text).toBe("hi")
      expect(yield* request.outcome).toStrictEqual({ _tag: "Answered", status: 200 })
    }).pipe(Effect.provide(layer(echo)))
  )

  it.scoped("advances", () =>
    Effect.gen(function* () {
      const server = yield* make((request) =>
        Effect.zipRight(Effect.sleep("30 seconds"), Response.respond(request, 200, "late"))
      )
      const fiber = yield* Effect.fork(server.client.get("/").pipe(Effect.flatMap((r) => r.text)))
      yield* Effect.provideService(TestServer.advance("30 seconds"), TestServer.TestServer, server)
      expect(yield* fiber.poll).toMatchObject({ value: { value: "late" } })
    })
  )
})
