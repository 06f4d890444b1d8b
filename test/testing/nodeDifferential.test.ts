/** The kit's client compared with Node's: the same result for each response, or a reason why not. */
import { describe, expect, it } from "vitest"
import { nodeVerdict } from "./nodeVerdict.js"
import { type Accepted, accepted, type Rejected, rejected, type Truncated, truncated } from "./responses.js"

/** Node's expected result for a response, in the form of `nodeVerdict`, if the kit's result is the same. */
const ownVerdict = (row: Accepted | Rejected | Truncated): string => {
  if ("code" in row) return row.code
  return `${("status" in row ? row.status : undefined) ?? 200} ${("body" in row ? row.body : undefined) ?? "Hello"}`
}

const bytesOf = (row: Accepted | Rejected | Truncated): string => ("code" in row ? row.valid + row.invalid : row.text)

/** The names of errors are those of one parser; other major versions have other ones, and are compared by whether they fail. */
const isMeasured = process.versions.llhttp?.startsWith("9.") === true

const general = (verdict: string): string => (isMeasured ? verdict : verdict.replace(/^HPE_.*/, "an error"))

describe.each([
  { kind: "accepted", rows: accepted },
  { kind: "rejected", rows: rejected }
])(
  "Node's client on a response that the kit's has $kind",
  ({ rows }: { readonly rows: ReadonlyArray<Accepted | Rejected> }) => {
    it.each(rows)("$title", async (row) => {
      const verdict = await nodeVerdict(bytesOf(row), { method: "GET", upgrade: undefined, ...row.request })
      const own = ownVerdict(row)
      const expected = row.differs === undefined ? [own] : row.differs.node.split("|")
      expect(expected.map(general)).toContain(general(verdict))
      if (row.differs !== undefined) expect(expected).not.toStrictEqual([own])
    })
  }
)

describe("Node's client on a response that is cut", () => {
  it.each(truncated)("$title", async ({ text }) => {
    const verdict = await nodeVerdict(text, { method: "GET", upgrade: undefined })
    expect(verdict).toMatch(/^(ECONNRESET|200, then ECONNRESET)$/)
  })
})
