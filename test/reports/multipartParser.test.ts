/** The parser of forms gives the same parts, in whatever pieces a form arrives, and takes no more time than its length. */
import { describe, expect, it, vi } from "vitest"
import { MultipartParser, maxFieldLines } from "../../src/internal/platform/multipartParser.js"
import { testTimeout } from "../support/eventually.js"
import { bodyOf, boundary, bytesOf, disposed, part } from "./form.js"

vi.setConfig({ testTimeout })

/** All events of a body, with the data of a part joined. */
const read = (chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<unknown> => {
  const parser = new MultipartParser(boundary)
  const events: Array<unknown> = []
  let content: Array<Uint8Array> | undefined
  const drain = (): boolean => {
    for (;;) {
      const event = parser.next()
      if (event === "NeedMore") return true
      if (event._tag === "Part") {
        content = []
        events.push(event.fields)
      } else if (event._tag === "Data") content?.push(event.bytes)
      else if (event._tag === "PartEnd") events.push(Buffer.concat(content ?? []).toString("latin1"))
      else {
        events.push(event._tag)
        return false
      }
    }
  }
  for (const chunk of chunks) {
    parser.feed(chunk)
    if (!drain()) return events
  }
  const end = parser.end()
  return end === undefined ? events : [...events, end.message]
}

const bytewise = (body: Buffer): ReadonlyArray<Buffer> => Array.from(body, (_, i) => body.subarray(i, i + 1))

const form = bytesOf(
  "preamble\r\n-",
  `\r\n--${boundary} \t\r\n`,
  disposed('name="имя"', ""),
  `\r\n--${boundary}\r\n`,
  disposed('name="a";\r\n filename="b\r\n \x01"', `\r\n\r-\r\n-\r\n--\r\n--bound\r\n--boundar\r\n\r\n`),
  `\r\n--${boundary}\r\n\r\n\r\n--${boundary}\r\n\r\n`,
  `--${boundary}--epilogue\r\n--${boundary}\r\n`
)

const events = [
  [["content-disposition", Buffer.from('form-data; name="имя"').toString("latin1")]],
  "",
  [["content-disposition", 'form-data; name="a"; filename="b \x01"']],
  `\r\n\r-\r\n-\r\n--\r\n--bound\r\n--boundar\r\n\r\n`,
  [],
  "",
  [],
  "\r\n",
  "End"
]

describe("the parser of forms", () => {
  it("gives the parts of a form that arrives whole", () => {
    expect(read([form])).toStrictEqual([...events.slice(0, 6), [], "", "End"])
  })

  it("gives the same parts wherever a form is split", () => {
    const whole = read([form])
    for (let at = 1; at < form.length; at++) {
      expect([at, read([form.subarray(0, at), form.subarray(at)])]).toStrictEqual([at, whole])
    }
  })

  it("gives the same parts byte by byte", () => {
    expect(read(bytewise(form))).toStrictEqual(read([form]))
  })

  it("reports a form that breaks off anywhere as incomplete", () => {
    const closed = form.indexOf(`--${boundary}--`) + boundary.length + 4
    for (let at = 0; at < closed; at++) {
      const last = read([form.subarray(0, at)]).at(-1)
      expect([at, last]).toStrictEqual([
        at,
        at < form.indexOf(`--${boundary}`) + boundary.length + 2
          ? "the boundary does not occur"
          : "the form ends before its closing boundary"
      ])
    }
  })

  it("does not change what it has returned", () => {
    const parser = new MultipartParser(boundary)
    const given: Array<Buffer> = []
    const content = "abcdefghijklmnopqrstuvwxyz\r\n".repeat(100)
    for (const chunk of bytewise(bodyOf(disposed("name=a", content)))) {
      parser.feed(chunk)
      for (let event = parser.next(); event !== "NeedMore"; event = parser.next()) {
        if (event._tag === "Data") given.push(event.bytes)
        if (event._tag === "End") break
      }
    }
    expect(Buffer.concat(given).toString()).toBe(content)
  })

  it("bounds the field lines of a part, whether they end or not", () => {
    const lines = (length: number) => part([`X: ${"x".repeat(length - "X: ".length - 2)}`])
    const statusOf = (body: Buffer) => read([body]).at(-1)
    expect(statusOf(bodyOf(lines(maxFieldLines)))).toBe("End")
    expect(statusOf(bodyOf(lines(maxFieldLines + 1)))).toBe("Malformed")
    expect(statusOf(bodyOf(lines(10 * maxFieldLines)).subarray(0, maxFieldLines + 50))).toBe("Malformed")
    expect(statusOf(bytesOf(`--${boundary}${" ".repeat(maxFieldLines + 1)}`))).toBe("Malformed")
  })
})

describe("the time that a form takes", () => {
  const size = 8 * 1024 * 1024
  const head = "Content-Disposition: form-data; name=a"

  const rows: ReadonlyArray<readonly [what: string, body: string]> = [
    ["many parts", `--${boundary}\r\n${head}\r\n\r\n\r\n`.repeat(size / 64)],
    ["beginnings of a boundary", `--${boundary}\r\n${head}\r\n\r\n${"\r\n--boundar".repeat(size / 11)}`],
    ["line ends", `--${boundary}\r\n${head}\r\n\r\n${"\r\n".repeat(size / 2)}`],
    ["no boundary", "\r\n-".repeat(size / 3)],
    ["spaces in field lines", `--${boundary}\r\nX: a${" ".repeat(16_000)}b\r\n\r\n\r\n`.repeat(size / 16_000)]
  ]

  for (const [what, body] of rows) {
    it(`is that of its length: 8 MiB of ${what}`, () => {
      const bytes = Buffer.from(body)
      const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, i) =>
        bytes.subarray(i * 65_536, (i + 1) * 65_536)
      )
      const begun = process.cpuUsage()
      read(chunks)
      const { system, user } = process.cpuUsage(begun)
      // Linear, it is a fraction of a second; quadratic in the form or in its field lines, a minute at least.
      expect((system + user) / 1_000_000).toBeLessThan(5)
    })
  }
})
