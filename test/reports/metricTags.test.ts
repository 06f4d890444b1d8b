/** Tags of `Effect.tagMetrics` around a server: on the metrics of its connections and requests. */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Metrics from "../../src/Metrics.js"
import { type Handler, respond } from "../../src/Response.js"
import * as Server from "../../src/Server.js"
import { eventually } from "../support/eventually.js"
import { get } from "../wire/rawConnection.js"

const handler: Handler = (request) => Effect.zipRight(Effect.yieldNow(), respond(request, 200, "Hello World"))

/** The value of a counter, or the number of observations of a histogram, with the tag. */
const observed = <Type, In, Out extends { readonly count: number | bigint }>(
  metric: Metric.Metric<Type, In, Out>,
  server: string
) => Effect.map(Metric.value(Metric.tagged(metric, "server", server)), ({ count }) => Number(count))

const counts = (server: string) =>
  Effect.gen(function* () {
    const byClient = yield* observed(Metrics.connectionsClosed.ClosedByClient, server)
    const byServer = yield* observed(Metrics.connectionsClosed.ClosedByServer, server)
    return {
      requests: yield* observed(Metrics.requests["2xx"], server),
      hasBytes:
        (yield* observed(Metrics.bytesReceived, server)) > 0 && (yield* observed(Metrics.bytesSent, server)) > 0,
      durations: yield* observed(Metrics.requestDuration, server),
      closed: byClient + byServer
    }
  })

const made = Effect.map(
  Layer.build(Server.layer({ address: "127.0.0.1", drainTimeout: 0 })),
  Context.get(Server.Server)
)

describe("Effect.tagMetrics", () => {
  const cases = {
    serve: (tag: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
      Effect.tap(made, (server) => Effect.forkScoped(tag(server.serve(handler)))),
    "the layer": (tag: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
      Effect.tap(tag(made), (server) => Effect.forkScoped(server.serve(handler))),
    "the layer and serve": (tag: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
      tag(Effect.tap(made, (server) => Effect.forkScoped(server.serve(handler))))
  }
  for (const [name, run] of Object.entries(cases)) {
    it.scopedLive(`around ${name} tags the metrics of the connections and the requests`, () =>
      Effect.gen(function* () {
        const tag = `admin of ${name}`
        const server = yield* run(Effect.tagMetrics("server", tag))
        const port = yield* eventually(
          Effect.orElseSucceed(server.port, () => 0),
          (port) => port > 0,
          "listening"
        )
        yield* get(port)
        yield* get(port)
        yield* server.close
        const seen = yield* eventually(counts(tag), ({ closed }) => closed === 2, "two connections closed")
        expect(seen).toStrictEqual({ requests: 2, hasBytes: true, durations: 2, closed: 2 })
      })
    )
  }

  it.scopedLive("around another server tags nothing of this one", () =>
    Effect.gen(function* () {
      yield* Effect.tagMetrics(made, "server", "idle")
      const server = yield* made
      yield* Effect.forkScoped(server.serve(handler))
      const port = yield* eventually(
        Effect.orElseSucceed(server.port, () => 0),
        (port) => port > 0,
        "listening"
      )
      yield* get(port)
      expect((yield* counts("idle")).requests).toBe(0)
    })
  )
})
