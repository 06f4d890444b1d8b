/** One small thing done to bytes. */
import * as FastCheck from "effect/FastCheck"

/** Places are taken modulo the length of what they are in, so that every mutation fits every message. */
export type Mutation =
  | { readonly _tag: "Replace"; readonly at: number; readonly byte: number }
  | { readonly _tag: "Insert"; readonly at: number; readonly byte: number }
  | { readonly _tag: "Delete"; readonly at: number }
  | { readonly _tag: "Duplicate"; readonly at: number; readonly length: number }
  | { readonly _tag: "Swap"; readonly at: number; readonly with: number }

/** The bytes that are special to some parser: most others are interchangeable. */
export const meaningful = Buffer.from(
  '\0\t\n\v\f\r\x1b !"#%()*+,-./0159:;=?@ABFGHZ[\\]^_`abcfhkxz{|}~\x7f\x80\x85\xa0\xff',
  "latin1"
)

/** The bytes with the mutation done; nothing can be done to no bytes. */
export const mutated = (bytes: Buffer, mutation: Mutation): Buffer => {
  if (bytes.length === 0) return bytes
  const at = mutation.at % bytes.length
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (mutation._tag) {
    case "Replace":
      return Buffer.concat([before, Buffer.of(mutation.byte), bytes.subarray(at + 1)])
    case "Insert":
      return Buffer.concat([before, Buffer.of(mutation.byte), after])
    case "Delete":
      return Buffer.concat([before, bytes.subarray(at + 1)])
    case "Duplicate":
      return Buffer.concat([before, after.subarray(0, mutation.length), after])
    case "Swap": {
      const copy = Buffer.from(bytes)
      const other = mutation.with % bytes.length
      copy[at] = bytes[other]!
      copy[other] = bytes[at]!
      return copy
    }
  }
}

const place = FastCheck.nat(0xffff)
const byte = FastCheck.oneof(FastCheck.integer({ min: 0, max: 255 }), FastCheck.constantFrom(...meaningful))

export const mutation: FastCheck.Arbitrary<Mutation> = FastCheck.oneof(
  FastCheck.record({ _tag: FastCheck.constant("Replace" as const), at: place, byte }),
  FastCheck.record({ _tag: FastCheck.constant("Insert" as const), at: place, byte }),
  FastCheck.record({ _tag: FastCheck.constant("Delete" as const), at: place }),
  FastCheck.record({
    _tag: FastCheck.constant("Duplicate" as const),
    at: place,
    length: FastCheck.integer({ min: 1, max: 40 })
  }),
  FastCheck.record({ _tag: FastCheck.constant("Swap" as const), at: place, with: place })
)
