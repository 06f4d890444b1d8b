/**
 * Requests, one after the other on each connection.
 *
 * A round has two halves. With the generator on the server's own core, a write does not pay for waking another one: so
 * the server's time repeats within some 3 %, where it spreads by 10 to 30 % apart. Apart, on a core of its own each, is
 * how long a response takes, and how many there are in a second.
 */
import { once } from "node:events"
import { request as httpRequest, type IncomingMessage } from "node:http"
import type { Loading, Measuring } from "./measuring.js"
import { resident } from "./proc.js"
import type { Running } from "./server.js"
import type { Requests } from "./workload.js"

/** Batches after which the engine has compiled the hot code. All peers run them at once; one that is done leaves the core. */
const warm = 20_000
const warmUp = { connections: 16, seconds: 1, core: undefined }
const warmUps = 5

const answerTo = async ({ port }: Running, { body, closes, headers, path }: Requests): Promise<string> => {
  const request = httpRequest({
    port,
    path,
    host: "127.0.0.1",
    method: body === undefined ? "GET" : "POST",
    headers: { ...Object.fromEntries(headers), Connection: closes ? "close" : "keep-alive" },
    agent: false
  })
  const content = "x".repeat(body?.size ?? 0)
  if (body?.framing === "length") request.setHeader("Content-Length", content.length)
  if (body?.framing === "chunked") request.write(content)
  request.end(body?.framing === "length" ? content : undefined)
  const [response]: Array<IncomingMessage> = await once(request, "response")
  const parts: Array<Buffer> = []
  for await (const part of response!) parts.push(part)
  request.destroy()
  return `${response!.statusCode} ${Buffer.concat(parts)}`
}

/** 0 stands for what was not found. */
const milliseconds = (microseconds: number | undefined): number | undefined =>
  microseconds ? microseconds / 1000 : undefined

export const requesting = (load: Requests, measuring: Measuring): Loading => {
  const { folder, generator, generatorCore, serverCore } = measuring
  const connections = load.connections ?? measuring.connections
  // A connection costs up to 0.2 ms to be accepted: many need longer than a second before they say something.
  const seconds = Math.max(measuring.seconds, Math.ceil(connections / 2000))
  return {
    isFresh: false,
    connections,
    obstacle: generator.lacks(load, connections),

    check: async (server) => {
      const response = await answerTo(server, load)
      if (response !== `200 ${load.expected}`) throw new Error(`answered ${JSON.stringify(response)}`)
    },

    warmUp: async (server) => {
      let responded = 0
      for (let i = 0; i < warmUps && responded < warm; i++) {
        responded += (await generator.send(server, load, { folder, ...warmUp })).requests / load.batch
      }
    },

    sample: async (server) => {
      const together = await generator.send(server, load, { folder, connections, seconds, core: serverCore })
      const before = await server.ask("tell")
      const apart = await generator.send(server, load, { folder, connections, seconds, core: generatorCore })
      const after = await server.ask("tell")
      const troubles = together.troubles + apart.troubles
      if (troubles > apart.requests / 1000)
        measuring.remark(`${troubles} connections of ${server.name} broke or waited`)
      const collecting = after && before && after.collecting - before.collecting
      return {
        cpu: together.cpu,
        rate: apart.rate,
        p50: milliseconds(apart.p50),
        p99: milliseconds(apart.p99),
        p999: milliseconds(apart.p999),
        gc: collecting && (collecting * 1000) / apart.requests,
        rss: resident(server.pid) / 1024 ** 2
      }
    }
  }
}
