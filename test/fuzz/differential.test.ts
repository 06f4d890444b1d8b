/**
 * The differential fuzzer, bounded; its rules, each shown by a row; and what it has found before. Longer, and somewhere
 * else each time: `npm run fuzz -- --seconds 600`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { corpus } from "./corpus.js"
import { classify, isCurrent, rules } from "./differences.js"
import { differenceOf, oursOf } from "./differential.js"
import { run } from "./generate.js"
import { findingIn, hunt, report } from "./hunt.js"
import { parse } from "./reading.js"
import { readme } from "./table.js"

const seed = Number(process.env.FUZZ_SEED ?? 9112)

/** A bound in messages, so that a run is the same everywhere; about 10 s here, less where it is quiet. */
const messages = 16_000

describe("parser, server, reference reader and node:http", () => {
  it("agree on changed messages, but for the differences that are listed", async () => {
    const { accepted, found, tried } = await hunt({ seed, goesOn: (tried) => tried < messages })
    expect(found.map(report).join("\n\n")).toBe("")
    expect(tried).toBe(messages)
    // A fuzzer that changes nothing finds nothing either.
    expect(accepted.size).toBeGreaterThan(rules.length / 2)
  }, 120_000)

  it("are tried with the same messages whenever the seed is the same, and with others when it is not", () => {
    const messagesOf = (from: number): ReadonlyArray<string> =>
      Array.from({ length: 50 }, (_, i) => run(from, i).bytes.toString("latin1"))
    expect(messagesOf(seed)).toStrictEqual(messagesOf(seed))
    expect(messagesOf(seed)).not.toStrictEqual(messagesOf(seed + 1))
    expect(run(seed, 3).segments).toStrictEqual(run(seed, 3).segments)
    expect(Buffer.concat(run(seed, 3).segments)).toStrictEqual(run(seed, 3).bytes)
  })
})

describe("what fuzzing has found", () => {
  it.each(corpus)("$title", async ({ status, targets, text }) => {
    expect(await findingIn(text)).toBe(undefined)
    const { ending, requests } = oursOf(parse([Buffer.from(text, "latin1")]))
    expect(requests.map(({ target }) => target)).toStrictEqual(targets)
    expect(ending._tag === "Refused" ? ending.status : undefined).toBe(status)
  })
})

describe("the differences that are listed", () => {
  it.each(rules.filter(isCurrent))(
    "$name: the example shows it, and no rule before it takes it",
    ({ example, name }) => {
      const difference = differenceOf(Buffer.from(example, "latin1"))
      expect(difference).not.toBe(undefined)
      expect(difference && classify(difference)).toBe(name)
    }
  )

  it("are gone where a later Node reads the example as ours does", () => {
    const gone = rules.filter((rule) => !isCurrent(rule))
    expect(gone.filter(({ example }) => differenceOf(Buffer.from(example, "latin1")) !== undefined)).toStrictEqual([])
  })

  it("are not there when nothing is wrong", () => {
    expect(differenceOf(Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))).toBe(undefined)
    expect(differenceOf(Buffer.from("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"))).toBe(undefined)
  })

  it("take nothing that they do not name", () => {
    const smuggled = { what: "other extent", ours: "reads", node: "reads", isHandedOut: true } as const
    const text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    for (const what of ["other extent", "other head", "other body", "other trailers"] as const) {
      expect(classify({ ...smuggled, what, text, before: "" })).toBe(undefined)
    }
    expect(classify({ ...smuggled, what: "ours rejects", ours: "HeaderField", text, before: "" })).toBe(undefined)
    expect(classify({ ...smuggled, what: "node rejects", node: "HPE_INVALID_CONTENT_LENGTH", text, before: "" })).toBe(
      undefined
    )
  })

  it("are the table of README.md; UPDATE_README=1 writes it", () => {
    const path = fileURLToPath(new URL("README.md", import.meta.url))
    if (process.env.UPDATE_README !== undefined) writeFileSync(path, readme())
    expect(readFileSync(path, "utf8")).toBe(readme())
  })
})
