/**
 * Pagination
 *
 * A handler that depends on the query, and the recorded requests.
 */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Chunk, Effect, Schema, Stream } from "effect"
import { Reply, TestServer } from "effect-asynchttpserver/testing"

const Page = Schema.Struct({ items: Schema.Array(Schema.String), next: Schema.OptionFromNullOr(Schema.String) })

const items = Stream.paginateChunkEffect("/items", (url) =>
  HttpClient.get(url).pipe(
    Effect.flatMap(HttpClientResponse.schemaBodyJson(Page)),
    Effect.map(({ items, next }) => [Chunk.fromIterable(items), next] as const)
  )
)

const pages = Reply.routes({
  "GET /items": (request) =>
    request.query === ""
      ? Reply.json({ items: ["a", "b"], next: "/items?from=c" })(request)
      : Reply.json({ items: ["c"], next: null })(request)
})

it.scoped("requests page after page, until there is no next", () =>
  Effect.gen(function* () {
    const server = yield* TestServer.TestServer
    expect(Chunk.toReadonlyArray(yield* Stream.runCollect(items))).toStrictEqual(["a", "b", "c"])
    const asked = yield* Stream.runCollect(Stream.take(server.requests, 2))
    expect(Array.from(asked, ({ url }) => url)).toStrictEqual(["/items", "/items?from=c"])
  }).pipe(TestServer.supervise, Effect.provide(TestServer.layerMemory(pages)))
)
