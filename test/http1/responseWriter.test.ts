/** `ResponseWriter`: interim responses, chunks, trailers, and properties of all that it writes. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as ResponseWriter from "../../src/ResponseWriter.js"
import { holds } from "../fixtures/holds.js"
import { date, plain, writer } from "./writtenHead.js"

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

  it.each(["Content-Length", "content-LENGTH", "Transfer-Encoding", "transfer-encodinG"])("reject %s", (name) => {
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
  ])("reject the trailer %s", (name) => {
    expect(writer.lastChunk(["X-Sum", "abc", name, "1"])).toStrictEqual({
      _tag: "InvalidResponse",
      reason: "HeaderForbidden",
      actual: name
    })
  })
})

describe("the service", () => {
  it.effect("provides a writer that keeps no state between two responses", () =>
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

  it("a head is rejected, or has exactly the expected lines, and one framing", () => {
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
        // The handler's fields, one on each line, in their order.
        expect(lines.filter((line) => !isOurs(line))).toStrictEqual(all.map(lineOf).filter((line) => !isOurs(line)))
        const count = (name: RegExp): number => lines.filter((line) => name.test(line)).length
        expect(count(/^date:/i)).toBe(1)
        expect(count(/^connection:/i)).toBeLessThanOrEqual(1)
        expect(count(/^(content-length|transfer-encoding):/i)).toBeLessThanOrEqual(1)
        // The head declares the framing that is used (RFC 9112 §6.3).
        const declared =
          count(/^transfer-encoding: chunked$/i) === 1
            ? "Chunked"
            : count(/^content-length: [0-9]+$/i) === 1
              ? "Length"
              : "UntilClose"
        const isBodiless =
          given.method === "HEAD" || given.status === 204 || given.status === 205 || given.status === 304
        expect(response.framing._tag).toBe(isBodiless ? "None" : declared)
        if (given.minor === 0) expect(declared).not.toBe("Chunked")
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
