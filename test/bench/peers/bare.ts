import { createServer, type Socket } from "node:net"
import { chunk, chunks, streamed, text, textType } from "../content.js"
import { noEffect, noPlatform, type Peer } from "../peer.js"
import { portOf } from "../portOf.js"

const head = (length: number, connection = ""): string =>
  `HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: ${textType}\r\nContent-Length: ${length}\r\n${connection}\r\n`

const response = head(text.length) + text
const lastAnswer = head(text.length, "Connection: close\r\n") + text

const heads = (bytes: Buffer): number => {
  let count = 0
  for (let at = bytes.indexOf("\r\n\r\n"); at >= 0; at = bytes.indexOf("\r\n\r\n", at + 4)) count++
  return count
}

const download = (socket: Socket): void => {
  let left = chunks
  const pump = (): void => {
    while (left > 0) {
      left--
      if (!socket.write(chunk)) {
        socket.once("drain", pump)
        return
      }
    }
  }
  socket.write(head(streamed), "latin1")
  pump()
}

/** Where the `d` of `GET /download` stands. */
const routeAt = "GET /".length
const routeOfDownload = "d".charCodeAt(0)

const fixed = "it reads nothing but where a head ends, and sends a fixed text"

export const peer: Peer = {
  _tag: "Node",
  title: "bare node:net",
  colour: "#adb5bd",
  versions: [`Node ${process.versions.node}`],
  omits: "parses nothing and checks nothing: the ceiling",
  lacks: {
    json: fixed,
    sleep: fixed,
    bodies: fixed,
    chunked: fixed,
    upload: fixed,
    effect: noEffect,
    platform: noPlatform
  },
  serve: () =>
    portOf(
      createServer({ noDelay: true }, (socket) => {
        socket.on("error", () => {})
        socket.on("data", (bytes) => {
          if (bytes[routeAt] === routeOfDownload) download(socket)
          else if (bytes.includes("Connection: close")) socket.end(lastAnswer, "latin1")
          else socket.write(response.repeat(heads(bytes)), "latin1")
        })
      })
    )
}
