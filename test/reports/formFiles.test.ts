/** The files of a persisted form: each is a separate file in the folder of its request, whatever its name. */
import { readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, sep } from "node:path"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Multipart from "@effect/platform/Multipart"
import * as UrlParams from "@effect/platform/UrlParams"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { layerContext } from "../../src/HttpServer.js"
import { serving } from "../platform/harness.js"
import { bodyOf, bytesOf, disposed, part, send } from "./form.js"

/** A persisted form as pairs, since a record cannot show all names; and a file with its content. */
const persisting = Effect.gen(function* () {
  const { multipart } = yield* HttpServerRequest.HttpServerRequest
  const form = yield* multipart
  const shown = (value: unknown) =>
    Multipart.isPersistedFile(value)
      ? { name: value.name, path: value.path, content: readFileSync(value.path, "latin1") }
      : value
  return yield* HttpServerResponse.json(
    Object.entries(form).map(([key, value]) => [key, typeof value === "string" ? value : value.map(shown)])
  )
})

interface Kept {
  readonly name: string
  readonly path: string
  readonly content: string
}

type Entries = ReadonlyArray<readonly [key: string, value: string | ReadonlyArray<string | Kept>]>

const persisted = (...parts: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const response = yield* send(yield* Effect.provide(serving(persisting), layerContext), bodyOf(...parts))
    expect(response.status).toBe(200)
    return JSON.parse(response.text) as Entries
  })

const isKept = (value: string | Kept): value is Kept => typeof value !== "string"

const filesOf = (entries: Entries): ReadonlyArray<Kept> =>
  entries.flatMap(([, value]) => (typeof value === "string" ? [] : value.filter(isKept)))

const contents = (entries: Entries) => filesOf(entries).map(({ content, name }) => [name, content])

const file = (name: string | Uint8Array, content: string | Uint8Array) =>
  disposed(bytesOf('name="f"; filename="', name, '"'), content)

describe("the files of a persisted form", () => {
  it.scopedLive("are two if two parts have one name", () =>
    Effect.gen(function* () {
      const entries = yield* persisted(file("image.jpg", "first"), file("image.jpg", "second"))
      expect(contents(entries)).toStrictEqual([
        ["image.jpg", "first"],
        ["image.jpg", "second"]
      ])
      const [first, second] = filesOf(entries)
      expect(first?.path).not.toBe(second?.path)
    })
  )

  it.scopedLive("are two, where their names differ in case, in form, or in what a file system leaves out", () =>
    Effect.gen(function* () {
      const names = ["a.txt", "A.TXT", "a.txt.", "a.txt ", "a.txt::$DATA", "é", "e\u0301", "x/a.txt", "y/a.txt"]
      const entries = yield* persisted(...names.map((name, i) => file(name, String(i))))
      expect(contents(entries)).toStrictEqual(names.map((name, i) => [name, String(i)]))
    })
  )

  const names = [
    "..",
    ".",
    "/",
    "//",
    "/etc/passwd",
    "../../a",
    "..\\..\\a",
    "a/b",
    "a/",
    "C:\\dir\\a.txt",
    "a\0b",
    "a\0.txt",
    "CON",
    "nul.txt",
    "a.",
    "a ",
    ".hidden",
    "~",
    "-rf",
    "$(id)",
    "__proto__",
    "日本.pdf",
    "x".repeat(300),
    `${"日".repeat(300)}.txt`,
    `a.${"x".repeat(300)}`
  ]

  for (const name of names) {
    it.scopedLive(`are in the folder of their request: ${JSON.stringify(name.slice(0, 30))}`, () =>
      Effect.gen(function* () {
        const entries = yield* persisted(file(name, "content"), file("other", "content"))
        expect(contents(entries)).toStrictEqual([
          [name, "content"],
          ["other", "content"]
        ])
        const [kept, other] = filesOf(entries).map(({ path }) => path)
        expect(dirname(kept!)).toBe(dirname(other!))
        expect(kept!.startsWith(tmpdir() + sep)).toBe(true)
      })
    )
  }

  it.scopedLive("have their ending in the path, where it is plain", () =>
    Effect.gen(function* () {
      const names = ["photo.JPG", "archive.tar.gz", "none", "a.b c", "a.日本", "a./b"]
      const paths = filesOf(yield* persisted(...names.map((name) => file(name, "")))).map(({ path }) => path)
      expect(paths.map((path) => /(\.[^/]*)?$/.exec(path)?.[0])).toStrictEqual([".JPG", ".gz", "", "", "", ""])
    })
  )

  it.scopedLive("have all bytes, in whatever sizes", () =>
    Effect.gen(function* () {
      for (const size of [0, 1, 65_535, 65_536, 65_537, 1_000_000]) {
        const content = Buffer.from(Array.from({ length: size }, (_, i) => i % 251))
        const [kept] = filesOf(yield* persisted(file("a", content)))
        expect(Buffer.from(kept!.content, "latin1").equals(content)).toBe(true)
      }
    })
  )

  it.scopedLive("are none if a browser sends that none was chosen", () =>
    Effect.gen(function* () {
      const chosen = part(['Content-Disposition: form-data; name="f"; filename=""', "Content-Type: image/png"], "bytes")
      const none = part(
        ['Content-Disposition: form-data; name="f"; filename=""', "Content-Type: application/octet-stream"],
        ""
      )
      expect(yield* persisted(none)).toStrictEqual([])
      expect(contents(yield* persisted(none, chosen, none))).toStrictEqual([["", "bytes"]])
      expect(contents(yield* persisted(file("named", "")))).toStrictEqual([["named", ""]])
    })
  )

  it.scopedLive("stay beside fields of their name, in order", () =>
    Effect.gen(function* () {
      for (const parts of [
        [disposed("name=f", "text"), file("a", "1"), file("b", "2")],
        [file("a", "1"), disposed("name=f", "text"), file("b", "2")]
      ]) {
        const [[key, value] = []] = yield* persisted(...parts)
        expect(key).toBe("f")
        expect((value as ReadonlyArray<string | Kept>).filter((each) => !isKept(each))).toStrictEqual(["text"])
        expect((value as ReadonlyArray<string | Kept>).filter(isKept).map(({ content }) => content)).toStrictEqual([
          "1",
          "2"
        ])
      }
    })
  )
})

describe("the names of a persisted form", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "then", "", "0", "имя"]

  it.scopedLive("are entries and nothing else, those of every object's properties too", () =>
    Effect.gen(function* () {
      const fields = yield* persisted(...names.flatMap((name) => [disposed(`name="${name}"`, "1")]))
      expect(new Map(fields)).toStrictEqual(new Map(names.map((name) => [name, "1"])))
      const twice = yield* persisted(...[...names, ...names].map((name) => disposed(`name="${name}"`, "1")))
      expect(new Map(twice)).toStrictEqual(new Map(names.map((name) => [name, ["1", "1"]])))
      const files = yield* persisted(...names.map((name) => disposed(`name="${name}"; filename="a"`, "1")))
      expect(files.map(([key, value]) => [key, (value[0] as Kept).content])).toStrictEqual(
        [...names].sort((a, b) => (a === "0" ? -1 : b === "0" ? 1 : 0)).map((name) => [name, "1"])
      )
      expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    })
  )

  it.scopedLive("are entries of a form in the URL's encoding, too", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const params = yield* request.urlParamsBody
        return yield* HttpServerResponse.json([params, Object.entries(UrlParams.toRecord(params))])
      })
      const port = yield* Effect.provide(serving(app), layerContext)
      const sent = names.filter((name) => name !== "0").map((name) => [name, "1"] as const)
      const body = new URLSearchParams(sent.map(([name, value]): [string, string] => [name, value])).toString()
      const response = yield* send(port, Buffer.from(body), "application/x-www-form-urlencoded")
      expect(JSON.parse(response.text)).toStrictEqual([sent, sent])
    })
  )

  it.scopedLive("begin with a question mark in the URL's encoding, if they do", () =>
    Effect.gen(function* () {
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ urlParamsBody }) =>
        Effect.flatMap(urlParamsBody, (params) => HttpServerResponse.json(params))
      )
      const port = yield* Effect.provide(serving(app), layerContext)
      const response = yield* send(port, Buffer.from("?a=1&b=%zz+%C3%A9"), "application/x-www-form-urlencoded")
      expect(JSON.parse(response.text)).toStrictEqual([
        ["?a", "1"],
        ["b", "%zz é"]
      ])
    })
  )
})
