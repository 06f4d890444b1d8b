import { setTimeout } from "node:timers/promises"
import type { Options } from "../../../src/Limits.js"
import { end, start } from "../../bench/proc.js"
import { requestText } from "../../support/rawClient.js"
import { ask, type Client, connect } from "../client.js"
import { atMost, exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import { eventually, forEach, range } from "../waiting.js"

/** Short, so that what ends by them ends in seconds; `Limits` documents what each bounds. */
const limits = {
  headerTimeout: 2000,
  bodyTimeout: 2000,
  bodyTotalTimeout: 3000,
  halfCloseTimeout: 1000,
  keepAliveTimeout: 2000,
  writeTimeout: 1500,
  lingerTimeout: 500
} satisfies Options

/** What a sweep, a lingering close and a busy machine may add. */
const slack = 1000

/** Clients that do the same at once. */
const each = 20

/** A byte of it every second, as long as anybody listens. */
const oneByOne = async (client: Client, bytes: string): Promise<void> => {
  for (const byte of bytes) {
    if (client.ending !== undefined) return
    client.send(byte)
    await setTimeout(1000)
  }
}

interface Slow {
  readonly act: (client: Client) => Promise<unknown>
  /** Milliseconds after which the server ends it. */
  readonly due: number
  /** What it receives before. */
  readonly status?: number
}

const slow: Readonly<Record<string, Slow>> = {
  "never speaks": { act: async () => {}, due: Math.max(limits.keepAliveTimeout, limits.headerTimeout) },
  "one byte of a head a second": {
    act: async (client) => void oneByOne(client, requestText("GET /")),
    due: limits.headerTimeout,
    status: 408
  },
  "one byte of a body a second": {
    act: async (client) =>
      void oneByOne(client.send(requestText("POST /echo", ["Content-Length: 100"])), "x".repeat(100)),
    due: limits.bodyTotalTimeout,
    status: 408
  },
  "half a body": {
    act: async (client) => client.send(requestText("POST /echo", ["Content-Length: 100"], "half")),
    due: limits.bodyTimeout,
    status: 408
  },
  "reads nothing of large pipelined responses": {
    act: async (client) => client.stopReading().send(requestText("GET /bytes?1000000").repeat(20)),
    due: limits.writeTimeout
  },
  "reads nothing of an endless response": {
    act: async (client) => client.stopReading().send(requestText("GET /endless")),
    due: limits.writeTimeout
  },
  "sends nothing more": {
    act: async (client) => client.send(requestText("GET /")).response(),
    due: limits.keepAliveTimeout
  }
}

/** The status of the last response, when there is one. */
const lastStatus = async (client: Client): Promise<number | undefined> =>
  client.unread.length === 0 ? undefined : (await client.response()).status

/** A client that reads nothing does not see the end either: the connection has ended when the server no longer counts it. */
const slowly = async (run: ScenarioRun, name: string, { act, due, status }: Slow): Promise<void> => {
  const server = await run.process()
  const port = await server.listen({ limits })
  const before = await server.census()
  const began = performance.now()
  const clients = await forEach(range(each), each, async () => {
    const client = await connect(port)
    await act(client)
    return client
  })
  const { held } = await eventually(
    () => server.census(),
    (seen) => seen.held <= before.held
  )
  const took = performance.now() - began
  run.measured({ what: `still held, ${name}`, figure: held - before.held, bound: exactly(0) })
  run.measured({
    what: `ended after, ${name}`,
    figure: took,
    unit: "ms",
    bound: atMost(due + limits.lingerTimeout + slack, "ms"),
    remark: `due at ${due} ms`,
    isTimed: true
  })
  if (status !== undefined) {
    const statuses = await forEach(clients, each, lastStatus)
    const wrong = statuses.filter((seen) => seen !== status).length
    run.measured({ what: `responses other than ${status}, ${name}`, figure: wrong, bound: exactly(0) })
  }
  for (const client of clients) client.destroy()
  await run.nothingIsLeft(server, before, `, ${name}`)
  await server.end()
}

/** Connects, asks for what never ends, and reads it until it is stopped. */
const reader = (port: number): ReadonlyArray<string> => [
  process.execPath,
  "-e",
  `require("node:net").connect(${port}, "127.0.0.1").on("error", () => {}).on("data", () => {}).write(${JSON.stringify(requestText("GET /endless"))})`
]

/** A process that is stopped is still there: its system acknowledges, and reads nothing more. */
const stopped = async (run: ScenarioRun): Promise<void> => {
  const server = await run.process()
  const port = await server.listen({ limits })
  const before = await server.census()
  const readers = range(3).map(() => start(reader(port)))
  for (const child of readers) run.atEnd(() => end(child))
  const begun = await eventually(
    () => server.census(),
    ({ handlers }) => handlers === readers.length
  )
  for (const child of readers) child.kill("SIGSTOP")
  const began = performance.now()
  const { status } = await ask(port, requestText("GET /", ["Connection: close"]))
  await eventually(
    () => server.census(),
    ({ held }) => held <= before.held
  )
  run.measured({ what: "clients that are stopped by SIGSTOP", figure: begun.handlers, bound: exactly(3) })
  run.measured({ what: "status of another's response meanwhile", figure: status, bound: exactly(200) })
  run.measured({
    what: "ended after, SIGSTOP",
    figure: performance.now() - began,
    unit: "ms",
    bound: atMost(2 * limits.writeTimeout + slack, "ms"),
    isTimed: true
  })
  // Continued, they find that they have been left.
  for (const child of readers) child.kill("SIGCONT")
  await run.nothingIsLeft(server, before, ", SIGSTOP")
}

/** Clients that take their time have it, and no more; no other client waits for them. */
export const scenario: Scenario = {
  title: "clients that are slow, silent, stopped, or do not read",
  order: 4,
  run: async (run) => {
    const quick = ["one byte of a head a second", "reads nothing of an endless response"]
    const names = run.choices.isQuick ? quick : Object.keys(slow)
    for (const name of names) await slowly(run, name, slow[name] as Slow)
    await stopped(run)
  }
}
