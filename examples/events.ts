/**
 * Server-sent events: a stream whose elements reach the page as they are produced, with a page that subscribes at `/`.
 *
 * - `GET /events` counts, once per `INTERVAL` ("1 second"). A listener that was disconnected resumes where it was: a
 *   browser sends the last id it has received.
 * - While nothing happens a comment is sent once per `HEARTBEAT` ("15 seconds"), for proxies that close silent connections.
 * - A listener that disconnects ends its stream: `GET /listeners` is the number of listeners.
 * - A closing server ends every stream completely, without waiting for listeners to disconnect.
 */
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect, Layer, Option, Ref, Schedule, Schema, Stream } from "effect"
import { awaitShutdown, layerConfig } from "effect-asynchttpserver/HttpServer"

const page = HttpServerResponse.html(`<!doctype html>
<meta charset="utf-8">
<title>Events</title>
<h1>Events</h1>
<ol id="seen"></ol>
<script>
  const events = new EventSource("/events")
  events.addEventListener("tick", ({ data }) => {
    const item = document.createElement("li")
    item.textContent = data
    document.getElementById("seen").append(item)
  })
</script>
`)

/** One event. JSON has no line ends, which would end the field. */
const event = (n: number) => `id: ${n}\nevent: tick\ndata: ${JSON.stringify({ n })}\n\n`

const intervals = Effect.all({
  interval: Config.withDefault(Config.duration("INTERVAL"), "1 second"),
  heartbeat: Config.withDefault(Config.duration("HEARTBEAT"), "15 seconds")
})

/** The last id that the client has received; 0 if it is absent or not an id of this server. */
const lastSeen = HttpServerRequest.schemaHeaders(
  Schema.Struct({ "last-event-id": Schema.NumberFromString.pipe(Schema.int()) })
).pipe(
  Effect.map((headers) => headers["last-event-id"]),
  Effect.option,
  Effect.map(Option.getOrElse(() => 0))
)

const routes = Effect.gen(function* () {
  const { heartbeat, interval } = yield* intervals
  const listeners = yield* Ref.make(0)

  const listening = Stream.acquireRelease(
    Ref.update(listeners, (n) => n + 1),
    () => Ref.update(listeners, (n) => n - 1)
  )

  const listen = Effect.gen(function* () {
    const ticks = Stream.iterate((yield* lastSeen) + 1, (n) => n + 1).pipe(
      Stream.schedule(Schedule.spaced(interval)),
      Stream.map(event)
    )
    const beats = Stream.as(Stream.tick(heartbeat), ": still here\n\n")
    // A disconnected browser reconnects after this many milliseconds.
    const start = Stream.succeed("retry: 500\n\n")
    const request = yield* HttpServerRequest.HttpServerRequest
    const closing = Effect.provideService(awaitShutdown, HttpServerRequest.HttpServerRequest, request)
    const sent = Stream.concat(start, Stream.merge(ticks, Stream.drop(beats, 1))).pipe(Stream.interruptWhen(closing))
    return HttpServerResponse.stream(Stream.encodeText(Stream.flatMap(listening, () => sent)), {
      contentType: "text/event-stream",
      headers: { "cache-control": "no-store" }
    })
  })

  return HttpRouter.empty.pipe(
    HttpRouter.get("/", page),
    HttpRouter.get("/events", listen),
    HttpRouter.get("/listeners", Effect.flatMap(Ref.get(listeners), HttpServerResponse.json))
  )
})

const server = layerConfig({
  host: Config.withDefault(Config.string("HOST"), "127.0.0.1"),
  port: Config.withDefault(Config.integer("PORT"), 8080)
})

const ready = HttpServer.addressFormattedWith((url) => Console.log(`Listening on ${url}`))

const live = Layer.effectDiscard(ready).pipe(
  Layer.merge(Layer.unwrapEffect(Effect.map(routes, (app) => HttpServer.serve(app)))),
  Layer.provide(server)
)

runMain(Layer.launch(live))
