/**
 * The strict parser inside Node, as `node:http` uses it: its default strictness, no listener for CONNECT or an upgrade,
 * and no bound but time, so that its result is about the grammar.
 *
 * Nothing waits: a connection is a stream whose bytes are pushed by hand, and what becomes of them is taken down
 * where node:http hands it out. No response is ever written.
 */
import * as http from "node:http"
import { Duplex } from "node:stream"
import type { Seen, View } from "./view.js"

let heads: Array<Incoming> = []

/** A request as it is parsed: the body is taken down in `push`, which the parser calls for every piece and at the end. */
class Incoming extends http.IncomingMessage {
  readonly chunks: Array<Buffer> = []
  refusal = 0

  constructor(socket: ConstructorParameters<typeof http.IncomingMessage>[0]) {
    super(socket)
    heads.push(this)
  }

  override push(chunk: Buffer | null): boolean {
    if (chunk !== null) this.chunks.push(Buffer.from(chunk))
    return true
  }
}

/** node:http refuses some requests by itself: no Host, another expectation. */
class Rejection extends http.ServerResponse<Incoming> {
  override writeHead(status: number): this {
    this.req.refusal = status
    return this
  }

  override end(): this {
    return this
  }

  override writeContinue(): void {}
}

const server = http.createServer<typeof Incoming, typeof Rejection>({
  IncomingMessage: Incoming,
  ServerResponse: Rejection,
  insecureHTTPParser: false,
  maxHeaderSize: 1024 * 1024
})
server.maxHeadersCount = 0

let refused: string | undefined
server.on("clientError", (error: NodeJS.ErrnoException) => {
  refused ??= error.code ?? error.message
})

class Wire extends Duplex {
  override _read(): void {}
  override _write(_: unknown, __: unknown, done: () => void): void {
    done()
  }
}

const seenOf = (message: Incoming): Seen => ({
  method: message.method ?? "",
  target: message.url ?? "",
  version: `HTTP/${message.httpVersion}`,
  fields: message.rawHeaders,
  body: Buffer.concat(message.chunks).toString("latin1"),
  trailers: message.rawTrailers,
  ended: message.complete
})

/** What node:http makes of the bytes. */
export const ask = (bytes: Buffer): View => {
  heads = []
  refused = undefined
  const client = new Wire()
  client.on("error", () => {})
  server.emit("connection", client)
  client.emit("data", bytes)
  const refusedAt = heads.findIndex(({ method, refusal }) => refusal !== 0 || method === "CONNECT")
  const refusal = heads[refusedAt]
  const requests = (refusal === undefined ? heads : heads.slice(0, refusedAt)).map(seenOf)
  const why = refused
  // The effect of an end shows whether a request is half read.
  if (refused === undefined && refusal === undefined) client.emit("end")
  client.destroy()
  if (refusal !== undefined) {
    const isConnect = refusal.refusal === 0
    return { requests, ending: { _tag: "Refused", why: isConnect ? "CONNECT" : "answered", status: refusal.refusal } }
  }
  if (why !== undefined) return { requests, ending: { _tag: "Refused", why, status: 400 } }
  return { requests, ending: { _tag: refused === undefined ? "Idle" : "NeedsMore" } }
}
