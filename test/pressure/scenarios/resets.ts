import { setImmediate, setTimeout } from "node:timers/promises"
import { requestText, withBody } from "../../support/rawClient.js"
import { ask, type Client, connect } from "../client.js"
import { exactly } from "../report.js"
import type { Scenario } from "../scenario.js"
import type { ScenarioRun } from "../scenarioRun.js"
import { forEach, range } from "../waiting.js"

const upgradeFields = ["Connection: Upgrade", "Upgrade: echo"]

/** A request of every framing, and how it is asked so that its response comes byte by byte. */
const framings: Readonly<Record<string, string>> = {
  length: withBody("POST /echo", "x".repeat(20)),
  chunked: requestText(
    "POST /echo",
    ["Transfer-Encoding: chunked"],
    "3\r\nabc\r\n2;a=b\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
  ),
  "HTTP/1.0": "POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nabcde",
  HEAD: requestText("HEAD /bytes?20"),
  Expect: withBody("POST /echo", "abcde", ["Expect: 100-continue"]),
  upgrade: requestText("GET /upgrade", upgradeFields, "hello"),
  pipelined: requestText("GET /") + withBody("POST /echo", "abc") + requestText("GET /stream?20")
}

/** Responses that the client leaves open any byte of; the server is in the middle of most of them. */
const responses: Readonly<Record<string, string>> = {
  length: requestText("GET /dripLength?100"),
  chunked: requestText("GET /drip?100"),
  "HTTP/1.0, until close": "GET /drip?100 HTTP/1.0\r\n\r\n",
  HEAD: requestText("HEAD /dripLength?100"),
  Expect: withBody("POST /echo", "x".repeat(100), ["Expect: 100-continue"]),
  upgrade: requestText("GET /upgrade", upgradeFields, "x".repeat(100)),
  pipelined: requestText("GET /drip?10").repeat(3)
}

const atOnce = 40

/** How the bytes before a reset reach the server: with it, a turn before it, or a while before it. */
const pauses: ReadonlyArray<() => Promise<unknown>> = [async () => {}, () => setImmediate(), () => setTimeout(5)]

const resetInRequest = async (port: number, request: string, at: number): Promise<void> => {
  for (const pause of pauses) {
    const client = await connect(port)
    if (at > 0) client.send(request.slice(0, at))
    await pause()
    client.reset()
  }
}

const resetInResponse = async (port: number, request: string, at: number): Promise<void> => {
  const client = await connect(port, { readsByByte: true })
  await client.send(request).bytes(at)
  client.reset()
}

/** How many bytes a response has, or as many as come of one that does not end. */
const lengthOf = async (port: number, request: string): Promise<number> => {
  const client = await connect(port)
  client.send(request)
  await setTimeout(500)
  client.destroy()
  return client.received
}

/** A connection beside them, which is served meanwhile. */
class Bystander {
  asked = 0
  wrong = 0

  constructor(private readonly client: Client) {}

  async ask(): Promise<void> {
    this.asked++
    const { status, text } = await this.client.send(withBody("POST /echo", String(this.asked))).response("POST")
    if (status !== 200 || text !== String(this.asked)) this.wrong++
  }
}

const some = (all: ReadonlyArray<number>, isQuick: boolean): ReadonlyArray<number> =>
  isQuick ? all.filter((each) => each % 5 === 0) : all

const pressed = async (
  run: ScenarioRun,
  what: string,
  rows: Readonly<Record<string, string>>,
  offsets: (port: number, request: string) => Promise<number>,
  reset: (port: number, request: string, at: number) => Promise<void>
): Promise<void> => {
  const server = await run.process()
  const port = await server.listen({ drainTimeout: 0 })
  for (const request of Object.values(rows)) await reset(port, request, 10)
  const bystander = new Bystander(await connect(port))
  await bystander.ask()
  const before = await server.census()
  let count = 0
  for (const request of Object.values(rows)) {
    const all = some(range((await offsets(port, request)) + 1), run.choices.isQuick)
    await forEach(all, atOnce, async (at) => {
      await reset(port, request, at)
      count++
      if (at % 10 === 0) await ask(port, requestText("GET /", ["Connection: close"]))
    })
    await bystander.ask()
  }
  const framed = Object.keys(rows).join(", ")
  run.measured({ what: `offsets of ${what} at which a client left`, figure: count, remark: framed })
  run.measured({
    what: `responses to others lost meanwhile, ${what}`,
    figure: bystander.wrong,
    bound: exactly(0),
    remark: `of ${bystander.asked}`
  })
  await run.nothingIsLeft(server, before, `, ${what}`)
}

/** A reset at any byte ends one connection: the original's whole process ended with it. */
export const scenario: Scenario = {
  title: "resets at every byte of requests and responses, in every framing",
  order: 3,
  run: async (run) => {
    await pressed(run, "requests", framings, async (_, request) => request.length, resetInRequest)
    await pressed(run, "responses", responses, lengthOf, resetInResponse)
  }
}
