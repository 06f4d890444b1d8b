/** A parser that is fed with bytes cut in any way, and the requests that it parses. */
import * as Limits from "../../src/Limits.js"
import * as RequestParser from "../../src/RequestParser.js"
import type { Meaning } from "../fixtures/messages/message.js"

/** One request as parsed; without `ended`, its body is incomplete. */
export interface Heard extends Meaning {
  readonly ended: boolean
}

export interface Conversation {
  readonly requests: ReadonlyArray<Heard>
  readonly refused: RequestParser.Malformed | undefined
  readonly parser: RequestParser.Parser
}

const parsedHead = (head: RequestParser.RequestHead): Heard => ({
  method: head.method,
  target: head.target,
  url: head.url,
  authority: head.authority,
  version: head.version.original,
  framing: head.framing,
  keepAlive: head.keepAlive,
  expectsContinue: head.expectsContinue,
  offersUpgrade: head.offersUpgrade,
  fields: head.fields(),
  body: "",
  trailers: [],
  ended: head.framing._tag === "None"
})

/** Feeds one piece after the other, as a connection does, until `NeedMore`; nothing is fed after `Malformed`. */
export const converse = (chunks: ReadonlyArray<Buffer>, options: Limits.Options = {}): Conversation => {
  const parser = RequestParser.make(Limits.make(options))
  const requests: Array<Heard> = []
  // Every step except the end of a body consumes a byte at least, and every end follows a head.
  let stepsLeft = 10 + 2 * chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  const change = (by: (last: Heard) => Partial<Heard>): void => {
    const last = requests.pop()
    if (last === undefined || last.ended) throw new Error("a body without a head")
    requests.push({ ...last, ...by(last) })
  }
  for (const chunk of chunks) {
    parser.feed(chunk)
    for (let step = parser.next(); step !== "NeedMore"; step = parser.next()) {
      if (stepsLeft-- === 0) throw new Error("the parser does not come to an end")
      if (step._tag === "Malformed") return { requests, refused: step, parser }
      else if (step._tag === "Head") requests.push(parsedHead(step))
      else if (step._tag === "End") change(() => ({ ended: true, trailers: step.trailers }))
      else if (step.bytes.length === 0) throw new Error("a piece of a body without a byte")
      else change((last) => ({ body: last.body + step.bytes.toString("latin1") }))
    }
  }
  return { requests, refused: undefined, parser }
}

/** The parsed requests and the rejection, to be compared: without the parser. */
export const meant = ({ refused, requests }: Conversation) => ({ requests, refused })

/** The bytes in pieces of that many; each a separate buffer, which is never overwritten. */
export const cutEvery = (bytes: Buffer, size: number): ReadonlyArray<Buffer> => {
  const chunks: Array<Buffer> = []
  for (let at = 0; at < bytes.length; at += size) chunks.push(Buffer.from(bytes.subarray(at, at + size)))
  return chunks
}

/** The bytes in two pieces. */
export const cutAt = (bytes: Buffer, at: number): ReadonlyArray<Buffer> => [
  Buffer.from(bytes.subarray(0, at)),
  Buffer.from(bytes.subarray(at))
]
