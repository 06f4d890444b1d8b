import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { catalogue, chunk, chunks, jsonType, streamed, text, textType } from "../content.js"
import { noEffect, noPlatform, type Peer } from "../peer.js"
import { portOf } from "../portOf.js"

const respond = (response: ServerResponse, content: string, type = textType): void => {
  response.setHeader("Content-Type", type)
  response.setHeader("Content-Length", Buffer.byteLength(content))
  response.end(content)
}

const readWhole = (request: IncomingMessage, use: (body: Buffer) => void): void => {
  const parts: Array<Buffer> = []
  request.on("data", (part: Buffer) => parts.push(part))
  request.on("end", () => use(Buffer.concat(parts)))
}

const readThrough = (request: IncomingMessage, use: (length: number) => void): void => {
  let length = 0
  request.on("data", (part: Buffer) => {
    length += part.length
  })
  request.on("end", () => use(length))
}

const download = (response: ServerResponse): void => {
  let left = chunks
  const pump = (): void => {
    while (left > 0) {
      left--
      if (!response.write(chunk)) {
        response.once("drain", pump)
        return
      }
    }
    response.end()
  }
  response.setHeader("Content-Type", textType)
  response.setHeader("Content-Length", streamed)
  pump()
}

export const peer: Peer = {
  _tag: "Node",
  title: "node:http",
  colour: "#15aabf",
  versions: [`Node ${process.versions.node}`],
  lacks: { effect: noEffect, platform: noPlatform },
  serve: () =>
    portOf(
      createServer((request, response) => {
        switch (request.url) {
          case "/":
            return respond(response, text)
          case "/json":
            return respond(response, JSON.stringify(catalogue), jsonType)
          case "/sleep":
            setTimeout(respond, 1, response, text)
            return
          case "/bytes":
            return readWhole(request, (body) => respond(response, String(body.length)))
          case "/upload":
            return readThrough(request, (length) => respond(response, String(length)))
          case "/download":
            return download(response)
          default:
            response.writeHead(404).end()
        }
      })
    )
}
