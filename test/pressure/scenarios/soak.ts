import { setTimeout } from "node:timers/promises"
import { mixed, Random } from "../../fuzz/random.js"
import { live, type Outcome } from "../actions.js"
import { exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import { range } from "../waiting.js"

/** Clients at once. */
const atOnce = 60

/** Deadlines that end what is too slow while the soak lasts. */
const limits = {
  headerTimeout: 1000,
  bodyTimeout: 1000,
  keepAliveTimeout: 1500,
  halfCloseTimeout: 1000,
  writeTimeout: 1000,
  lingerTimeout: 300
}

/** Milliseconds after which the last client of the warm-up is forgotten, and every deadline over. */
const settling = 2000

/** Lives one client after the other; what each does depends on the seed, and when on the machine. */
const lives = async (port: number, random: Random, until: number, onOutcome: (outcome: Outcome) => void) => {
  while (performance.now() < until) onOutcome(await live(port, random))
}

const soak = async (run: ScenarioRun, port: number, seconds: number, from: number) => {
  const { seed } = run.choices
  const until = performance.now() + seconds * 1000
  const wrongs: Array<string> = []
  let clients = 0
  let responses = 0
  const onOutcome = (outcome: Outcome): void => {
    clients++
    responses += outcome.responses
    if (outcome.wrong !== undefined) wrongs.push(outcome.wrong)
  }
  await Promise.all(range(atOnce).map((i) => lives(port, new Random(mixed(seed, from + i)), until, onOutcome)))
  return { responses, clients, wrongs }
}

/** Everything at once, for as long as one likes. */
export const scenario: Scenario = {
  title: "a random mix of everything",
  order: 9,
  run: async (run) => {
    const { seconds, seed } = run.choices
    const server = await run.process()
    const port = await server.listen({ limits })
    // What is compiled and cached meanwhile is not what the soak leaves open.
    await soak(run, port, Math.min(5, seconds / 4), atOnce)
    await setTimeout(settling)
    const before = await server.census()
    const { responses, clients, wrongs } = await soak(run, port, seconds, 0)
    const during = await server.census()
    run.measured({ what: "clients", figure: clients, remark: `in ${seconds} s, seed ${seed}` })
    run.measured({ what: "responses that were wanted and right", figure: responses })
    run.measured({
      what: "responses that were wrong, cut short, or never came",
      figure: wrongs.length,
      bound: exactly(0),
      remark: wrongs.slice(0, 3).join("; ")
    })
    run.measured({ what: "handlers begun", figure: during.begun - before.begun })
    await run.nothingIsLeft(server, before)
  }
}
