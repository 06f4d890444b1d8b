import { WaitTimeout } from "../../support/eventually.js"
import { requestText } from "../../support/rawClient.js"
import { ask, Client } from "../client.js"
import { nginxBefore, whyNoNginx } from "../nginx.js"
import { atLeast, exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import type { ServerProcess } from "../serverProcess.js"
import { range } from "../waiting.js"

const limit = 160
const clients = 1280

/** Milliseconds that a response takes: with one at once, none would ever be there at the same time as the others. */
const busyFor = 200

type Fate = "responded" | "received 503" | "received another response" | "dropped" | "hung"

/** Comes at once with all others, sends a request, and waits for any response. */
const fateOf = async (port: number, fields: ReadonlyArray<string>): Promise<Fate> => {
  const client = new Client(port)
  try {
    const { status, text } = await client.send(requestText(`GET /slow?${busyFor}`, fields)).response("GET", 60_000)
    if (status === 503) return "received 503"
    return status === 200 && text === "ok" ? "responded" : "received another response"
  } catch (error) {
    return error instanceof WaitTimeout ? "hung" : "dropped"
  } finally {
    client.destroy()
  }
}

const crowd = async (
  run: ScenarioRun,
  server: ServerProcess,
  port: number,
  how: string,
  fields: ReadonlyArray<string>
) => {
  const { begun } = await server.census()
  const fates = await Promise.all(range(clients).map(() => fateOf(port, fields)))
  const of = (fate: Fate): number => fates.filter((each) => each === fate).length
  const served = (await server.census()).begun - begun
  run.measured({ what: `responded, ${how}`, figure: of("responded"), bound: atLeast(1) })
  run.measured({ what: `received 503, ${how}`, figure: of("received 503") })
  run.measured({ what: `admitted without a response, ${how}`, figure: served - of("responded"), bound: exactly(0) })
  for (const fate of ["dropped", "hung", "received another response"] as const) {
    run.measured({ what: `${fate}, ${how}`, figure: of(fate), bound: exactly(0) })
  }
}

const isServing = async (run: ScenarioRun, port: number, how: string): Promise<void> => {
  const { status } = await ask(port, requestText("GET /", ["Connection: close"]))
  run.measured({ what: `status afterwards, ${how}`, figure: status, bound: exactly(200) })
}

/** A few at once, so that what the first connections load and open is there before. */
const warmUp = async (port: number): Promise<void> => {
  await Promise.all(range(20).map(() => ask(port, requestText("GET /slow?1", ["Connection: close"]))))
}

const directly = async (run: ScenarioRun, how: string, fields: ReadonlyArray<string>): Promise<void> => {
  const server = await run.process({ descriptors: limit })
  const port = await server.listen()
  await warmUp(port)
  const before = await server.census()
  await crowd(run, server, port, how, fields)
  await isServing(run, port, how)
  await run.nothingIsLeft(server, before, `, ${how}`)
}

const behindNginx = async (run: ScenarioRun): Promise<void> => {
  if (whyNoNginx !== undefined) return run.skipped("behind nginx", whyNoNginx)
  const server = await run.process({ descriptors: limit })
  const port = await server.listen()
  await warmUp(port)
  const before = await server.census()
  const nginx = await nginxBefore(run, port)
  await crowd(run, server, nginx.port, "behind nginx", ["Connection: close"])
  await isServing(run, nginx.port, "behind nginx")
  // It keeps its upstream connections open.
  await nginx.end()
  await run.nothingIsLeft(server, before, ", behind nginx")
}

/** Admitted connections are served, and all others get 503; the original's process died of it, or dropped them. */
export const scenario: Scenario = {
  title: `${limit} descriptors and ${clients.toLocaleString("en-US")} clients at once`,
  order: 1,
  run: async (run) => {
    await directly(run, "directly", ["Connection: close"])
    await directly(run, "kept alive", [])
    await behindNginx(run)
  }
}
