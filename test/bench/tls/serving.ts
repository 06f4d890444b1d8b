/**
 * One server of the TLS benchmark, by name: prints its port, and serves until it is ended. The key and the certificate are in
 * the environment.
 */
import { createServer, type RequestListener } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import { Response, Server } from "effect-asynchttpserver"

const credentials = { key: process.env.TLS_KEY ?? "", cert: process.env.TLS_CERT ?? "" }

const text = "ok"

const headers = { "Content-Type": "text/plain" }

const listener: RequestListener = (_, response) => {
  response.writeHead(200, { ...headers, "Content-Length": text.length })
  response.end(text)
}

const ofNode = (make: () => ReturnType<typeof createServer>): Promise<number> =>
  new Promise((resolve) => {
    const server = make()
    // A server that listens on TCP has an address object.
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
  })

const ofThis = (options: Server.Options): Promise<number> =>
  new Promise((resolve, reject) => {
    const program = Effect.gen(function* () {
      const { port } = yield* Server.listen({ address: "127.0.0.1" })
      resolve(port)
      return yield* Server.serve((request) => Response.respond(request, 200, text, headers))
    })
    Effect.runPromise(Effect.provide(program, Server.layer(options))).catch(reject)
  })

const servers: Readonly<Record<string, () => Promise<number>>> = {
  ours: () => ofThis({}),
  oursTls: () => ofThis({ tls: credentials }),
  nodeHttp: () => ofNode(() => createServer(listener)),
  nodeHttps: () => ofNode(() => createSecureServer(credentials, listener))
}

const serve = servers[process.argv[2] ?? ""]
if (serve === undefined) throw new Error(`a name is one of ${Object.keys(servers).join(", ")}`)
console.log(await serve())
