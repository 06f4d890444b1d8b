import { setTimeout } from "node:timers/promises"
import { forgetPeak, peakResident, resident } from "../../bench/proc.js"
import { requestText } from "../../support/rawClient.js"
import { type Client, connect } from "../client.js"
import { atMost, exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import type { ServerProcess } from "../serverProcess.js"
import { forEach, range } from "../waiting.js"

const responseSize = 20_000
const most = 100
const megabyte = 1e6

const request = requestText(`GET /bytes?${responseSize}`)

/** Until none of the clients gets rid of another byte, and then some. */
const stuck = async (clients: ReadonlyArray<Client>): Promise<void> => {
  const sent = (): number => clients.reduce((sum, client) => sum + client.sent, 0)
  for (let before = -1, now = sent(); now !== before; now = sent()) {
    before = now
    await setTimeout(1000)
  }
}

const ask = async (port: number, requests: number): Promise<Client> => {
  const client = await connect(port, { discardsBytes: true })
  return client.stopReading().send(request.repeat(requests))
}

/** Bytes of a response; all have as many. */
const lengthOfOne = async (port: number): Promise<number> => {
  const client = await connect(port)
  const { length } = await client.send(request).response()
  client.destroy()
  return length
}

const warmUp = async (port: number): Promise<void> => {
  const client = await connect(port)
  client.send(request.repeat(100))
  await client.bytes(100 * responseSize)
  client.destroy()
}

const readAll = async (
  run: ScenarioRun,
  clients: ReadonlyArray<Client>,
  expected: number,
  how: string
): Promise<void> => {
  for (const client of clients) client.resumeReading()
  await Promise.all(clients.map((client) => client.bytes(expected, 120_000)))
  await setTimeout(200)
  const missing = clients.reduce((sum, { received }) => sum + Math.abs(expected - received), 0)
  run.measured({ what: `bytes missing when all is read, ${how}`, figure: missing, bound: exactly(0) })
}

const unread = async (run: ScenarioRun, server: ServerProcess, port: number, connections: number, requests: number) => {
  const each = requests / connections
  const how = `${requests.toLocaleString("en-US")} requests by ${connections}`
  const length = await lengthOfOne(port)
  const before = await server.census()
  const memory = resident(server.pid)
  const hasPeak = forgetPeak(server.pid)
  const clients = await forEach(range(connections), 20, () => ask(port, each))
  await stuck(clients)
  const peak = (hasPeak ? peakResident : resident)(server.pid)
  run.measured({
    what: `memory that came with ${how}`,
    figure: (peak - memory) / megabyte,
    unit: "MB",
    bound: atMost(most, "MB"),
    remark: `${((requests * responseSize) / 1e9).toFixed(1)} GB of responses, ${hasPeak ? "at the peak" : "at the end"}`
  })
  await readAll(run, clients, length * each, how)
  for (const client of clients) client.destroy()
  await run.nothingIsLeft(server, before, `, ${how}`)
}

/** Backpressure: what waits for a client that does not read is bounded by the limits of one connection. */
export const scenario: Scenario = {
  title: "200,000 pipelined requests with 4 GB of unread responses",
  order: 6,
  run: async (run) => {
    const server = await run.process()
    const port = await server.listen({ limits: { writeTimeout: Number.POSITIVE_INFINITY } })
    await warmUp(port)
    const requests = run.choices.isQuick ? 20_000 : 200_000
    await unread(run, server, port, 1, requests)
    await unread(run, server, port, 100, requests)
  }
}
