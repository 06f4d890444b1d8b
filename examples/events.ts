/**
 * Server-sent events: a stream whose elements reach the page as they come, with a page that listens at `/`.
 *
 * - `GET /events` counts, once in `INTERVAL` ("1 second"). A listener who was cut off goes on where it was: a browser
 *   sends the last id that it has seen along.
 * - While nothing happens a comment is sent once in `HEARTBEAT` ("15 seconds"), for proxies that end silent connections.
 * - A listener that leaves ends its stream: `GET /listeners` is how many there are.
 * - A server that closes ends every stream, as whole: nothing waits for listeners to leave.
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

/** JSON has no line ends, which would end the field. */
const event = (n: number) => `id: ${n}\nevent: tick\ndata: ${JSON.stringify({ n })}\n\n`

const intervals = Effect.all({
  interval: Config.withDefault(Config.duration("INTERVAL"), "1 second"),
  heartbeat: Config.withDefault(Config.duration("HEARTBEAT"), "15 seconds")
})

/** Absent, and as good as absent where it is nothing that was sent from here. */
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
    // A browser that was cut off comes back this many milliseconds later.
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
