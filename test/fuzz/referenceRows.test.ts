/** The reference reader itself: its result is that of every fixture row, whole and cut short. */
import { describe, expect, it } from "vitest"
import { atTheBound, oneOver } from "../fixtures/messages/limits.js"
import { malformed } from "../fixtures/messages/malformed.js"
import { wellFormed } from "../fixtures/messages/wellFormed.js"
import { read } from "./reference.js"

describe("the reference reader", () => {
  it.each([...wellFormed, ...atTheBound])("reads: $title", ({ bytes, limits, meaning }) => {
    const request = { ...meaning, ended: true }
    expect(read(bytes, limits)).toStrictEqual({ requests: [request], ending: { _tag: "Idle" } })
    expect(read(Buffer.concat([bytes, bytes]), limits).requests).toStrictEqual([request, request])
    for (let at = 1; at < bytes.length; at++) {
      const { ending, requests } = read(bytes.subarray(0, at), limits)
      expect(ending._tag).toBe(/^(\r\n)*$/.test(bytes.toString("latin1", 0, at)) ? "Idle" : "NeedsMore")
      expect(requests.some(({ ended }) => ended)).toBe(false)
    }
  })

  it.each([...malformed, ...oneOver])("refuses: $title", ({ bodyBefore, bytes, limits, reason, status }) => {
    const { ending, requests } = read(bytes, limits)
    expect(ending).toStrictEqual({ _tag: "Refused", reason, status })
    expect(requests.map(({ body, ended }) => ({ body, ended }))).toStrictEqual(
      bodyBefore === undefined ? [] : [{ body: bodyBefore, ended: false }]
    )
  })
})
