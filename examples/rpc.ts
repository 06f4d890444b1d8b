/**
 * Remote procedures with `@effect/rpc`, one with a single result and one with a stream, over two transports: HTTP
 * requests to `/rpc`, and a WebSocket at `/rpc/socket`. Both use newline-delimited JSON.
 *
 * A client uses the same group and calls it with `RpcClient.make(greetings)`, over `RpcClient.layerProtocolHttp` or
 * `RpcClient.layerProtocolSocket`.
 */
import { HttpLayerRouter, HttpServer } from "@effect/platform"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "@effect/rpc"
import { Config, Console, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { layerConfig } from "effect-asynchttpserver/HttpServer"

class NameRequired extends Schema.TaggedError<NameRequired>()("NameRequired", { message: Schema.String }) {}

const greetings = RpcGroup.make(
  Rpc.make("Greet", { payload: { name: Schema.String }, success: Schema.String, error: NameRequired }),
  Rpc.make("CountDown", { payload: { from: Schema.Int }, success: Schema.Int, stream: true })
)

const procedures = greetings.toLayer({
  Greet: ({ name }) =>
    name === "" ? new NameRequired({ message: "a name is required" }) : Effect.succeed(`Hello ${name}`),
  CountDown: ({ from }) =>
    Stream.iterate(from, (n) => n - 1).pipe(
      Stream.takeUntil((n) => n <= 0),
      Stream.schedule(Schedule.spaced("10 millis"))
    )
})

const server = layerConfig({
  host: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

const routes = Layer.mergeAll(
  RpcServer.layerHttpRouter({ group: greetings, path: "/rpc", protocol: "http" }),
  RpcServer.layerHttpRouter({ group: greetings, path: "/rpc/socket", protocol: "websocket" })
)

const ready = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`)))

const live = HttpLayerRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
  Layer.merge(ready),
  Layer.provide(procedures),
  Layer.provide(RpcSerialization.layerNdjson),
  Layer.provide(server)
)

runMain(Layer.launch(live))
