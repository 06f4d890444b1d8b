/**
 * What the server under pressure sends: well-behaved routes, and every kind of handler that is not.
 *
 * | route | response |
 * |---|---|
 * | `/` | "ok" |
 * | `/echo` | the body, which is read whole |
 * | `/length` | the length of the body, which is read whole; `/applicationLength` the same, by an application |
 * | `/bytes?N` | N bytes, with their length |
 * | `/stream?N` | N bytes in chunks |
 * | `/drip?N` | N bytes in chunks of one, one a turn of the event loop; `/dripLength?N` the same with their length |
 * | `/slow?N` | "ok", after N milliseconds |
 * | `/never` | never |
 * | `/endless` | pieces of 64 KiB without end, as fast as they are read; `/trickle` 1 KiB every 10 ms |
 * | `/throw`, `/die` | by a throw, by a defect |
 * | `/late` | a first piece, and then a defect |
 * | `/leak` | "ok", and leaks a child fiber that never ends |
 * | `/application` | "ok", by an application of `@effect/platform` |
 * | `/upgrade` | 101, and sends back what the client sends |
 */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ValueError } from "../../src/Errors.js"
import { toHandler } from "../../src/HttpServer.js"
import type { Request } from "../../src/Request.js"
import { type Responded, respond, respondStream, sendHeaders, upgrade } from "../../src/Response.js"
import { eventLoopTurn } from "../support/eventually.js"

/** Handlers that have begun, and that have ended in whichever way. */
export const handlers = { begun: 0, ended: 0 }

const bytes = Buffer.alloc(1024 * 1024, "x")

/** So many bytes; they are the same ones for every response, so that what memory grows by is not theirs. */
const sized = (size: number): Buffer => (size <= bytes.length ? bytes.subarray(0, size) : Buffer.alloc(size, "x"))

const chunk = sized(64 * 1024)

const chunks = (size: number): Stream.Stream<Uint8Array> =>
  Stream.map(Stream.range(0, Math.ceil(size / chunk.length) - 1), (i) =>
    chunk.subarray(0, Math.min(chunk.length, size - i * chunk.length))
  )

const drip = (request: Request, size: number, headers: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const body = yield* sendHeaders(request, 200, headers)
    for (let i = 0; i < size; i++) {
      yield* body.write("x")
      yield* eventLoopTurn
    }
    return yield* body.end()
  })

const late = (request: Request) =>
  Effect.gen(function* () {
    const body = yield* sendHeaders(request, 200)
    yield* body.write("begun")
    return yield* Effect.dieMessage("a handler that fails late")
  })

const application = toHandler(HttpServerResponse.text("ok"))

const applicationLength = toHandler(
  Effect.flatMap(HttpServerRequest, ({ arrayBuffer }) =>
    Effect.map(arrayBuffer, ({ byteLength }) => HttpServerResponse.text(String(byteLength)))
  )
)

const response = (request: Request): Effect.Effect<Responded, ValueError> => {
  const size = Number(request.query)
  switch (request.path) {
    case "/echo":
      return Effect.flatMap(request.bytes, (body) => respond(request, 200, body))
    case "/length":
      return Effect.flatMap(request.bytes, ({ length }) => respond(request, 200, String(length)))
    case "/applicationLength":
      return applicationLength(request)
    case "/stream":
      return respondStream(request, 200, chunks(size))
    case "/drip":
      return drip(request, size)
    case "/dripLength":
      return drip(request, size, { "Content-Length": String(size) })
    case "/slow":
      return Effect.zipRight(Effect.sleep(size), respond(request, 200, "ok"))
    case "/never":
      return Effect.never
    case "/endless":
      return respondStream(request, 200, Stream.repeatValue<Uint8Array>(chunk))
    case "/trickle":
      return respondStream(request, 200, Stream.repeatEffect(Effect.as(Effect.sleep(10), sized(1024))))
    case "/die":
      return Effect.dieMessage("a handler that dies")
    case "/late":
      return late(request)
    case "/leak":
      return Effect.zipRight(Effect.fork(Effect.never), respond(request, 200, "ok"))
    case "/upgrade":
      return upgrade(request, { Upgrade: "echo" }, ({ stream, write }) => Stream.runForEach(stream, write))
    default:
      return respond(request, 404)
  }
}

const counted = (request: Request): Effect.Effect<Responded, ValueError> => {
  handlers.begun++
  return Effect.ensuring(
    response(request),
    Effect.sync(() => handlers.ended++)
  )
}

/** Responds at once, in no fiber: these are what idle and hurried clients ask for. */
export const handler = (request: Request): Effect.Effect<Responded, ValueError> => {
  switch (request.path) {
    case "/":
      return respond(request, 200, "ok")
    case "/bytes":
      return respond(request, 200, sized(Number(request.query)))
    case "/application":
      return application(request)
    case "/throw":
      throw new Error("a handler that throws")
    default:
      return counted(request)
  }
}
