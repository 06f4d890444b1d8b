/**
 * Rows of bytes against a real server, the native one and the drop-in: whole, with another request after and before, and
 * byte by byte; the native one cut also at every place. The rows of the fixtures are the parser's too; here it is seen
 * what a client gets for them.
 */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Handler } from "../../../src/Response.js"
import { atTheBound, oneOver } from "../../fixtures/messages/limits.js"
import { malformed } from "../../fixtures/messages/malformed.js"
import type { Malformed, Meaning, WellFormed } from "../../fixtures/messages/message.js"
import { wellFormed } from "../../fixtures/messages/wellFormed.js"
import { type MemoryConnection, settled } from "../../server/memory.js"
import { type ParsedResponse, parseResponse } from "../../support/parsedResponse.js"
import { connect, type Place, requestText } from "../../support/rawClient.js"
import { type App, type Asked, nativeHandler, type Subject, subjects } from "../subjects.js"

export type Row = WellFormed | Malformed

/** All rows of the fixtures: those about limits have small ones of their own. */
export const fixtures: ReadonlyArray<Row> = [...wellFormed, ...atTheBound, ...malformed, ...oneOver]

const isGood = (row: Row): row is WellFormed => "meaning" in row

/** What an application sees of a request. */
interface Seen extends Omit<Meaning, "framing" | "keepAlive" | "expectsContinue" | "offersUpgrade" | "fields"> {
  /** The authority, as Host has it. */
  readonly host: string
  readonly fields: Asked["fields"]
}

/** Of a target with an authority of its own, Host is that authority, whatever was sent (RFC 9112 §3.2.2). */
const withHost = ({ authority, fields, target }: Meaning): ReadonlyArray<string> => {
  if (target.startsWith("/") || target === "*") return fields
  const at = fields.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === "host")
  return at < 0 ? ["Host", authority, ...fields] : fields.map((each, i) => (i === at + 1 ? authority : each))
}

const seenOf = (meaning: Meaning, subject: Subject): Seen => {
  const { authority, body, method, target, trailers, url, version } = meaning
  const fields = subject.fieldsOf(withHost(meaning))
  return { method, target, url, authority, host: authority, version, fields, body, trailers }
}

/** Responds with what it has seen, in a field, since HEAD has no content. */
export const looking: App = ({ body, fields, host, method, native, target, url }) =>
  Effect.gen(function* () {
    const bytes = yield* body
    const trailers = yield* native.trailers
    const seen: Seen = {
      method,
      target,
      url,
      authority: native.host,
      host,
      version: native.version.original,
      fields,
      body: Buffer.from(bytes).toString("latin1"),
      trailers: Array.from(trailers).flat()
    }
    return { status: 200, content: "seen", fields: { "X-Seen": encodeURIComponent(JSON.stringify(seen)) } }
  })

/** `looking`, for tests of the native server alone. */
export const seeing: Handler = nativeHandler(looking)

export const seenIn = (response: ParsedResponse): Seen =>
  JSON.parse(decodeURIComponent(response.header("X-Seen") ?? ""))

/** The final responses in all that a connection has brought; `methods` are what was asked. */
export const finalsOf = (bytes: Buffer, methods: ReadonlyArray<string> = []): ReadonlyArray<ParsedResponse> => {
  const finals: Array<ParsedResponse> = []
  for (let at = 0; at < bytes.length; ) {
    const response = parseResponse(bytes.subarray(at), methods[finals.length] ?? "GET", true)
    if (response === undefined) throw new Error("not a response")
    at += response.length
    if (response.status >= 200) finals.push(response)
  }
  return finals
}

const before = requestText("GET /before")
const after = requestText("GET /after", ["Connection: close"])

/** A refusal is one response, which sends close and never quotes the request. */
export const expectRefusal = (response: ParsedResponse | undefined, status: number): void => {
  expect(response?.status).toBe(status)
  expect(response?.header("Connection")).toBe("close")
  expect(response?.header("Content-Type")).toBe("text/plain; charset=utf-8")
  expect(response?.header("Date")).toMatch(/ GMT$/)
}

/** The same of a body, which some applications reject by themselves: then it has their text, or none. */
export const expectBodyRefusal = (response: ParsedResponse | undefined, status: number, subject: Subject): void => {
  if (!subject.rejectsBodies) expectRefusal(response, status)
  expect([response?.status, response?.header("Connection")]).toStrictEqual([status, "close"])
}

const expectRefused = (
  response: ParsedResponse | undefined,
  { bodyBefore, status }: Malformed,
  subject: Subject
): void => (bodyBefore === undefined ? expectRefusal(response, status) : expectBodyRefusal(response, status, subject))

const expectRead = (response: ParsedResponse | undefined, { meaning }: WellFormed, subject: Subject): void => {
  // CONNECT is not supported here.
  if (meaning.method === "CONNECT") {
    expectRefusal(response, 501)
    return
  }
  expect(response?.status).toBe(200)
  expect(response === undefined ? undefined : seenIn(response)).toStrictEqual(seenOf(meaning, subject))
  expect([response?.header("Connection"), response?.header("Keep-Alive")]).toStrictEqual(
    meaning.keepAlive ? ["keep-alive", "timeout=75"] : ["close", undefined]
  )
}

const expectResponse = (response: ParsedResponse | undefined, row: Row, subject: Subject): void =>
  isGood(row) ? expectRead(response, row, subject) : expectRefused(response, row, subject)

const goesOn = (row: Row): boolean => isGood(row) && row.meaning.keepAlive && row.meaning.method !== "CONNECT"

const expectRow = (row: Row, output: Buffer, subject: Subject): void => {
  const finals = finalsOf(output, isGood(row) ? [row.meaning.method] : [])
  expect(finals).toHaveLength(1)
  expectResponse(finals[0], row, subject)
}

/** All that a connection brings for these bytes. A refused row is not ended by us, or its end would be refused for it. */
const talk = (
  place: Place,
  row: Row,
  send: (client: { readonly send: (bytes: string | Uint8Array) => Effect.Effect<void> }) => Effect.Effect<void>
): Effect.Effect<Buffer> =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* connect(place)
      yield* send(client)
      if (isGood(row)) yield* client.halfClose
      return yield* client.readToEnd
    })
  )

const whole = (row: Row, subject: Subject): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const port = yield* subject.serve(looking, { limits: row.limits })
    expectRow(row, yield* talk(port, row, (client) => client.send(row.bytes)), subject)
  })

const withOthers = (row: Row, subject: Subject): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    // The requests around a row whose limits are small must fit into them.
    const port = yield* subject.serve(looking, { limits: row.limits })
    const methods = isGood(row) ? [row.meaning.method] : []
    const text = Buffer.concat([row.bytes, Buffer.from(after)])
    const finals = finalsOf(yield* talk(port, row, (client) => client.send(text)), methods)
    expectResponse(finals[0], row, subject)
    expect(finals.slice(1).map((response) => [response.status, seenIn(response).url])).toStrictEqual(
      goesOn(row) ? [[200, "/after"]] : []
    )
    const preceded = Buffer.concat([Buffer.from(before), row.bytes])
    const [first, second, ...rest] = finalsOf(yield* talk(port, row, (client) => client.send(preceded)), [
      "GET",
      ...methods
    ])
    expect(first === undefined ? undefined : seenIn(first).url).toBe("/before")
    expectResponse(second, row, subject)
    expect(rest).toStrictEqual([])
  })

const dripped = (row: Row, subject: Subject): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { connect } = yield* subject.serveInMemory(looking, { limits: row.limits })
    const drip = yield* connect
    for (const byte of row.bytes) drip.send(Uint8Array.of(byte))
    if (isGood(row)) drip.halfClose()
    yield* drip.ended
    expectRow(row, Buffer.from(drip.written, "latin1"), subject)
  })

const withoutDate = ({ written }: MemoryConnection): string => written.replaceAll(/Date: [^\r\n]*\r\n/g, "")

/**
 * One connection for each place at which the bytes can be cut, in memory: the second part comes when the first is read.
 * And one whole, whose response all others must have.
 */
const cut = (row: Row, subject: Subject): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { connect } = yield* subject.serveInMemory(looking, { limits: row.limits })
    const connections: Array<MemoryConnection> = []
    for (let at = 0; at < row.bytes.length; at++) {
      const connection = yield* connect
      if (at > 0) connection.send(row.bytes.subarray(0, at))
      connections.push(connection)
    }
    yield* settled
    connections.forEach((connection, at) => {
      connection.send(row.bytes.subarray(at))
    })
    for (const connection of connections) {
      if (isGood(row)) connection.halfClose()
      yield* connection.ended
    }
    const [whole] = connections
    if (whole === undefined) throw new Error("a row without a byte")
    expectRow(row, Buffer.from(whole.written, "latin1"), subject)
    const differing = connections.flatMap((connection, at) =>
      withoutDate(connection) === withoutDate(whole) ? [] : [{ at, written: connection.written }]
    )
    expect(differing).toStrictEqual([])
  })

const isRoomy = ({ limits }: Row): boolean => Object.keys(limits).every((name) => !/Header|RequestLine/.test(name))

const runRowOn = (row: Row, subject: Subject): void => {
  const title = `${row.title} (${subject.name})`
  it.scopedLive(`${title}: whole`, () => whole(row, subject))
  if (isRoomy(row)) it.scopedLive(`${title}: with other requests around it`, () => withOthers(row, subject))
  it.scopedLive(`${title}: byte by byte`, () => dripped(row, subject))
}

/** The tests of a row. Where bytes are cut is the parser's affair, which both subjects share. */
export const runRow = (row: Row): void => {
  for (const subject of subjects) runRowOn(row, subject)
  const [subject] = subjects
  it.scopedLive(`${row.title}: cut at every byte`, () => cut(row, subject))
}
