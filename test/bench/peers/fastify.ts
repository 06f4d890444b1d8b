import { Readable } from "node:stream"
import { setTimeout } from "node:timers/promises"
import Fastify, { type FastifyRequest } from "fastify"
import { catalogue, chunk, chunks, streamed, text, textType } from "../content.js"
import { noEffect, noPlatform, type Peer, versionOf } from "../peer.js"

const bodyLimit = 2 * streamed

function* download() {
  for (let i = 0; i < chunks; i++) yield chunk
}

const serve = async (): Promise<number> => {
  const app = Fastify({ bodyLimit })
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body))
  app.get("/", (_request, reply) => reply.send(text))
  app.get("/json", (_request, reply) => reply.send(catalogue))
  app.get("/sleep", async () => {
    await setTimeout(1)
    return text
  })
  app.post("/bytes", ({ body }: FastifyRequest<{ Body: Buffer }>, reply) => reply.send(String(body.length)))
  app.get("/download", (_request, reply) =>
    reply.header("Content-Type", textType).header("Content-Length", streamed).send(Readable.from(download()))
  )
  await app.register(async (streaming) => {
    streaming.removeAllContentTypeParsers()
    streaming.addContentTypeParser("*", (_request, payload, done) => done(null, payload))
    streaming.post("/upload", async ({ body }: FastifyRequest<{ Body: Readable }>) => {
      let length = 0
      for await (const part of body) length += part.length
      return String(length)
    })
  })
  return Number(new URL(await app.listen({ port: 0, host: "127.0.0.1" })).port)
}

export const peer: Peer = {
  _tag: "Node",
  title: "fastify",
  colour: "#4c8bf5",
  versions: [versionOf("fastify")],
  lacks: { effect: noEffect, platform: noPlatform },
  serve
}
