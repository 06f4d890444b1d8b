/** What our parser makes of bytes, in the words of the reference reader. */
import type * as Limits from "../../src/Limits.js"
import { type Conversation, converse } from "../http1/conversation.js"

/** The end as the reference names it; a reason is any text here, since both sides must be the same. */
export interface Parsed {
  readonly requests: Conversation["requests"]
  readonly ending:
    | { readonly _tag: "Idle" }
    | { readonly _tag: "NeedsMore" }
    | { readonly _tag: "Refused"; readonly reason: string; readonly status: number }
}

export const parse = (segments: ReadonlyArray<Buffer>, options: Limits.Options = {}): Parsed => {
  const { parser, refused, requests } = converse(segments, options)
  if (refused === undefined) return { requests, ending: { _tag: parser.isIdle() ? "Idle" : "NeedsMore" } }
  return { requests, ending: { _tag: "Refused", reason: refused.reason, status: refused.status } }
}

/** The bytes in segments that end at these offsets, modulo the length; each segment is a separate buffer. */
export const cutAtAll = (bytes: Buffer, places: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const ends = [...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return ends.map((end, i) => Buffer.from(bytes.subarray(ends[i - 1] ?? 0, end)))
}
