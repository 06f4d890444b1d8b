/** Status line, fields, `Connection` and `Keep-Alive` that `ResponseWriter` writes. */
import { describe, expect, it } from "@effect/vitest"
import * as HttpCode from "../../src/HttpCode.js"
import type * as ResponseWriter from "../../src/ResponseWriter.js"
import { growth, linear } from "./growth.js"
import { date, head, length, linesOf, plain, rejectionReason, writer } from "./writtenHead.js"

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
    ["close twice is sent once", ["close", "close"], ["Connection: close"], false],
    ["keep-alive is not sent", ["keep-alive"], [], true],
    ["another option is kept as it is", ["X-Y, z"], ["Connection: X-Y, z"], true],
    ["upgrade comes first, once", ["X-Y, Upgrade", "upgrade"], ["Connection: upgrade, X-Y"], true],
    ["empty members are left out", [",, a ,,"], ["Connection: a"], true],
    ["an empty value", [""], [], true],
    ["an option that only begins with close", ["closed"], ["Connection: closed"], true]
  ])("of the handler's own: %s", (_, values, lines, reuse) => {
    expect(connectionOf({}, ...values)).toStrictEqual([lines, reuse])
  })

  it("never sends keep-alive on a connection that ends", () => {
    expect(connectionOf({ keepAlive: false }, "keep-alive, a")).toStrictEqual([["Connection: close, a"], false])
    expect(connectionOf({ minor: 0, keepAlive: false }, "keep-alive")).toStrictEqual([["Connection: close"], false])
  })

  it("echoes keep-alive to HTTP/1.0, once", () => {
    expect(connectionOf({ minor: 0 })).toStrictEqual([["Connection: keep-alive"], true])
    expect(connectionOf({ minor: 0 }, "Keep-Alive, a")).toStrictEqual([["Connection: keep-alive, a"], true])
    expect(connectionOf({ minor: 0 }, "close")).toStrictEqual([["Connection: close"], false])
  })

  it("takes time linear in its bytes", () => {
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
    ["is sent on a persistent connection", {}, [], ["Connection: keep-alive", hint]],
    ["is sent to HTTP/1.0 that is kept", { minor: 0 }, [], ["Connection: keep-alive", hint]],
    ["is sent with HEAD", { method: "HEAD" }, [], ["Connection: keep-alive", hint]],
    ["is sent with a 204", { status: 204 }, [], ["Connection: keep-alive", hint]],
    ["is sent with chunks", { contentLength: undefined }, [], ["Connection: keep-alive", hint]],
    ["is not sent with close", { keepAlive: false }, [], ["Connection: close"]],
    ["is not sent with the handler's close", {}, ["Connection", "close"], ["Connection: close"]],
    [
      "is not sent if the end of the connection ends the content",
      { contentLength: undefined, minor: 0 },
      [],
      ["Connection: close"]
    ],
    ["is not sent if the server has none", { keepAliveHint: undefined }, [], []],
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
    ["is left out if the handler sets another Connection", {}, ["Connection", "x"], ["Connection: x"]],
    ["is sent beside an offer of the server's", {}, ["Upgrade", "h2c"], ["Connection: keep-alive, upgrade", hint]],
    ["is sent beside an empty Connection", {}, ["Connection", ""], ["Connection: keep-alive", hint]]
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
    const rejected = (...fields: ReadonlyArray<string>) => writer.head({ ...plain, keepAliveHint, fields })
    expect(rejected("Keep-Alive", "a\r\nb")).toMatchObject({ _tag: "InvalidResponse", reason: "HeaderValue" })
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

  it("sends HTTP/1.1 to HTTP/1.0 too (RFC 9110 §6.2)", () => {
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

  it("does not confuse names of the same length", () => {
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
    rejectionReason(writer.head({ ...plain, fields })),
    rejectionReason(writer.head({ ...plain, fields: ["A", "b", ...fields, "C", "d"] })),
    rejectionReason(writer.headWithoutFraming(103, fields)),
    rejectionReason(writer.lastChunk(fields))
  ]

  it.each(badNames)("the name %j", (name) => {
    expect(everywhere([name, "x"])).toStrictEqual(Array(4).fill("HeaderName"))
  })

  it.each(badValues)("the value %j", (value) => {
    expect(everywhere(["X", value])).toStrictEqual(Array(4).fill("HeaderValue"))
  })

  it.each(["Date", "Connection", "Content-Length", "Transfer-Encoding"])(
    "a bad value of %s, which has a check of its own",
    (name) => {
      for (const value of badValues)
        expect(rejectionReason(writer.head({ ...plain, fields: [name, value] }))).toBe("HeaderValue")
    }
  )

  it("are reported with name and value", () => {
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
