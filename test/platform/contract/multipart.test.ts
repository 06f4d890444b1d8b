/** `multipart` and `multipartStream`, and their limits, which are found in the context. */

import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Multipart from "@effect/platform/Multipart"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { layerContext } from "../../../src/HttpServer.js"
import { ask, withBody } from "../../support/rawClient.js"
import { EventLog, serving } from "../harness.js"

interface Part {
  readonly name: string
  readonly content: string
  readonly filename?: string
}

const boundary = "----boundary"

const form = (...parts: ReadonlyArray<Part>): string =>
  withBody(
    "POST /",
    `${parts
      .map(
        ({ content, filename, name }) =>
          `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${
            filename === undefined ? "" : `; filename="${filename}"\r\nContent-Type: text/plain`
          }\r\n\r\n${content}\r\n`
      )
      .join("")}--${boundary}--\r\n`,
    [`Content-Type: multipart/form-data; boundary=${boundary}`]
  )

const file: Part = { name: "file", filename: "a.txt", content: "content of a file" }
const field: Part = { name: "field", content: "value" }

const request = HttpServerRequest.HttpServerRequest

const persisting = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const { multipart } = yield* request
  const persisted = yield* multipart
  const kept = persisted.file
  if (!Array.isArray(kept)) return yield* HttpServerResponse.json(persisted)
  const texts = yield* Effect.forEach(kept, (each) =>
    typeof each === "string" ? Effect.succeed(each) : files.readFileString(each.path)
  )
  return yield* HttpServerResponse.json({ field: persisted.field, texts })
})

const streaming = Effect.gen(function* () {
  const { multipartStream } = yield* request
  const parts = yield* Stream.runCollect(
    Stream.mapEffect(multipartStream, (part) =>
      Multipart.isFile(part)
        ? Effect.map(part.contentEffect, (bytes) => [part.key, part.name, Buffer.from(bytes).toString()])
        : Effect.succeed([part.key, part.value])
    )
  )
  return yield* HttpServerResponse.json([...parts])
})

const servingParts = <E>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, Effect.Effect.Context<typeof persisting>>
) => Effect.provide(serving(app), layerContext)

describe("multipart", () => {
  it.scopedLive("persists files and fields, and takes the files away with the request", () =>
    Effect.gen(function* () {
      const paths = new EventLog<string>()
      const app = Effect.gen(function* () {
        const persisted = yield* (yield* request).multipart
        const [kept] = persisted.file as ReadonlyArray<Multipart.PersistedFile>
        paths.tell(kept!.path)
        return yield* persisting
      })
      const port = yield* servingParts(app)
      const { text } = yield* ask(port, form(file, field))
      expect(JSON.parse(text)).toStrictEqual({ field: "value", texts: [file.content] })
      const [path] = yield* paths.upTo(1)
      const exists = Effect.flatMap(FileSystem.FileSystem, (files) => files.exists(path!))
      const gone = Effect.repeat(exists, { until: (exists) => !exists, times: 1000 })
      expect(yield* Effect.provide(Effect.orDie(gone), layerContext)).toBe(false)
    })
  )

  it.scopedLive("is shared by what modify gives", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const original = yield* request
        const copy = original.modify({ url: "/copy" })
        const first = yield* copy.multipart
        const second = yield* original.multipart
        return yield* HttpServerResponse.json([first === second, second.field])
      })
      const { text } = yield* ask(yield* servingParts(app), form(field))
      expect(JSON.parse(text)).toStrictEqual([true, "value"])
    })
  )

  it.scopedLive("is checked by a schema", () =>
    Effect.gen(function* () {
      const app = Effect.flatMap(
        HttpServerRequest.schemaBodyForm(Schema.Struct({ field: Schema.Literal("value") })),
        (form) => HttpServerResponse.json(form)
      )
      expect((yield* ask(yield* servingParts(app), form(field))).text).toBe('{"field":"value"}')
    })
  )
})

describe("multipartStream", () => {
  it.scopedLive("gives the parts in order", () =>
    Effect.gen(function* () {
      const { text } = yield* ask(yield* servingParts(streaming), form(field, file))
      expect(JSON.parse(text)).toStrictEqual([
        ["field", "value"],
        ["file", "a.txt", file.content]
      ])
    })
  )
})

describe("limits of multipart", () => {
  for (const [what, limit, sent] of [
    ["too many parts", Multipart.withMaxParts(Option.some(1)), form(field, file)],
    ["a field that is too large", Multipart.withMaxFieldSize(4), form(field)],
    ["a file that is too large", Multipart.withMaxFileSize(Option.some(4)), form(file)],
    ["too much altogether", Multipart.withLimits({ maxTotalSize: Option.some(20) }), form(file)]
  ] as const) {
    for (const [how, app] of [
      ["multipart", persisting],
      ["multipartStream", streaming]
    ] as const) {
      it.scopedLive(`reject ${what} with 413, as ${how}`, () =>
        Effect.gen(function* () {
          expect((yield* ask(yield* servingParts(limit(app)), sent)).status).toBe(413)
        })
      )
    }

    it.scopedLive(`are captured with the context: ${what}`, () =>
      Effect.gen(function* () {
        expect((yield* ask(yield* limit(servingParts(persisting)), sent)).status).toBe(413)
      })
    )
  }

  it.scopedLive("let what is within them pass", () =>
    Effect.gen(function* () {
      const app = Multipart.withLimits(persisting, {
        maxParts: Option.some(3),
        maxFieldSize: 10,
        maxFileSize: Option.some(30)
      })
      expect((yield* ask(yield* servingParts(app), form(file, field))).status).toBe(200)
    })
  )

  it.scopedLive("reject what is no form with 400", () =>
    Effect.gen(function* () {
      const port = yield* servingParts(persisting)
      expect((yield* ask(port, withBody("POST /", "plain", ["Content-Type: text/plain"]))).status).toBe(400)
      const broken = form(field).replace(`--${boundary}--`, `--${boundary}##`)
      expect((yield* ask(port, broken)).status).toBe(400)
    })
  )
})
