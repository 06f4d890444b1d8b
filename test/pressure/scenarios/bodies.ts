import { forgetPeak, peakResident, resident } from "../../bench/proc.js"
import { requestText } from "../../wire/rawConnection.js"
import { type Client, connect } from "../client.js"
import { atMost, exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import { forEach, range } from "../waiting.js"

const megabyte = 1e6
const size = 8 * 1024 * 1024
const pieces = 32
const piece = "x".repeat(size / pieces)

/** MB that may come with the bodies: the budget twice, since a body that is whole is copied once, and what is read ahead. */
const most = 400

const inQuick = 50
const inFull = 200

/** Asks with a body of 8 MiB, as fast as it is read; the status, and the length that the answer says. */
const upload = async (client: Client, path: string): Promise<string> => {
  client.send(requestText(`POST ${path}`, [`Content-Length: ${size}`]))
  for (let i = 0; i < pieces; i++) client.send(piece)
  const { status, text } = await client.answer("POST", 120_000)
  return status === 200 ? `200 ${text}` : String(status)
}

const uploading = async (trial: ScenarioRun, title: string, path: string): Promise<void> => {
  const server = await trial.process()
  const port = await server.listen()
  const count = trial.choices.isQuick ? inQuick : inFull
  // What is compiled with the first bodies is not theirs.
  const first = await connect(port)
  for (let i = 0; i < 3; i++) await upload(first, path)
  first.leave()
  const before = await server.census()
  const memory = resident(server.pid)
  const hasPeak = forgetPeak(server.pid)
  const clients = await forEach(range(count), 50, () => connect(port))
  const answers = await Promise.all(clients.map((client) => upload(client, path)))
  const peak = (hasPeak ? peakResident : resident)(server.pid)
  trial.measured({
    what: `memory that came with ${count} bodies of 8 MiB, ${title}`,
    figure: (peak - memory) / megabyte,
    unit: "MB",
    bound: atMost(most, "MB"),
    remark: `${((count * size) / megabyte).toFixed(0)} MB in sum, ${hasPeak ? "at the peak" : "at the end"}`
  })
  const served = answers.filter((answer) => answer === `200 ${size}`).length
  const refused = answers.filter((answer) => answer === "503").length
  trial.measured({ what: `served, ${title}`, figure: served, remark: `${refused} were told to come back` })
  trial.measured({
    what: `neither served nor told to come back, ${title}`,
    figure: count - served - refused,
    bound: exactly(0)
  })
  for (const client of clients) client.leave()
  await trial.nothingIsLeft(server, before, `, ${title}`)
}

/** Bodies that are read whole are bounded in sum: those beyond wait, and nothing waits for ever. */
export const scenario: Scenario = {
  title: `${inFull} clients that send 8 MiB each, at once, to a handler that reads them whole`,
  order: 12,
  run: async (trial) => {
    await uploading(trial, "a handler", "/length")
    await uploading(trial, "an application", "/applicationLength")
  }
}
