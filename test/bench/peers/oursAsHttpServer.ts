import * as HttpServer from "effect-asynchttpserver/HttpServer"
import { serveBy } from "../application.js"
import { type Peer, versionOf } from "../peer.js"

export const peer: Peer = {
  _tag: "Node",
  title: "this as HttpServer",
  colour: "#f76707",
  versions: [versionOf("effect-asynchttpserver"), versionOf("effect")],
  lacks: {},
  // It is not asked for more than the other allows, and has no bound either.
  serve: () => serveBy(HttpServer.layer({ port: 0, host: "127.0.0.1" }))
}
