/**
 * One small app with every kind of response, for tests, benchmarks and clients of all kinds.
 *
 * `HOST` and `PORT` set the address. It is written as a user would: it sets no `Date`, `Content-Length`,
 * `Connection` or `Transfer-Encoding`, and handles HEAD only to route it like GET.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Config, Console, Data, Effect, Schedule, Stream } from "effect"
import { Address, type Errors, HttpHeaders, Response, Server } from "effect-asynchttpserver"

class BodyFailed extends Data.TaggedError("BodyFailed")<{ readonly message: string }> {}

type Handler = Response.Handler<Errors.ValueError | BodyFailed>

const text = { "Content-Type": "text/plain; charset=utf-8" }
const json = { "Content-Type": "application/json" }
const bytes = { "Content-Type": "application/octet-stream" }

const big = Uint8Array.from({ length: 1_048_576 }, (_, i) => 97 + (i % 26))

const pieces = Stream.range(0, 4).pipe(
  Stream.map((i) => `chunk-${i}\n`),
  Stream.schedule(Schedule.spaced("20 millis")),
  Stream.encodeText
)

const failing = Stream.make("partial\n").pipe(
  Stream.encodeText,
  Stream.concat(Stream.fromEffect(Effect.delay(new BodyFailed({ message: "secret-detail" }), "20 millis")))
)

const getOrHead = (handler: Handler): Routes => ({ GET: handler, HEAD: handler })

/** The handlers of a path by method; `*` matches any. */
type Routes = { readonly [method: string]: Handler }

const routes: { readonly [path: string]: Routes } = {
  "/": getOrHead((request) => Response.respond(request, 200, "ok", text)),
  "/echo": {
    POST: (request) => Effect.flatMap(request.bytes, (body) => Response.respond(request, 200, body, bytes))
  },
  "/headers": (() => {
    const handler: Handler = (request) =>
      Effect.zipRight(
        Stream.runDrain(request.stream),
        Response.respond(request, 200, JSON.stringify(Array.from(request.headers)), json)
      )
    return { ...getOrHead(handler), POST: handler }
  })(),
  "/method": { "*": (request) => Response.respond(request, 200, request.method, text) },
  "/url": getOrHead((request) => Response.respond(request, 200, request.url, text)),
  "/204": getOrHead((request) => Response.respond(request, 204)),
  "/204-body": getOrHead((request) => Response.respond(request, 204, "nope")),
  "/304": getOrHead((request) => Response.respond(request, 304, "", { ETag: '"x"' })),
  "/big": getOrHead((request) => Response.respond(request, 200, big, bytes)),
  "/stream": getOrHead((request) => Response.respondStream(request, 200, pieces, text)),
  "/stream-fail": getOrHead((request) => Response.respondStream(request, 200, failing, text)),
  "/slow": getOrHead((request) => Effect.delay(Response.respond(request, 200, "slow", text), "500 millis")),
  "/split": getOrHead((request) =>
    Response.respond(request, 200, "split", { ...text, "x-split": "a\r\nx-injected: 1" }).pipe(
      Effect.catchTag("ValueError", () => Response.respond(request, 200, "split", text))
    )
  ),
  "/ignore": { POST: (request) => Response.respond(request, 200, "ignored", text) },
  "/refuse": { POST: (request) => Response.respond(request, 403, "refused", text) },
  "/boom": { "*": () => Effect.die(new Error("secret-detail")) }
}

const handler: Handler = (request) => {
  const found = routes[request.path.startsWith("/url/") ? "/url" : request.path]
  if (found === undefined) return Response.respond(request, 404, "not found", text)
  const taken = found[request.method] ?? found["*"]
  if (taken !== undefined) return taken(request)
  const headers = HttpHeaders.make({ ...text, Allow: Object.keys(found).join(", ") })
  return Response.respond(request, 405, "method not allowed", headers)
}

const program = Effect.gen(function* () {
  const address = yield* Server.listen()
  yield* Console.log(`Listening on ${Address.toUrl(address)}`)
  return yield* Server.serve(handler, {
    onFailure: (cause, request) => Effect.logDebug(`${request.method} ${request.url} failed`, cause)
  })
})

const host = Config.withDefault(Config.string("HOST"), "127.0.0.1")

const live = Server.layerConfig({
  address: host,
  domain: Config.map(host, (address): Address.Domain => (address.includes(":") ? "IPv6" : "IPv4")),
  port: Config.withDefault(Config.integer("PORT"), 8080),
  limits: Config.succeed({ headerTimeout: "4 seconds", bodyTimeout: "4 seconds", keepAliveTimeout: "4 seconds" })
})

// One Ctrl-C may arrive twice: from the terminal, and from npm or tsx, which forward it. The first ends the program; the second
// is ignored, so that requests in flight have the whole `drainTimeout`.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {})

runMain(Effect.provide(program, live))
