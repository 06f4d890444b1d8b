/** Forms that end, or exceed a limit, in the middle of a file: its reader fails, and the client gets a response. */

import * as FileSystem from "@effect/platform/FileSystem"
import { MaxBodySize } from "@effect/platform/HttpIncomingMessage"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Multipart from "@effect/platform/Multipart"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { layerContext } from "../../../src/HttpServer.js"
import { ask, withBody } from "../../support/rawClient.js"
import { serving } from "../harness.js"

const begun = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'

const sent = (body: string): string => withBody("POST /", body, ["Content-Type: multipart/form-data; boundary=b"])

const request = HttpServerRequest.HttpServerRequest

const readings = {
  multipart: Effect.flatMap(request, ({ multipart }) => Effect.asVoid(multipart)),
  multipartStream: Effect.flatMap(request, ({ multipartStream }) =>
    Stream.runForEach(multipartStream, (part) => (Multipart.isFile(part) ? Stream.runDrain(part.content) : Effect.void))
  ),
  contentEffect: Effect.flatMap(request, ({ multipartStream }) =>
    Stream.runForEach(multipartStream, (part) => (Multipart.isFile(part) ? part.contentEffect : Effect.void))
  )
}

const limits = {
  "its file is too large": Multipart.withMaxFileSize(Option.some(1000)),
  "it is too large": Effect.provideService(MaxBodySize, Option.some(FileSystem.Size(1000)))
}

describe.each(Object.entries(readings))("%s of a form", (_, reading) => {
  const app = Effect.as(reading, HttpServerResponse.text("read"))

  const statusOf = (limited: typeof app, body: string) =>
    Effect.map(
      Effect.flatMap(Effect.provide(serving(limited), layerContext), (port) => ask(port, sent(body))),
      ({ status }) => status
    )

  it.scopedLive("that ends in a file gets 400", () =>
    Effect.gen(function* () {
      expect(yield* statusOf(app, `${begun}content`)).toBe(400)
      expect(yield* statusOf(app, begun)).toBe(400)
      expect(yield* statusOf(app, `${begun}content\r\n--b`)).toBe(400)
    })
  )

  for (const [what, limit] of Object.entries(limits)) {
    it.scopedLive(`gets 413 when ${what}, whether it ends or not`, () =>
      Effect.gen(function* () {
        const content = "x".repeat(200_000)
        expect(yield* statusOf(limit(app), `${begun}${content}`)).toBe(413)
        expect(yield* statusOf(limit(app), `${begun}${content}\r\n--b--\r\n`)).toBe(413)
      })
    )
  }

  it.scopedLive("that names its file by filename* alone gets 400", () =>
    Effect.gen(function* () {
      const body = begun.replace('filename="a.txt"', "filename*=utf-8''%ff")
      expect(yield* statusOf(app, `${body}content\r\n--b--\r\n`)).toBe(400)
    })
  )

  it.scopedLive("with a file of just the size that is allowed is read", () =>
    Effect.gen(function* () {
      const limited = limits["its file is too large"](app)
      expect(yield* statusOf(limited, `${begun}${"x".repeat(1000)}\r\n--b--\r\n`)).toBe(200)
      expect(yield* statusOf(limited, `${begun}${"x".repeat(1001)}\r\n--b--\r\n`)).toBe(413)
    })
  )
})
