/**
 * Redirect loop
 *
 * The number of redirects that a client follows, counted by the server.
 */
import { HttpClient } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

const loop = Reply.routes({
  "GET /here": Reply.redirect("/there"),
  "GET /there": Reply.redirect("/here", { status: 307 })
})

it.scoped("ends after five redirects", () =>
  Effect.gen(function* () {
    yield* TestServer.expect({ method: "GET", path: /^\/t?here$/ }, 6)
    const client = HttpClient.followRedirects(yield* HttpClient.HttpClient, 5)
    const response = yield* client.get("/here")
    expect(response.status).toBe(307)
  }).pipe(TestServer.supervise, Effect.provide(TestServer.layerMemory(loop)))
)
