import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Request, Response, Server } from "effect-asynchttpserver"
import { catalogue, jsonType, streamed, text, textType } from "../content.js"
import { download, greeting, live } from "../effectful.js"
import { noPlatform, type Peer, versionOf } from "../peer.js"

const textHeaders = { "Content-Type": textType }

const response = (request: Request.Request, content: string) => Response.respond(request, 200, content, textHeaders)

const handler = (request: Request.Request) => {
  switch (request.url) {
    case "/":
      return response(request, text)
    case "/json":
      return Response.respond(request, 200, JSON.stringify(catalogue), { "Content-Type": jsonType })
    case "/sleep":
      return Effect.zipRight(Effect.sleep(1), response(request, text))
    case "/bytes":
      return Effect.flatMap(request.bytes, (body) => response(request, String(body.length)))
    case "/upload":
      return Effect.flatMap(
        Stream.runFold(request.stream, 0, (length, part) => length + part.length),
        (length) => response(request, String(length))
      )
    case "/download":
      return Response.respondStream(request, 200, download, { ...textHeaders, "Content-Length": String(streamed) })
    case "/effect":
      return Effect.flatMap(greeting, (greeted) => response(request, greeted))
    default:
      return Response.respond(request, 404)
  }
}

const serve = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const program = Effect.gen(function* () {
      const { port } = yield* Server.listen({ address: "127.0.0.1" })
      resolve(port)
      return yield* Server.serve(handler)
    })
    // 8 MiB of body are the default, and refuse the upload.
    const server = Server.layer({ maxBody: 2 * streamed })
    Effect.runPromise(Effect.provide(program, [server, live])).catch(reject)
  })

export const peer: Peer = {
  _tag: "Node",
  title: "this server",
  colour: "#e8590c",
  versions: [versionOf("effect-asynchttpserver"), versionOf("effect")],
  lacks: { platform: noPlatform },
  serve
}
