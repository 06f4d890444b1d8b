import { setTimeout } from "node:timers/promises"
import type { Options } from "../../../src/Limits.js"
import { cpuTime } from "../../bench/proc.js"
import { requestText } from "../../support/rawClient.js"
import { connect } from "../client.js"
import { atMost, exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import { forEach, range } from "../waiting.js"

const connections = 200

/** Long enough for the server to have let go of what it will make anew. */
const settling = 2500

const idle = async (run: ScenarioRun, what: string, limits: Options, sweeps: number): Promise<void> => {
  const server = await run.process({ watchesTimers: true })
  const port = await server.listen({ limits })
  const before = await server.census()
  const clients = await forEach(range(connections), 50, () => connect(port))
  for (const client of clients) await client.send(requestText("GET /")).response()
  await setTimeout(settling)
  const began = { ...(await server.census()), cpu: cpuTime(server.pid), at: performance.now() }
  await setTimeout(run.choices.isQuick ? 2000 : 10_000)
  const cpu = (cpuTime(server.pid) - began.cpu) / 1000 / (performance.now() - began.at)
  const now = await server.census()
  run.measured({ what: `timers armed, ${what}`, figure: now.timers - before.timers, bound: exactly(sweeps) })
  run.measured({ what: `timers that fired, ${what}`, figure: now.fired - began.fired, bound: exactly(0) })
  run.measured({ what: `of a core, ${what}`, figure: cpu * 100, unit: "%", bound: atMost(1, "%"), isTimed: true })
  for (const client of clients) client.destroy()
  await run.nothingIsLeft(server, before, `, ${what}`)
}

/** A deadline that is never due needs no timer; with one, a single sweep sleeps until the earliest is. */
export const scenario: Scenario = {
  title: `${connections} idle connections: no timer while nothing is due, and no processor`,
  order: 7,
  run: async (run) => {
    await idle(run, "keepAliveTimeout infinite", { keepAliveTimeout: Number.POSITIVE_INFINITY }, 0)
    await idle(run, "keepAliveTimeout 60 s", {}, 1)
  }
}
