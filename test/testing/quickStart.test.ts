/** The first test of README.md. */
import { HttpClient, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

// The code under test.
const User = Schema.Struct({ id: Schema.Int, name: Schema.String })
const createUser = (name: string) =>
  HttpClientRequest.post("/users").pipe(
    HttpClientRequest.bodyUnsafeJson({ name }),
    HttpClient.execute,
    Effect.flatMap(HttpClientResponse.schemaBodyJson(User))
  )

const users = Reply.routes({
  "GET /users/:id": (request, { id }) => Reply.json({ id: Number(id), name: "Ann" })(request),
  "POST /users": Reply.json({ id: 1, name: "Ann" }, { status: 201 })
})

it.scoped("creates a user", () =>
  Effect.gen(function* () {
    yield* TestServer.expect({ method: "POST", path: "/users", json: { name: "Ann" } })
    expect(yield* createUser("Ann")).toStrictEqual({ id: 1, name: "Ann" })
  }).pipe(TestServer.supervise, Effect.provide(TestServer.layerMemory(users)))
)
