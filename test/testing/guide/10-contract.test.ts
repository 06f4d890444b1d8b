/**
 * A contract by Schema
 *
 * Both sides use the same Schema: it must decode the request, and it encodes the response.
 */
import { HttpClient, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

const NewUser = Schema.Struct({ name: Schema.NonEmptyString, born: Schema.Date })
const User = Schema.Struct({ id: Schema.Int, ...NewUser.fields })

const create = (user: typeof NewUser.Type) =>
  HttpClientRequest.post("/users").pipe(
    HttpClientRequest.schemaBodyJson(NewUser)(user),
    Effect.flatMap(HttpClient.execute),
    Effect.flatMap(HttpClientResponse.schemaBodyJson(User))
  )

const ann = { name: "Ann", born: new Date("2001-02-03") }
const users = Reply.routes({ "POST /users": Reply.schemaJson(User)({ id: 1, ...ann }, { status: 201 }) })

it.scoped("is fulfilled by the client", () =>
  Effect.gen(function* () {
    yield* TestServer.expect({ method: "POST", path: "/users", schema: NewUser })
    expect(yield* create(ann)).toStrictEqual({ id: 1, ...ann })
  }).pipe(TestServer.supervise, Effect.provide(TestServer.layerMemory(users)))
)
