import { expect } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Response } from "effect-asynchttpserver"
import { type RawClient, TestServer } from "effect-asynchttpserver/testing"

export const date = { Date: "Thu, 01 Jan 1970 00:00:00 GMT" }

export const hello: Response.Handler = (request) => Response.respond(request, 200, "Hello World", date)

/** What `hello` sends. */
export const wholeResponse =
  "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n" +
  "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 11\r\n\r\nHello World"

export const head = wholeResponse.slice(0, -11)

export const streamed: Response.Handler = (request) =>
  Response.respondStream(request, 200, Stream.make("Hello ", "World").pipe(Stream.encodeText), date)

export const get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"

export const ask = Effect.gen(function* () {
  const client = yield* (yield* TestServer.TestServer).connect
  yield* client.send(get)
  return client
})

export const outcome = Effect.flatMap(TestServer.TestServer, (server) =>
  Effect.flatMap(server.takeRequest, (request) => request.outcome)
)

/** The bytes received so far. */
export const seenBy = (client: RawClient.RawClient) => client.readUntil(() => true)

/** Nothing is leaked, and the next connection is served normally. */
export const expectServerStillWorks = Effect.gen(function* () {
  const server = yield* TestServer.TestServer
  yield* server.assertNoLeaks
  const client = yield* server.connect
  yield* client.send("GET /well HTTP/1.1\r\nHost: test\r\n\r\n")
  expect(yield* client.readUntil((seen) => seen.endsWith("World"))).toBe(wholeResponse)
})

/** The faulty handler for all paths but `/well`. */
export const exceptWell =
  <E, R>(
    faulty: Response.Handler<E, R>
  ): Response.Handler<E | Effect.Effect.Error<ReturnType<typeof hello>>, R | never> =>
  (request) =>
    request.path === "/well" ? Response.respond(request, 200, "Hello World", date) : faulty(request)

export const faulted = (fault: string, sent: number) => ({ _tag: "Faulted", fault, sent })
