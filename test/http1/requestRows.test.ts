/** `RequestParser` on every row of `fixtures/messages`, whole and cut anywhere. */
import { describe, expect, it } from "vitest"
import { atTheBound, oneOver } from "../fixtures/messages/limits.js"
import { malformed } from "../fixtures/messages/malformed.js"
import { bytesOf, type Malformed, plain, type WellFormed } from "../fixtures/messages/message.js"
import { wellFormed } from "../fixtures/messages/wellFormed.js"
import { type Conversation, converse, cutAt, cutEvery, meant } from "./conversation.js"

const nextBytes = bytesOf("PUT / HTTP/1.1\r\nHost: b\r\n\r\n")
const nextParsed = { ...plain, method: "PUT", authority: "b", fields: ["Host", "b"], ended: true }

const everyCut = function* (bytes: Buffer): Iterable<ReadonlyArray<Buffer>> {
  yield cutEvery(bytes, 1)
  yield cutEvery(bytes, 2)
  for (let at = 1; at < bytes.length; at++) yield cutAt(bytes, at)
}

describe.each<readonly [string, ReadonlyArray<WellFormed>]>([
  ["well-formed requests", wellFormed],
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
    const expected = { requests: [{ ...meaning, ended: true }, nextParsed], refused: undefined }
    const both = Buffer.concat([bytes, nextBytes])
    expect(meant(converse([both], limits))).toStrictEqual(expected)
    for (const chunks of everyCut(both)) expect(meant(converse(chunks, limits))).toStrictEqual(expected)
  })

  it.each(rows)("$title, and another request before it", ({ bytes, limits, meaning }) => {
    const expected = { requests: [nextParsed, { ...meaning, ended: true }], refused: undefined }
    const both = Buffer.concat([nextBytes, bytes])
    expect(meant(converse([both], limits))).toStrictEqual(expected)
    expect(meant(converse(cutEvery(both, 1), limits))).toStrictEqual(expected)
  })

  it.each(rows)("$title, is not over before its last byte", ({ bytes, limits }) => {
    for (let at = 1; at < bytes.length; at++) {
      const { parser, refused, requests } = converse([bytes.subarray(0, at)], limits)
      expect(refused).toBe(undefined)
      expect(requests.some(({ ended }) => ended)).toBe(false)
      // Empty lines before a request are not part of it: a connection that has received only those is idle.
      expect(parser.isIdle()).toBe(/^(\r\n)*$/.test(bytes.toString("latin1", 0, at)))
    }
  })
})

describe.each<readonly [string, ReadonlyArray<Malformed>]>([
  ["malformed requests", malformed],
  ["limits exceeded by one", oneOver]
])("%s", (_, rows) => {
  const check = (parsed: Conversation, { bodyBefore, reason, status }: Malformed): void => {
    expect({ reason: parsed.refused?.reason, status: parsed.refused?.status }).toStrictEqual({ reason, status })
    expect(parsed.requests.map(({ body, ended }) => ({ body, ended }))).toStrictEqual(
      bodyBefore === undefined ? [] : [{ body: bodyBefore, ended: false }]
    )
  }

  it.each(rows)("$title", (row) => {
    const whole = converse([row.bytes], row.limits)
    check(whole, row)
    // The same result, `actual` included, however the bytes are cut, and whatever follows them.
    const both = Buffer.concat([row.bytes, nextBytes])
    expect(meant(converse([both], row.limits))).toStrictEqual(meant(whole))
    for (const chunks of everyCut(both)) expect(meant(converse(chunks, row.limits))).toStrictEqual(meant(whole))
  })

  it.each(rows)("$title, and the parser stays malformed", (row) => {
    const { parser, refused } = converse([row.bytes], row.limits)
    expect(refused).not.toBe(undefined)
    expect(parser.next()).toBe(refused)
    parser.feed(nextBytes)
    expect(parser.next()).toBe(refused)
    parser.feed(bytesOf("\r\n\r\n"))
    expect(parser.next()).toBe(refused)
    expect(parser.isIdle()).toBe(false)
  })

  it.each(rows)("$title, after a well-formed request, which is still parsed", (row) => {
    const parsed = converse([Buffer.concat([nextBytes, row.bytes])], row.limits)
    expect(parsed.requests[0]).toStrictEqual(nextParsed)
    check({ ...parsed, requests: parsed.requests.slice(1) }, row)
  })
})

describe("the rows themselves", () => {
  it("have titles that differ", () => {
    const titles = [...wellFormed, ...atTheBound, ...malformed, ...oneOver].map(({ title }) => title)
    expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toStrictEqual([])
  })

  it("cover every reason that a parser can return", () => {
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
