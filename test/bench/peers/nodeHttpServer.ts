import { createServer } from "node:http"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { catalogue, streamed, text, textType } from "../content.js"
import { download, greeting, live } from "../effectful.js"
import { type Peer, versionOf } from "../peer.js"

const answer = (content: string) => HttpServerResponse.text(content)

/** No router: the others have none either, but for fastify, which is nothing without. */
const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
  switch (request.url) {
    case "/":
      return answer(text)
    case "/json":
      return HttpServerResponse.unsafeJson(catalogue)
    case "/sleep":
      return Effect.zipRight(Effect.sleep(1), answer(text))
    case "/bytes":
      return Effect.map(request.arrayBuffer, (body) => answer(String(body.byteLength)))
    case "/upload":
      return Effect.map(
        Stream.runFold(request.stream, 0, (length, part) => length + part.length),
        (length) => answer(String(length))
      )
    case "/download":
      return HttpServerResponse.stream(download, { contentType: textType, contentLength: streamed })
    case "/effect":
      return Effect.map(greeting, answer)
    default:
      return HttpServerResponse.empty({ status: 404 })
  }
})

const serve = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const listening = HttpServer.addressWith((address) =>
      Effect.sync(() => resolve(address._tag === "TcpAddress" ? address.port : Number.NaN))
    )
    const server = NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })
    const served = Layer.merge(HttpServer.serve(app), Layer.effectDiscard(listening))
    Effect.runPromise(Layer.launch(Layer.provide(served, [server, live]))).catch(reject)
  })

export const peer: Peer = {
  _tag: "Node",
  title: "NodeHttpServer",
  colour: "#7950f2",
  versions: [versionOf("@effect/platform-node"), versionOf("effect")],
  lacks: {},
  serve
}
