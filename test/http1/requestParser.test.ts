/** `RequestParser`: default limits, feeding, idleness and trailing data. */
import { describe, expect, it } from "vitest"
import * as Limits from "../../src/Limits.js"
import * as RequestParser from "../../src/RequestParser.js"
import { bytesOf } from "../fixtures/messages/message.js"
import { browserGet, chunkedPost } from "../fixtures/messages/wellFormed.js"
import { converse, cutEvery } from "./conversation.js"
import { growth, linear } from "./growth.js"

const nextBytes = bytesOf("PUT / HTTP/1.1\r\nHost: b\r\n\r\n")

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

describe("an unlimited body length", () => {
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

  it("does not change the fields of a head when more is parsed", () => {
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

  it("does not change the pieces of a body when more is parsed", () => {
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

  it("validates a host that differs from the one before", () => {
    const of = (host: string): Buffer => bytesOf(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    expect(converse([of("abc"), of("abc"), of("a@c")]).refused?.reason).toBe("Host")
    expect(converse([of("abc"), of("abd"), of("ABC")]).requests.map(({ authority }) => authority)).toStrictEqual([
      "abc",
      "abd",
      "ABC"
    ])
  })

  it("counts empty lines separately before each request", () => {
    const bytes = bytesOf("\r\n\r\nGET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
    expect(converse([Buffer.concat([bytes, bytes, bytes])]).requests).toHaveLength(3)
  })

  it("ignores an empty chunk", () => {
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

describe("takeTrailingData", () => {
  const offer = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"

  it("returns the bytes after the head, and keeps none", () => {
    const parser = RequestParser.make(Limits.defaults)
    parser.feed(bytesOf(`${offer}\x81\x00 raw`))
    expect(parser.next()).toMatchObject({ offersUpgrade: true })
    expect(parser.takeTrailingData().toString("latin1")).toBe("\x81\x00 raw")
    expect(parser.takeTrailingData().length).toBe(0)
    expect(parser.next()).toBe("NeedMore")
    expect(parser.isIdle()).toBe(true)
  })

  it("returns the bytes after a head that arrived in pieces", () => {
    const parser = RequestParser.make(Limits.defaults)
    parser.feed(bytesOf(offer.slice(0, 40)))
    expect(parser.next()).toBe("NeedMore")
    parser.feed(bytesOf(`${offer.slice(40)}rest`))
    expect(parser.next()).toMatchObject({ offersUpgrade: true })
    expect(parser.takeTrailingData().toString("latin1")).toBe("rest")
  })

  it("returns the bytes after a body", () => {
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
