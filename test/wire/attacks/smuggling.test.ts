/** Request smuggling: one refusal, at the byte it is due and without a deadline, and nothing hidden is handled. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Request } from "../../../src/Request.js"
import { type Handler, respond } from "../../../src/Response.js"
import { serving } from "../../server/harness.js"
import { servingInMemory, settled } from "../../server/memory.js"
import { parseResponses } from "../../support/parsedResponse.js"
import { connect } from "../../support/rawClient.js"
import { expectRefusal } from "../rfc9112/rows.js"
import { until } from "./measured.js"
import { type Attack, attacksInChunks, attacksInHead, harmless, smuggled } from "./smuggling.js"

type Reading = (request: Request) => ReturnType<Handler>

const readWhole: Reading = (request) => Effect.flatMap(request.bytes, (body) => respond(request, 200, body))
const readAsStream: Reading = (request) =>
  Effect.zipRight(Stream.runDrain(request.stream), respond(request, 200, "read"))
const unread: Reading = (request) => respond(request, 200, "unread")

/** A handler that notes what it sees as soon as it does, and then reads the body in its way. */
const noting = (reading: Reading) => {
  const seen: Array<string> = []
  const handler: Handler = (request) => {
    seen.push(`${request.method} ${request.url}`)
    return reading(request)
  }
  return { seen, handler }
}

interface Refused {
  readonly attack: Attack
  readonly reading: Reading
  /** What the handler sees of the attack itself. */
  readonly sees: ReadonlyArray<string>
  /** The status of the one response: of the refusal, unless the handler has responded before the byte that is rejected. */
  readonly status: number
}

const isRefusedAtItsByte = ({ attack: { hidden, refused }, reading, sees, status }: Refused) =>
  Effect.gen(function* () {
    const { handler, seen } = noting(reading)
    const { connect } = yield* servingInMemory(handler)
    const connection = yield* connect
    const cost = yield* until(connection, refused.slice(0, -1), () => refused.slice(-1))
    expect(cost).toStrictEqual({ bytes: refused.length, seconds: 0, response: status, ending: "end" })
    connection.send(hidden)
    yield* settled
    const [response, ...others] = parseResponses(Buffer.from(connection.written, "latin1"))
    if (status === 200) expect(response?.text).toBe("unread")
    else expectRefusal(response, status)
    expect(others).toStrictEqual([])
    expect(seen).toStrictEqual(sees)
  })

const first = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n"

/** Over a socket, all at once: what the client has sent too much does not turn the FIN into a reset. */
const isRefusedAmongOthers = ({ attack: { hidden, refused }, reading, sees, status }: Refused) =>
  Effect.gen(function* () {
    const { handler, seen } = noting(reading)
    const { port } = yield* serving(handler)
    const client = yield* connect(port)
    yield* client.send(first + refused + hidden)
    const responses = parseResponses(yield* client.readToEnd)
    expect(responses.map((response) => response.status)).toStrictEqual([200, status])
    expect(yield* client.closedWith).toBe("FIN")
    expect(seen).toStrictEqual(["GET /first", ...sees])
  })

const isRefused = (refused: Refused): void => {
  const { attack, status } = refused
  const { title, refused: bytes } = attack
  const how = status === attack.status ? `refused with ${status}` : "ended after its response"
  it.scoped(`${title}: ${how} after ${bytes.length} bytes and 0 seconds`, () => isRefusedAtItsByte(refused))
  it.scopedLive(`${title}: ${how} among other requests, and none after it is handled`, () =>
    isRefusedAmongOthers(refused)
  )
}

describe("smuggling in a head", () => {
  for (const attack of attacksInHead) isRefused({ attack, reading: readWhole, sees: [], status: attack.status })
})

for (const [how, reading] of [
  ["read whole", readWhole],
  ["read as a stream", readAsStream]
] as const) {
  describe(`smuggling in chunks, ${how}`, () => {
    for (const attack of attacksInChunks) {
      isRefused({ attack, reading, sees: ["POST /victim"], status: attack.status })
    }
  })
}

describe("smuggling in unread chunks", () => {
  for (const attack of attacksInChunks) isRefused({ attack, reading: unread, sees: ["POST /victim"], status: 200 })
})

describe("what only looks like smuggling", () => {
  it.scoped.each(harmless)("is a body, when what stands beside its length is no framing: %s", ([, line]) =>
    Effect.gen(function* () {
      const { handler, seen } = noting(readWhole)
      const { connect } = yield* servingInMemory(handler)
      const connection = yield* connect
      const length = `Content-Length: ${smuggled.length}`
      connection.send(`POST /victim HTTP/1.1\r\nHost: a\r\n${length}\r\n${line}\r\n\r\n${smuggled}${first}`)
      yield* settled
      const responses = parseResponses(Buffer.from(connection.written, "latin1"))
      expect(responses.map(({ status, text }) => [status, text])).toStrictEqual([
        [200, smuggled],
        [200, ""]
      ])
      expect(seen).toStrictEqual(["POST /victim", "GET /first"])
      expect(connection.ending).toBe(undefined)
    })
  )
})

describe("the rows", () => {
  const attacks = [...attacksInHead, ...attacksInChunks]

  it("are all different, in title and in the bytes that are rejected", () => {
    const repeated = (all: ReadonlyArray<string>) => all.filter((each, i) => all.indexOf(each) !== i)
    expect(repeated(attacks.map(({ title }) => title))).toStrictEqual([])
    expect(repeated(attacks.map(({ refused }) => refused))).toStrictEqual([])
  })
})
