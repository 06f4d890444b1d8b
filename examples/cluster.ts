/**
 * An application on many machines: `@effect/cluster` over this server, with Postgres as its storage.
 *
 * Each process is a runner. The counters are entities: each lives in one process at a time, and its messages reach it there,
 * over the HTTP server that serves the application as well. A message is stored before it is sent. One whose runner ends is
 * processed by another runner; it may then be processed twice, so that it has to have the same effect as once.
 *
 * - `POST /counters/visits/7` counts the event 7, and responds with the count and with the runner that has counted.
 * - `HOST` and `PORT` are the address at which the other runners reach this one; `DATABASE_URL` is that of Postgres. Every
 *   setting of `ShardingConfig` is read from the environment, as `RUNNER_HEALTH_CHECK_INTERVAL`.
 */
import {
  ClusterSchema,
  Entity,
  HttpRunner,
  RunnerHealth,
  Runners,
  ShardingConfig,
  SqlMessageStorage,
  SqlRunnerStorage
} from "@effect/cluster"
import { HttpLayerRouter, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Rpc, RpcSerialization } from "@effect/rpc"
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Effect, Layer, Schema } from "effect"
import { layerConfig } from "effect-asynchttpserver/HttpServer"

const host = Config.withDefault(Config.string("HOST"), "127.0.0.1")
const port = Config.withDefault(Config.integer("PORT"), 8080)

const Counter = Entity.make("Counter", [
  Rpc.make("Count", {
    payload: { event: Schema.String },
    success: Schema.Struct({ count: Schema.Int, runner: Schema.Int }),
    // Of messages with one key the first is processed, and all have its reply.
    primaryKey: ({ event }) => event
  })
]).annotateRpcs(ClusterSchema.Persisted, true)

const counters = Counter.toLayer(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const { entityId } = yield* Entity.CurrentAddress
    const runner = yield* Effect.orDie(port)
    return Counter.of({
      // A failure of the database is a defect, with which the entity starts again.
      Count: ({ payload: { event } }) =>
        Effect.gen(function* () {
          yield* sql`INSERT INTO events (counter, event) VALUES (${entityId}, ${event}) ON CONFLICT DO NOTHING`
          const rows = yield* sql<{ readonly count: number }>`
            SELECT COUNT(*)::int AS count FROM events WHERE counter = ${entityId}`
          return { count: rows[0]?.count ?? 0, runner }
        }).pipe(Effect.orDie)
    })
  })
)

/** The table of the counters. Two processes that create it at once conflict: the second finds it. */
const table = Layer.effectDiscard(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS events (counter TEXT, event TEXT, PRIMARY KEY (counter, event))`
  }).pipe(Effect.retry({ times: 3 }))
)

const routes = HttpLayerRouter.use((router) =>
  Effect.gen(function* () {
    const counter = yield* Counter.client
    yield* router.add(
      "POST",
      "/counters/:name/:event",
      Effect.gen(function* () {
        const { event = "", name = "" } = yield* HttpRouter.params
        return yield* HttpServerResponse.json(yield* counter(name).Count({ event }))
      })
    )
  })
)

/** The runner as a route of the application's server, which is what `NodeClusterHttp` cannot be. */
const runner = HttpRunner.layerHttpOptions({ path: "/cluster" }).pipe(
  Layer.provide(Layer.provide(RunnerHealth.layerPing, Runners.layerRpc)),
  Layer.provide(HttpRunner.layerClientProtocolHttp({ path: "/cluster" })),
  Layer.provide(NodeHttpClient.layerUndici),
  Layer.provide(RpcSerialization.layerMsgPack),
  Layer.provide([SqlMessageStorage.layer, SqlRunnerStorage.layer]),
  Layer.provide(ShardingConfig.layerFromEnv())
)

const ready = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`)))

const live = HttpLayerRouter.serve(Layer.merge(routes, counters).pipe(Layer.provide(runner)), {
  disableListenLog: true,
  disableLogger: true
}).pipe(
  Layer.merge(ready),
  Layer.provide(layerConfig({ host, port })),
  Layer.provide(table),
  Layer.provide(PgClient.layerConfig({ url: Config.redacted("DATABASE_URL") }))
)

runMain(Layer.launch(live))
