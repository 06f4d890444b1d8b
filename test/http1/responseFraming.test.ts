/** The framing that `ResponseWriter` chooses for a response (RFC 9112 §6.3). */
import { describe, expect, it } from "@effect/vitest"
import type * as ResponseWriter from "../../src/ResponseWriter.js"
import { head, length, linesOf, plain, rejectionReason, writer } from "./writtenHead.js"

const noFraming = { _tag: "None" } as const
const chunked = { _tag: "Chunked" } as const
const untilClose = { _tag: "UntilClose" } as const

const Chunked = "Transfer-Encoding: chunked"
const own = (value: string): ReadonlyArray<string> => ["Content-Length", value]

describe("the framing of a response", () => {
  it.each<
    readonly [
      string,
      Partial<ResponseWriter.ResponseHeadInput>,
      ReadonlyArray<string>,
      ResponseWriter.BodyFraming,
      keepAlive: boolean
    ]
  >([
    ["a known length", { contentLength: 5 }, ["Content-Length: 5"], length(5), true],
    ["no content at all", { contentLength: 0 }, ["Content-Length: 0"], length(0), true],
    ["an unknown length", {}, [Chunked], chunked, true],
    ["a length of the handler's own", { fields: own("7") }, ["Content-Length: 7"], length(7), true],
    [
      "an equal length of the handler's own",
      { fields: own("5"), contentLength: 5 },
      ["Content-Length: 5"],
      length(5),
      true
    ],
    [
      "an own length in another case",
      { fields: ["cONTENT-lENGTH", "5"], contentLength: 5 },
      ["Content-Length: 5"],
      length(5),
      true
    ],
    [
      "an own length with zeros in front",
      { fields: own("007"), contentLength: 7 },
      ["Content-Length: 7"],
      length(7),
      true
    ],
    ["an own length of zero", { fields: own("0"), contentLength: 0 }, ["Content-Length: 0"], length(0), true],
    [
      "the largest own length",
      { fields: own("9".repeat(15)) },
      [`Content-Length: ${"9".repeat(15)}`],
      length(999999999999999),
      true
    ],
    [
      "a connection that ends",
      { contentLength: 5, keepAlive: false },
      ["Connection: close", "Content-Length: 5"],
      length(5),
      false
    ],
    [
      "an unknown length on a connection that ends",
      { keepAlive: false },
      ["Connection: close", Chunked],
      chunked,
      false
    ],
    ["a later minor version", { minor: 7 }, [Chunked], chunked, true],

    ["HEAD with GET's length", { method: "HEAD", contentLength: 5 }, ["Content-Length: 5"], noFraming, true],
    [
      "HEAD with a length of the handler's own",
      { method: "HEAD", fields: own("5"), contentLength: 0 },
      ["Content-Length: 5"],
      noFraming,
      true
    ],
    [
      "HEAD with an own length and the same content",
      { method: "HEAD", fields: own("5"), contentLength: 5 },
      ["Content-Length: 5"],
      noFraming,
      true
    ],
    [
      "HEAD with an own length and unknown content",
      { method: "HEAD", fields: own("5") },
      ["Content-Length: 5"],
      noFraming,
      true
    ],
    ["HEAD with an unknown length", { method: "HEAD" }, [], noFraming, true],
    [
      "HEAD with an unknown length in HTTP/1.0",
      { method: "HEAD", minor: 0 },
      ["Connection: keep-alive"],
      noFraming,
      true
    ],

    ["204", { status: 204 }, [], noFraming, true],
    ["204 with content", { status: 204, contentLength: 5 }, [], noFraming, true],
    ["204 with an own length", { status: 204, fields: own("5"), contentLength: 0 }, [], noFraming, true],
    ["205", { status: 205 }, ["Content-Length: 0"], noFraming, true],
    ["205 with content", { status: 205, contentLength: 5 }, ["Content-Length: 0"], noFraming, true],
    [
      "205 with an own length",
      { status: 205, fields: own("5"), contentLength: 3 },
      ["Content-Length: 0"],
      noFraming,
      true
    ],
    ["304", { status: 304 }, [], noFraming, true],
    ["304 with content", { status: 304, contentLength: 5 }, [], noFraming, true],
    [
      "304 with an own length",
      { status: 304, fields: own("5"), contentLength: 0 },
      ["Content-Length: 5"],
      noFraming,
      true
    ],
    ["204 to HEAD", { status: 204, method: "HEAD", contentLength: 5 }, [], noFraming, true],
    ["204 in HTTP/1.0 need not close", { status: 204, minor: 0 }, ["Connection: keep-alive"], noFraming, true],

    [
      "HTTP/1.0 with a length",
      { minor: 0, contentLength: 5 },
      ["Connection: keep-alive", "Content-Length: 5"],
      length(5),
      true
    ],
    [
      "HTTP/1.0 with a length, which ends",
      { minor: 0, contentLength: 5, keepAlive: false },
      ["Connection: close", "Content-Length: 5"],
      length(5),
      false
    ],
    [
      "HTTP/1.0 with an own length",
      { minor: 0, fields: own("5") },
      ["Connection: keep-alive", "Content-Length: 5"],
      length(5),
      true
    ],
    ["HTTP/1.0 with an unknown length knows no chunks", { minor: 0 }, ["Connection: close"], untilClose, false],
    [
      "HTTP/1.0 with an unknown length, which ends",
      { minor: 0, keepAlive: false },
      ["Connection: close"],
      untilClose,
      false
    ]
  ])("%s", (_, outline, lines, framing, reuse) => {
    const written = head(outline)
    expect(linesOf(written.text)).toStrictEqual(lines)
    expect(written.framing).toStrictEqual(framing)
    expect(written.keepAlive).toBe(reuse)
  })

  it.each<readonly [string, Partial<ResponseWriter.ResponseHeadInput>, string]>([
    ["an own length that is too short", { fields: own("4"), contentLength: 5 }, "ContentTooLong"],
    ["an own length that is too long", { fields: own("6"), contentLength: 5 }, "ContentTooShort"],
    ["an own length and no content", { fields: own("6"), contentLength: 0 }, "ContentTooShort"],
    ["an own length of zero and content", { fields: own("0"), contentLength: 1 }, "ContentTooLong"],
    [
      "HEAD with an own length that GET's content would break",
      { method: "HEAD", fields: own("4"), contentLength: 5 },
      "ContentTooLong"
    ],
    ["two own lengths", { fields: [...own("5"), ...own("6")] }, "HeaderValue"],
    ["two own lengths, equal", { fields: [...own("5"), "content-length", "5"] }, "HeaderValue"],
    ...["", " 5", "5 ", "+5", "-5", "5.0", "0x5", "5,5", "1e3", "five", "9".repeat(16)].map(
      (value) => [`the own length ${JSON.stringify(value)}`, { fields: own(value) }, "HeaderValue"] as const
    ),
    ["a bad own length that would be left out", { status: 204, fields: own("x") }, "HeaderValue"],
    ["Transfer-Encoding: chunked", { fields: ["Transfer-Encoding", "chunked"] }, "HeaderForbidden"],
    ["Transfer-Encoding in another case", { fields: ["tRANSFER-eNCODING", "gzip"] }, "HeaderForbidden"],
    [
      "Transfer-Encoding beside a length",
      { fields: ["Transfer-Encoding", "chunked"], contentLength: 5 },
      "HeaderForbidden"
    ],
    ["Transfer-Encoding with 204", { status: 204, fields: ["Transfer-Encoding", ""] }, "HeaderForbidden"]
  ])("is rejected for %s", (_, outline, reason) => {
    expect(rejectionReason(writer.head({ ...plain, ...outline }))).toBe(reason)
  })
})
