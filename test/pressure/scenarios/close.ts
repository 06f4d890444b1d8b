import { setTimeout } from "node:timers/promises"
import { start } from "../../examples/program.js"
import { requestText } from "../../support/rawClient.js"
import { type Client, connect } from "../client.js"
import { connectionStates, runsFor, type State } from "../connectionStates.js"
import type { Closed } from "../protocol.js"
import { atMost, exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import type { ServerProcess } from "../serverProcess.js"
import { eventually, forEach, range } from "../waiting.js"

/** Milliseconds for a close with nothing to wait for. */
const atOnce = 50

/** Milliseconds of the default `drainTimeout`, and what a timer may be late. */
const drainTimeout = 5000 + 250

const names = Object.keys(connectionStates)

const enter = (name: string, port: number): Promise<Client> => (connectionStates[name] as State).enter(port)

/** Milliseconds after which the server has read what was sent last. */
const settling = 300

/** Every client has seen its end. */
const allEnd = async (run: ScenarioRun, clients: ReadonlyArray<Client>, how: string): Promise<void> => {
  for (const client of clients) client.resumeReading()
  const isOpen = ({ ending }: Client): boolean => ending === undefined
  const open = await eventually(
    async () => clients.filter(isOpen).length,
    (count) => count === 0,
    5000
  )
  run.measured({ what: `connections that are still open, ${how}`, figure: open, bound: exactly(0) })
  for (const client of clients) client.destroy()
}

const remarkOf = ({ processor, report }: Closed): string =>
  `${processor.toFixed(0)} ms of the processor${report === undefined ? "" : `, ${JSON.stringify(report)}`}`

const titles = { close: "Server.close", scope: "end of the scope" }

/** The processor's share that no server can save: the second time, as for a close, the engine knows the code. */
const bareFibers = async (run: ScenarioRun, server: ServerProcess): Promise<void> => {
  const handlers = (run.choices.isQuick ? 200 : 1000) * (2 / 3)
  for (const which of ["the first of its process", "the second", "the third"]) {
    const figure = await server.bareFibers(Math.round(handlers))
    const what = `as many fibers as these have handlers, interrupted without a server, ${which}`
    run.measured({ what, figure, unit: "ms", isTimed: true })
  }
}

/** All states at once, by one way of closing. */
const closeMixed = async (
  run: ScenarioRun,
  server: ServerProcess,
  by: "close" | "scope",
  which: string
): Promise<void> => {
  const count = run.choices.isQuick ? 200 : 1000
  const how = `${count.toLocaleString("en-US")} in mixed states, ${titles[by]}, ${which}`
  const port = await server.listen({ drainTimeout: 0 })
  const clients = await forEach(range(count), 50, (i) => enter(names[i % names.length] ?? "idle", port))
  await setTimeout(settling)
  const closed = await server.close(port, by)
  run.measured({
    what: `close with drainTimeout 0, ${how}`,
    figure: closed.milliseconds,
    unit: "ms",
    bound: atMost(atOnce, "ms"),
    remark: remarkOf(closed),
    isTimed: true
  })
  await allEnd(run, clients, how)
  const late = await connect(port)
  run.measured({
    what: `connections taken afterwards, ${how}`,
    figure: late.error === "ECONNREFUSED" ? 0 : 1,
    bound: exactly(0)
  })
}

/** Most programs close once; what the engine has compiled by then is little, and what a later close takes is the work. */
const mixed = async (run: ScenarioRun, by: "close" | "scope"): Promise<void> => {
  const server = await run.process()
  const before = await server.census()
  await closeMixed(run, server, by, "the first of its process")
  if (!run.choices.isQuick) {
    await closeMixed(run, server, by, "the second")
    await closeMixed(run, server, by, "the third")
  }
  await run.nothingIsLeft(server, before, `, mixed states, ${titles[by]}`)
}

interface Alone {
  readonly name: string
  readonly how: string
  readonly isDraining: boolean
  readonly port: number
  readonly clients: ReadonlyArray<Client>
}

const enterAlone = async (server: ServerProcess, name: string, isDraining: boolean): Promise<Alone> => {
  const port = await server.listen(isDraining ? {} : { drainTimeout: 0 })
  const clients = await forEach(range(20), 20, () => enter(name, port))
  await setTimeout(settling)
  return { name, how: `${name}, ${isDraining ? "default drainTimeout" : "drainTimeout 0"}`, isDraining, port, clients }
}

const dueOf = ({ isDraining, name }: Alone): number => {
  if (!isDraining) return atOnce
  if (name === "handler running") return runsFor + atOnce
  return (connectionStates[name] as State).isEndless ? drainTimeout : atOnce
}

const closeAlone = async (run: ScenarioRun, server: ServerProcess, alone: Alone): Promise<void> => {
  const { clients, how, isDraining, name, port } = alone
  const closed = await server.close(port)
  run.measured({
    what: `close, ${how}`,
    figure: closed.milliseconds,
    unit: "ms",
    bound: atMost(dueOf(alone), "ms"),
    remark: remarkOf(closed),
    isTimed: true
  })
  if (name === "handler running") await answersOf(run, clients, how, isDraining ? 200 : 503)
  await allEnd(run, clients, how)
}

/** A handler that could end in time has responded, and stated that this was the last one. */
const answersOf = async (
  run: ScenarioRun,
  clients: ReadonlyArray<Client>,
  how: string,
  expected: number
): Promise<void> => {
  const responses = await forEach(clients, 20, (client) => client.response())
  const wrong = responses.filter(({ header, status }) => status !== expected || header("Connection") !== "close").length
  run.measured({ what: `responses other than ${expected}, close: ${how}`, figure: wrong, bound: exactly(0) })
}

const eachAlone = async (run: ScenarioRun): Promise<void> => {
  const server = await run.process()
  const before = await server.census()
  for (const name of names) await closeAlone(run, server, await enterAlone(server, name, false))
  // At once, since most of the time is waiting; the one that ends by itself is entered last.
  const drained = run.choices.isQuick ? ["idle", "handler never ending"] : names
  const lasting = [...drained.filter((name) => name !== "handler running"), "handler running"]
  const entered = await forEach(lasting, 1, (name) => enterAlone(server, name, true))
  await Promise.all(entered.map((each) => closeAlone(run, server, each)))
  await run.nothingIsLeft(server, before, ", each state alone")
}

/** A signal ends a program as the end of its scope does: a request in flight gets its response. */
const bySignal = async (run: ScenarioRun): Promise<void> => {
  const program = await start("test/pressure/draining.ts")
  const port = Number(new URL(program.url).port)
  const busy = await connect(port)
  const others = await Promise.all([enter("never spoken", port), enter("half a head", port)])
  busy.send(requestText("GET /"))
  await setTimeout(200)
  const began = performance.now()
  const stopped = program.stop("SIGTERM")
  const { header, text } = await busy.response()
  const isRight = text === "drained" && header("Connection") === "close"
  const { code, signal } = await stopped
  const figure = performance.now() - began
  const remark = `ended with ${code ?? signal}`
  run.measured({ what: "responses lost, SIGTERM", figure: isRight ? 0 : 1, bound: exactly(0) })
  run.measured({
    what: "end of the process, SIGTERM",
    figure,
    unit: "ms",
    bound: atMost(2000, "ms"),
    remark,
    isTimed: true
  })
  for (const client of [busy, ...others]) client.destroy()
}

const helloBySignal = async (run: ScenarioRun): Promise<void> => {
  const program = await start("examples/hello.ts")
  const port = Number(new URL(program.url).port)
  const clients = await Promise.all(["idle", "never spoken", "half a head"].map((name) => enter(name, port)))
  const began = performance.now()
  const { code, signal } = await program.stop("SIGTERM")
  run.measured({
    what: "end of examples/hello.ts, SIGTERM",
    figure: performance.now() - began,
    unit: "ms",
    bound: atMost(2000, "ms"),
    remark: `ended with ${code ?? signal}`,
    isTimed: true
  })
  for (const client of clients) client.destroy()
}

/** Nothing keeps a server from closing, and every request that can be finished in time is. */
export const scenario: Scenario = {
  title: "closing, whatever its connections are in the middle of",
  order: 8,
  run: async (run) => {
    await mixed(run, "close")
    await mixed(run, "scope")
    await bareFibers(run, await run.process())
    await eachAlone(run)
    await bySignal(run)
    await helloBySignal(run)
  }
}
