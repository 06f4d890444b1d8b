import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as HttpCode from "../../src/HttpCode.js"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import { holds } from "../fixtures/holds.js"
import { growth, linear } from "./growth.js"

const writer = ResponseWriter.make()

const date = "Sun, 06 Nov 1994 08:49:37 GMT"

/** A GET of HTTP/1.1 on a connection that may continue, answered 200 without fields, the length of its content unknown. */
const plain: ResponseWriter.ResponseHeadInput = {
  status: 200,
  fields: [],
  contentLength: undefined,
  method: "GET",
  minor: 1,
  keepAlive: true,
  date
}

const head = (outline: Partial<ResponseWriter.ResponseHeadInput>): ResponseWriter.WrittenHead => {
  const written = writer.head({ ...plain, ...outline })
  if (written._tag === "InvalidResponse") throw new Error(`refused: ${written.reason}: ${written.actual}`)
  return written
}

/** The lines after the status line, without the empty one, and without `Date`. */
const linesOf = (text: string): ReadonlyArray<string> => {
  expect(text.endsWith("\r\n\r\n")).toBe(true)
  return text
    .slice(0, -4)
    .split("\r\n")
    .slice(1)
    .filter((line) => line !== `Date: ${date}`)
}

const refusal = (response: string | ResponseWriter.WrittenHead | ResponseWriter.InvalidResponse): string | undefined =>
  typeof response !== "string" && response._tag === "InvalidResponse" ? response.reason : undefined

const noFraming = { _tag: "None" } as const
const chunked = { _tag: "Chunked" } as const
const untilClose = { _tag: "UntilClose" } as const
const length = (bytes: number) => ({ _tag: "Length", length: bytes }) as const

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
    expect(refusal(writer.head({ ...plain, ...outline }))).toBe(reason)
  })
})

describe("Connection", () => {
  const connectionOf = (outline: Partial<ResponseWriter.ResponseHeadInput>, ...values: ReadonlyArray<string>) => {
    const { keepAlive: reuse, text } = head({
      contentLength: 0,
      ...outline,
      fields: values.flatMap((value) => ["Connection", value])
    })
    return [linesOf(text).filter((line) => /^connection:/i.test(line)), reuse]
  }

  it.each<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>, boolean]>([
    ["close", ["close"], ["Connection: close"], false],
    ["close, case-blind", ["CLOSE"], ["Connection: close"], false],
    ["close in a list with tabs", ["a,\tclose\t,b"], ["Connection: close, a, b"], false],
    ["close in the second field", ["a", "close"], ["Connection: close, a"], false],
    ["close twice is said once", ["close", "close"], ["Connection: close"], false],
    ["keep-alive is nothing to say", ["keep-alive"], [], true],
    ["another option is kept as it is", ["X-Y, z"], ["Connection: X-Y, z"], true],
    ["upgrade comes first, once", ["X-Y, Upgrade", "upgrade"], ["Connection: upgrade, X-Y"], true],
    ["empty members are left out", [",, a ,,"], ["Connection: a"], true],
    ["an empty value", [""], [], true],
    ["an option that only begins with close", ["closed"], ["Connection: closed"], true]
  ])("of the handler's own: %s", (_, values, lines, reuse) => {
    expect(connectionOf({}, ...values)).toStrictEqual([lines, reuse])
  })

  it("never says keep-alive on a connection that ends", () => {
    expect(connectionOf({ keepAlive: false }, "keep-alive, a")).toStrictEqual([["Connection: close, a"], false])
    expect(connectionOf({ minor: 0, keepAlive: false }, "keep-alive")).toStrictEqual([["Connection: close"], false])
  })

  it("echoes keep-alive to HTTP/1.0, once", () => {
    expect(connectionOf({ minor: 0 })).toStrictEqual([["Connection: keep-alive"], true])
    expect(connectionOf({ minor: 0 }, "Keep-Alive, a")).toStrictEqual([["Connection: keep-alive, a"], true])
    expect(connectionOf({ minor: 0 }, "close")).toStrictEqual([["Connection: close"], false])
  })

  it("costs no more than its bytes", () => {
    const grown = growth((bytes) => {
      const fields = ["Connection", `a${" ".repeat(bytes)}b`]
      return () => head({ fields })
    })
    expect(grown).toBeLessThan(linear)
  })
})

describe("Keep-Alive", () => {
  const keepAliveHint = "timeout=75, max=100"
  const hintOf = (outline: Partial<ResponseWriter.ResponseHeadInput>, ...fields: ReadonlyArray<string>) => {
    const { text } = head({ contentLength: 0, keepAliveHint, ...outline, fields })
    return linesOf(text).filter((line) => /^(connection|keep-alive):/i.test(line))
  }
  const hint = "Keep-Alive: timeout=75, max=100"

  it.each<readonly [string, Partial<ResponseWriter.ResponseHeadInput>, ReadonlyArray<string>, ReadonlyArray<string>]>([
    ["is sent on a connection that goes on", {}, [], ["Connection: keep-alive", hint]],
    ["is sent to HTTP/1.0 that is kept", { minor: 0 }, [], ["Connection: keep-alive", hint]],
    ["is sent with HEAD", { method: "HEAD" }, [], ["Connection: keep-alive", hint]],
    ["is sent with a 204", { status: 204 }, [], ["Connection: keep-alive", hint]],
    ["is sent with chunks", { contentLength: undefined }, [], ["Connection: keep-alive", hint]],
    ["is not sent with close", { keepAlive: false }, [], ["Connection: close"]],
    ["is not sent with the handler's close", {}, ["Connection", "close"], ["Connection: close"]],
    ["is not sent where the end ends the content", { contentLength: undefined, minor: 0 }, [], ["Connection: close"]],
    ["is not sent where there is none", { keepAliveHint: undefined }, [], []],
    [
      "gives way to the handler's own",
      {},
      ["Keep-Alive", "timeout=3"],
      ["Connection: keep-alive", "Keep-Alive: timeout=3"]
    ],
    [
      "gives way to it in any case",
      {},
      ["keep-alive", "timeout=3"],
      ["Connection: keep-alive", "Keep-Alive: timeout=3"]
    ],
    [
      "of the handler's own is sent where the server has none",
      { keepAliveHint: undefined },
      ["Keep-Alive", "timeout=3"],
      ["Connection: keep-alive", "Keep-Alive: timeout=3"]
    ],
    [
      "of the handler's own is not sent with close",
      { keepAlive: false },
      ["Keep-Alive", "timeout=3"],
      ["Connection: close"]
    ],
    ["is sent beside the handler's keep-alive", {}, ["Connection", "keep-alive"], ["Connection: keep-alive", hint]],
    [
      "is sent beside its keep-alive among others",
      {},
      ["Connection", "x, Keep-Alive"],
      ["Connection: keep-alive, x", hint]
    ],
    ["is left out where the handler decides of Connection", {}, ["Connection", "x"], ["Connection: x"]],
    ["is sent beside an offer of the server's", {}, ["Upgrade", "h2c"], ["Connection: keep-alive, upgrade", hint]],
    ["is left out beside an empty Connection no more", {}, ["Connection", ""], ["Connection: keep-alive", hint]]
  ])("%s", (_, outline, fields, lines) => {
    expect(hintOf(outline, ...fields)).toStrictEqual(lines)
  })

  it("is that of each response, whatever the one before it had", () => {
    for (const each of ["timeout=1", "timeout=2", undefined, "timeout=1"]) {
      expect(hintOf({ keepAliveHint: each })).toStrictEqual(
        each === undefined ? [] : ["Connection: keep-alive", `Keep-Alive: ${each}`]
      )
    }
  })

  it("is not written when it cannot be, and is that of one field", () => {
    const refused = (...fields: ReadonlyArray<string>) => writer.head({ ...plain, keepAliveHint, fields })
    expect(refused("Keep-Alive", "a\r\nb")).toMatchObject({ _tag: "InvalidResponse", reason: "HeaderValue" })
    expect(hintOf({}, "Keep-Alive", "timeout=3", "keep-alive", "max=5")).toStrictEqual([
      "Connection: keep-alive",
      "Keep-Alive: timeout=3, max=5"
    ])
  })
})

describe("the status line and the fields", () => {
  it("has one line for every code, with the phrase or without one", () => {
    for (let status = 200; status <= 599; status++) {
      const first = head({ status }).text.split("\r\n")[0]
      expect(first).toBe(`HTTP/1.1 ${status} ${HttpCode.phrase(status) ?? ""}`)
    }
    expect(head({ status: 299 }).text.startsWith("HTTP/1.1 299 \r\n")).toBe(true)
  })

  it("answers HTTP/1.0 as HTTP/1.1, as RFC 9110 §6.2 says", () => {
    expect(head({ minor: 0 }).text.startsWith("HTTP/1.1 200 OK\r\n")).toBe(true)
  })

  it("has a Date, the handler's own if there is one", () => {
    expect(head({}).text).toContain(`\r\nDate: ${date}\r\n`)
    const other = "Mon, 07 Nov 1994 08:49:37 GMT"
    expect(head({ fields: ["dAte", other] }).text.match(/^date:.*$/gim)).toStrictEqual([`dAte: ${other}`])
    expect(head({ status: 304 }).text).toContain(`Date: ${date}`)
  })

  it("names Upgrade in Connection once, and needs a protocol in it", () => {
    const fields = ["Upgrade", "h2c", "Connection", "Upgrade"]
    expect(head({ status: 426, fields }).text.match(/^connection:.*$/gim)).toStrictEqual(["Connection: upgrade"])
    expect(writer.head({ ...plain, fields: ["Upgrade", ""] })).toMatchObject({ reason: "HeaderValue" })
  })

  it("has one Date at most", () => {
    const fields = ["Date", date, "date", date]
    expect(writer.head({ ...plain, fields })).toMatchObject({ reason: "HeaderValue", actual: "Date: twice" })
  })

  it("sends no whitespace around a value", () => {
    const lines = linesOf(head({ fields: ["X-A", " \t a b\t ", "X-B", " "], contentLength: 0 }).text)
    expect(lines).toStrictEqual(["X-A: a b", "X-B: ", "Content-Length: 0"])
  })

  it("keeps the case, the order and the repetition of names", () => {
    const fields = ["x-b", "1", "Set-Cookie", "a=1", "X-A", "", "set-cookie", "b=2, c"]
    expect(linesOf(head({ fields, contentLength: 0 }).text)).toStrictEqual([
      "x-b: 1",
      "Set-Cookie: a=1",
      "X-A: ",
      "set-cookie: b=2, c",
      "Content-Length: 0"
    ])
  })

  it("takes names for no others that are as long", () => {
    const fields = ["Data", "1", "Connectioo", "close", "Content-Lengti", "x", "Transfer-Encodinh", "chunked"]
    const { framing, keepAlive: reuse, text } = head({ fields, contentLength: 0 })
    expect(linesOf(text)).toStrictEqual([
      "Data: 1",
      "Connectioo: close",
      "Content-Lengti: x",
      "Transfer-Encodinh: chunked",
      "Content-Length: 0"
    ])
    expect([framing, reuse]).toStrictEqual([length(0), true])
    expect(text).toContain(`Date: ${date}`)
  })

  it("writes tabs and latin1", () => {
    expect(linesOf(head({ fields: ["A", "b\tc\xff\x80\xa0"], contentLength: 0 }).text)[0]).toBe("A: b\tc\xff\x80\xa0")
  })
})

const badNames = [
  "",
  " ",
  "A B",
  "A ",
  " A",
  "A:",
  "A\r\nB",
  "A\r",
  "A\n",
  "A\0",
  "A\t",
  "Ä",
  "A\u{1F600}",
  "A(",
  'A"',
  "A\x7f",
  "\u0141"
]
const badValues = [
  "\r",
  "\n",
  "a\r\nB: c",
  "a\nB",
  "a\rB",
  "\0",
  "a\0",
  "\x1b[2J",
  "\x7f",
  "\x1f",
  "Ā",
  "€",
  "a\u{1F600}",
  "\u{10d}\u{10a}",
  "\ud800"
]

describe("fields that must not be written", () => {
  const everywhere = (fields: ReadonlyArray<string>): ReadonlyArray<string | undefined> => [
    refusal(writer.head({ ...plain, fields })),
    refusal(writer.head({ ...plain, fields: ["A", "b", ...fields, "C", "d"] })),
    refusal(writer.headWithoutFraming(103, fields)),
    refusal(writer.lastChunk(fields))
  ]

  it.each(badNames)("the name %j", (name) => {
    expect(everywhere([name, "x"])).toStrictEqual(Array(4).fill("HeaderName"))
  })

  it.each(badValues)("the value %j", (value) => {
    expect(everywhere(["X", value])).toStrictEqual(Array(4).fill("HeaderValue"))
  })

  it.each(["Date", "Connection", "Content-Length", "Transfer-Encoding"])(
    "a bad value of %s, which is looked at closer",
    (name) => {
      for (const value of badValues)
        expect(refusal(writer.head({ ...plain, fields: [name, value] }))).toBe("HeaderValue")
    }
  )

  it("say what was seen", () => {
    expect(writer.head({ ...plain, fields: ["A", "b\r\nC: d"] })).toStrictEqual({
      _tag: "InvalidResponse",
      reason: "HeaderValue",
      actual: "A: b\r\nC: d"
    })
    expect(writer.lastChunk(["A B", "c"])).toStrictEqual({
      _tag: "InvalidResponse",
      reason: "HeaderName",
      actual: "A B"
    })
  })
})

describe("interim responses", () => {
  it("have a status line and fields, neither Date nor framing", () => {
    expect(writer.headWithoutFraming(100, [])).toBe("HTTP/1.1 100 Continue\r\n\r\n")
    expect(writer.headWithoutFraming(103, ["Link", "</a.css>; rel=preload", "link", "</b.js>"])).toBe(
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.js>\r\n\r\n"
    )
    expect(writer.headWithoutFraming(101, ["Connection", "Upgrade", "Upgrade", "websocket"])).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
  })

  it.each(["Content-Length", "content-LENGTH", "Transfer-Encoding", "transfer-encodinG"])("refuse %s", (name) => {
    expect(writer.headWithoutFraming(103, [name, "0"])).toStrictEqual({
      _tag: "InvalidResponse",
      reason: "HeaderForbidden",
      actual: name
    })
  })
})

describe("chunks", () => {
  it("begin with their size in hexadecimal digits", () => {
    expect([1, 9, 10, 255, 65536].map(writer.chunkHead)).toStrictEqual([
      "1\r\n",
      "9\r\n",
      "a\r\n",
      "ff\r\n",
      "10000\r\n"
    ])
  })

  it("end with a last one, with its trailers in their order", () => {
    expect(writer.lastChunk([])).toBe("0\r\n\r\n")
    expect(writer.lastChunk(["X-Sum", "abc", "x-sum", "", "ETag", '"a"'])).toBe(
      '0\r\nX-Sum: abc\r\nx-sum: \r\nETag: "a"\r\n\r\n'
    )
  })

  it.each([
    "Content-Length",
    "Transfer-Encoding",
    "Host",
    "Trailer",
    "Content-Encoding",
    "Content-Type",
    "Content-Range",
    "Set-Cookie",
    "Authorization",
    "WWW-Authenticate",
    "Cache-Control",
    "Expires",
    "Age",
    "Date",
    "Location",
    "Retry-After",
    "Vary",
    "Connection",
    "Upgrade",
    "If-Match",
    "tRAILER"
  ])("refuse the trailer %s", (name) => {
    expect(writer.lastChunk(["X-Sum", "abc", name, "1"])).toStrictEqual({
      _tag: "InvalidResponse",
      reason: "HeaderForbidden",
      actual: name
    })
  })
})

describe("the service", () => {
  it.effect("gives a writer, which keeps nothing between two answers", () =>
    Effect.gen(function* () {
      const service = yield* ResponseWriter.ResponseWriter
      const { head: headOf } = service.make()
      const closing = headOf({ ...plain, fields: ["Connection", "close, a", "Content-Length", "3", "Date", "x"] })
      expect(closing._tag).toBe("Written")
      expect(headOf(plain)).toStrictEqual(writer.head(plain))
      expect(headOf({ ...plain, fields: ["A", "b"] })).toStrictEqual(writer.head({ ...plain, fields: ["A", "b"] }))
    }).pipe(Effect.provide(ResponseWriter.layer))
  )
})

describe("properties", () => {
  const soup = (most: number) =>
    FastCheck.oneof(
      FastCheck.string({ maxLength: most }),
      FastCheck.fullUnicodeString({ maxLength: most }),
      FastCheck.array(FastCheck.constantFrom(...'aB-: \t\r\n\0\x7f\xff\u0100\u010a\u010d,;"'), { maxLength: most }).map(
        (all) => all.join("")
      ),
      FastCheck.constantFrom(
        "Date",
        "Connection",
        "content-length",
        "Transfer-Encoding",
        "Set-Cookie",
        "Host",
        "5",
        "close",
        "keep-alive, x"
      )
    )
  const tame = FastCheck.tuple(
    FastCheck.constantFrom(
      "Date",
      "connection",
      "CONNECTION",
      "Content-Length",
      "X",
      "Set-Cookie",
      "a!b",
      "Content-Lengths"
    ),
    FastCheck.constantFrom("", "5", "close", "keep-alive", "Upgrade, close", "a", "\xff", "a b\tc", "x, y")
  )
  const fields = FastCheck.array(
    FastCheck.oneof({ weight: 4, arbitrary: tame }, { weight: 1, arbitrary: FastCheck.tuple(soup(12), soup(20)) }),
    {
      maxLength: 6
    }
  )
  const mayBeWritten = (fields: ReadonlyArray<readonly [string, string]>): boolean =>
    fields.every(
      ([name, value]) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
    )

  const outline = FastCheck.record({
    status: FastCheck.oneof(FastCheck.integer({ min: 200, max: 599 }), FastCheck.constantFrom(204, 205, 304)),
    contentLength: FastCheck.option(FastCheck.constantFrom(0, 5), { nil: undefined }),
    method: FastCheck.constantFrom("GET" as const, "HEAD" as const, "POST" as const),
    minor: FastCheck.constantFrom(0, 1),
    keepAlive: FastCheck.boolean()
  })

  /** A field on the wire: without the whitespace around its value. */
  const lineOf = ([name, value]: readonly [string, string]): string =>
    `${name}: ${value.replace(/^[ \t]+|[ \t]+$/g, "")}`

  it("a head is rejected, or has exactly the lines it should have, and one framing", () => {
    let written = 0
    holds(
      FastCheck.property(outline, fields, (given, all) => {
        const response = writer.head({ ...given, fields: all.flat(), date })
        if (!mayBeWritten(all)) {
          expect(response._tag).toBe("InvalidResponse")
          return
        }
        if (response._tag === "InvalidResponse") return
        written++
        expect(response.text.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/)
        const lines = response.text.split("\r\n")
        expect(lines.splice(-2)).toStrictEqual(["", ""])
        expect(lines.shift()).toMatch(new RegExp(`^HTTP/1\\.1 ${given.status} `))
        const isOurs = (line: string): boolean => /^(date|connection|content-length|transfer-encoding):/i.test(line)
        // The handler's own fields, each on a line of its own, in their order.
        expect(lines.filter((line) => !isOurs(line))).toStrictEqual(all.map(lineOf).filter((line) => !isOurs(line)))
        const count = (name: RegExp): number => lines.filter((line) => name.test(line)).length
        expect(count(/^date:/i)).toBe(1)
        expect(count(/^connection:/i)).toBeLessThanOrEqual(1)
        expect(count(/^(content-length|transfer-encoding):/i)).toBeLessThanOrEqual(1)
        // RFC 9112 §6.3: what the head says and what the framing is are one thing.
        const says =
          count(/^transfer-encoding: chunked$/i) === 1
            ? "Chunked"
            : count(/^content-length: [0-9]+$/i) === 1
              ? "Length"
              : "UntilClose"
        const isBodiless =
          given.method === "HEAD" || given.status === 204 || given.status === 205 || given.status === 304
        expect(response.framing._tag).toBe(isBodiless ? "None" : says)
        if (given.minor === 0) expect(says).not.toBe("Chunked")
        expect(response.keepAlive).toBe(count(/^connection: close(,|$)/i) === 0)
        if (response.framing._tag === "UntilClose" || !given.keepAlive) expect(response.keepAlive).toBe(false)
      }),
      2000
    )
    expect(written).toBeGreaterThan(200)
  })

  it("interim heads and trailers are rejected, or have exactly the lines that were given", () => {
    holds(
      FastCheck.property(fields, (all) => {
        const lines = all.map((field) => `${lineOf(field)}\r\n`).join("")
        for (const [response, text] of [
          [writer.headWithoutFraming(103, all.flat()), `HTTP/1.1 103 Early Hints\r\n${lines}\r\n`],
          [writer.lastChunk(all.flat()), `0\r\n${lines}\r\n`]
        ] as const) {
          if (typeof response === "string") expect([response, mayBeWritten(all)]).toStrictEqual([text, true])
          else if (mayBeWritten(all)) expect(response.reason).toBe("HeaderForbidden")
        }
      }),
      1000
    )
  })
})
