/** The parser of the kit's client, on generated responses: read back exactly, and the same however their bytes arrive. */
import * as FastCheck from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import type { RequestContext } from "../../src/testing/internal/client/responseHead.js"
import { ResponseParser } from "../../src/testing/internal/client/responseParser.js"
import { holds } from "../fixtures/holds.js"

/** A response before it is written. */
interface Plan {
  readonly method: string
  readonly interim: ReadonlyArray<string>
  readonly version: "1.0" | "1.1"
  readonly status: number
  readonly reason: string
  readonly fields: ReadonlyArray<readonly [name: string, white: string, value: string, white: string]>
  /** `connection` options, and the place of the framing field among the others. */
  readonly options: ReadonlyArray<string>
  readonly place: number
  readonly framing: "length" | "chunked" | "close"
  readonly pieces: ReadonlyArray<Uint8Array>
  readonly chunks: { readonly zeros: number; readonly isUpper: boolean; readonly extensions: ReadonlyArray<string> }
  readonly trailers: ReadonlyArray<readonly [name: string, value: string]>
}

const charactersOf = (allowed: (code: number) => boolean): ReadonlyArray<string> =>
  Array.from({ length: 256 }, (_, code) => code)
    .filter(allowed)
    .map((code) => String.fromCharCode(code))

const tokenCharacters = Array.from("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
const visible = charactersOf((code) => code > 0x20 && code !== 0x7f)
const textCharacters = [...visible, " ", "\t"]

const textOf = (characters: ReadonlyArray<string>, maxLength: number, minLength = 0): FastCheck.Arbitrary<string> =>
  FastCheck.array(FastCheck.constantFrom(...characters), { minLength, maxLength }).map((all) => all.join(""))

const token = textOf(tokenCharacters, 12, 1)

const whiteSpace = textOf([" ", "\t"], 3)

/** Neither begins nor ends with white space. */
const fieldValue = FastCheck.tuple(textOf(visible, 8), textOf(textCharacters, 20), textOf(visible, 8)).map(
  ([first, middle, last]) => (first === "" || last === "" ? first + last : first + middle + last)
)

/** Names with a meaning to the parser are generated separately. */
const isPlain = (name: string): boolean =>
  !/^(content-.*|transfer-encoding|connection|set-cookie|trailer|age|date|expires|location|vary|upgrade)$/i.test(name)

const name = FastCheck.oneof(
  { weight: 3, arbitrary: token.filter(isPlain) },
  { weight: 1, arbitrary: FastCheck.constantFrom("X-A", "x-a", "ETag", "__proto__", "toString") }
)

const extension = FastCheck.oneof(
  token.map((each) => `;${each}`),
  FastCheck.tuple(token, token).map(([each, value]) => `;${each}=${value}`),
  FastCheck.tuple(token, textOf(textCharacters, 10)).map(
    ([each, value]) => `;${each}="${value.replaceAll(/["\\]/g, "\\$&")}"`
  )
)

const plan: FastCheck.Arbitrary<Plan> = FastCheck.record({
  method: FastCheck.constantFrom("GET", "GET", "POST", "HEAD"),
  interim: FastCheck.array(FastCheck.constantFrom("100", "102", "103", "199"), { maxLength: 2 }),
  version: FastCheck.constantFrom("1.1", "1.1", "1.0"),
  status: FastCheck.oneof(FastCheck.integer({ min: 200, max: 599 }), FastCheck.constantFrom(204, 205, 304)),
  reason: textOf(textCharacters, 20),
  fields: FastCheck.array(FastCheck.tuple(name, whiteSpace, fieldValue, whiteSpace), { maxLength: 6 }),
  options: FastCheck.array(FastCheck.constantFrom("close", "Close", "keep-alive", "x", ""), { maxLength: 3 }),
  place: FastCheck.nat({ max: 6 }),
  framing: FastCheck.constantFrom("length", "chunked", "chunked", "close"),
  pieces: FastCheck.array(FastCheck.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 }),
  chunks: FastCheck.record({
    zeros: FastCheck.nat({ max: 3 }),
    isUpper: FastCheck.boolean(),
    extensions: FastCheck.array(extension, { maxLength: 3 })
  }),
  trailers: FastCheck.array(FastCheck.tuple(name, fieldValue), { maxLength: 3 })
})

const isBodiless = ({ method, status }: Plan): boolean =>
  method === "HEAD" || status === 204 || status === 205 || status === 304

/** The framing that RFC 9112 allows of what is planned. */
const framingOf = (response: Plan): Plan["framing"] | "none" => {
  const { framing, status, version } = response
  if (status === 204) return "none"
  if (status === 205) return "length"
  return framing === "chunked" && version === "1.0" ? "length" : framing
}

const contentOf = (response: Plan): Buffer => (isBodiless(response) ? Buffer.alloc(0) : Buffer.concat(response.pieces))

const framingField = (response: Plan): ReadonlyArray<string> => {
  const length = response.status === 205 ? 0 : Buffer.concat(response.pieces).length
  switch (framingOf(response)) {
    case "length":
      return [`content-LENGTH: ${length}`]
    case "chunked":
      return ["Transfer-encoding:Chunked"]
    default:
      return []
  }
}

const chunkOf = ({ extensions, isUpper, zeros }: Plan["chunks"], bytes: Uint8Array): Buffer => {
  const digits = bytes.length.toString(16)
  const size = "0".repeat(zeros) + (isUpper ? digits.toUpperCase() : digits)
  const end = bytes.length === 0 ? "" : "\r\n"
  return Buffer.concat([Buffer.from(`${size}${extensions.join("")}\r\n`, "latin1"), bytes, Buffer.from(end)])
}

const write = (response: Plan): Buffer => {
  const { chunks, fields, interim, options, pieces, place, reason, status, trailers, version } = response
  const lines = fields.map(([each, before, value, after]) => `${each}:${before}${value}${after}`)
  lines.splice(place, 0, ...framingField(response))
  if (options.length > 0) lines.splice(place, 0, `Connection: ${options.join(" ,")}`)
  const head = [
    ...interim.map((code) => `HTTP/1.1 ${code} \r\nX: y\r\n\r\n`),
    `HTTP/${version} ${status} ${reason}\r\n`,
    ...lines.map((line) => `${line}\r\n`),
    "\r\n"
  ].join("")
  const body = [Buffer.from(head, "latin1")]
  if (isBodiless(response)) return Buffer.concat(body)
  if (framingOf(response) !== "chunked") return Buffer.concat([...body, ...pieces])
  const last = trailers.map(([each, value]) => `${each}: ${value}\r\n`).join("")
  return Buffer.concat([
    ...body,
    ...pieces.map((bytes) => chunkOf(chunks, bytes)),
    chunkOf(chunks, new Uint8Array()),
    Buffer.from(`${last}\r\n`, "latin1")
  ])
}

/** Fields as a parser returns them: names in lower case, in order, repeated ones joined. */
const joined = (fields: ReadonlyArray<readonly [name: string, value: string]>): ReadonlyArray<[string, string]> => {
  const values = new Map<string, string>()
  for (const [each, value] of fields) {
    const before = values.get(each.toLowerCase())
    values.set(each.toLowerCase(), before === undefined ? value : `${before}, ${value}`)
  }
  return Array.from(values)
}

const sorted = (fields: Iterable<readonly [string, string]>): ReadonlyArray<readonly [string, string]> =>
  Array.from(fields).sort(([a], [b]) => (a < b ? -1 : 1))

const headersOf = (response: Plan): ReadonlyArray<readonly [string, string]> => {
  const { fields, options } = response
  const framing = framingField(response).map((line): [string, string] => {
    const [each = "", value = ""] = line.split(":")
    return [each, value.trim()]
  })
  const connection: ReadonlyArray<[string, string]> =
    options.length === 0 ? [] : [["connection", options.join(" ,").trim()]]
  return joined([...fields.map(([each, , value]): [string, string] => [each, value]), ...framing, ...connection])
}

const isUntilClose = (response: Plan): boolean => framingOf(response) === "close" && !isBodiless(response)

const keepsAlive = (response: Plan): boolean => {
  const options = response.options.map((option) => option.toLowerCase())
  if (isUntilClose(response) || options.includes("close")) return false
  return response.version === "1.1" || options.includes("keep-alive")
}

const expected = (response: Plan) => ({
  status: response.status,
  headers: sorted(headersOf(response)),
  keepAlive: keepsAlive(response),
  content: contentOf(response).toString("latin1"),
  trailers: framingOf(response) === "chunked" && !isBodiless(response) ? sorted(joined(response.trailers)) : []
})

interface Outcome {
  status: number
  headers: ReadonlyArray<readonly [string, string]>
  keepAlive: boolean
  content: string
  trailers: ReadonlyArray<readonly [string, string]> | undefined
  error: string | undefined
}

/** The result of parsing pieces, until the end of a response or an error. */
const parse = (parser: ResponseParser, request: RequestContext, pieces: ReadonlyArray<Uint8Array>): Outcome => {
  const seen: Outcome = { status: 0, headers: [], keepAlive: false, content: "", trailers: undefined, error: undefined }
  parser.begin(request)
  for (const piece of pieces) {
    parser.feed(Buffer.from(piece))
    for (let step = parser.next(); step !== "NeedMore"; step = parser.next()) {
      switch (step._tag) {
        case "Head":
          seen.status = step.status
          seen.headers = sorted(Object.entries(step.headers))
          seen.keepAlive = step.keepAlive
          break
        case "Content":
          seen.content += step.bytes.toString("latin1")
          break
        case "End":
          seen.trailers = sorted(Object.entries(step.trailers))
          break
        case "ParseError":
          seen.error = step.code
          return seen
      }
    }
  }
  return seen
}

/** A message in pieces that end at some of its bytes. */
const split = (bytes: Buffer, cuts: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const ends = Array.from(new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])).sort((a, b) => a - b)
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
}

const cuts = FastCheck.array(FastCheck.nat({ max: 100_000 }), { maxLength: 8 })

const byteByByte = (bytes: Buffer): ReadonlyArray<Buffer> => Array.from(bytes, (byte) => Buffer.of(byte))

const contextOf = ({ method }: Plan): RequestContext => ({ method, upgrade: undefined })

describe("a generated response", () => {
  it("is read back exactly, however it is split", () => {
    holds(
      FastCheck.property(plan, cuts, (response, at) => {
        const parser = new ResponseParser()
        const { error, ...seen } = parse(parser, contextOf(response), split(write(response), at))
        const trailers = seen.trailers ?? (parser.finish() === undefined ? undefined : [])
        expect([error, { ...seen, trailers }]).toStrictEqual([undefined, expected(response)])
        expect(seen.trailers === undefined).toBe(isUntilClose(response))
      }),
      1000
    )
  })

  it("is read back exactly among others on the same connection", () => {
    const kept = plan.filter((response) => !isUntilClose(response))
    holds(
      FastCheck.property(FastCheck.array(kept, { minLength: 2, maxLength: 4 }), cuts, (responses, at) => {
        const parser = new ResponseParser()
        for (const response of responses) {
          const { error, ...seen } = parse(parser, contextOf(response), split(write(response), at))
          expect([error, seen]).toStrictEqual([undefined, expected(response)])
        }
      }),
      300
    )
  })

  it("has no end when it is cut anywhere", () => {
    holds(
      FastCheck.property(plan, FastCheck.nat({ max: 100_000 }), (response, at) => {
        const bytes = write(response)
        const parser = new ResponseParser()
        const seen = parse(parser, contextOf(response), [bytes.subarray(0, at % bytes.length)])
        expect([seen.error, seen.trailers]).toStrictEqual([undefined, undefined])
        // Content that ends with its connection may be cut without notice, once its head is complete.
        expect(parser.finish() === undefined).toBe(!(isUntilClose(response) && seen.status !== 0))
      }),
      1000
    )
  })

  it("that is changed has the same verdict however it is split", () => {
    const change = FastCheck.record({
      at: FastCheck.nat({ max: 100_000 }),
      remove: FastCheck.nat({ max: 3 }),
      insert: textOf([...'\r\n\t :;,="\\0aA', "\0", "\x7f", "\xff", "\r\n", "\r\n\r\n", "HTTP/1.1 ", "chunked"], 3)
    })
    let rejected = 0
    holds(
      FastCheck.property(
        plan,
        FastCheck.array(change, { minLength: 1, maxLength: 3 }),
        cuts,
        (response, changes, at) => {
          const bytes = changes.reduce((text, { at: place, insert, remove }) => {
            const start = place % (text.length + 1)
            return Buffer.concat([
              text.subarray(0, start),
              Buffer.from(insert, "latin1"),
              text.subarray(Math.min(text.length, start + remove))
            ])
          }, write(response))
          const context = contextOf(response)
          const whole = parse(new ResponseParser(), context, [bytes])
          if (whole.error !== undefined) rejected++
          expect(parse(new ResponseParser(), context, split(bytes, at))).toStrictEqual(whole)
          expect(parse(new ResponseParser(), context, byteByByte(bytes))).toStrictEqual(whole)
        }
      ),
      1000
    )
    expect(rejected).toBeGreaterThan(300)
  })
})
