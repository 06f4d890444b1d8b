/** Properties of `RequestParser` on generated and mutated requests. */
import * as FastCheck from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import type * as Limits from "../../src/Limits.js"
import { holds } from "../fixtures/holds.js"
import { atTheBound } from "../fixtures/messages/limits.js"
import { bytesOf, plain } from "../fixtures/messages/message.js"
import { wellFormed } from "../fixtures/messages/wellFormed.js"
import { converse, cutEvery, meant } from "./conversation.js"

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

  // Chunk extensions, between the size of a chunk and its line end (RFC 9112 §7.1.1).
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
    FastCheck.constant({ lines: "", fields: [] as ReadonlyArray<string>, text: "", parsed: {} }),
    textOf(byte, { minLength: 1, maxLength: 60 }).map((text) => ({
      lines: `Content-Length: ${text.length}\r\n`,
      fields: ["Content-Length", String(text.length)],
      text,
      parsed: { body: text, framing: { _tag: "Length" as const, length: text.length } }
    })),
    FastCheck.tuple(
      FastCheck.array(FastCheck.tuple(textOf(byte, { minLength: 1, maxLength: 20 }), extensions), { maxLength: 5 }),
      // No dropped trailer has a name of that length.
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
      parsed: {
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
    parsed: {
      ...plain,
      method,
      target: `/${path}`,
      url: `/${path}`,
      version: `HTTP/1.${minor}`,
      fields: [...pairsOf(before), "Host", "example.org", ...body.fields, ...pairsOf(after)],
      ...body.parsed,
      ended: true
    }
  }))

  const cuts = FastCheck.array(FastCheck.nat(), { maxLength: 12 })
  const cutBy = (bytes: Buffer, at: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
    const places = [0, ...at.map((each) => each % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
    return places.slice(1).map((place, i) => Buffer.from(bytes.subarray(places[i]!, place)))
  }

  it("parses generated requests, however they are cut", () => {
    holds(
      FastCheck.property(FastCheck.array(message, { minLength: 1, maxLength: 4 }), cuts, (messages, at) => {
        const bytes = Buffer.concat(messages.map((each) => each.bytes))
        expect(meant(converse(cutBy(bytes, at)))).toStrictEqual({
          requests: messages.map(({ parsed }) => parsed),
          refused: undefined
        })
      }),
      400
    )
  })

  it("returns one result for any bytes, however they are cut, and neither throws nor loops", () => {
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

  it("returns one result for any well-formed request with one byte changed", () => {
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
