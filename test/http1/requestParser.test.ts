import * as FastCheck from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import * as Limits from "../../src/Limits.js"
import * as RequestParser from "../../src/RequestParser.js"
import { holds } from "../fixtures/holds.js"
import { atTheBound, oneOver } from "../fixtures/messages/limits.js"
import { malformed } from "../fixtures/messages/malformed.js"
import { bytesOf, type Malformed, plain, type WellFormed } from "../fixtures/messages/message.js"
import { browserGet, chunkedPost, wellFormed } from "../fixtures/messages/wellFormed.js"
import { type Conversation, converse, cutAt, cutEvery, meant } from "./conversation.js"
import { growth, linear } from "./growth.js"

const nextBytes = bytesOf("PUT / HTTP/1.1\r\nHost: b\r\n\r\n")
const nextHeard = { ...plain, method: "PUT", authority: "b", fields: ["Host", "b"], ended: true }

const everyCut = function* (bytes: Buffer): Iterable<ReadonlyArray<Buffer>> {
  yield cutEvery(bytes, 1)
  yield cutEvery(bytes, 2)
  for (let at = 1; at < bytes.length; at++) yield cutAt(bytes, at)
}

describe.each<readonly [string, ReadonlyArray<WellFormed>]>([
  ["requests that are read", wellFormed],
  ["limits at their bound", atTheBound]
])("%s", (_, rows) => {
  it.each(rows)("$title", ({ bytes, limits, meaning }) => {
    const expected = { requests: [{ ...meaning, ended: true }], refused: undefined }
    const whole = converse([bytes], limits)
    expect(meant(whole)).toStrictEqual(expected)
    expect(whole.parser.isIdle()).toBe(true)
    for (const chunks of everyCut(bytes)) expect(meant(converse(chunks, limits))).toStrictEqual(expected)
  })

  it.each(rows)("$title, and another request after it", ({ bytes, limits, meaning }) => {
    const expected = { requests: [{ ...meaning, ended: true }, nextHeard], refused: undefined }
    const both = Buffer.concat([bytes, nextBytes])
    expect(meant(converse([both], limits))).toStrictEqual(expected)
    for (const chunks of everyCut(both)) expect(meant(converse(chunks, limits))).toStrictEqual(expected)
  })

  it.each(rows)("$title, and another request before it", ({ bytes, limits, meaning }) => {
    const expected = { requests: [nextHeard, { ...meaning, ended: true }], refused: undefined }
    const both = Buffer.concat([nextBytes, bytes])
    expect(meant(converse([both], limits))).toStrictEqual(expected)
    expect(meant(converse(cutEvery(both, 1), limits))).toStrictEqual(expected)
  })

  it.each(rows)("$title, is not over before its last byte", ({ bytes, limits }) => {
    for (let at = 1; at < bytes.length; at++) {
      const { parser, refused, requests } = converse([bytes.subarray(0, at)], limits)
      expect(refused).toBe(undefined)
      expect(requests.some(({ ended }) => ended)).toBe(false)
      // Empty lines before a request are none of it: a connection that has brought only those is idle.
      expect(parser.isIdle()).toBe(/^(\r\n)*$/.test(bytes.toString("latin1", 0, at)))
    }
  })
})

describe.each<readonly [string, ReadonlyArray<Malformed>]>([
  ["requests that are refused", malformed],
  ["limits that are broken by one", oneOver]
])("%s", (_, rows) => {
  const check = (said: Conversation, { bodyBefore, reason, status }: Malformed): void => {
    expect({ reason: said.refused?.reason, status: said.refused?.status }).toStrictEqual({ reason, status })
    expect(said.requests.map(({ body, ended }) => ({ body, ended }))).toStrictEqual(
      bodyBefore === undefined ? [] : [{ body: bodyBefore, ended: false }]
    )
  }

  it.each(rows)("$title", (row) => {
    const whole = converse([row.bytes], row.limits)
    check(whole, row)
    // The same, `actual` included, however the bytes were cut, and whatever comes after them.
    const both = Buffer.concat([row.bytes, nextBytes])
    expect(meant(converse([both], row.limits))).toStrictEqual(meant(whole))
    for (const chunks of everyCut(both)) expect(meant(converse(chunks, row.limits))).toStrictEqual(meant(whole))
  })

  it.each(rows)("$title, and for good", (row) => {
    const { parser, refused } = converse([row.bytes], row.limits)
    expect(refused).not.toBe(undefined)
    expect(parser.next()).toBe(refused)
    parser.feed(nextBytes)
    expect(parser.next()).toBe(refused)
    parser.feed(bytesOf("\r\n\r\n"))
    expect(parser.next()).toBe(refused)
    expect(parser.isIdle()).toBe(false)
  })

  it.each(rows)("$title, after a good request that is still answered", (row) => {
    const said = converse([Buffer.concat([nextBytes, row.bytes])], row.limits)
    expect(said.requests[0]).toStrictEqual(nextHeard)
    check({ ...said, requests: said.requests.slice(1) }, row)
  })
})

describe("the rows themselves", () => {
  it("have titles that differ", () => {
    const titles = [...wellFormed, ...atTheBound, ...malformed, ...oneOver].map(({ title }) => title)
    expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toStrictEqual([])
  })

  it("give every reason that a parser can give", () => {
    expect(new Set([...malformed, ...oneOver].map(({ reason }) => reason))).toStrictEqual(
      new Set([
        "RequestLine",
        "Target",
        "Host",
        "HeaderField",
        "ContentLength",
        "TransferEncoding",
        "Chunk",
        "ChunkExtensions",
        "Trailer",
        "BodyTooLarge",
        "TargetTooLong",
        "Expectation",
        "HeadersTooLarge",
        "TrailersTooLarge",
        "MethodUnknown",
        "CodingUnknown",
        "Version"
      ])
    )
  })
})

describe("the default limits", () => {
  const target = (bytes: number): Buffer =>
    bytesOf(`GET /${"a".repeat(bytes - "GET / HTTP/1.1".length)} HTTP/1.1\r\nHost: a\r\n\r\n`)
  const line = (bytes: number): string => `X: ${"a".repeat(bytes - 3)}\r\n`
  const head = (lines: string): Buffer => bytesOf(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`)
  const chunked = (body: string): Buffer =>
    bytesOf(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`)

  it.each([
    ["8 KiB of request line", target(8192), undefined],
    ["a byte more than 8 KiB of request line", target(8193), 414],
    ["16 KiB of field line", head(line(16384)), undefined],
    ["a byte more than 16 KiB of field line", head(line(16385)), 431],
    ["32 KiB of header section", head(line(16380) + line(32768 - 9 - 16382 - 2)), undefined],
    ["a byte more than 32 KiB of header section", head(line(16380) + line(32768 - 9 - 16382 - 1)), 431],
    ["100 fields", head("A:\r\n".repeat(99)), undefined],
    ["101 fields", head("A:\r\n".repeat(100)), 431],
    ["16 KiB of chunk extensions", chunked(`0;${"a".repeat(16383)}\r\n\r\n`), undefined],
    ["a byte more than 16 KiB of chunk extensions", chunked(`0;${"a".repeat(16384)}\r\n\r\n`), 400],
    ["8 KiB of trailers", chunked(`0\r\n${line(8190)}\r\n`), undefined],
    ["a byte more than 8 KiB of trailers", chunked(`0\r\n${line(8191)}\r\n`), 431],
    ["32 trailers", chunked(`0\r\n${"A:\r\n".repeat(32)}\r\n`), undefined],
    ["33 trailers", chunked(`0\r\n${"A:\r\n".repeat(33)}\r\n`), 431]
  ])("%s", (_, bytes, status) => {
    for (const size of [bytes.length, 1000, 7]) {
      const { refused, requests } = converse(cutEvery(bytes, size))
      expect(refused?.status).toBe(status)
      if (status === undefined) expect(requests.map(({ ended }) => ended)).toStrictEqual([true])
    }
  })

  it.each<readonly [string, (bytes: number) => string]>([
    ["a Connection of spaces", (bytes) => `Host: a\r\nConnection: a${" ".repeat(bytes)}b`],
    ["a Transfer-Encoding of spaces", (bytes) => `Host: a\r\nTransfer-Encoding: a${" ".repeat(bytes)}b, chunked`],
    [
      "a Transfer-Encoding of parameters",
      (bytes) => `Host: a\r\nTransfer-Encoding: a${";a=b".repeat(bytes / 4)};, chunked`
    ],
    ["an Expect of commas", (bytes) => `Host: a\r\nExpect: ${",".repeat(bytes)}`],
    ["a Content-Length of zeros", (bytes) => `Host: a\r\nContent-Length: ${"0".repeat(bytes)}x`],
    ["a Host of colons", (bytes) => `Host: [${":".repeat(bytes)}]`]
  ])("%s costs no more than its bytes", (_, lines) => {
    const grown = growth((bytes) => {
      const chunks = [bytesOf(`GET / HTTP/1.1\r\n${lines(bytes)}\r\n\r\n`)]
      return () => converse(chunks)
    })
    expect(grown).toBeLessThan(linear)
  })
})

describe("a length that anything allows", () => {
  it("is known up to 15 digits", () => {
    const bytes = bytesOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999\r\n\r\n")
    const { requests } = converse([bytes], { maxBody: Number.POSITIVE_INFINITY })
    expect(requests.map(({ framing }) => framing)).toStrictEqual([{ _tag: "Length", length: 999999999999999 }])
  })
})

describe("feeding", () => {
  it("hands a body out in the buffers it arrived in, never copied", () => {
    const parser = RequestParser.make(Limits.defaults)
    parser.feed(bytesOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"))
    expect(parser.next()).toMatchObject({ _tag: "Head" })
    expect(parser.next()).toBe("NeedMore")
    const chunk = Buffer.from("abcd")
    parser.feed(chunk)
    const step = parser.next()
    expect(step !== "NeedMore" && step._tag === "Body" && step.bytes.buffer === chunk.buffer).toBe(true)
    expect(step !== "NeedMore" && step._tag === "Body" && step.bytes.byteOffset === chunk.byteOffset).toBe(true)
    expect(parser.next()).toMatchObject({ _tag: "End", trailers: [] })
    expect(parser.next()).toBe("NeedMore")
  })

  it("gives the fields of a head as they were, however much has been read since", () => {
    const parser = RequestParser.make(Limits.defaults)
    const kept: Array<() => ReadonlyArray<string>> = []
    const stream = Buffer.concat(
      Array.from({ length: 50 }, (_, i) => bytesOf(`GET / HTTP/1.1\r\nHost: a\r\nN: ${i}\r\n\r\n`))
    )
    for (const chunk of cutEvery(stream, 13)) {
      parser.feed(chunk)
      for (let step = parser.next(); step !== "NeedMore"; step = parser.next()) {
        if (step._tag === "Head") kept.push(step.fields)
      }
    }
    expect(kept.map((fields) => fields()[3])).toStrictEqual(Array.from({ length: 50 }, (_, i) => String(i)))
  })

  it("gives the pieces of a body as they were, however much has been read since", () => {
    const parser = RequestParser.make(Limits.defaults)
    const kept: Array<Buffer> = []
    const bytes = Buffer.concat([chunkedPost.bytes, browserGet.bytes, chunkedPost.bytes])
    for (const chunk of cutEvery(bytes, 9)) {
      parser.feed(chunk)
      for (let step = parser.next(); step !== "NeedMore"; step = parser.next()) {
        if (step._tag === "Body") kept.push(step.bytes)
      }
    }
    expect(Buffer.concat(kept).toString()).toBe("hello, world!hello, world!")
  })

  it("forgets one request's connection options, length and expectation before the next", () => {
    const { requests } = converse([
      bytesOf(
        "POST /1 HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx" +
          "GET /2 HTTP/1.0\r\n\r\n" +
          "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: 1\r\n\r\n" +
          "POST /4 HTTP/1.1\r\nHost: \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
      )
    ])
    expect(
      requests.map(({ authority, expectsContinue, framing, keepAlive, offersUpgrade, trailers, url }) => [
        url,
        authority,
        framing._tag,
        keepAlive,
        expectsContinue,
        offersUpgrade,
        trailers.length
      ])
    ).toStrictEqual([
      ["/1", "a", "Length", false, true, true, 0],
      ["/2", "", "None", false, false, false, 0],
      ["/3", "a", "Chunked", true, false, false, 2],
      ["/4", "", "Chunked", true, false, false, 0]
    ])
  })

  it("judges a host anew when it is not the one before", () => {
    const of = (host: string): Buffer => bytesOf(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    expect(converse([of("abc"), of("abc"), of("a@c")]).refused?.reason).toBe("Host")
    expect(converse([of("abc"), of("abd"), of("ABC")]).requests.map(({ authority }) => authority)).toStrictEqual([
      "abc",
      "abd",
      "ABC"
    ])
  })

  it("counts empty lines anew before each request", () => {
    const bytes = bytesOf("\r\n\r\nGET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
    expect(converse([Buffer.concat([bytes, bytes, bytes])]).requests).toHaveLength(3)
  })

  it("takes an empty piece for nothing", () => {
    const { requests } = converse([
      Buffer.alloc(0),
      ...cutEvery(browserGet.bytes, 10).flatMap((chunk) => [chunk, Buffer.alloc(0)])
    ])
    expect(requests).toStrictEqual([{ ...browserGet.meaning, ended: true }])
  })
})

describe("isIdle", () => {
  const idleAfter = (text: string): boolean => converse([bytesOf(text)]).parser.isIdle()

  it("is true before anything, and between requests", () => {
    expect(RequestParser.make(Limits.defaults).isIdle()).toBe(true)
    expect(idleAfter("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).toBe(true)
    expect(idleAfter("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")).toBe(true)
  })

  it("is false from a request's first byte to its last", () => {
    expect(idleAfter("\r")).toBe(false)
    expect(idleAfter("\r\n")).toBe(true)
    expect(idleAfter("G")).toBe(false)
    expect(idleAfter("GET / HTTP/1.1\r\n")).toBe(false)
    expect(idleAfter("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")).toBe(false)
  })

  it("is false while unparsed bytes are buffered", () => {
    const parser = RequestParser.make(Limits.defaults)
    parser.feed(Buffer.concat([nextBytes, nextBytes]))
    expect(parser.isIdle()).toBe(false)
    parser.next()
    expect(parser.isIdle()).toBe(false)
    parser.next()
    expect(parser.isIdle()).toBe(true)
  })
})

describe("takeRest", () => {
  const offer = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"

  it("gives what came after the head, and leaves nothing", () => {
    const parser = RequestParser.make(Limits.defaults)
    parser.feed(bytesOf(`${offer}\x81\x00 raw`))
    expect(parser.next()).toMatchObject({ offersUpgrade: true })
    expect(parser.takeTrailingData().toString("latin1")).toBe("\x81\x00 raw")
    expect(parser.takeTrailingData().length).toBe(0)
    expect(parser.next()).toBe("NeedMore")
    expect(parser.isIdle()).toBe(true)
  })

  it("gives what came after a head that arrived in pieces", () => {
    const parser = RequestParser.make(Limits.defaults)
    parser.feed(bytesOf(offer.slice(0, 40)))
    expect(parser.next()).toBe("NeedMore")
    parser.feed(bytesOf(`${offer.slice(40)}rest`))
    expect(parser.next()).toMatchObject({ offersUpgrade: true })
    expect(parser.takeTrailingData().toString("latin1")).toBe("rest")
  })

  it("gives what came after a body", () => {
    const parser = RequestParser.make(Limits.defaults)
    parser.feed(bytesOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhirest"))
    expect([parser.next(), parser.next(), parser.next()]).toMatchObject([
      { _tag: "Head" },
      { _tag: "Body" },
      { _tag: "End" }
    ])
    expect(parser.takeTrailingData().toString("latin1")).toBe("rest")
  })
})

describe("properties", () => {
  const textOf = (chars: string, constraints: FastCheck.ArrayConstraints): FastCheck.Arbitrary<string> =>
    FastCheck.array(FastCheck.constantFrom(...chars), constraints).map((each) => each.join(""))
  const range = (from: number, to: number): string =>
    String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, i) => from + i))

  const special = /^(host|expect|upgrade|connection|content-length|transfer-encoding)$/i
  const name = textOf("!#$%&'*+-.^_`|~0189abcxyzABCXYZ", { minLength: 1, maxLength: 18 }).filter(
    (each) => !special.test(each)
  )
  const value = textOf(`\t${range(0x20, 0x7e)}${range(0x80, 0xff)}`, { maxLength: 30 }).map((each) =>
    each.replace(/^[ \t]+|[ \t]+$/g, "")
  )
  const blank = textOf(" \t", { maxLength: 3 })
  const field = FastCheck.tuple(name, value, blank, blank)
  const fields = FastCheck.array(field, { maxLength: 8 })
  const linesOf = (all: ReadonlyArray<readonly [string, string, string, string]>): string =>
    all.map(([each, given, before, after]) => `${each}:${before}${given}${after}\r\n`).join("")
  const pairsOf = (all: ReadonlyArray<readonly [string, string, string, string]>): ReadonlyArray<string> =>
    all.flatMap((each) => [each[0], each[1]])

  // RFC 9112 §7.1.1: what stands between the size of a chunk and its line end.
  const token = textOf("!#$%&'*+-.^_`|~09azAZ", { minLength: 1, maxLength: 5 })
  const quoted = FastCheck.array(
    FastCheck.oneof(
      FastCheck.constantFrom(...`\t${range(0x20, 0x7e)}${range(0x80, 0xff)}`).filter((each) => !'"\\'.includes(each)),
      FastCheck.constantFrom(...`\t${range(0x20, 0x7e)}${range(0x80, 0xff)}`).map((each) => `\\${each}`)
    ),
    { maxLength: 5 }
  ).map((each) => `"${each.join("")}"`)
  const assigned = FastCheck.tuple(blank, blank, FastCheck.oneof(token, quoted)).map(
    ([before, after, given]) => `${before}=${after}${given}`
  )
  const extension = FastCheck.tuple(blank, blank, token, FastCheck.option(assigned, { nil: "" })).map(
    ([before, after, named, given]) => `${before};${after}${named}${given}`
  )
  const extensions = FastCheck.array(extension, { maxLength: 3 }).map((each) => each.join(""))

  const byte = range(0, 255)
  const bodyOf = FastCheck.oneof(
    FastCheck.constant({ lines: "", fields: [] as ReadonlyArray<string>, text: "", says: {} }),
    textOf(byte, { minLength: 1, maxLength: 60 }).map((text) => ({
      lines: `Content-Length: ${text.length}\r\n`,
      fields: ["Content-Length", String(text.length)],
      text,
      says: { body: text, framing: { _tag: "Length" as const, length: text.length } }
    })),
    FastCheck.tuple(
      FastCheck.array(FastCheck.tuple(textOf(byte, { minLength: 1, maxLength: 20 }), extensions), { maxLength: 5 }),
      // A name of that many characters is none of those that are dropped.
      FastCheck.array(
        field.map(([each, ...rest]) => [`${each}-longer-than-any-known-one`, ...rest] as const),
        { maxLength: 3 }
      )
    ).map(([chunks, trailers]) => ({
      lines: "Transfer-Encoding: chunked\r\n",
      fields: ["Transfer-Encoding", "chunked"],
      text: `${chunks
        .map(([data, extensions]) => `${data.length.toString(16)}${extensions}\r\n${data}\r\n`)
        .join("")}0\r\n${linesOf(trailers)}\r\n`,
      says: {
        body: chunks.map(([data]) => data).join(""),
        trailers: pairsOf(trailers),
        framing: { _tag: "Chunked" as const }
      }
    }))
  )

  const message = FastCheck.record({
    method: FastCheck.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD"),
    path: textOf(range(0x21, 0x7e).replace("#", ""), { maxLength: 30 }),
    minor: FastCheck.integer({ min: 1, max: 9 }),
    before: fields,
    body: bodyOf,
    after: fields,
    emptyLines: FastCheck.integer({ min: 0, max: 2 })
  }).map(({ after, before, body, emptyLines, method, minor, path }) => ({
    bytes: bytesOf(
      `${"\r\n".repeat(emptyLines)}${method} /${path} HTTP/1.${minor}\r\n` +
        `${linesOf(before)}Host: example.org\r\n${body.lines}${linesOf(after)}\r\n${body.text}`
    ),
    heard: {
      ...plain,
      method,
      target: `/${path}`,
      url: `/${path}`,
      version: `HTTP/1.${minor}`,
      fields: [...pairsOf(before), "Host", "example.org", ...body.fields, ...pairsOf(after)],
      ...body.says,
      ended: true
    }
  }))

  const cuts = FastCheck.array(FastCheck.nat(), { maxLength: 12 })
  const cutBy = (bytes: Buffer, at: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
    const places = [0, ...at.map((each) => each % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
    return places.slice(1).map((place, i) => Buffer.from(bytes.subarray(places[i]!, place)))
  }

  it("reads what was written, however it is cut", () => {
    holds(
      FastCheck.property(FastCheck.array(message, { minLength: 1, maxLength: 4 }), cuts, (messages, at) => {
        const bytes = Buffer.concat(messages.map((each) => each.bytes))
        expect(meant(converse(cutBy(bytes, at)))).toStrictEqual({
          requests: messages.map(({ heard }) => heard),
          refused: undefined
        })
      }),
      400
    )
  })

  it("gives one verdict on any bytes, however they are cut, and neither throws nor loops", () => {
    const fragment = FastCheck.oneof(
      FastCheck.constantFrom(
        ..."\r\n|\r\n\r\n|\r|\n|:|;|,| |\t|GET |POST |/a HTTP/1.1\r\n|HTTP/1.0\r\n|Host: a\r\n|Host: |Content-Length: 3\r\n".split(
          "|"
        ),
        ..."Transfer-Encoding: chunked\r\n|Connection: close\r\n|X: y\r\n|3\r\nabc\r\n|0\r\n|0\r\n\r\n|a;b=c\r\n|CONNECT a:1 ".split(
          "|"
        )
      ),
      textOf(byte, { maxLength: 4 })
    )
    const head = FastCheck.constantFrom(
      "",
      "GET / HTTP/1.1\r\nHost: a\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    const limits = FastCheck.constantFrom<Limits.Options>(
      {},
      {
        maxRequestLine: 16,
        maxHeaderLine: 12,
        maxHeaderSection: 30,
        maxHeaders: 2,
        maxBody: 4,
        maxChunkExtensions: 3,
        maxTrailerSection: 10,
        maxTrailers: 1
      }
    )
    holds(
      FastCheck.property(
        head,
        FastCheck.array(fragment, { maxLength: 30 }),
        cuts,
        limits,
        (start, fragments, at, options) => {
          const bytes = bytesOf(start + fragments.join(""))
          const whole = meant(converse([bytes], options))
          expect(meant(converse(cutBy(bytes, at), options))).toStrictEqual(whole)
          expect(meant(converse(cutEvery(bytes, 1), options))).toStrictEqual(whole)
        }
      ),
      2000
    )
  })

  it("gives one verdict on any good request with one byte changed", () => {
    const row = FastCheck.constantFrom(...[...wellFormed, ...atTheBound])
    holds(
      FastCheck.property(
        row,
        FastCheck.nat(),
        FastCheck.integer({ min: 0, max: 255 }),
        cuts,
        ({ bytes, limits }, at, to, places) => {
          const changed = Buffer.from(bytes)
          changed[at % changed.length] = to
          expect(meant(converse(cutBy(changed, places), limits))).toStrictEqual(meant(converse([changed], limits)))
        }
      ),
      2000
    )
  })
})
