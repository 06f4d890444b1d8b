/**
 * What a fixture costs: start, one request, close, one after the other, for test servers beside ours.
 *
 * `node --conditions=effect-asynchttpserver-source --import tsx test/bench/fixtures.ts [milliseconds for each]`
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import { Response } from "../../src/index.js"
import { TestServer } from "../../src/Testing.js"

const milliseconds = Number(process.argv[2] ?? 2000)

const get = Effect.flatMap(HttpClient.get("/"), (response) => response.text)

const hello: Response.Handler = (request) => Response.respond(request, 200, "Hello")

const ours = Effect.provide(get, TestServer.layer(hello))

const inMemory = Effect.provide(get, TestServer.layerMemory(hello))

const layerTest = Effect.scoped(
  Effect.zipRight(HttpServer.serveEffect(Effect.succeed(HttpServerResponse.text("Hello"))), get)
).pipe(Effect.provide(NodeHttpServer.layerTest))

const nodeHttp = async (): Promise<string> => {
  const server = createServer((_, response) => response.end("Hello"))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo
  const text = await fetch(`http://127.0.0.1:${port}/`).then((received) => received.text())
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
  return text
}

const fixtures: ReadonlyArray<readonly [name: string, fixture: () => Promise<string>]> = [
  ["NodeHttpServer.layerTest", () => Effect.runPromise(layerTest)],
  ["node:http with fetch", nodeHttp],
  ["TestServer.layer", () => Effect.runPromise(ours)],
  ["TestServer.layerMemory", () => Effect.runPromise(inMemory)]
]

/** One after the other, so that whatever else the machine does is done to all of them. */
const rounds = 10

interface Cost {
  count: number
  wall: number
  cpu: number
}

const run = async (fixture: () => Promise<string>, during: number, cost: Cost): Promise<void> => {
  const began = performance.now()
  const before = process.cpuUsage()
  while (performance.now() - began < during) {
    if ((await fixture()) !== "Hello") throw new Error("another response was expected")
    cost.count++
  }
  const { system, user } = process.cpuUsage(before)
  cost.wall += performance.now() - began
  cost.cpu += (system + user) / 1000
}

const costs = fixtures.map(([name, fixture]) => ({ name, fixture, cost: { count: 0, wall: 0, cpu: 0 } }))
for (const { fixture } of costs) await run(fixture, milliseconds / 2, { count: 0, wall: 0, cpu: 0 })
for (let round = 0; round < rounds; round++) {
  for (const { cost, fixture } of costs) await run(fixture, milliseconds / rounds, cost)
}

const rateOf = ({ count, wall }: Cost): number => (count / wall) * 1000
const base = rateOf(costs[0]?.cost ?? { count: 1, wall: 1, cpu: 1 })
for (const { cost, name } of costs) {
  const rate = rateOf(cost)
  const each = `${(cost.wall / cost.count).toFixed(2)} ms each, ${(cost.cpu / cost.count).toFixed(2)} of the processor`
  console.log(
    `${name.padEnd(26)} ${rate.toFixed(0).padStart(6)} a second, ${(rate / base).toFixed(1)} times layerTest; ${each}`
  )
}
process.exit(0)
