/** What a client of the soak may do: ask and want its response, or leave at the worst moment. */
import { setTimeout } from "node:timers/promises"
import type { Random } from "../fuzz/random.js"
import type { ParsedResponse } from "../support/parsedResponse.js"
import { requestText, withBody } from "../support/rawClient.js"
import { type Client, connect } from "./client.js"

/** What came of it: that many responses were wanted and right, or the first thing that was not. */
export interface Outcome {
  readonly responses: number
  readonly wrong: string | undefined
}

const aborted: Outcome = { responses: 0, wrong: undefined }

/** A request, and what its response must be. */
interface Wanted {
  readonly text: string
  readonly method: string
  readonly status: number
  readonly body: string
}

const wanted = (text: string, body: string, { method = "GET", status = 200 } = {}): Wanted => ({
  text,
  method,
  status,
  body
})

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

const someText = (random: Random, most: number): string =>
  Array.from({ length: random.below(most) }, () => letters[random.below(letters.length)]).join("")

const inChunks = (random: Random, text: string): string => {
  let chunks = ""
  for (let at = 0; at < text.length; ) {
    const chunk = text.slice(at, at + 1 + random.below(50))
    chunks += `${chunk.length.toString(16)}\r\n${chunk}\r\n`
    at += chunk.length
  }
  return `${chunks}0\r\n\r\n`
}

const requests: ReadonlyArray<(random: Random) => Wanted> = [
  () => wanted(requestText("GET /"), "ok"),
  () => wanted(requestText("HEAD /bytes?100"), "", { method: "HEAD" }),
  () => wanted(requestText("GET /nothing"), "", { status: 404 }),
  (random) => {
    const size = random.below(200_000)
    return wanted(requestText(`GET /bytes?${size}`), "x".repeat(size))
  },
  (random) => {
    const size = 1 + random.below(200_000)
    return wanted(requestText(`GET /stream?${size}`), "x".repeat(size))
  },
  (random) => {
    const size = random.below(30)
    return wanted(requestText(`GET /drip?${size}`), "x".repeat(size))
  },
  (random) => wanted(requestText(`GET /slow?${random.below(50)}`), "ok"),
  () => wanted(requestText("GET /leak"), "ok"),
  (random) => {
    const text = someText(random, 5000)
    return wanted(withBody("POST /echo", text), text, { method: "POST" })
  },
  (random) => {
    const text = someText(random, 2000)
    return wanted(requestText("PUT /echo", ["Transfer-Encoding: chunked"], inChunks(random, text)), text, {
      method: "PUT"
    })
  }
]

const differenceOf = ({ body, status, text }: Wanted, response: ParsedResponse): string | undefined => {
  if (response.status === status && response.text === body) return undefined
  return `${text.slice(0, 40)}: ${response.status} with ${response.body.length} bytes, and not ${status} with ${body.length}`
}

const readAll = async (client: Client, all: ReadonlyArray<Wanted>): Promise<Outcome> => {
  for (const [responses, each] of all.entries()) {
    const wrong = differenceOf(each, await client.response(each.method))
    if (wrong !== undefined) return { responses, wrong }
  }
  return { responses: all.length, wrong: undefined }
}

const some = (random: Random, most: number): ReadonlyArray<Wanted> =>
  Array.from({ length: 1 + random.below(most) }, () => random.pick(requests)(random))

/** Sends in pieces of any size, in as many packets. */
const sendInPieces = async (client: Client, text: string, random: Random): Promise<void> => {
  for (let at = 0; at < text.length; ) {
    const size = 1 + random.below(400)
    client.send(text.slice(at, at + size))
    at += size
    if (random.oneIn(4)) await setTimeout(random.below(5))
  }
}

const oneByOne = async (client: Client, random: Random): Promise<Outcome> => {
  let responses = 0
  for (const each of some(random, 5)) {
    await sendInPieces(client, each.text, random)
    const { wrong } = await readAll(client, [each])
    if (wrong !== undefined) return { responses, wrong }
    responses++
  }
  return { responses, wrong: undefined }
}

const pipelined = async (client: Client, random: Random): Promise<Outcome> => {
  const all = some(random, 8)
  await sendInPieces(client, all.map(({ text }) => text).join(""), random)
  return readAll(client, all)
}

const once = async (client: Client, wanted: Wanted): Promise<Outcome> => {
  client.send(wanted.text)
  return readAll(client, [wanted])
}

const expecting = async (client: Client, random: Random): Promise<Outcome> => {
  // Without content there is no 100 Continue to wait for.
  const text = `${someText(random, 1000)}.`
  client.send(requestText("POST /echo", [`Content-Length: ${text.length}`, "Expect: 100-continue"]))
  const { status } = await client.response("POST")
  if (status !== 100) return { responses: 0, wrong: `${status} in place of 100` }
  return once(client, wanted(text, text, { method: "POST" }))
}

const upgraded = async (client: Client, random: Random): Promise<Outcome> => {
  const text = `${someText(random, 100)}.`
  client.send(requestText("GET /upgrade", ["Connection: Upgrade", "Upgrade: echo"], text))
  const { length, status } = await client.response()
  if (status !== 101) return { responses: 0, wrong: `${status} in place of 101` }
  await client.bytes(length + text.length)
  const wrong =
    client.unread.toString("latin1") === text ? undefined : "an upgraded connection sent something else back"
  return { responses: 1, wrong }
}

const leavesInRequest = async (client: Client, random: Random): Promise<Outcome> => {
  const { text } = random.pick(requests)(random)
  client.send(text.slice(0, random.below(text.length)))
  if (random.oneIn(2)) await setTimeout(random.below(20))
  return aborted
}

const leavesInResponse = async (client: Client, random: Random): Promise<Outcome> => {
  client.send(requestText(random.pick(["GET /endless", "GET /bytes?900000", "GET /drip?1000", "GET /trickle"])))
  await client.bytes(1 + random.below(2000))
  return aborted
}

const leavesUnread = async (client: Client, random: Random): Promise<Outcome> => {
  client.stopReading().send(requestText("GET /bytes?500000").repeat(20))
  await setTimeout(random.below(300))
  return aborted
}

const leavesHandler = async (client: Client, random: Random): Promise<Outcome> => {
  client.send(requestText("GET /never"))
  await setTimeout(random.below(100))
  return aborted
}

const sendsNothing = async (_: Client, random: Random): Promise<Outcome> => {
  await setTimeout(random.below(500))
  return aborted
}

/** Longer than a deadline allows: the server has to end it. */
const isTooSlow = async (client: Client, random: Random): Promise<Outcome> => {
  client.send(random.pick(["GET / HT", requestText("POST /echo", ["Content-Length: 10"], "half"), ""]))
  await client.end()
  return aborted
}

const isMalformed = async (client: Client, random: Random): Promise<Outcome> => {
  const text = random.pick(["nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/3.0\r\nHost: a\r\n\r\n"])
  const { status } = await client.send(text).response()
  const isRefusal = status === 400 || status === 505
  return { responses: isRefusal ? 1 : 0, wrong: isRefusal ? undefined : `${status} to ${JSON.stringify(text)}` }
}

const meetsDefect = async (client: Client, random: Random): Promise<Outcome> => {
  const path = random.pick(["/throw", "/die"])
  const { status } = await client.send(requestText(`GET ${path}`)).response()
  return { responses: 1, wrong: status === 500 ? undefined : `${status} to ${path}` }
}

const halfCloses = async (client: Client, random: Random): Promise<Outcome> => {
  const each = random.pick(requests)(random)
  client.send(each.text).halfClose()
  return readAll(client, [each])
}

const actions: ReadonlyArray<(client: Client, random: Random) => Promise<Outcome>> = [
  oneByOne,
  oneByOne,
  oneByOne,
  pipelined,
  pipelined,
  expecting,
  upgraded,
  halfCloses,
  isMalformed,
  meetsDefect,
  leavesInRequest,
  leavesInResponse,
  leavesUnread,
  leavesHandler,
  sendsNothing,
  isTooSlow
]

/** One client's life. */
export const live = async (port: number, random: Random): Promise<Outcome> => {
  const client = await connect(port)
  const act = random.pick(actions)
  try {
    return await act(client, random)
  } catch (error) {
    return { responses: 0, wrong: `${act.name}: ${error instanceof Error ? error.message : String(error)}` }
  } finally {
    if (random.oneIn(2)) client.reset()
    else client.destroy()
  }
}
