import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import {
  checkBarrels,
  checkCycles,
  checkFolders,
  checkHttp1,
  checkKitClient,
  checkLayers,
  checkLength,
  checkNode,
  checkPlaces,
  checkPublic,
  importsOf,
  layerOf,
  maxLines,
  type SourceText
} from "./layers.js"
import { checkVocabulary } from "./vocabulary.js"

const root = fileURLToPath(new URL("../../", import.meta.url))

const readTree = (): ReadonlyArray<SourceText> =>
  readdirSync(`${root}src`, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => /\.[cm]?[jt]sx?$/.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(`${root}src/${path}`, "utf8") }))

const manifest: { readonly exports: Readonly<Record<string, unknown>> } = JSON.parse(
  readFileSync(`${root}package.json`, "utf8")
)

const tree = (files: Readonly<Record<string, string>>): ReadonlyArray<SourceText> =>
  Object.entries(files).map(([path, text]) => ({ path, text }))

type Check = (sources: ReadonlyArray<SourceText>) => ReadonlyArray<string>

const checks: Readonly<Record<string, Check>> = {
  "every file has a layer": checkPlaces,
  "imports go to the same layer or a lower one": checkLayers,
  "sockets are imported only in internal/net, node:http nowhere, but for the test kit's clients": checkNode,
  "internal/http1 runs without effect": checkHttp1,
  "the test kit's client shares no parser with the server": checkKitClient,
  "effect is imported by deep modules": checkBarrels,
  "no import cycles, types included": checkCycles,
  "at most four files lie directly under internal": checkFolders,
  [`every file has at most ${maxLines} lines of code`]: checkLength,
  "comments and messages name no persons and use the terms of the field": checkVocabulary,
  "public modules are in exports and in the index": (sources) => checkPublic(sources, manifest.exports)
}

describe("src", () => {
  const sources = readTree()

  it("is not empty", () => {
    expect(sources.map(({ path }) => path)).toContain("index.ts")
  })

  for (const [name, check] of Object.entries(checks)) {
    it(name, () => {
      expect(check(sources).join("\n")).toBe("")
    })
  }
})

describe("layerOf", () => {
  it.each([
    ["index.ts", 8],
    ["testing/Client.ts", 8],
    ["HttpServer.ts", 8],
    ["Server.ts", 7],
    ["internal/connection/exchange.ts", 6],
    ["internal/net/socketConnection.ts", 5],
    ["Listener.ts", 4],
    ["internal/runtime/effectInterop.ts", 4],
    ["RequestParser.ts", 4],
    ["internal/message/request.ts", 3],
    ["internal/http1/machine.ts", 2],
    ["Limits.ts", 1],
    ["internal/octets.ts", 1],
    ["internal/other/x.ts", undefined],
    ["Router.ts", undefined]
  ])("%s -> %s", (path, floor) => {
    expect(layerOf(path)).toBe(floor)
  })
})

describe("importsOf", () => {
  it.each([
    [`import * as A from "a"`, "a", false],
    [`import "a"`, "a", false],
    [`import { type T } from "a"`, "a", false],
    [`import type { T } from "a"`, "a", true],
    [`export * as N from "a"`, "a", false],
    [`export { x } from "a"`, "a", false],
    [`export type { T } from "a"`, "a", true],
    [`const f = () => import("a")`, "a", false],
    ["const f = () => import(`a`)", "a", false],
    [`const f = require("a")`, "a", false],
    [`import a = require("a")`, "a", false],
    [`type T = import("a").T`, "a", true]
  ])("%s", (text, specifier, typeOnly) => {
    expect(importsOf({ path: "x.ts", text })).toEqual([{ specifier, typeOnly, line: 1 }])
  })

  it("does not read comments and strings", () => {
    expect(importsOf({ path: "x.ts", text: `// import "a"\nconst s = 'import "b"'\n` })).toEqual([])
  })
})

describe("each rule can fail", () => {
  const rows: ReadonlyArray<
    readonly [name: string, check: Check, files: Readonly<Record<string, string>>, message: RegExp]
  > = [
    ["unknown file", checkPlaces, { "Router.ts": "" }, /src\/Router\.ts has no layer/],
    ["unknown internal folder", checkPlaces, { "internal/other/x.ts": "" }, /internal\/other\/x\.ts has no layer/],
    [
      "upward import",
      checkLayers,
      { "Limits.ts": `import * as S from "./Server.js"`, "Server.ts": "" },
      /src\/Limits\.ts:1 \(layer 1\) imports src\/Server\.ts \(layer 7\)/
    ],
    [
      "upward type import",
      checkLayers,
      { "internal/http1/m.ts": `\nimport type { S } from "../../RequestParser.js"`, "RequestParser.ts": "" },
      /internal\/http1\/m\.ts:2 \(layer 2\) imports src\/RequestParser\.ts \(layer 4\)/
    ],
    [
      "upward dynamic import",
      checkLayers,
      { "Server.ts": `export const f = () => import("./index.js")`, "index.ts": "" },
      /layer 7.*layer 8/
    ],
    ["missing file", checkLayers, { "Server.ts": `import "./Gone.js"` }, /"\.\/Gone\.js", which is no file/],
    ["wrong ending", checkLayers, { "Server.ts": `import "./Limits.ts"`, "Limits.ts": "" }, /named with \.js/],
    ["own package by name", checkLayers, { "Server.ts": `import "effect-asynchttpserver/Limits"` }, /own package/],
    ["node:net above", checkNode, { "Listener.ts": `import * as Net from "node:net"` }, /only src\/internal\/net may/],
    ["bare tls", checkNode, { "Server.ts": `import type { TLSSocket } from "tls"` }, /imports "tls"/],
    ["node:http in the kit", checkNode, { "testing/TestServer.ts": `import "node:http"` }, /no file may import it/],
    ["node:http", checkNode, { "internal/net/s.ts": `import * as Http from "node:http"` }, /no file may import it/],
    [
      "effect in http1",
      checkHttp1,
      { "internal/http1/m.ts": `import * as Effect from "effect/Effect"` },
      /internal\/http1\/m\.ts must run without effect/
    ],
    [
      "effect reached from http1",
      checkHttp1,
      {
        "internal/http1/m.ts": `import { a } from "../a.js"`,
        "internal/a.ts": `import * as L from "../Limits.js"`,
        "Limits.ts": `import * as Effect from "effect/Effect"`
      },
      /internal\/http1\/m\.ts -> internal\/a\.ts -> Limits\.ts -> effect/
    ],
    [
      "the server's parser in the kit's client",
      checkKitClient,
      { "testing/internal/client/x.ts": `import { LF } from "../../../internal/http1/characters.js"` },
      /client\/x\.ts:1 imports src\/internal\/http1\/characters\.ts: the test kit's client shares no code with the server/
    ],
    [
      "a type of the server's parser in the kit's client",
      checkKitClient,
      { "testing/internal/client/x.ts": `import type { ParseBuffer } from "../../../internal/http1/parseBuffer.js"` },
      /imports src\/internal\/http1\/parseBuffer\.ts/
    ],
    [
      "another internal module of the server in the kit's client",
      checkKitClient,
      { "testing/internal/client/x.ts": `import { trimOws } from "../../../internal/fields/fieldList.js"` },
      /imports src\/internal\/fields\/fieldList\.ts/
    ],
    [
      "the server's writer in the kit's client",
      checkKitClient,
      { "testing/internal/client/x.ts": `import { make } from "../../../ResponseWriter.js"` },
      /imports src\/ResponseWriter\.ts/
    ],
    [
      "the server's parser reached from the kit's client",
      checkKitClient,
      {
        "testing/internal/client/x.ts": `import { a } from "../a.js"`,
        "testing/internal/a.ts": `import { b } from "../../internal/b.js"`,
        "internal/b.ts": `import { LF } from "./http1/characters.js"`,
        "internal/http1/characters.ts": ""
      },
      /client\/x\.ts reaches the server's codec: .*client\/x\.ts -> testing\/internal\/a\.ts -> internal\/b\.ts -> internal\/http1\/characters\.ts/
    ],
    ["effect barrel", checkBarrels, { "Server.ts": `import { Effect } from "effect"` }, /the barrel "effect"/],
    ["platform barrel", checkBarrels, { "Server.ts": `import { HttpApp } from "@effect/platform"` }, /the barrel/],
    [
      "platform-node barrel",
      checkBarrels,
      { "HttpServer.ts": `import type * as N from "@effect/platform-node"` },
      /the barrel/
    ],
    [
      "cycle of two",
      checkCycles,
      { "Request.ts": `import "./Response.js"`, "Response.ts": `import "./Request.js"` },
      /import cycle: Request\.ts -> Response\.ts -> Request\.ts/
    ],
    [
      "cycle of types",
      checkCycles,
      {
        "Request.ts": `import type { R } from "./Response.js"`,
        "Response.ts": `import type { R } from "./Request.js"`
      },
      /import cycle: Request\.ts -> Response\.ts -> Request\.ts/
    ],
    [
      "five files under internal",
      checkFolders,
      Object.fromEntries(["a", "b", "c", "d", "e"].map((name) => [`internal/${name}.ts`, ""])),
      /5 files directly under src\/internal/
    ],
    ["cycle of one", checkCycles, { "Request.ts": `import "./Request.js"` }, /import cycle: Request\.ts -> Request/],
    ["a word for a person", checkVocabulary, { "Server.ts": "/** Nobody waits. */" }, /src\/Server\.ts:1 "Nobody"/],
    ["a metaphor in a message", checkVocabulary, { "Server.ts": `const a = "last word"` }, /the field's word is/],
    ["length", checkLength, { "Server.ts": "export {}\n".repeat(maxLines + 1) }, /has 301 lines/],
    ["no exports entry", (s) => checkPublic(s, {}), { "Server.ts": "" }, /exports\["\.\/Server"\] should be/],
    ["entry left over", (s) => checkPublic(s, { "./Gone": {} }), {}, /exports\["\.\/Gone"\] names no module/],
    [
      "not in the index",
      (s) => checkPublic(s, {}),
      { "index.ts": `export * from "./Server.js"`, "Server.ts": "" },
      /src\/index\.ts lacks: export \* as Server/
    ],
    [
      "in the index though left out",
      (s) => checkPublic(s, {}),
      { "index.ts": `export * as HttpServer from "./HttpServer.js"`, "HttpServer.ts": "" },
      /must leave HttpServer out/
    ]
  ]

  it.each(rows)("%s", (_name, check, files, message) => {
    expect(check(tree(files)).join("\n")).toMatch(message)
  })
})

describe("each rule can pass", () => {
  const good = tree({
    "index.ts": `export * as Limits from "./Limits.js"\nexport * as TcpListener from "./TcpListener.js"`,
    "TcpListener.ts": `import { open } from "./internal/net/open.js"\nexport const listen = open`,
    "internal/net/open.ts": `import * as Net from "node:net"\nimport { scan } from "../http1/scan.js"\nscan(Net)`,
    "internal/http1/scan.ts": `import type { Limits } from "../../Limits.js"\nexport const scan = (_: unknown) => 0`,
    "testing/internal/client.ts": `import * as Http from "node:http"\nexport const get = Http.get`,
    "testing/internal/client/x.ts": `import { Signal } from "../../../internal/runtime/effectInterop.js"\nimport "../client.js"`,
    "internal/runtime/effectInterop.ts": `import * as Effect from "effect/Effect"`,
    "Limits.ts": `import * as Effect from "effect/Effect"\nimport type { E } from "./Errors.js"\nEffect.void`,
    "Errors.ts": "export type E = string"
  })

  it.each([checkPlaces, checkLayers, checkNode, checkHttp1, checkKitClient, checkBarrels, checkCycles, checkLength])(
    "%o",
    (check) => {
      expect(check(good)).toEqual([])
    }
  )
})
