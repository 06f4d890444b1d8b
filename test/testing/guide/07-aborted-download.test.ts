/**
 * Aborted download
 *
 * The client disconnects early; the handler is interrupted, and its resources are released.
 */
import { HttpClient } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

const firstKilobyte = HttpClient.get("/endless").pipe(
  Effect.map((response) => response.stream),
  Stream.unwrap,
  Stream.flattenIterables,
  Stream.take(1024),
  Stream.runCount
)

it.scoped("interrupts the handler when the client disconnects", () =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void>()
    const endless = Stream.repeatValue(new Uint8Array(64 * 1024)).pipe(
      Stream.ensuring(Deferred.succeed(closed, undefined))
    )
    yield* Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      expect(yield* firstKilobyte).toBe(1024)
      yield* Deferred.await(closed)
      const request = yield* server.takeRequest
      expect(yield* request.outcome).toStrictEqual({ _tag: "Aborted" })
      yield* TestServer.assertNoLeaks
    }).pipe(Effect.provide(TestServer.layerMemory(Reply.stream(endless))))
  })
)
