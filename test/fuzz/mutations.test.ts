/**
 * Every fixture message with one small thing changed, against the reference reader: the same requests, the same end,
 * the same reason and status, however the bytes are cut.
 *
 * Seeded: a red run is about the change that made it red. `FUZZ_SEED=7 FUZZ_RUNS=1000000 npm test -- test/fuzz` looks
 * elsewhere and longer; a failure prints its seed, and the smallest message that shows it.
 */
import * as FastCheck from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import { atTheBound, oneOver } from "../fixtures/messages/limits.js"
import { malformed } from "../fixtures/messages/malformed.js"
import { bytesOf } from "../fixtures/messages/message.js"
import { wellFormed } from "../fixtures/messages/wellFormed.js"
import { cutEvery } from "../http1/conversation.js"
import { meaningful, mutated, mutation } from "./mutation.js"
import { cutAtAll, parse } from "./reading.js"
import { read } from "./reference.js"

const seed = Number(process.env.FUZZ_SEED ?? 9112)
const numRuns = Number(process.env.FUZZ_RUNS ?? 12_000)

const rows = [...wellFormed, ...malformed, ...atTheBound, ...oneOver]
const next = bytesOf("PUT /next HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\nhi")

const holds = <Ts>(property: FastCheck.IProperty<Ts>, parameters: FastCheck.Parameters<Ts>): void =>
  FastCheck.assert(property, parameters)

describe("a message with one thing changed", () => {
  const row = FastCheck.constantFrom(...rows)
  const places = FastCheck.array(FastCheck.nat(0xffff), { maxLength: 6 })
  const around = FastCheck.constantFrom("alone", "followed", "after another")

  it("is read as the reference reads it, or refused where that refuses, whatever the cuts", () => {
    holds(
      FastCheck.property(row, mutation, around, places, ({ bytes, limits }, change, where, at) => {
        const changed = mutated(bytes, change)
        const stream =
          where === "alone" ? changed : Buffer.concat(where === "followed" ? [changed, next] : [next, changed])
        const expected = read(stream, limits)
        expect(parse([stream], limits)).toStrictEqual(expected)
        expect(parse(cutAtAll(stream, at), limits)).toStrictEqual(expected)
      }),
      { seed, numRuns }
    )
  }, 120_000)

  it("is never read past its end: the next request is found where the reference finds it", () => {
    holds(
      FastCheck.property(FastCheck.constantFrom(...wellFormed), mutation, ({ bytes }, change) => {
        const stream = Buffer.concat([mutated(bytes, change), next, next])
        const expected = read(stream).requests.map(({ url }) => url)
        expect(parse(cutEvery(stream, 1)).requests.map(({ url }) => url)).toStrictEqual(expected)
      }),
      { seed: seed + 1, numRuns: Math.ceil(numRuns / 4) }
    )
  }, 120_000)

  it("is read the same at every single place of a chunked upload, for every byte that means something", () => {
    const upload = bytesOf(
      "\r\nPOST http://a:1/b HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\nT: 1\r\n\r\n"
    )
    for (let at = 0; at <= upload.length; at++) {
      for (const byte of meaningful) {
        for (const _tag of ["Replace", "Insert"] as const) {
          const changed = mutated(upload, { _tag, at, byte })
          expect(parse([changed])).toStrictEqual(read(changed))
        }
      }
    }
  })
})
