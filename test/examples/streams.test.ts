/** The examples with streams: each is started as a user would, called, and stopped. */
import { NodeHttpClient, NodeSocket } from "@effect/platform-node"
import { Rpc, RpcClient, RpcGroup, RpcSerialization } from "@effect/rpc"
import { Chunk, Effect, Layer, Schema, Stream } from "effect"
import { describe, expect, it, vi } from "vitest"
import { jsonOf, timeout, waiting } from "./applicationClient.js"
import { byFetch } from "./client.js"
import { freePort, start, withProgram } from "./program.js"

describe.concurrent("examples/rpc.ts", () => {
  class NameRequired extends Schema.TaggedError<NameRequired>()("NameRequired", { message: Schema.String }) {}

  const greetings = RpcGroup.make(
    Rpc.make("Greet", { payload: { name: Schema.String }, success: Schema.String, error: NameRequired }),
    Rpc.make("CountDown", { payload: { from: Schema.Int }, success: Schema.Int, stream: true })
  )

  const calls = Effect.gen(function* () {
    const client = yield* RpcClient.make(greetings)
    const names = Array.from({ length: 20 }, (_, i) => `${i}`)
    const greeted = yield* Effect.forEach(names, (name) => client.Greet({ name }), { concurrency: "unbounded" })
    expect(greeted).toStrictEqual(names.map((name) => `Hello ${name}`))
    const rejected = yield* Effect.flip(client.Greet({ name: "" }))
    expect(rejected).toStrictEqual(new NameRequired({ message: "a name is required" }))
    const counted = yield* Stream.runCollect(client.CountDown({ from: 5 }))
    expect(Chunk.toReadonlyArray(counted)).toStrictEqual([5, 4, 3, 2, 1, 0])
    // A stream that is abandoned delays neither the next call nor the end.
    const begun = yield* Stream.runCollect(Stream.take(client.CountDown({ from: 1_000_000 }), 2))
    expect(Chunk.toReadonlyArray(begun)).toStrictEqual([1_000_000, 999_999])
    expect(yield* client.Greet({ name: "again" })).toBe("Hello again")
  }).pipe(Effect.scoped)

  const transports: Record<
    string,
    (url: string) => Layer.Layer<RpcClient.Protocol, never, RpcSerialization.RpcSerialization>
  > = {
    HTTP: (url) => RpcClient.layerProtocolHttp({ url: `${url}/rpc` }).pipe(Layer.provide(NodeHttpClient.layerUndici)),
    WebSocket: (url) =>
      RpcClient.layerProtocolSocket().pipe(
        Layer.provide(NodeSocket.layerWebSocket(`${url.replace("http", "ws")}/rpc/socket`))
      )
  }

  it.each(Object.entries(transports))(
    "is called over %s",
    (_, transport) =>
      withProgram("examples/rpc.ts", {}, async (url) => {
        const protocol = Layer.provide(transport(url), RpcSerialization.layerNdjson)
        await Effect.runPromise(Effect.provide(calls, protocol))
      }),
    timeout
  )

  it(
    "ends cleanly under a stream that continues over either",
    () =>
      withProgram("examples/rpc.ts", {}, async (url) => {
        const endless = (transport: string) =>
          Effect.gen(function* () {
            const client = yield* RpcClient.make(greetings)
            yield* Stream.runForEach(client.CountDown({ from: 1_000_000 }), () =>
              Effect.sync(() => seen.add(transport))
            )
          }).pipe(
            Effect.scoped,
            Effect.provide(Layer.provide(transports[transport]!(url), RpcSerialization.layerNdjson)),
            Effect.runPromiseExit
          )
        const seen = new Set<string>()
        for (const transport of Object.keys(transports)) void endless(transport)
        await vi.waitFor(() => expect(seen.size).toBe(2), waiting)
      }),
    timeout
  )
})

/** A reader of an event stream: its text up to a pattern, and how it ends. */
const reading = (response: Response) => {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let got = ""
  return {
    until: async (wanted: RegExp): Promise<string> => {
      while (!wanted.test(got)) {
        const { done, value } = await reader.read()
        if (done) throw new Error(`the stream has ended after ${JSON.stringify(got)}`)
        got += value
      }
      return got
    },
    end: async (): Promise<"Ended" | "Broken"> => {
      try {
        while (!(await reader.read()).done) {}
        return "Ended"
      } catch {
        return "Broken"
      }
    }
  }
}

describe.concurrent("examples/events.ts", () => {
  const listen = (url: string, init: RequestInit = {}) =>
    fetch(`${url}/events`, { ...init, headers: { accept: "text/event-stream", ...init.headers } })

  it(
    "has a head before the first event, a pulse while nothing happens, and continues after the last that was seen",
    () =>
      withProgram("examples/events.ts", { INTERVAL: "1 hour", HEARTBEAT: "20 millis" }, async (url) => {
        const response = await listen(url, { headers: { "last-event-id": "not a number" } })
        expect(response.status).toBe(200)
        expect(response.headers.get("content-type")).toBe("text/event-stream")
        expect(response.headers.get("cache-control")).toBe("no-store")
        const got = await reading(response).until(/(?:: still here\n\n){3}/)
        expect(got).toMatch(/^retry: 500\n\n(?:: still here\n\n)+$/)
      }),
    timeout
  )

  it(
    "ends for a client that leaves, and resumes for a client that returns",
    () =>
      withProgram("examples/events.ts", { INTERVAL: "5 millis" }, async (url) => {
        const count = async () => jsonOf(await byFetch({ method: "GET", url: `${url}/listeners` }))
        const leaving = new AbortController()
        const left = reading(await listen(url, { signal: leaving.signal }))
        const stays = reading(await listen(url, { headers: { "last-event-id": "41" } }))
        expect(await left.until(/data: \{"n":3\}\n\n/)).toMatch(
          /^retry: 500\n\nid: 1\nevent: tick\ndata: \{"n":1\}\n\n/
        )
        expect(await stays.until(/data: \{"n":44\}\n\n/)).toMatch(/^retry: 500\n\nid: 42\n/)
        expect(await count()).toBe(2)
        leaving.abort()
        await vi.waitFor(async () => expect(await count()).toBe(1), waiting)
      }),
    timeout
  )

  it(
    "is restarted with listeners connected, which reconnect",
    async () => {
      const env = { INTERVAL: "5 millis", PORT: String(await freePort()) }
      const first = await start("examples/events.ts", env)
      const cut = reading(await listen(first.url))
      await cut.until(/id: 2\n/)
      const { code, stderr } = await first.stop("SIGTERM")
      expect([code, stderr, await cut.end()]).toStrictEqual([0, "", "Ended"])
      await withProgram("examples/events.ts", env, async (url) => {
        expect(url).toBe(first.url)
        await reading(await listen(url, { headers: { "last-event-id": "2" } })).until(/^retry: 500\n\nid: 3\n/)
      })
    },
    timeout
  )
})
