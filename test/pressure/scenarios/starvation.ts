import { setTimeout } from "node:timers/promises"
import { requestText } from "../../support/rawClient.js"
import { type Client, connect } from "../client.js"
import type { Which } from "../protocol.js"
import { atMost, exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import { forEach, range } from "../waiting.js"

const connections = 50
const requestsEach = 2222

/** Milliseconds that a lone GET may take beside all of them, at the most: several turns of the event loop. */
const most = 100

interface Way {
  readonly title: string
  readonly which: Which
  readonly path: string
}

const ways: ReadonlyArray<Way> = [
  { title: "a handler", which: "ours", path: "/" },
  { title: "an application", which: "ours", path: "/application" },
  { title: "node:http", which: "nodeHttp", path: "/" }
]

/** Bytes of a response; all have as many. */
const lengthOfOne = async (client: Client, request: string): Promise<number> =>
  (await client.send(request).response()).length

/** Milliseconds that each of some requests takes, one after the other, until `isOver`. */
const delays = async (client: Client, request: string, isOver: () => boolean): Promise<ReadonlyArray<number>> => {
  const all: Array<number> = []
  do {
    const began = performance.now()
    await client.send(request).response("GET", 120_000)
    all.push(performance.now() - began)
    await setTimeout(1)
  } while (!isOver())
  return all
}

const quantile = (all: ReadonlyArray<number>, q: number): number =>
  [...all].sort((one, other) => one - other)[Math.floor((all.length - 1) * q)] ?? Number.NaN

const beside = async (run: ScenarioRun, { path, title, which }: Way): Promise<void> => {
  const server = await run.process({ which })
  const port = await server.listen()
  const request = requestText(`GET ${path}`)
  const lone = await connect(port)
  const length = await lengthOfOne(lone, request)
  // Code is compiled with the first requests, so that it delays none later.
  for (let i = 0; i < 200; i++) await lone.send(request.repeat(16)).bytes(length * (1 + (i + 1) * 16))
  const before = await server.census()
  const each = run.choices.isQuick ? requestsEach / 2 : requestsEach
  const clients = await forEach(range(connections), connections, () => connect(port, { discardsBytes: true }))
  const loneClient = await connect(port)
  const began = performance.now()
  for (const client of clients) client.send(request.repeat(each))
  let isOver = false
  const all = Promise.all(clients.map((client) => client.bytes(length * each, 120_000))).then(() => {
    isOver = true
  })
  const seen = await delays(loneClient, request, () => isOver)
  await all
  const took = performance.now() - began
  const isOurs = which === "ours"
  run.measured({
    what: `longest of a lone GET beside ${connections} pipelines, ${title}`,
    figure: Math.max(...seen),
    unit: "ms",
    ...(isOurs ? { bound: atMost(most, "ms") } : {}),
    isTimed: true,
    remark: `${seen.length} GETs, of which half took at most ${quantile(seen, 0.5).toFixed(1)} ms`
  })
  run.measured({
    what: `all ${connections * each} pipelined requests, ${title}`,
    figure: took,
    unit: "ms",
    isTimed: true
  })
  if (isOurs) {
    const missing = clients.reduce((sum, { received }) => sum + Math.abs(length * each - received), 0)
    run.measured({ what: `bytes missing of their responses, ${title}`, figure: missing, bound: exactly(0) })
  }
  for (const client of [...clients, loneClient]) client.destroy()
  if (isOurs) await run.nothingIsLeft(server, before, `, ${title}`)
}

/** What one client sends at once does not delay the others, natively and as an application; beside `node:http` in the same run. */
export const scenario: Scenario = {
  title: `a lone GET beside ${connections} connections with ${requestsEach} pipelined requests each`,
  order: 11,
  run: async (run) => {
    for (const way of ways) await beside(run, way)
  }
}
