/**
 * Rows of bytes against a real server: whole, with another request behind and before, byte by byte, and cut at every
 * place. The rows of the fixtures are the parser's too; here it is seen what a client gets for them.
 */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Handler, respond } from "../../../src/Response.js"
import { atTheBound, oneOver } from "../../fixtures/messages/limits.js"
import { malformed } from "../../fixtures/messages/malformed.js"
import type { Malformed, Meaning, WellFormed } from "../../fixtures/messages/message.js"
import { wellFormed } from "../../fixtures/messages/wellFormed.js"
import { serving } from "../../server/harness.js"
import { type MemoryConnection, servingInMemory, settled } from "../../server/memory.js"
import { type Answer, parseAnswer } from "../answer.js"
import { connect, requestText } from "../raw.js"

export type Row = WellFormed | Malformed

/** All rows of the fixtures: those about limits have small ones of their own. */
export const fixtures: ReadonlyArray<Row> = [...wellFormed, ...atTheBound, ...malformed, ...oneOver]

const isGood = (row: Row): row is WellFormed => "meaning" in row

/** What a handler sees of a request. */
type Seen = Omit<Meaning, "framing" | "keepAlive" | "expectsContinue" | "offersUpgrade">

const seenOf = ({ authority, body, fields, method, target, trailers, url, version }: Seen): Seen => ({
  method,
  target,
  url,
  authority,
  version,
  fields,
  body,
  trailers
})

/** Answers with what it has seen, in a field, since HEAD has no content. */
export const seeing: Handler = (request) =>
  Effect.gen(function* () {
    const bytes = yield* request.bytes
    const trailers = yield* request.trailers
    const seen: Seen = {
      method: request.method,
      target: request.originalUrl,
      url: request.url,
      authority: request.host,
      version: request.version.original,
      fields: Array.from(request.headers).flat(),
      body: Buffer.from(bytes).toString("latin1"),
      trailers: Array.from(trailers).flat()
    }
    return yield* respond(request, 200, "seen", { "X-Seen": encodeURIComponent(JSON.stringify(seen)) })
  })

export const seenIn = (answer: Answer): Seen => JSON.parse(decodeURIComponent(answer.header("X-Seen") ?? ""))

/** The final answers in all that a connection has brought; `methods` are what was asked. */
export const finalsOf = (bytes: Buffer, methods: ReadonlyArray<string> = []): ReadonlyArray<Answer> => {
  const finals: Array<Answer> = []
  for (let at = 0; at < bytes.length; ) {
    const answer = parseAnswer(bytes.subarray(at), methods[finals.length] ?? "GET", true)
    if (answer === undefined) throw new Error("not an answer")
    at += answer.length
    if (answer.status >= 200) finals.push(answer)
  }
  return finals
}

const before = requestText("GET /before")
const behind = requestText("GET /behind", ["Connection: close"])

/** A refusal is one answer, which says close and never quotes the request. */
export const expectRefusal = (answer: Answer | undefined, status: number): void => {
  expect(answer?.status).toBe(status)
  expect(answer?.header("Connection")).toBe("close")
  expect(answer?.header("Content-Type")).toBe("text/plain; charset=utf-8")
  expect(answer?.header("Date")).toMatch(/ GMT$/)
}

const expectRead = (answer: Answer | undefined, { meaning }: WellFormed): void => {
  // Nobody here takes a tunnel.
  if (meaning.method === "CONNECT") {
    expectRefusal(answer, 501)
    return
  }
  expect(answer?.status).toBe(200)
  expect(answer === undefined ? undefined : seenIn(answer)).toStrictEqual(seenOf(meaning))
  expect(answer?.header("Connection")).toBe(
    meaning.keepAlive ? (meaning.version === "HTTP/1.0" ? "keep-alive" : undefined) : "close"
  )
}

const goesOn = (row: Row): boolean => isGood(row) && row.meaning.keepAlive && row.meaning.method !== "CONNECT"

const expectRow = (row: Row, output: Buffer): void => {
  const finals = finalsOf(output, isGood(row) ? [row.meaning.method] : [])
  expect(finals).toHaveLength(1)
  if (isGood(row)) expectRead(finals[0], row)
  else expectRefusal(finals[0], row.status)
}

/** All that a connection brings for these bytes. A refused row is not ended by us, or its end would be refused for it. */
const talk = (
  port: number,
  row: Row,
  send: (wire: { readonly send: (bytes: string | Uint8Array) => Effect.Effect<void> }) => Effect.Effect<void>
): Effect.Effect<Buffer> =>
  Effect.scoped(
    Effect.gen(function* () {
      const wire = yield* connect(port)
      yield* send(wire)
      if (isGood(row)) yield* wire.halfClose
      return yield* wire.readToEnd
    })
  )

const whole = (row: Row): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { port } = yield* serving(seeing, { limits: row.limits })
    expectRow(row, yield* talk(port, row, (wire) => wire.send(row.bytes)))
  })

const withOthers = (row: Row): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    // The requests around a row whose limits are small must fit into them.
    const { port } = yield* serving(seeing, { limits: row.limits })
    const methods = isGood(row) ? [row.meaning.method] : []
    const text = Buffer.concat([row.bytes, Buffer.from(behind)])
    const finals = finalsOf(yield* talk(port, row, (wire) => wire.send(text)), methods)
    if (isGood(row)) expectRead(finals[0], row)
    else expectRefusal(finals[0], row.status)
    expect(finals.slice(1).map((answer) => [answer.status, seenIn(answer).url])).toStrictEqual(
      goesOn(row) ? [[200, "/behind"]] : []
    )
    const preceded = Buffer.concat([Buffer.from(before), row.bytes])
    const [first, second, ...rest] = finalsOf(yield* talk(port, row, (wire) => wire.send(preceded)), [
      "GET",
      ...methods
    ])
    expect(first === undefined ? undefined : seenIn(first).url).toBe("/before")
    if (isGood(row)) expectRead(second, row)
    else expectRefusal(second, row.status)
    expect(rest).toStrictEqual([])
  })

const withoutDate = ({ written }: MemoryConnection): string => written.replaceAll(/Date: [^\r\n]*\r\n/g, "")

/**
 * One connection for each place at which the bytes can be cut, in memory: the second part comes when the first is read.
 * And one byte by byte, and one whole, whose answer all others must have.
 */
const cut = (row: Row): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { connect } = yield* servingInMemory(seeing, { limits: row.limits })
    const connections: Array<MemoryConnection> = []
    for (let at = 0; at < row.bytes.length; at++) {
      const connection = yield* connect
      if (at > 0) connection.send(row.bytes.subarray(0, at))
      connections.push(connection)
    }
    const drip = yield* connect
    for (const byte of row.bytes) drip.send(Uint8Array.of(byte))
    yield* settled
    connections.forEach((connection, at) => {
      connection.send(row.bytes.subarray(at))
    })
    for (const connection of [drip, ...connections]) {
      if (isGood(row)) connection.halfClose()
      yield* connection.ended
    }
    expectRow(row, Buffer.from(drip.written, "latin1"))
    const differing = connections.flatMap((connection, at) =>
      withoutDate(connection) === withoutDate(drip) ? [] : [{ at, written: connection.written }]
    )
    expect(differing).toStrictEqual([])
  })

const isRoomy = ({ limits }: Row): boolean => Object.keys(limits).every((name) => !/Header|RequestLine/.test(name))

/** The tests of a row. */
export const runRow = (row: Row): void => {
  it.scopedLive(`${row.title}: whole`, () => whole(row))
  if (isRoomy(row)) it.scopedLive(`${row.title}: with other requests around it`, () => withOthers(row))
  it.scopedLive(`${row.title}: byte by byte, and cut at every byte`, () => cut(row))
}
