/** The parser of the kit's client: a table of responses, however their bytes arrive. */
import { describe, expect, it } from "@effect/vitest"
import type { RequestContext } from "../../src/testing/internal/client/responseHead.js"
import { type ParseStep, ResponseParser } from "../../src/testing/internal/client/responseParser.js"
import { growth, linear } from "../http1/growth.js"
import { type Accepted, accepted, rejected, truncated } from "./responses.js"

const contextOf = (request: Partial<RequestContext> = {}): RequestContext => ({
  method: "GET",
  upgrade: undefined,
  ...request
})

/** The result of parsing pieces: the response to one request, and what follows it. */
const feed = (parser: ResponseParser, pieces: ReadonlyArray<string>) => {
  const steps: Array<Exclude<ParseStep, "NeedMore">> = []
  for (const piece of pieces) {
    parser.feed(Buffer.from(piece, "latin1"))
    for (let step = parser.next(); step !== "NeedMore"; step = parser.next()) {
      steps.push(step)
      if (step._tag === "ParseError") break
    }
  }
  const head = steps.find((step) => step._tag === "Head")
  const last = steps.at(-1)
  return {
    head,
    body: steps.map((step) => (step._tag === "Content" ? step.bytes.toString("latin1") : "")).join(""),
    end: steps.find((step) => step._tag === "End"),
    error: last?._tag === "ParseError" ? last.code : undefined
  }
}

const parse = (parser: ResponseParser, pieces: ReadonlyArray<string>, request?: Partial<RequestContext>) => {
  parser.begin(contextOf(request))
  return feed(parser, pieces)
}

/** A text as one piece, in two at every byte, and byte by byte. */
const splits = function* (text: string): Iterable<ReadonlyArray<string>> {
  yield [text]
  // Of the long texts, only around their ends: in their middle all bytes are the same.
  const near = 400
  for (let at = 1; at < text.length; at++) {
    if (at < near || at > text.length - near) yield [text.slice(0, at), text.slice(at)]
  }
  yield Array.from(text)
}

const expectAccepted = (row: Accepted, pieces: ReadonlyArray<string>): void => {
  const parser = new ResponseParser()
  const { body, end, error, head } = parse(parser, pieces, row.request)
  expect([error, head?.status, body]).toStrictEqual([undefined, row.status ?? 200, row.body ?? "Hello"])
  expect({ ...(end ?? parser.finish())?.trailers }).toStrictEqual(row.trailers ?? {})
  expect(end === undefined).toBe(row.untilClose === true)
  if (row.headers !== undefined) expect({ ...head?.headers }).toStrictEqual(row.headers)
  if (row.keepAlive !== undefined) expect(head?.keepAlive).toBe(row.keepAlive)
}

const next = "HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nnext"

describe("a response is parsed, wherever its bytes are split", () => {
  it.each(accepted)("$title", (row) => {
    for (const pieces of splits(row.text)) expectAccepted(row, pieces)
  })

  it.each(accepted.filter(({ untilClose }) => untilClose !== true))("$title, and the one after it", (row) => {
    for (const pieces of splits(row.text)) {
      const parser = new ResponseParser()
      parse(parser, pieces, row.request)
      expect(parse(parser, [next])).toMatchObject({ head: { status: 201 }, body: "next", end: { _tag: "End" } })
    }
  })

  it.each(accepted.filter(({ untilClose }) => untilClose === true))("$title, which is all that follows", (row) => {
    for (const pieces of splits(row.text)) expectAccepted({ ...row, body: `Hello${next}` }, [...pieces, next])
  })
})

describe("a response is rejected at its first wrong byte, wherever its bytes are split", () => {
  it.each(rejected)("$title", ({ code, invalid, request, valid }) => {
    for (const pieces of splits(valid)) {
      const parser = new ResponseParser()
      expect(parse(parser, pieces, request).error).toBe(undefined)
      expect(feed(parser, [invalid.slice(0, 1)]).error).toBe(code)
    }
    for (const pieces of splits(valid + invalid)) {
      expect(parse(new ResponseParser(), pieces, request).error).toBe(code)
    }
  })

  it.each(rejected)("$title, and nothing is read after it", ({ code, invalid, request, valid }) => {
    const parser = new ResponseParser()
    parse(parser, [valid + invalid], request)
    expect(parse(parser, [next])).toMatchObject({ head: undefined, body: "", error: code })
  })
})

describe("a response that is cut has neither an error nor an end", () => {
  it.each(truncated)("$title", ({ text }) => {
    for (const pieces of splits(text)) {
      const parser = new ResponseParser()
      expect(parse(parser, pieces)).toMatchObject({ error: undefined, end: undefined })
      expect(parser.finish()).toBe(undefined)
    }
  })
})

describe("an error", () => {
  it("names what is wrong, and shows the beginning of the line", () => {
    const parser = new ResponseParser()
    parser.begin(contextOf())
    parser.feed(Buffer.from(`HTTP/1.1 200 OK\r\nbad header: ${"x".repeat(100)}`))
    expect(parser.next()).toStrictEqual({
      _tag: "ParseError",
      code: "HPE_INVALID_HEADER_TOKEN",
      reason: "Invalid field name",
      actual: `bad header: ${"x".repeat(68)}`
    })
  })

  it("is unsolicited bytes before any request", () => {
    const parser = new ResponseParser()
    parser.feed(Buffer.from("HTTP/1.1 408 Request Timeout\r\n"))
    expect(parser.next()).toMatchObject({ _tag: "ParseError", code: "HPE_INVALID_CONSTANT" })
  })
})

describe("a parser", () => {
  it("returns cookies separately, and joined among the headers", () => {
    const { head } = parse(new ResponseParser(), [
      "HTTP/1.1 200 OK\r\nSet-Cookie: a=1, b\r\nX: y\r\nset-cookie: c=2\r\nContent-Length: 0\r\n\r\n"
    ])
    expect(head?.setCookies).toStrictEqual(["a=1, b", "c=2"])
    expect(head?.headers["set-cookie"]).toBe("a=1, b, c=2")
  })

  it("copies no content", () => {
    const parser = new ResponseParser()
    parser.begin(contextOf())
    const bytes = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello")
    parser.feed(bytes)
    parser.next()
    const content = parser.next()
    if (content === "NeedMore" || content._tag !== "Content") throw new Error("no content")
    expect(content.bytes.buffer).toBe(bytes.buffer)
  })

  it.each([
    ["field", " ", (text: string) => `HTTP/1.1 200 OK\r\nX: ${text}y`],
    ["chunk extension", ";a=b", (text: string) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5${text}`],
    ["quoted string", "a b", (text: string) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a="${text}`]
  ])(
    "reads a %s that arrives byte by byte in time that grows with its length",
    (_, part, textOf) => {
      const prepare = (bytes: number) => {
        const pieces = Array.from(textOf(part.repeat(bytes / part.length)))
        return () => expect(parse(new ResponseParser(), pieces).error).toBe(undefined)
      }
      expect(growth(prepare)).toBeLessThan(linear)
    },
    30_000
  )
})
