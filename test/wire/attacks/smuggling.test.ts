/** Request smuggling: whatever two readers could cut in two ways is refused, and nothing behind it is a request. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { respond } from "../../../src/Response.js"
import { serving } from "../../server/harness.js"
import { connect } from "../raw.js"
import { expectRefusal, finalsOf } from "../rfc9112/rows.js"

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

const post = (fields: ReadonlyArray<string>, body: string, version = "1.1"): string =>
  `POST / HTTP/${version}\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n${body}`

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`

const obfuscated: ReadonlyArray<string> = [
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding\t: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
  "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: identity, chunked",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: chunked, chunked",
  "Transfer-Encoding: chunked;a=b",
  "Transfer-Encoding:\x0bchunked",
  "Transfer-Encoding: \x0cchunked",
  "Transfer-Encoding:\r\n chunked",
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: chu\x00nked",
  "Transfer-Encoding: chunked\x00",
  "Transfer-Encoding: chunked\xa0",
  "Transfer-Encoding: chunKed\x85",
  "X: y\nTransfer-Encoding: chunked",
  "X: y\rTransfer-Encoding: chunked",
  " Transfer-Encoding: chunked",
  "Transfer-Encoding",
  "Transfer_Encoding\x00: chunked"
]

const lengths: ReadonlyArray<string> = [
  "Content-Length: 5\r\nContent-Length: 0",
  "Content-Length: 0\r\ncontent-length: 0",
  "Content-Length: 5, 5",
  "Content-Length: +5",
  "Content-Length: 0x5",
  "Content-Length: 5\x0b",
  "Content-Length : 5",
  "Content-Length:\r\n 5",
  "Content-Length: 5 5",
  "Content-Length: -0",
  "Content-Length: 0_5"
]

const bodies: ReadonlyArray<readonly [string, string]> = [
  ["a bare LF behind a chunk size", `5\nhello\r\n0\r\n\r\n${smuggled}`],
  ["a bare LF behind a chunk", `5\r\nhello\n0\r\n\r\n${smuggled}`],
  ["two bytes that are no line end behind a chunk", `5\r\nhelloXX0\r\n\r\n${smuggled}`],
  ["a bare LF in an extension", `5;\nhello\r\n0\r\n\r\n${smuggled}`],
  ["a bare CR in an extension", `5;a\rb\r\nhello\r\n0\r\n\r\n${smuggled}`],
  ["a chunk size that is 5 as 32 bits", `100000005\r\nhello\r\n0\r\n\r\n${smuggled}`],
  ["a chunk size that is 5 as 64 bits", `10000000000000005\r\nhello\r\n0\r\n\r\n${smuggled}`],
  ["a chunk size with a sign", `+5\r\nhello\r\n0\r\n\r\n${smuggled}`],
  ["a chunk size with a prefix", `0x5\r\nhello\r\n0\r\n\r\n${smuggled}`],
  ["a last chunk with a prefix", `0x\r\n\r\n${smuggled}`],
  ["a folded trailer", `0\r\nX: y\r\n ${smuggled}`],
  ["a trailer that ends in a bare LF", `0\r\nX: y\n\n${smuggled}`]
]

const attacks: ReadonlyArray<readonly [title: string, bytes: string]> = [
  ["CL.TE", post(["Content-Length: 6", "Transfer-Encoding: chunked"], `0\r\n\r\n${smuggled}`)],
  ["TE.CL", post(["Transfer-Encoding: chunked", "Content-Length: 4"], chunk(smuggled))],
  ["CL.TE in HTTP/1.0", post(["Content-Length: 6", "Transfer-Encoding: chunked"], `0\r\n\r\n${smuggled}`, "1.0")],
  ["TE in HTTP/1.0", post(["Transfer-Encoding: chunked", "Connection: keep-alive"], chunk(smuggled), "1.0")],
  ...obfuscated.map(
    (field) =>
      [`TE.TE, ${JSON.stringify(field)}`, post(["Transfer-Encoding: chunked", field], chunk(smuggled))] as const
  ),
  ...obfuscated.map(
    (field) => [`CL.TE, ${JSON.stringify(field)}`, post(["Content-Length: 6", field], `0\r\n\r\n${smuggled}`)] as const
  ),
  ...lengths.map((field) => [`CL.CL, ${JSON.stringify(field)}`, post([field], `hello${smuggled}`)] as const),
  ...bodies.map(([title, body]) => [title, post(["Transfer-Encoding: chunked"], body)] as const)
]

describe("smuggling", () => {
  for (const [title, bytes] of attacks) {
    it.scopedLive(`${title}: refused once, and nothing behind it is read as a request`, () =>
      Effect.gen(function* () {
        const asked: Array<string> = []
        const { port } = yield* serving((request) => {
          asked.push(request.url)
          return Effect.flatMap(request.bytes, (body) => respond(request, 200, body))
        })
        const wire = yield* connect(port)
        yield* wire.send(bytes + smuggled)
        const [answer, ...rest] = finalsOf(yield* wire.readToEnd)
        expectRefusal(answer, answer?.status ?? 0)
        expect([400, 413, 501]).toContain(answer?.status)
        expect(rest).toStrictEqual([])
        expect(asked.filter((url) => url !== "/")).toStrictEqual([])
      })
    )
  }
})
