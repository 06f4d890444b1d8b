/**
 * The parser of `node:http` by itself, where this version of Node still lets one reach it: it is no public module, and
 * is spoken to here as `node:http` does, with a callback for a head, for a piece of a body and for the end.
 */
import { createRequire } from "node:module"

type Callback = (...given: ReadonlyArray<unknown>) => number

interface NodeParser {
  initialize: (type: number, resource: object) => void
  /** How many bytes it has read, or what is wrong with them. */
  execute: (bytes: Uint8Array) => number | Error
  [callback: number]: Callback
}

interface Internals {
  readonly HTTPParser: {
    new (): NodeParser
    readonly REQUEST: number
    readonly kOnHeadersComplete: number
    readonly kOnBody: number
    readonly kOnMessageComplete: number
  }
}

/** Where `node:http` finds the target among what it is given with a head. */
const targetAt = 4

export interface Reading {
  readonly read: (bytes: Buffer) => void
  /** The last target that was read. */
  readonly target: () => unknown
  /** How many messages have ended. */
  readonly ended: () => number
}

const make = ({ HTTPParser }: Internals): Reading => {
  let target: unknown
  let ended = 0
  const parser = new HTTPParser()
  parser.initialize(HTTPParser.REQUEST, {})
  parser[HTTPParser.kOnHeadersComplete] = (...head) => {
    target = head[targetAt]
    return 0
  }
  parser[HTTPParser.kOnBody] = () => 0
  parser[HTTPParser.kOnMessageComplete] = () => {
    ended++
    return 0
  }
  const read = (bytes: Buffer): void => {
    const result = parser.execute(bytes)
    if (result instanceof Error) throw result
  }
  return { read, target: () => target, ended: () => ended }
}

/** One that reads, or why there is none. */
export const nodeParser = (): Reading | { readonly missing: string } => {
  try {
    const internals: Internals = createRequire(import.meta.url)("_http_common")
    const reading = make(internals)
    reading.read(Buffer.from("GET /there HTTP/1.1\r\nHost: a\r\n\r\n"))
    if (reading.target() !== "/there" || reading.ended() !== 1)
      return { missing: "it speaks otherwise in this version" }
    return reading
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) }
  }
}
