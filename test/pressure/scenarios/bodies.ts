import { forgetPeak, peakResident, resident } from "../../bench/proc.js"
import { requestText } from "../../support/rawClient.js"
import { type Client, connect } from "../client.js"
import { atMost, exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import { forEach, range } from "../waiting.js"

const megabyte = 1e6
const size = 8 * 1024 * 1024
const chunks = 32
const chunk = "x".repeat(size / chunks)

/** MB that may come with the bodies: the budget twice, since a body that is whole is copied once, and what is read ahead. */
const most = 400

const inQuick = 50
const inFull = 200

/** Asks with a body of 8 MiB, as fast as it is read; the status, and the length that the response states. */
const upload = async (client: Client, path: string): Promise<string> => {
  client.send(requestText(`POST ${path}`, [`Content-Length: ${size}`]))
  for (let i = 0; i < chunks; i++) client.send(chunk)
  const { status, text } = await client.response("POST", 120_000)
  return status === 200 ? `200 ${text}` : String(status)
}

const uploading = async (run: ScenarioRun, title: string, path: string): Promise<void> => {
  const server = await run.process()
  const port = await server.listen()
  const count = run.choices.isQuick ? inQuick : inFull
  // What is compiled with the first bodies is not theirs.
  const first = await connect(port)
  for (let i = 0; i < 3; i++) await upload(first, path)
  first.destroy()
  const before = await server.census()
  const memory = resident(server.pid)
  const hasPeak = forgetPeak(server.pid)
  const clients = await forEach(range(count), 50, () => connect(port))
  const responses = await Promise.all(clients.map((client) => upload(client, path)))
  const peak = (hasPeak ? peakResident : resident)(server.pid)
  run.measured({
    what: `memory that came with ${count} bodies of 8 MiB, ${title}`,
    figure: (peak - memory) / megabyte,
    unit: "MB",
    bound: atMost(most, "MB"),
    remark: `${((count * size) / megabyte).toFixed(0)} MB in sum, ${hasPeak ? "at the peak" : "at the end"}`
  })
  const served = responses.filter((response) => response === `200 ${size}`).length
  const refused = responses.filter((response) => response === "503").length
  run.measured({ what: `served, ${title}`, figure: served, remark: `${refused} were asked to come back` })
  run.measured({
    what: `neither served nor asked to come back, ${title}`,
    figure: count - served - refused,
    bound: exactly(0)
  })
  for (const client of clients) client.destroy()
  await run.nothingIsLeft(server, before, `, ${title}`)
}

/** Bodies that are read whole are bounded in sum: those beyond wait, and nothing waits for ever. */
export const scenario: Scenario = {
  title: `${inFull} clients that send 8 MiB each, at once, to a handler that reads them whole`,
  order: 12,
  run: async (run) => {
    await uploading(run, "a handler", "/length")
    await uploading(run, "an application", "/applicationLength")
  }
}
