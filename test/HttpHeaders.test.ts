import { inspect } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import { KeyError } from "../src/Errors.js"
import * as HttpHeaders from "../src/HttpHeaders.js"
import { fromRequest } from "../src/internal/fields/headers.js"
import { holds } from "./fixtures/holds.js"
import { growth, linear } from "./http1/growth.js"

type Pairs = ReadonlyArray<readonly [string, string]>

const some: Pairs = [
  ["Host", "a"],
  ["Accept", "text/html"],
  ["X-Tag", "1"],
  ["x-tag", "2"],
  ["ACCEPT", "*/*"]
]
const headers = HttpHeaders.make(some)
const pairsOf = (self: HttpHeaders.HttpHeaders): Pairs => Array.from(self)

describe("make", () => {
  it("takes pairs, in their order and case", () => {
    expect(pairsOf(headers)).toStrictEqual(some)
    expect(
      pairsOf(
        HttpHeaders.make(
          new Map([
            ["B", "1"],
            ["a", "2"]
          ])
        )
      )
    ).toStrictEqual([
      ["B", "1"],
      ["a", "2"]
    ])
  })

  it("takes a record, and an array of values as a field each", () => {
    expect(pairsOf(HttpHeaders.make({ A: "1", "Set-Cookie": ["a=1", "b=2"], Gone: [], B: "" }))).toStrictEqual([
      ["A", "1"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
      ["B", ""]
    ])
  })

  it("takes nothing that a record inherits", () => {
    const input: { readonly [name: string]: string } = Object.assign(Object.create({ Inherited: "x" }), { Own: "1" })
    expect(pairsOf(HttpHeaders.make(input))).toStrictEqual([["Own", "1"]])
  })

  it("gives headers back as they are", () => {
    expect(HttpHeaders.make(headers)).toBe(headers)
  })

  it("does not see later changes of what it was given", () => {
    const pairs: Array<readonly [string, string]> = [["A", "1"]]
    const made = HttpHeaders.make(pairs)
    pairs.push(["B", "2"])
    expect(pairsOf(made)).toStrictEqual([["A", "1"]])
  })
})

describe("isHttpHeaders", () => {
  it("knows headers from what can be made into them", () => {
    expect([headers, HttpHeaders.empty].map(HttpHeaders.isHttpHeaders)).toStrictEqual([true, true])
    expect([{}, [], { A: "1" }, undefined, null, "A"].map(HttpHeaders.isHttpHeaders)).toStrictEqual(
      Array(6).fill(false)
    )
  })

  it("goes by the type id", () => {
    expect(headers[HttpHeaders.TypeId]).toBe(HttpHeaders.TypeId)
    expect(HttpHeaders.TypeId).toBe(Symbol.for("effect-asynchttpserver/HttpHeaders"))
  })
})

describe("httpcore's counterparts", () => {
  it("len counts fields, not names", () => {
    expect(headers.size).toBe(5)
    expect(HttpHeaders.empty.size).toBe(0)
  })

  it("clear is empty", () => {
    expect(pairsOf(HttpHeaders.empty)).toStrictEqual([])
  })

  it("pairs gives the fields in order, as often as it is asked", () => {
    expect(pairsOf(headers)).toStrictEqual(some)
    expect(pairsOf(headers)).toStrictEqual(some)
  })

  it("hasKey is case-blind", () => {
    expect(["host", "HOST", "Host", "x-TAG"].map((name) => HttpHeaders.has(headers, name))).toStrictEqual(
      Array(4).fill(true)
    )
    expect(["hos", "hosts", "", "a"].map((name) => HttpHeaders.has(headers, name))).toStrictEqual(Array(4).fill(false))
  })

  it("hasKey can be piped", () => {
    expect([headers.pipe(HttpHeaders.has("HOST")), headers.pipe(HttpHeaders.has("none"))]).toStrictEqual([true, false])
  })

  it("add puts a field at the end, and leaves those of its name", () => {
    expect(pairsOf(HttpHeaders.append(headers, "host", "b"))).toStrictEqual([...some, ["host", "b"]])
    expect(pairsOf(HttpHeaders.empty.pipe(HttpHeaders.append("A", "1")))).toStrictEqual([["A", "1"]])
  })

  it("set replaces every field of a name, in place of the first", () => {
    expect(pairsOf(HttpHeaders.set(headers, "aCCept", "image/png"))).toStrictEqual([
      ["Host", "a"],
      ["aCCept", "image/png"],
      ["X-Tag", "1"],
      ["x-tag", "2"]
    ])
  })

  it("set adds a name that was not there at the end", () => {
    expect(pairsOf(HttpHeaders.set(headers, "New", "1"))).toStrictEqual([...some, ["New", "1"]])
  })

  it("set takes several values, in their order", () => {
    expect(pairsOf(headers.pipe(HttpHeaders.set("x-tag", ["3", "4", "5"])))).toStrictEqual([
      ["Host", "a"],
      ["Accept", "text/html"],
      ["x-tag", "3"],
      ["x-tag", "4"],
      ["x-tag", "5"],
      ["ACCEPT", "*/*"]
    ])
  })

  it("set to an empty list deletes", () => {
    expect(pairsOf(HttpHeaders.set(headers, "accept", []))).toStrictEqual([
      ["Host", "a"],
      ["X-Tag", "1"],
      ["x-tag", "2"]
    ])
    expect(pairsOf(HttpHeaders.set(headers, "none", []))).toStrictEqual(some)
  })

  it("del removes every field of a name", () => {
    expect(pairsOf(HttpHeaders.remove(headers, "X-TAG"))).toStrictEqual([
      ["Host", "a"],
      ["Accept", "text/html"],
      ["ACCEPT", "*/*"]
    ])
    expect(pairsOf(headers.pipe(HttpHeaders.remove("none")))).toStrictEqual(some)
  })

  it("getOrDefault gives the first value, or what is given instead, made only then", () => {
    const never = (): string => {
      throw new Error("asked for the default")
    }
    expect(HttpHeaders.getOrElse(headers, "accept", never)).toBe("text/html")
    expect(headers.pipe(HttpHeaders.getOrElse("none", () => "default"))).toBe("default")
  })

  it("headers[name, i] counts the fields of a name from 0", () => {
    expect(HttpHeaders.at(headers, "X-tag", 0)).toStrictEqual(Option.some("1"))
    expect(headers.pipe(HttpHeaders.at("x-tag", 1))).toStrictEqual(Option.some("2"))
    expect(HttpHeaders.at(headers, "x-tag", 2)).toStrictEqual(Option.none())
    expect(HttpHeaders.at(headers, "x-tag", -1)).toStrictEqual(Option.none())
    expect(HttpHeaders.at(headers, "none", 0)).toStrictEqual(Option.none())
  })

  it("changes nothing in place", () => {
    HttpHeaders.set(headers, "host", "b")
    HttpHeaders.append(headers, "host", "b")
    HttpHeaders.remove(headers, "host")
    HttpHeaders.titleCase(headers)
    expect(pairsOf(headers)).toStrictEqual(some)
  })

  it("titleCase writes every name so, and no value", () => {
    const lower: Pairs = [
      ["content-type", "text/plain"],
      ["X-CUSTOM-id", "a-b"],
      ["etag", "x"],
      ["", "a"],
      ["x--1a-b", ""]
    ]
    expect(pairsOf(HttpHeaders.titleCase(HttpHeaders.make(lower)))).toStrictEqual([
      ["Content-Type", "text/plain"],
      ["X-Custom-Id", "a-b"],
      ["Etag", "x"],
      ["", "a"],
      ["X--1a-B", ""]
    ])
  })

  it("$ shows the fields, through Inspectable", () => {
    const shown = {
      _id: "HttpHeaders",
      fields: [
        ["A", "1"],
        ["a", "2"]
      ]
    }
    const few = HttpHeaders.make([
      ["A", "1"],
      ["a", "2"]
    ])
    expect(few.toJSON()).toStrictEqual(shown)
    expect(JSON.parse(JSON.stringify(few))).toStrictEqual(shown)
    expect(JSON.parse(String(few))).toStrictEqual(shown)
    expect(inspect(few)).toBe(inspect(shown))
  })
})

describe("get", () => {
  it("gives the first value", () => {
    expect(HttpHeaders.get(headers, "ACCEPT")).toStrictEqual(Either.right("text/html"))
    expect(headers.pipe(HttpHeaders.get("host"))).toStrictEqual(Either.right("a"))
    expect(HttpHeaders.get(HttpHeaders.make({ A: "" }), "a")).toStrictEqual(Either.right(""))
  })

  it("fails with a KeyError of status 500 where we left it out, and names what was asked for", () => {
    const error = Either.getOrThrow(Either.flip(HttpHeaders.get(headers, "Authorization")))
    expect(error).toBeInstanceOf(KeyError)
    expect([error.name, error.status]).toStrictEqual(["Authorization", 500])
  })

  it("fails with a KeyError of status 400 where the client left it out", () => {
    const request = fromRequest(() => ["Host", "a", "B", "1"])
    const changed = [
      request,
      HttpHeaders.set(request, "B", "1"),
      HttpHeaders.append(request, "B", "1"),
      HttpHeaders.remove(request, "B"),
      HttpHeaders.titleCase(request),
      HttpHeaders.make(request)
    ]
    expect(changed.map((each) => Either.getOrThrow(Either.flip(HttpHeaders.get(each, "x"))).status)).toStrictEqual(
      Array(6).fill(400)
    )
  })

  it.effect("can be yielded, and fails the effect with its KeyError", () =>
    Effect.gen(function* () {
      expect(yield* HttpHeaders.get(headers, "host")).toBe("a")
      const error = yield* Effect.flip(
        Effect.gen(function* () {
          return yield* HttpHeaders.get(headers, "none")
        })
      )
      expect(error._tag).toBe("KeyError")
    })
  )
})

describe("a request's headers", () => {
  it("are decoded from their bytes once, on first access", () => {
    let cuts = 0
    const request = fromRequest(() => {
      cuts++
      return ["Host", "a"]
    })
    expect(cuts).toBe(0)
    expect([request.size, HttpHeaders.has(request, "host"), pairsOf(request).length]).toStrictEqual([1, true, 1])
    expect(cuts).toBe(1)
  })
})

describe("getOption and getAll", () => {
  it("getOption gives the first value or none", () => {
    expect(HttpHeaders.getOption(headers, "x-TAG")).toStrictEqual(Option.some("1"))
    expect(headers.pipe(HttpHeaders.getOption("none"))).toStrictEqual(Option.none())
  })

  it("getAll gives each field's value as it was sent, commas and all", () => {
    const cookies = HttpHeaders.make([
      ["Set-Cookie", "a=1; Expires=Sun, 06 Nov"],
      ["B", ""],
      ["set-cookie", " b "]
    ])
    expect(HttpHeaders.getAll(cookies, "SET-cookie")).toStrictEqual(["a=1; Expires=Sun, 06 Nov", " b "])
    expect(cookies.pipe(HttpHeaders.getAll("none"))).toStrictEqual([])
  })
})

describe("values", () => {
  const valuesOf = (...values: ReadonlyArray<string>): ReadonlyArray<string> =>
    HttpHeaders.values(HttpHeaders.make({ Other: "x", List: values }), "list")

  it.each<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]>([
    ["one member", ["a"], ["a"]],
    ["members of one field", ["a,b ,\tc"], ["a", "b", "c"]],
    ["members of several fields", ["a, b", "c"], ["a", "b", "c"]],
    ["empty members are left out", [",, a,\t,b ,", "", " "], ["a", "b"]],
    ["whitespace within a member stays", ["a b;q=1 , c"], ["a b;q=1", "c"]],
    ["a no-break space is no whitespace", ["\xa0a\xa0, b"], ["\xa0a\xa0", "b"]],
    ["a comma in a quoted string", ['"a, b", c'], ['"a, b"', "c"]],
    ["a quoted string after other text", ['x="a,b";y="," , c'], ['x="a,b";y=","', "c"]],
    ["an escaped quote does not end a quoted string", ['"a\\", b", c'], ['"a\\", b"', "c"]],
    ["an escaped backslash does not escape the quote", ['"a\\\\", b", c'], ['"a\\\\"', 'b"', "c"]],
    ["a backslash outside of quotes escapes nothing", ["a\\, b"], ["a\\", "b"]],
    ["a quote that nothing closes opens no string", ['a", b, c'], ['a"', "b", "c"]],
    ["a quote that only an escaped one would close", ['"a, b\\", c'], ['"a', 'b\\"', "c"]],
    ["empty quoted strings", ['"", ""'], ['""', '""']]
  ])("%s", (_, given, members) => {
    expect(valuesOf(...given)).toStrictEqual(members)
  })

  it("can be piped, and finds nothing for a name that is not there", () => {
    expect(headers.pipe(HttpHeaders.values("accept"))).toStrictEqual(["text/html", "*/*"])
    expect(HttpHeaders.values(headers, "none")).toStrictEqual([])
  })

  it.each<readonly [string, (bytes: number) => string]>([
    ["spaces", (bytes) => `a${" ".repeat(bytes)}b`],
    ["escaped quotes", (bytes) => `"${'\\"'.repeat(bytes / 2)}`],
    ["quotes", (bytes) => '"'.repeat(bytes - 1)],
    ["commas", (bytes) => ",".repeat(bytes)]
  ])("costs no more than its bytes: %s", (_, valueOf) => {
    const grown = growth((bytes) => {
      const value = valueOf(bytes)
      return () => valuesOf(value)
    })
    expect(grown).toBeLessThan(linear)
  })
})

describe("contains", () => {
  const connection = HttpHeaders.make([
    ["Connection", "keep-alive,\tUpgrade"],
    ["connection", '"a, b"']
  ])

  it("is case-blind on names and on members", () => {
    expect(HttpHeaders.contains(connection, "CONNECTION", "Keep-Alive")).toBe(true)
    expect(connection.pipe(HttpHeaders.contains("connection", "upgrade"))).toBe(true)
    expect(HttpHeaders.contains(connection, "connection", '"A, B"')).toBe(true)
  })

  it("takes no part of a member for the member", () => {
    expect(
      ["keep", "alive", "a", "b", "", "keep-alive,\tUpgrade"].map((member) =>
        HttpHeaders.contains(connection, "connection", member)
      )
    ).toStrictEqual(Array(6).fill(false))
    expect(HttpHeaders.contains(connection, "none", "upgrade")).toBe(false)
  })
})

describe("properties", () => {
  const name = FastCheck.constantFrom("a", "A", "b-c", "B-C", "d")
  const pairs = FastCheck.array(FastCheck.tuple(name, FastCheck.string({ maxLength: 4 })), { maxLength: 8 })
  const of = (all: Pairs, key: string): ReadonlyArray<string> =>
    all.filter(([each]) => each.toLowerCase() === key.toLowerCase()).map(([, value]) => value)

  it("every look-up agrees with the list of pairs", () => {
    holds(
      FastCheck.property(pairs, name, (all, key) => {
        const made = HttpHeaders.make(all)
        const found = of(all, key)
        expect(pairsOf(made)).toStrictEqual(all)
        expect(made.size).toBe(all.length)
        expect(HttpHeaders.getAll(made, key)).toStrictEqual(found)
        expect(HttpHeaders.has(made, key)).toBe(found.length > 0)
        expect(HttpHeaders.getOption(made, key)).toStrictEqual(Option.fromNullable(found[0]))
        for (let i = 0; i <= found.length; i++) {
          expect(HttpHeaders.at(made, key, i)).toStrictEqual(Option.fromNullable(found[i]))
        }
      }),
      500
    )
  })

  it("set leaves every other name as it was", () => {
    holds(
      FastCheck.property(
        pairs,
        name,
        FastCheck.array(FastCheck.string({ maxLength: 3 }), { maxLength: 3 }),
        (all, key, given) => {
          const changed = pairsOf(HttpHeaders.set(HttpHeaders.make(all), key, given))
          const others = (list: Pairs): Pairs => list.filter(([each]) => each.toLowerCase() !== key.toLowerCase())
          expect(of(changed, key)).toStrictEqual(given)
          expect(others(changed)).toStrictEqual(others(all))
        }
      ),
      500
    )
  })
})
