/** Forms as real clients send them: curl, Node's `fetch`, undici, Python and Chromium. */
import { execFile, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Browser } from "playwright-core"
import * as undici from "undici"
import { layerContext } from "../../src/HttpServer.js"
import { hasChromium, launch, withPage } from "../browser/chromium.js"
import { serving } from "../platform/harness.js"
import { reportingParts, type Seen } from "./form.js"

const has = (program: string): boolean => {
  const isThere = spawnSync(program, ["--version"]).status === 0
  if (!isThere) console.warn(`${program} is not on the PATH: its forms are not tested`)
  return isThere
}

const url = Effect.map(
  Effect.provide(
    serving(
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method }) =>
        method === "POST" ? reportingParts : HttpServerResponse.html('<!doctype html><meta charset="utf-8">')
      )
    ),
    layerContext
  ),
  (port) => `http://127.0.0.1:${port}/`
)

const run = (program: string, ...args: ReadonlyArray<string>) =>
  Effect.promise(async () => JSON.parse((await promisify(execFile)(program, args)).stdout) as ReadonlyArray<Seen>)

/** A folder with a file of each name, with its name as its content. */
const folderOf = (...names: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "form-"))
      for (const name of names) writeFileSync(join(folder, name), name)
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

const field = (name: string, value: string): Seen => ({ field: name, value, type: "text/plain" })

const file = (name: string, content = name, type = "application/octet-stream"): Seen => ({
  file: "f",
  name,
  content,
  type
})

describe.skipIf(!has("curl"))("a form of curl", () => {
  // Names that neither client escapes, and names that mean another thing if the other client escapes them.
  const plain = ["имя", 'a"b', "a;b", "100%", " a ", 'a\\"b\\c']

  for (const [how, args, names] of [
    ["by its default", [], [...plain, "a\\b", "a\\\\b", "a\\"]],
    ["by --form-escape", ["--form-escape"], plain]
  ] as const) {
    it.scopedLive(`has the names of fields: ${how}`, () =>
      Effect.gen(function* () {
        const fields = names.flatMap((name) => ["--form-string", `${name}=v`])
        const seen = yield* run("curl", "-sS", ...args, ...fields, yield* url)
        expect(seen).toStrictEqual(names.map((name) => field(name, "v")))
      })
    )
  }

  it.scopedLive("has the names of files", () =>
    Effect.gen(function* () {
      const names = ["日本.pdf", "Łódź.txt", 'a"b', "100%.txt", "%E4.txt", "a;b=c", "a\\b", " a "]
      const folder = yield* folderOf(...names)
      const quoted = (path: string) => `f=@"${path.replaceAll(/["\\]/g, "\\$&")}";type=x/y`
      const seen = yield* run("curl", "-sS", ...names.flatMap((name) => ["-F", quoted(join(folder, name))]), yield* url)
      expect(seen).toStrictEqual(names.map((name) => file(name, name, "x/y")))
    })
  )
})

const names = [
  "имя",
  "日本.pdf",
  "Łódź.txt",
  "👩‍👧.png",
  'a"b',
  "a\r\nb",
  "a\\b",
  "a\\",
  "\\",
  "100%.txt",
  "%E4.txt",
  "a;b=c",
  "a\tb",
  "a\x01b\x7f",
  "..",
  "",
  " ",
  "__proto__"
]

for (const [client, { fetch, File, FormData }] of Object.entries({
  "Node's fetch": globalThis,
  undici: {
    fetch: undici.fetch as unknown as typeof globalThis.fetch,
    File: globalThis.File,
    FormData: undici.FormData
  }
})) {
  describe(`a form of ${client}`, () => {
    it.scopedLive("has the names of its fields and files", () =>
      Effect.gen(function* () {
        const form = new FormData()
        // They send a file without a name as a field.
        const filenames = names.filter((name) => name !== "")
        for (const name of names) form.append(name, "v")
        for (const name of filenames) form.append("f", new File(["content"], name, { type: "x/y" }))
        const to = yield* url
        const seen = yield* Effect.promise(async () =>
          (await fetch(to, { method: "POST", body: form as globalThis.FormData })).json()
        )
        expect(seen).toStrictEqual([
          ...names.map((name) => field(name, "v")),
          ...filenames.map((name) => file(name, "content", "x/y"))
        ])
      })
    )
  })
}

describe.skipIf(!has("python3"))("a form of Python", () => {
  const program = `
import sys, urllib.request
from email.mime.multipart import MIMEMultipart
from email.mime.application import MIMEApplication
from email.encoders import encode_noop
from email.policy import HTTP
form = MIMEMultipart("form-data")
for name, filename in [('a"b', None), ("a\\\\b\\"", None), ("f", 'c"d.txt'), ("f", "long " * 30)]:
    part = MIMEApplication(b"content", "octet-stream", encode_noop)
    part.replace_header("Content-Type", "text/plain") if filename is None else None
    part.add_header("Content-Disposition", "form-data", name=name, **({} if filename is None else {"filename": filename}))
    form.attach(part)
head, body = form.as_bytes(policy=HTTP).split(b"\\r\\n\\r\\n", 1)
request = urllib.request.Request(sys.argv[1], body, {"Content-Type": form["Content-Type"]})
sys.stdout.write(urllib.request.urlopen(request).read().decode())
`

  it.scopedLive("has the names of its fields and files, in folded lines too", () =>
    Effect.gen(function* () {
      expect(yield* run("python3", "-c", program, yield* url)).toStrictEqual([
        field('a"b', "content"),
        field('a\\b"', "content"),
        file('c"d.txt', "content"),
        file("long ".repeat(30), "content")
      ])
    })
  )
})

describe.skipIf(!hasChromium)("a form of Chromium", () => {
  let browser: Browser

  beforeAll(async () => {
    browser = await launch()
  }, 120_000)

  afterAll(() => browser.close(), 120_000)

  it.scopedLive(
    "has the names of its fields and files, by fetch",
    () =>
      Effect.gen(function* () {
        const to = yield* url
        const seen = yield* Effect.promise(async () => {
          let seen: unknown
          await withPage(browser, async (page) => {
            await page.goto(to)
            // The page knows no types of this program's: the function is sent as text.
            seen = await page.evaluate(`(async (names) => {
              const form = new FormData()
              for (const name of names) form.append(name, "v")
              for (const name of names) form.append("f", new File(["content"], name, { type: "x/y" }))
              return (await fetch("/", { method: "POST", body: form })).json()
            })(${JSON.stringify(names)})`)
          })
          return seen
        })
        expect(seen).toStrictEqual([
          ...names.map((name) => field(name, "v")),
          ...names.map((name) => file(name, "content", "x/y"))
        ])
      }),
    120_000
  )

  it.scopedLive(
    "is in the charset that it declares, and has no file where none was chosen",
    () =>
      Effect.gen(function* () {
        const to = yield* url
        const folder = yield* folderOf("имя.txt")
        const seen = yield* Effect.promise(async () => {
          let seen: unknown
          await withPage(browser, async (page) => {
            await page.goto(to)
            await page.setContent(`<form method="post" action="${to}" enctype="multipart/form-data" accept-charset="windows-1251">
              <input type="hidden" name="_charset_"><input name="имя" value="имя, 日">
              <input type="file" name="f" multiple><input type="file" name="none"><button>Send</button></form>`)
            await page.setInputFiles("[name=f]", [join(folder, "имя.txt")])
            await Promise.all([page.waitForURL(to), page.click("button")])
            seen = JSON.parse((await page.textContent("body")) ?? "")
          })
          return seen
        })
        expect(seen).toStrictEqual([
          field("_charset_", "windows-1251"),
          field("имя", "имя, &#26085;"),
          file("имя.txt", "имя.txt", "text/plain"),
          { file: "none", name: "", content: "", type: "application/octet-stream" }
        ])
      }),
    120_000
  )
})
