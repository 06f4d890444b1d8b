/** A report: a proxy and this server read the extensions of a chunk differently, and so found different requests. */

import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { respond } from "../../src/Response.js"
import { malformedExtensions } from "../fixtures/messages/malformed.js"
import { wellFormedExtensions } from "../fixtures/messages/wellFormed.js"
import { serving as servingApplication } from "../platform/harness.js"
import { serving } from "../server/harness.js"
import { ask, requestText } from "../wire/rawConnection.js"
import { expectRefusal } from "../wire/rfc9112/rows.js"

const servers = [
  [
    "the native server",
    Effect.map(
      serving((request) => Effect.flatMap(request.text, (text) => respond(request, 200, text))),
      ({ port }) => port
    )
  ],
  [
    "the drop-in",
    servingApplication(
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) =>
        Effect.map(text, (text) => HttpServerResponse.text(text))
      )
    )
  ]
] as const

const inChunks = (extension: string): string =>
  requestText("POST /", ["Transfer-Encoding: chunked"], `5${extension}\r\nhello\r\n0\r\n\r\n`)

describe.each(servers)("chunk extensions, %s", (name, serve) => {
  it.scopedLive.each(malformedExtensions)("responds 400 and closes: 5%j", (extension) =>
    Effect.gen(function* () {
      const response = yield* ask(yield* serve, inChunks(extension))
      // An application of the platform responds itself to a body that cannot be read.
      if (name === "the native server") expectRefusal(response, 400)
      expect([response.status, response.header("Connection")]).toStrictEqual([400, "close"])
    })
  )

  it.scopedLive.each(wellFormedExtensions)("ignores: 5%j", (extension) =>
    Effect.gen(function* () {
      const response = yield* ask(yield* serve, inChunks(extension))
      expect([response.status, response.text]).toStrictEqual([200, "hello"])
    })
  )
})
