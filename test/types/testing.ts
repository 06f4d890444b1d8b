/** The exact types of the test kit's functions: what a handler fails with is not the test's, what it needs is. */
// What must not compile is reported by the language service too.
// @effect-diagnostics missingEffectContext:off missingEffectError:off floatingEffect:off
import type { HttpClient } from "@effect/platform"
import type { Effect, Layer, Scope } from "effect"
import { Context, Data, Effect as E } from "effect"
import { type Errors, type Response, Response as Responses } from "effect-asynchttpserver"
import { type Expectation, TestServer } from "effect-asynchttpserver/testing"
import { equals } from "./equals.js"

class Users extends Context.Tag("Users")<Users, { readonly count: number }>() {}

class Unmapped extends Data.TaggedError("Unmapped") {}

declare const handler: Response.Handler<Unmapped, Users | Scope.Scope>
declare const plain: Response.Handler<never, never>

const made = TestServer.make(handler)
equals<typeof made, Effect.Effect<TestServer.TestServer, Errors.OSError, Scope.Scope | Users>>()

const inMemory = TestServer.makeMemory(plain)
equals<typeof inMemory, Effect.Effect<TestServer.TestServer, never, Scope.Scope>>()

const layer = TestServer.layer(handler)
equals<typeof layer, Layer.Layer<TestServer.TestServer | HttpClient.HttpClient, Errors.OSError, Users>>()

const layerMemory = TestServer.layerMemory(plain)
equals<typeof layerMemory, Layer.Layer<TestServer.TestServer | HttpClient.HttpClient, never, never>>()

const supervised = TestServer.supervise(E.fail("mine" as const))
equals<typeof supervised, Effect.Effect<never, "mine", TestServer.TestServer>>()

const enqueued = TestServer.enqueue(handler, plain)
equals<typeof enqueued, Effect.Effect<void, never, TestServer.TestServer | Users>>()

// @ts-expect-error: without Effect nothing provides a handler's requirements
void TestServer.start(handler)

void TestServer.start((request) => Responses.respond(request, 200))

// @ts-expect-error: a handler that does not respond does not compile here either
void TestServer.make(() => E.void)

// @ts-expect-error: no criterion has that name
export const misspelled: Expectation.Matcher = { pth: "/" }
