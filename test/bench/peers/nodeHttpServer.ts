import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { serveBy } from "../application.js"
import { type Peer, versionOf } from "../peer.js"

export const peer: Peer = {
  _tag: "Node",
  title: "NodeHttpServer",
  colour: "#7950f2",
  versions: [versionOf("@effect/platform-node"), versionOf("effect")],
  lacks: {},
  serve: () => serveBy(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" }))
}
