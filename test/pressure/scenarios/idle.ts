import { setTimeout } from "node:timers/promises"
import { maxDescriptors, resident } from "../../bench/proc.js"
import { requestText } from "../../support/rawClient.js"
import { type Client, connect } from "../client.js"
import type { Census, Which } from "../protocol.js"
import { atMost, exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import type { ServerProcess } from "../serverProcess.js"
import { forEach, range } from "../waiting.js"

/** Milliseconds: longer than a server takes to let go of what it can make anew. */
const idleFor = 3000

/** What a process has of its own; a connection takes a descriptor here and one there. */
const ownDescriptors = 300

/** Fewer than the shortest queue of connections that are not accepted yet. */
const atOnce = 100

const kilobyte = 1000

const request = requestText("GET /")

const isServed = async (client: Client): Promise<boolean> => {
  try {
    return (await client.send(request).response()).text === "ok"
  } catch {
    return false
  }
}

const open = (port: number, count: number): Promise<ReadonlyArray<Client>> =>
  forEach(range(count), atOnce, async () => {
    const client = await connect(port)
    await isServed(client)
    return client
  })

const leave = (clients: ReadonlyArray<Client>): void => {
  for (const client of clients) client.destroy()
}

interface Idle {
  readonly resident: number
  readonly heap: number
}

/**
 * What is resident goes back to the system late, and in part, for any process: a leak is what comes again with
 * each wave. So much more may be resident with a second wave than with the first.
 */
const mayGrow = 1.05

const secondWave = async (
  run: ScenarioRun,
  server: ServerProcess,
  { before, count, first, port }: { before: Census; count: number; first: number; port: number }
): Promise<void> => {
  const clients = await open(port, count)
  await setTimeout(idleFor)
  await server.census()
  run.measured({
    what: "resident memory with a second wave, over the first",
    figure: resident(server.pid) / first,
    unit: "×",
    bound: atMost(mayGrow, "×")
  })
  leave(clients)
  await run.nothingIsLeft(server, before, ", when the second wave has left")
}

const idling = async (run: ScenarioRun, which: Which, count: number): Promise<Idle> => {
  const title = which === "ours" ? "this server" : "node:http"
  const server = await run.process({ which })
  const port = await server.listen()
  // What is loaded and compiled with the first connections is not theirs.
  leave(await open(port, 100))
  await setTimeout(1000)
  const before = { ...(await server.census()), resident: resident(server.pid) }
  const clients = await open(port, count)
  await setTimeout(idleFor)
  const { heap } = await server.census()
  const during = resident(server.pid)
  const perConnection = { resident: (during - before.resident) / count, heap: (heap - before.heap) / count }
  run.measured({
    what: `resident memory an idle connection, ${title}`,
    figure: perConnection.resident / kilobyte,
    unit: "KB",
    remark: `${(perConnection.heap / kilobyte).toFixed(2)} KB of them heap`
  })
  if (which === "ours") {
    const served = await forEach(clients, 500, isServed)
    const lost = served.filter((each) => !each).length
    run.measured({ what: "responses lost when each is used once", figure: lost, bound: exactly(0) })
  }
  leave(clients)
  if (which === "ours") {
    await run.nothingIsLeft(server, before, ", when all have left")
    run.measured({
      what: "of that memory still resident when all have left",
      figure: ((resident(server.pid) - before.resident) / (during - before.resident)) * 100,
      unit: "%"
    })
    if (!run.choices.isQuick) await secondWave(run, server, { before, count, first: during, port })
  }
  await server.end()
  return perConnection
}

const inQuick = 2000
const inFull = 10_000

/** Most connections of a server are idle: what one costs then is what it costs. */
export const scenario: Scenario = {
  title: "10,000 idle connections: memory beside node:http, and what comes back",
  order: 2,
  run: async (run) => {
    const count = Math.min(run.choices.isQuick ? inQuick : inFull, maxDescriptors() - ownDescriptors)
    const remark = count === inFull ? "" : `${maxDescriptors()} descriptors are allowed, and --quick has ${inQuick}`
    run.measured({ what: "idle connections", figure: count, remark })
    const ours = await idling(run, "ours", count)
    const theirs = await idling(run, "nodeHttp", count)
    run.measured({
      what: "resident memory, this server over node:http",
      figure: ours.resident / theirs.resident,
      unit: "×",
      bound: atMost(0.8, "×")
    })
  }
}
